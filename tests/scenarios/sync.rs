//! From a commit to the cluster.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    canary,
    git_server::Access,
    world::{ACCOUNT, OURS, World, check, is, message, reason},
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared("sync::a_commit_becomes_objects_and_secrets", a_commit_becomes_objects_and_secrets),
        shared("sync::a_change_in_git_is_applied", a_change_in_git_is_applied),
        shared("sync::what_git_no_longer_has_is_pruned", what_git_no_longer_has_is_pruned),
        shared("sync::a_rename_makes_the_new_and_prunes_the_old", a_rename_makes_the_new_and_prunes_the_old),
        shared("sync::prune_can_be_switched_off", prune_can_be_switched_off),
        shared("sync::an_empty_revision_prunes_nothing", an_empty_revision_prunes_nothing),
        shared("sync::a_namespace_and_its_objects_come_in_one_revision", a_namespace_and_its_objects),
        shared("sync::syncing_again_writes_nothing", syncing_again_writes_nothing),
        shared("sync::a_force_push_is_followed", a_force_push_is_followed),
        shared("sync::git_away_keeps_what_runs_and_catches_up", git_away_keeps_what_runs_and_catches_up),
        shared("sync::credentials_come_from_a_secret", credentials_come_from_a_secret),
        shared("sync::plaintext_secrets_are_refused", plaintext_secrets_are_refused),
        shared("sync::a_file_that_is_not_yaml_is_named", a_file_that_is_not_yaml_is_named),
        shared("sync::a_field_that_is_not_built_is_refused_by_name", a_field_that_is_not_built_is_refused_by_name),
        shared("sync::a_suspended_sync_does_nothing", a_suspended_sync_does_nothing),
        shared("sync::deleting_a_sync_deletes_what_it_made", deleting_a_sync_deletes_what_it_made),
    ]
}

async fn a_commit_becomes_objects_and_secrets(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    let commit = git.push_files(&[("more/map.yaml", &world.config_map("settings", "mode", "on"))], "First").await?;
    world.sync("app", &git, json!({})).await?;

    let sync = world.wait_applied("app", &commit).await?;
    check(sync["status"]["summary"]["objects"] == 3, "three objects to be counted")?;
    check(sync["status"]["summary"]["sealed"] == 1, "one of them to be sealed")?;
    check(sync["status"]["source"]["subject"] == "First", "the commit's subject in the status")?;
    check(world.value("db", "password").await? == Some(value), "the Secret to be there once the sync is Ready")?;
    let secret = world.find("v1", "Secret", "db").await?.context("the Secret")?;
    check(secret["metadata"]["labels"]["waxwing.dev/sealed"] == "true", "the Secret to be marked as ours")?;
    check(secret["metadata"].get("ownerReferences").is_none(), "no owner reference on it")?;
    check(secret["type"] == "Opaque", "the type that was sealed")?;
    check(world.find("apps/v1", "Deployment", "app").await?.is_some(), "the Deployment")?;
    let map = world.find("v1", "ConfigMap", "settings").await?.context("the ConfigMap")?;
    check(map["data"]["mode"] == "on", "the ConfigMap's value to be text")?;

    let id = &sync["metadata"]["labels"]["applyset.kubernetes.io/id"];
    check(id.as_str().is_some_and(|id| id.starts_with("applyset-")), "the sync to be an ApplySet parent")?;
    check(&map["metadata"]["labels"]["applyset.kubernetes.io/part-of"] == id, "the ConfigMap to be a member")?;
    let sealed = world.wait_condition("SealedSecret", "db", "Ready", "True", &[]).await?;
    check(sealed["status"]["keys"].as_array().is_some_and(|keys| keys.len() == 1), "the key in use to be told")
}

