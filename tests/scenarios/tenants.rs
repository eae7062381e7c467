//! Whose rights count, and what a tenant can never do.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    cluster::Kind,
    world::{
        OURS, World,
        condition::{check, reason},
    },
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "tenants::without_consent_of_the_namespace_nothing_is_applied",
            without_consent,
        ),
        shared(
            "tenants::without_an_account_nothing_is_applied",
            without_an_account,
        ),
        shared(
            "tenants::an_account_without_rights_applies_nothing",
            without_rights,
        ),
        shared(
            "tenants::foreign_ciphertext_is_never_opened",
            foreign_ciphertext_is_never_opened,
        ),
        shared(
            "tenants::two_syncs_do_not_share_an_object",
            two_syncs_do_not_share_an_object,
        ),
        shared(
            "tenants::copied_labels_get_nothing_pruned",
            copied_labels_get_nothing_pruned,
        ),
    ]
}

async fn without_consent(world: &World) -> Result<()> {
    world
        .delete("rbac.authorization.k8s.io/v1", "RoleBinding", "waxwing")
        .await?;
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    let words = [
        "kubectl create rolebinding",
        "waxwing-impersonate",
        &world.namespace,
    ];
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &words)
        .await?;
    check(
        reason(&sync, "Ready") == "ImpersonationDenied",
        &format!("ImpersonationDenied, not {}", sync["status"]),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written",
    )?;
    // The administrator types what the condition said.
    let account = format!("waxwing-system:{}", world.controller.installation().account);
    let namespace = world.namespace.as_str();
    let role = "--clusterrole=waxwing-impersonate";
    let serves = format!("--serviceaccount={account}");
    let binding = [
        "create",
        "rolebinding",
        "waxwing-impersonate",
        "--namespace",
        namespace,
        role,
        &serves,
    ];
    world.cluster().kubectl(&binding).await?.ok()?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn without_an_account(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.push("First").await?;
    world
        .sync("none", &git, json!({"serviceAccountName": null}))
        .await?;
    let sync = world
        .wait_condition(
            "ManifestSync",
            "none",
            "Ready",
            "False",
            &["serviceAccountName"],
        )
        .await?;
    check(
        reason(&sync, "Ready") == "ServiceAccountRequired",
        &format!("not: {}", sync["status"]),
    )?;
    world
        .sync("missing", &git, json!({"serviceAccountName": "nobody"}))
        .await?;
    let sync = world
        .wait_condition("ManifestSync", "missing", "Ready", "False", &["nobody"])
        .await?;
    check(
        reason(&sync, "Ready") == "ServiceAccountMissing",
        &format!("not: {}", sync["status"]),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written",
    )
}

async fn without_rights(world: &World) -> Result<()> {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]);
    world
        .patch(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "deployer",
            json!({ "rules": rules }),
        )
        .await?;
    let git = world.repository("app").await?;
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    check(
        reason(&sync, "Ready") == "PlanRefused",
        &format!("PlanRefused, not: {}", sync["status"]),
    )?;
    let failing = sync["status"]["failing"]
        .as_array()
        .context("failing objects")?;
    for name in ["db", "app"] {
        let denied = failing.iter().any(|one| {
            one["object"]
                .as_str()
                .is_some_and(|object| object.ends_with(&format!("/{name}")))
                && one["reason"] == "AccessDenied"
        });
        check(denied, &format!("{name} to be denied, not: {failing:?}"))?;
    }
    check(
        failing.len() == 2,
        &format!("two failing objects, not: {failing:?}"),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written, not even what it may",
    )?;
    check(
        world.find("v1", "Secret", "db").await?.is_none(),
        "no Secret",
    )
}

async fn foreign_ciphertext_is_never_opened(world: &World) -> Result<()> {
    let victim = format!("{}-victim", world.namespace);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": victim}});
    world.cluster().apply(&[namespace]).await?;
    let git = world.repository("app").await?;
    // A copy that opens, and one that does not: the answer must be the same, or the difference is an oracle.
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    let foreign = world
        .secret("stolen", &[("password", &tests::canary::value())])
        .replace(&world.namespace, &victim);
    git.write("a.yaml", world.seal(&foreign).await?)?;
    git.write("b.yaml", sealed.replace(&world.namespace, &victim))?;
    git.push("Stolen").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    let failing = sync["status"]["failing"]
        .as_array()
        .context("failing objects")?;
    check(
        failing.len() == 2,
        &format!("both to be refused, not: {failing:?}"),
    )?;
    check(
        failing.iter().all(|one| one["reason"] == "AccessDenied"),
        &format!("AccessDenied, not: {failing:?}"),
    )?;
    let same = |one: &Value| {
        let text = one["message"].as_str().unwrap_or_default();
        text.replace("stolen", "NAME")
            .replace("db", "NAME")
            .replace("a.yaml", "F")
            .replace("b.yaml", "F")
    };
    check(
        same(&failing[0]) == same(&failing[1]),
        &format!("the same answer to both, not: {failing:?}"),
    )?;
    let secrets = world
        .cluster()
        .list(&Kind::of("v1", "Secret"), Some(&victim))
        .await?;
    check(secrets.is_empty(), "no Secret in the other namespace")
}

async fn two_syncs_do_not_share_an_object(world: &World) -> Result<()> {
    let (first, second) = (
        world.repository("first").await?,
        world.repository("second").await?,
    );
    first.write("map.yaml", world.config_map("settings", "mode", "first"))?;
    let commit = first.push("First").await?;
    world.sync("first", &first, json!({})).await?;
    world.wait_applied("first", &commit).await?;
    second.write("map.yaml", world.config_map("settings", "mode", "second"))?;
    second.write("other.yaml", world.config_map("other", "mode", "second"))?;
    second.push("Second").await?;
    world.sync("second", &second, json!({})).await?;
    let sync = world
        .wait_condition("ManifestSync", "second", "Ready", "False", &[])
        .await?;
    let failing = &sync["status"]["failing"][0];
    check(
        failing["reason"] == "Conflict",
        &format!("Conflict, not: {}", sync["status"]),
    )?;
    let text = failing["message"].as_str().unwrap_or_default();
    check(
        text.contains("first"),
        &format!("the other sync to be named, not: {text}"),
    )?;
    check(
        world.find("v1", "ConfigMap", "other").await?.is_none(),
        "nothing of the second to be written",
    )?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(
        map["data"]["mode"] == "first",
        "the first to keep its object",
    )
}

async fn copied_labels_get_nothing_pruned(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world.wait_applied("app", &commit).await?;
    let id = &sync["metadata"]["labels"]["applyset.kubernetes.io/id"];
    let mut copy = world.object("v1", "ConfigMap", "copy", json!({"data": {"a": "b"}}));
    copy["metadata"]["labels"] = json!({"applyset.kubernetes.io/part-of": id});
    world.cluster().apply(&[copy]).await?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    git.write("more.yaml", world.config_map("more", "mode", "two"))?;
    let commit = git.push("Second").await?;
    world.wait_applied("app", &commit).await?;
    git.remove("more.yaml")?;
    let commit = git.push("Third").await?;
    world.wait_applied("app", &commit).await?;
    world.wait_gone("v1", "ConfigMap", "more").await?;
    check(
        world.find(OURS, "ManifestSync", "app").await?.is_some(),
        "the sync",
    )?;
    check(
        world.find("v1", "ConfigMap", "copy").await?.is_some(),
        "an object with copied labels to stay",
    )
}
