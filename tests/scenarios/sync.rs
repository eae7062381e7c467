//! From a commit to the cluster.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    canary,
    world::{
        ACCOUNT, OURS, World,
        condition::{check, message, reason},
    },
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "sync::a_commit_becomes_objects_and_secrets",
            a_commit_becomes_objects_and_secrets,
        ),
        shared(
            "sync::a_change_in_git_is_applied",
            a_change_in_git_is_applied,
        ),
        shared(
            "sync::what_git_no_longer_has_is_pruned",
            what_git_no_longer_has_is_pruned,
        ),
        shared(
            "sync::a_rename_makes_the_new_and_prunes_the_old",
            a_rename_makes_the_new_and_prunes_the_old,
        ),
        shared("sync::prune_can_be_switched_off", prune_can_be_switched_off),
        shared(
            "sync::a_namespace_and_its_objects_come_in_one_revision",
            a_namespace_and_its_objects,
        ),
        shared(
            "sync::a_kind_and_its_objects_come_in_one_revision",
            a_kind_and_its_objects,
        ),
        shared(
            "sync::what_was_changed_by_hand_is_put_right",
            what_was_changed_by_hand_is_put_right,
        ),
        shared(
            "sync::what_kubectl_applied_before_is_taken_over",
            what_kubectl_applied_is_taken_over,
        ),
        shared(
            "sync::syncing_again_writes_nothing",
            syncing_again_writes_nothing,
        ),
        shared(
            "sync::a_suspended_sync_does_nothing",
            a_suspended_sync_does_nothing,
        ),
        shared(
            "sync::deleting_a_sync_deletes_what_it_made",
            deleting_a_sync_deletes_what_it_made,
        ),
        shared(
            "sync::deleting_a_sync_without_rights_leaves_its_objects",
            deleting_a_sync_without_rights,
        ),
        shared(
            "sync::deleting_the_namespace_is_not_held_up",
            deleting_the_namespace_is_not_held_up,
        ),
    ]
}

async fn a_commit_becomes_objects_and_secrets(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    let commit = git
        .push_files(
            &[("more/map.yaml", &world.config_map("settings", "mode", "on"))],
            "First",
        )
        .await?;
    world.sync("app", &git, json!({})).await?;

    let sync = world.wait_applied("app", &commit).await?;
    check(
        sync["status"]["summary"]["objects"] == 3,
        "three objects to be counted",
    )?;
    check(
        sync["status"]["summary"]["sealed"] == 1,
        "one of them to be sealed",
    )?;
    check(
        sync["status"]["source"]["subject"] == "First",
        "the commit's subject in the status",
    )?;
    check(
        world.value("db", "password").await? == Some(value),
        "the Secret to be there once the sync is Ready",
    )?;
    let secret = world
        .find("v1", "Secret", "db")
        .await?
        .context("the Secret")?;
    check(
        secret["metadata"]["labels"]["waxwing.dev/sealed"] == "true",
        "the Secret to be marked as ours",
    )?;
    check(
        secret["metadata"].get("ownerReferences").is_none(),
        "no owner reference on it",
    )?;
    check(secret["type"] == "Opaque", "the type that was sealed")?;
    check(
        world.find("apps/v1", "Deployment", "app").await?.is_some(),
        "the Deployment",
    )?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(
        map["data"]["mode"] == "on",
        "the ConfigMap's value to be text",
    )?;

    let id = &sync["metadata"]["labels"]["applyset.kubernetes.io/id"];
    check(
        id.as_str().is_some_and(|id| id.starts_with("applyset-")),
        "the sync to be an ApplySet parent",
    )?;
    check(
        &map["metadata"]["labels"]["applyset.kubernetes.io/part-of"] == id,
        "the ConfigMap to be a member",
    )?;
    let sealed = world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    check(
        sealed["status"]["keys"]
            .as_array()
            .is_some_and(|keys| keys.len() == 1),
        "the key in use to be told",
    )
}

async fn a_change_in_git_is_applied(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, first) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "password").await? == Some(first),
        "the first value",
    )?;

    let (sealed, second) = world.sealed_secret("db", "token").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    let commit = git.push("Second").await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "token").await? == Some(second),
        "the second value",
    )?;
    check(
        world.value("db", "password").await?.is_none(),
        "the entry that is no longer sealed to be gone",
    )?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(map["data"]["mode"] == "two", "the ConfigMap's new value")
}