async fn a_change_in_git_is_applied(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, first) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    check(world.value("db", "password").await? == Some(first), "the first value")?;

    let (sealed, second) = world.sealed_secret("db", "token").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    let commit = git.push("Second").await?;
    world.wait_applied("app", &commit).await?;
    check(world.value("db", "token").await? == Some(second), "the second value")?;
    check(world.value("db", "password").await?.is_none(), "the entry that is no longer sealed to be gone")?;
    let map = world.find("v1", "ConfigMap", "settings").await?.context("the ConfigMap")?;
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
    check(world.value("db", "password").await? == Some(value), "the Secret")?;

    git.remove("gone.yaml")?;
    git.remove("db.yaml")?;
    let commit = git.push("Less").await?;
    world.wait_applied("app", &commit).await?;
    world.wait_gone("v1", "ConfigMap", "gone").await?;
    world.wait_gone(OURS, "SealedSecret", "db").await?;
    // Ours to delete, some time later: a SealedSecret may only be on its way from one place to another.
    world.wait_gone("v1", "Secret", "db").await?;
    check(world.find("v1", "ConfigMap", "kept").await?.is_some(), "the other member to stay")?;
    check(world.find("v1", "ConfigMap", "bystander").await?.is_some(), "what was never ours to stay")
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
    check(world.find("v1", "ConfigMap", "new").await?.is_some(), "the new name")
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
    check(world.find("v1", "ConfigMap", "gone").await?.is_some(), "nothing to be pruned")
}

async fn an_empty_revision_prunes_nothing(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "a", "b"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.remove("map.yaml")?;
    git.push("Nothing left").await?;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &["allowEmpty"]).await?;
    check(reason(&sync, "Ready") == "EmptyRevision", "the reason EmptyRevision")?;
    check(world.find("v1", "ConfigMap", "settings").await?.is_some(), "the object to stay")?;
    world.patch(OURS, "ManifestSync", "app", json!({"spec": {"allowEmpty": true}})).await?;
    world.wait_gone("v1", "ConfigMap", "settings").await
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
    let manifest = world.secret("db", &[("password", &canary::value())]).replace(&world.namespace, &inner);
    git.write("a-secret.yaml", world.seal(&manifest).await?)?;
    git.write("b-namespace.yaml", format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inner}\n"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let secret = tests::cluster::Kind::of("v1", "Secret");
    let secret = world.cluster().object(&secret, Some(&inner), "db").await?;
    check(secret.is_some(), "the Secret in the namespace of the same revision")
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
    world.wait_condition("SealedSecret", "db", "Ready", "True", &[]).await?;
    let versions = async || -> Result<Vec<Value>> {
        let mut versions = Vec::new();
        for (api, kind, name) in [
            ("v1", "Secret", "db"),
            (OURS, "SealedSecret", "db"),
            ("v1", "ConfigMap", "settings"),
        ] {
            let object = world.find(api, kind, name).await?.with_context(|| format!("{kind} {name}"))?;
            versions.push(object["metadata"]["resourceVersion"].clone());
        }
        // A Deployment's status moves by itself; what we write is its spec.
        let deployment = world.find("apps/v1", "Deployment", "app").await?.context("the Deployment")?;
        versions.push(deployment["metadata"]["generation"].clone());
        Ok(versions)
    };
    let before = versions().await?;
    for _ in 0..3 {
        world.reconcile("ManifestSync", "app").await?;
        world
            .wait_for(OURS, "ManifestSync", "app", "the request to be handled", |sync| {
                sync["status"]["lastHandledReconcileAt"]
                    == sync["metadata"]["annotations"]["waxwing.dev/reconcile-at"]
            })
            .await?;
    }
    check(versions().await? == before, "no object to be written again")
}

async fn a_force_push_is_followed(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    git.push("First").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    let commit = git.push("Second").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.write("map.yaml", world.config_map("settings", "mode", "rewritten"))?;
    let commit = git.force_push("Another second").await?;
    world.wait_applied("app", &commit).await?;
    let map = world.find("v1", "ConfigMap", "settings").await?.context("the ConfigMap")?;
    check(map["data"]["mode"] == "rewritten", "the rewritten value")
}

async fn git_away_keeps_what_runs_and_catches_up(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"retryInterval": "1s"})).await?;
    world.wait_applied("app", &commit).await?;
    world.git.pause().await;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &["127.0.0.1"]).await?;
    check(reason(&sync, "Ready") == "SourceUnavailable", "the reason SourceUnavailable")?;
    check(world.value("db", "password").await? == Some(value.clone()), "what runs to stay")?;
    // Unsealing needs no Git: a deleted Secret comes back meanwhile.
    world.delete("v1", "Secret", "db").await?;
    world.wait_for_value("db", "password", &value).await?;

    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("While away").await?;
    world.git.resume().await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn credentials_come_from_a_secret(world: &World) -> Result<()> {
    let access = Access::Basic { user: "robot".to_owned(), password: canary::value() };
    let Access::Basic { password, .. } = &access else { unreachable!("made so above") };
    world.git.set_access(access.clone());
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"retryInterval": "1s"})).await?;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &[]).await?;
    check(reason(&sync, "Ready") == "SourceUnauthorized", &format!("SourceUnauthorized, not: {sync}"))?;

    let wrong = world.git_secret(&[("username", "robot"), ("password", "wrong")]);
    world.cluster().apply(&[wrong]).await?;
    world.reconcile("ManifestSync", "app").await?;
    let right = world.git_secret(&[("username", "robot"), ("password", password)]);
    world.cluster().apply(&[right]).await?;
    world.reconcile("ManifestSync", "app").await?;
    let sync = world.wait_applied("app", &commit).await?;
    check(!sync["status"].to_string().contains(password.as_str()), "no password in the status")
}

async fn plaintext_secrets_are_refused(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let value = canary::value();
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.write("oops.yaml", world.secret("db", &[("password", &value)]))?;
    git.push("Oops").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &[]).await?;
    check(reason(&sync, "Ready") == "PlanRefused", &format!("PlanRefused, not: {}", sync["status"]))?;
    let failing = &sync["status"]["failing"][0];
    let text = |field: &str| failing[field].as_str().unwrap_or_default();
    check(text("reason") == "PlaintextSecret", &format!("PlaintextSecret, not: {failing}"))?;
    check(text("file").starts_with("oops.yaml:"), &format!("file and line, not: {failing}"))?;
    check(text("object").contains("db"), &format!("the object to be named, not: {failing}"))?;
    check(text("message").contains("password"), &format!("the key to be named, not: {failing}"))?;
    check(text("message").contains("waxwing seal"), &format!("the command that mends it, not: {failing}"))?;
    check(!sync.to_string().contains(&value), "the value to be nowhere in the status")?;
    check(world.find("v1", "Secret", "db").await?.is_none(), "no Secret to be written")?;
    check(world.find("v1", "ConfigMap", "settings").await?.is_none(), "nothing else of the revision either")?;

    git.write("oops.yaml", world.seal(&world.secret("db", &[("password", &value)])).await?)?;
    let commit = git.push("Sealed").await?;
    world.wait_applied("app", &commit).await?;
    check(world.value("db", "password").await? == Some(value), "the Secret, once it is sealed")
}

async fn a_file_that_is_not_yaml_is_named(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.write("deep/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\ndata: [\n")?;
    git.push("Broken").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &[]).await?;
    let failing = &sync["status"]["failing"][0];
    let file = failing["file"].as_str().unwrap_or_default();
    check(file.starts_with("deep/broken.yaml:"), &format!("the file and line, not: {}", sync["status"]))?;
    check(world.find("v1", "ConfigMap", "settings").await?.is_none(), "nothing to be written")
}

async fn a_field_that_is_not_built_is_refused_by_name(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"wait": true, "namePrefix": "x-"})).await?;
    let words = ["spec.wait", "spec.namePrefix"];
    let sync = world.wait_condition("ManifestSync", "app", "Stalled", "True", &words).await?;
    check(reason(&sync, "Stalled") == "NotBuilt", &format!("NotBuilt, not: {}", reason(&sync, "Stalled")))?;
    check(is(&sync, "Ready", "False"), "it not to be Ready")?;
    check(world.find("v1", "ConfigMap", "settings").await?.is_none(), "nothing to be written")?;
    world.patch(OURS, "ManifestSync", "app", json!({"spec": {"wait": null, "namePrefix": null}})).await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn a_suspended_sync_does_nothing(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"suspend": true})).await?;
    let sync = world.wait_condition("ManifestSync", "app", "Ready", "False", &[]).await?;
    check(reason(&sync, "Ready") == "Suspended", &format!("Suspended, not: {}", message(&sync, "Ready")))?;
    check(world.find("v1", "ConfigMap", "settings").await?.is_none(), "nothing to be written")?;
    world.patch(OURS, "ManifestSync", "app", json!({"spec": {"suspend": false}})).await?;
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
    check(world.find("v1", "ConfigMap", "settings").await?.is_none(), "the members to be gone before the sync is")?;
    world.wait_gone("v1", "Secret", "db").await
}