async fn what_git_no_longer_has_is_pruned(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("kept.yaml", world.config_map("kept", "a", "b"))?;
    git.write("gone.yaml", world.config_map("gone", "a", "b"))?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    let commit = git.push("First").await?;
    let bystander = world.object("v1", "ConfigMap", "bystander", json!({"data": {"a": "b"}}));
    world.cluster().apply(&[bystander]).await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "password").await? == Some(value),
        "the Secret",
    )?;

    git.remove("gone.yaml")?;
    git.remove("db.yaml")?;
    let commit = git.push("Less").await?;
    world.wait_applied("app", &commit).await?;
    world.wait_gone("v1", "ConfigMap", "gone").await?;
    world.wait_gone(OURS, "SealedSecret", "db").await?;
    // Ours to delete, some time later: a SealedSecret may only be on its way from one place to another.
    world.wait_gone("v1", "Secret", "db").await?;
    check(
        world.find("v1", "ConfigMap", "kept").await?.is_some(),
        "the other member to stay",
    )?;
    check(
        world.find("v1", "ConfigMap", "bystander").await?.is_some(),
        "what was never ours to stay",
    )
}

async fn a_rename_makes_the_new_and_prunes_the_old(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("kept.yaml", world.config_map("kept", "a", "b"))?;
    git.write("map.yaml", world.config_map("old", "a", "b"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.write("map.yaml", world.config_map("new", "a", "b"))?;
    let commit = git.push("Rename").await?;
    world.wait_applied("app", &commit).await?;
    world.wait_gone("v1", "ConfigMap", "old").await?;
    check(
        world.find("v1", "ConfigMap", "new").await?.is_some(),
        "the new name",
    )
}

async fn prune_can_be_switched_off(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("kept.yaml", world.config_map("kept", "a", "b"))?;
    git.write("gone.yaml", world.config_map("gone", "a", "b"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"prune": false})).await?;
    world.wait_applied("app", &commit).await?;
    git.remove("gone.yaml")?;
    let commit = git.push("Less").await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.find("v1", "ConfigMap", "gone").await?.is_some(),
        "nothing to be pruned",
    )
}

async fn a_namespace_and_its_objects(world: &World) -> Result<()> {
    let inner = format!("{}-inner", world.namespace);
    // The account of this sync may do everything in the cluster: an administrator's sync.
    let rbac = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": inner},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}]});
    world.cluster().apply(&[binding]).await?;
    let git = world.repository("app").await?;
    let manifest = world
        .secret("db", &[("password", &canary::value())])
        .replace(&world.namespace, &inner);
    git.write("a-secret.yaml", world.seal(&manifest).await?)?;
    git.write(
        "b-namespace.yaml",
        format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inner}\n"),
    )?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let secret = tests::cluster::Kind::of("v1", "Secret");
    let secret = world.cluster().object(&secret, Some(&inner), "db").await?;
    check(
        secret.is_some(),
        "the Secret in the namespace of the same revision",
    )
}

async fn a_kind_and_its_objects(world: &World) -> Result<()> {
    // An administrator's sync: definitions are of the whole cluster.
    let rbac = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("{}-kinds", world.namespace)},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}]});
    world.cluster().apply(&[binding]).await?;
    let group = format!("{}.example.org", world.namespace);
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.write(
        "a-widget.yaml",
        format!(
            "apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: first}}\nspec: {{size: 3}}\n"
        ),
    )?;
    let schema =
        "{type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}";
    git.write(
        "b-definition.yaml",
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\n\
             spec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Widget, plural: widgets}}\n  versions:\n  \
             - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {schema}}}}}\n"
        ),
    )?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let widget = world
        .find(&format!("{group}/v1"), "Widget", "first")
        .await?;
    check(widget.is_some(), "the object of the new kind")?;

    // The definition holds everybody's widgets: it stays, and the status says so.
    git.remove("b-definition.yaml")?;
    git.remove("a-widget.yaml")?;
    let commit = git.push("Less").await?;
    let sync = world.wait_applied("app", &commit).await?;
    let widgets = format!("widgets.{group}");
    check(
        message(&sync, "Ready").contains(&widgets),
        &format!("what is kept to be named, not: {}", message(&sync, "Ready")),
    )?;
    let kind = tests::cluster::Kind::of("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let definition = world.cluster().object(&kind, None, &widgets).await?;
    check(definition.is_some(), "the definition to stay")?;
    world
        .wait_gone(&format!("{group}/v1"), "Widget", "first")
        .await
}

async fn what_was_changed_by_hand_is_put_right(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("edited.yaml", world.config_map("edited", "mode", "git"))?;
    git.write("deleted.yaml", world.config_map("deleted", "mode", "git"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;

    let hand = json!({"data": {"mode": "hand", "extra": "mine"}});
    world.patch("v1", "ConfigMap", "edited", hand).await?;
    world.delete("v1", "ConfigMap", "deleted").await?;
    world.delete(OURS, "SealedSecret", "db").await?;
    let edited = world
        .wait_for("v1", "ConfigMap", "edited", "Git's value", |map| {
            map["data"]["mode"] == "git"
        })
        .await?;
    check(
        edited["data"]["extra"] == "mine",
        "a field that Git does not name to be left alone",
    )?;
    world
        .wait_for("v1", "ConfigMap", "deleted", "Git's object", |map| {
            map["data"]["mode"] == "git"
        })
        .await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_for_event("DriftCorrected", "/deleted (deleted)")
        .await
}

/// A team moves what it applied by hand into Git, and drops a field on the way.
async fn what_kubectl_applied_is_taken_over(world: &World) -> Result<()> {
    let old = format!(
        "{}  dropped: \"yes\"\n",
        world.config_map("settings", "mode", "kubectl")
    );
    let cluster = world.cluster();
    let apply = ["apply", "-f", "-"];
    cluster
        .kubectl_with(cluster.kubeconfig(), &apply, Some(old.as_bytes()))
        .await?
        .ok()?;
    // Somebody else's field is not kubectl's to give.
    let theirs = json!({"data": {"theirs": "stays"}});
    world.patch("v1", "ConfigMap", "settings", theirs).await?;
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "git"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(
        map["data"] == json!({"mode": "git", "theirs": "stays"}),
        &format!("what Git no longer names to be gone, not {}", map["data"]),
    )?;
    let annotations = &map["metadata"]["annotations"];
    check(
        annotations
            .get("kubectl.kubernetes.io/last-applied-configuration")
            .is_none(),
        "kubectl's copy of the object to be gone",
    )
}

async fn syncing_again_writes_nothing(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    let versions = async || -> Result<Vec<Value>> {
        let mut versions = Vec::new();
        for (api, kind, name) in [
            ("v1", "Secret", "db"),
            (OURS, "SealedSecret", "db"),
            ("v1", "ConfigMap", "settings"),
        ] {
            let object = world
                .find(api, kind, name)
                .await?
                .with_context(|| format!("{kind} {name}"))?;
            versions.push(object["metadata"]["resourceVersion"].clone());
        }
        // A Deployment's status moves by itself; what we write is its spec.
        let deployment = world
            .find("apps/v1", "Deployment", "app")
            .await?
            .context("the Deployment")?;
        versions.push(deployment["metadata"]["generation"].clone());
        Ok(versions)
    };
    let before = versions().await?;
    for _ in 0..3 {
        world.reconcile("ManifestSync", "app").await?;
        world
            .wait_for(
                OURS,
                "ManifestSync",
                "app",
                "the request to be handled",
                |sync| {
                    sync["status"]["lastHandledReconcileAt"]
                        == sync["metadata"]["annotations"]["waxwing.dev/reconcile-at"]
                },
            )
            .await?;
    }
    check(versions().await? == before, "no object to be written again")
}

async fn a_suspended_sync_does_nothing(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"suspend": true})).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    check(
        reason(&sync, "Ready") == "Suspended",
        &format!("Suspended, not: {}", message(&sync, "Ready")),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written",
    )?;
    world
        .patch(
            OURS,
            "ManifestSync",
            "app",
            json!({"spec": {"suspend": false}}),
        )
        .await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn deleting_a_sync_deletes_what_it_made(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    world.delete(OURS, "ManifestSync", "app").await?;
    world.wait_gone(OURS, "ManifestSync", "app").await?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "the members to be gone before the sync is",
    )?;
    world.wait_gone("v1", "Secret", "db").await
}

async fn deleting_a_sync_without_rights(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    world
        .delete("rbac.authorization.k8s.io/v1", "RoleBinding", "waxwing")
        .await?;
    world.delete(OURS, "ManifestSync", "app").await?;
    world.wait_gone(OURS, "ManifestSync", "app").await?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_some(),
        "what may not be deleted any more to stay",
    )?;
    world.wait_for_event("Orphaned", "settings").await
}

async fn deleting_the_namespace_is_not_held_up(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let delete = [
        "delete",
        "namespace",
        world.namespace.as_str(),
        "--timeout=60s",
    ];
    world.cluster().kubectl(&delete).await?.ok().map(drop)
}
