//! Parts of the cluster that go away while the controller works.

use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    canary,
    cluster::Kind,
    controller::ControllerOptions,
    plane::PlaneOptions,
    wait::{Seen, until},
    world::{ACCOUNT, OURS, SOON, World, condition::check},
};

use crate::{on, shared};

pub fn scenarios() -> Vec<Trial> {
    let own = async || World::own(PlaneOptions::default(), ControllerOptions::default()).await;
    vec![
        on(
            "outages::the_api_server_restarts",
            own,
            the_api_server_restarts,
        ),
        on(
            "outages::a_dead_aggregated_api_is_no_missing_kind",
            own,
            a_dead_aggregated_api_is_no_missing_kind,
        ),
        on(
            "outages::deleted_definitions_keep_every_secret",
            own,
            deleted_definitions_keep_every_secret,
        ),
        shared(
            "outages::a_namespace_deleted_while_syncing_comes_back",
            a_namespace_deleted_while_syncing,
        ),
        shared(
            "outages::a_sync_deleted_with_its_account_goes",
            a_sync_deleted_with_its_account_goes,
        ),
        shared(
            "outages::a_namespace_with_a_sync_in_it_can_be_deleted",
            a_namespace_with_a_sync_in_it_can_be_deleted,
        ),
    ]
}

async fn the_api_server_restarts(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    world.wait_applied("app", &commit).await?;

    world.plane.stop_api_server().await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("While away").await?;
    // A leader that cannot renew its Lease for 7 s must not go on writing: it ends, and its container is started again.
    let (status, after) = world.controller.ended_by_itself().await?;
    check(
        status.code() == Some(1),
        "the controller to end with an error",
    )?;
    check(
        after < Duration::from_secs(15),
        "it to end before its Lease can be taken",
    )?;
    world.controller.spawn()?;
    world.plane.start_api_server().await?;
    world.controller.wait_until_ready().await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "password").await? == Some(value.clone()),
        "nothing to be lost",
    )?;
    // The watches are back, too.
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"stringData": {"password": "changed by hand"}}),
        )
        .await?;
    world.wait_for_value("db", "password", &value).await
}

async fn a_dead_aggregated_api_is_no_missing_kind(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    git.write("more.yaml", world.config_map("more", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;

    // What a metrics server that is down looks like: the group is announced and does not answer.
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.dead.example.com"},
        "spec": {"group": "dead.example.com", "version": "v1beta1", "groupPriorityMinimum": 100,
                 "versionPriority": 100, "insecureSkipTLSVerify": true,
                 "service": {"name": "dead", "namespace": world.namespace}}});
    world.cluster().apply(&[service]).await?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    git.remove("more.yaml")?;
    let commit = git.push("Second").await?;
    world.wait_applied("app", &commit).await?;
    world.wait_gone("v1", "ConfigMap", "more").await?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(
        map["data"]["mode"] == "two",
        "the living kinds to be synced",
    )
}

async fn deleted_definitions_keep_every_secret(world: &World) -> Result<()> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    let cluster = world.cluster();
    let apply = async || {
        let args = ["apply", "-f", "-"];
        cluster
            .kubectl_with(cluster.kubeconfig(), &args, Some(sealed.as_bytes()))
            .await?
            .ok()
    };
    apply().await?;
    world.wait_for_value("db", "password", &value).await?;
    let uid = async || -> Result<Value> {
        let secret = world
            .find("v1", "Secret", "db")
            .await?
            .context("the Secret is gone")?;
        Ok(secret["metadata"]["uid"].clone())
    };
    let before = uid().await?;

    cluster
        .kubectl(&["delete", "crd", "sealedsecrets.waxwing.dev", "--wait=true"])
        .await?
        .ok()?;
    // Longer than an absent SealedSecret's Secret is kept.
    tests::wait::holds("the Secret", Duration::from_secs(40), async || {
        Ok(if uid().await? == before {
            Seen::Yes(())
        } else {
            Seen::NotYet("another Secret".to_owned())
        })
    })
    .await?;
    let crds = tests::tools::workspace().join("deploy/crds/waxwing.dev.yaml");
    let crds = crds.to_str().context("a path in UTF-8")?;
    cluster.kubectl(&["apply", "-f", crds]).await?.ok()?;
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd/sealedsecrets.waxwing.dev",
        ])
        .await?
        .ok()?;
    apply().await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    check(uid().await? == before, "the Secret to be the same one")?;
    check(
        world.value("db", "password").await? == Some(value),
        "its value to be the sealed one",
    )
}

/// A sync whose account may do everything in the cluster, with a namespace of its own in Git.
async fn administrators_sync(world: &World) -> Result<(String, String)> {
    let inner = format!("{}-inner", world.namespace);
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
    git.write("secret.yaml", world.seal(&manifest).await?)?;
    git.write(
        "namespace.yaml",
        format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inner}\n"),
    )?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    world.wait_applied("app", &commit).await?;
    Ok((inner, commit))
}

async fn a_namespace_deleted_while_syncing(world: &World) -> Result<()> {
    let (inner, commit) = administrators_sync(world).await?;
    let namespaces = Kind::of("v1", "Namespace");
    let first = world
        .cluster()
        .object(&namespaces, None, &inner)
        .await?
        .context("the namespace")?;
    world
        .cluster()
        .kubectl(&["delete", "namespace", &inner, "--wait=false"])
        .await?
        .ok()?;
    until(
        "another namespace of that name, with its Secret",
        SOON * 2,
        async || {
            let now = world.cluster().object(&namespaces, None, &inner).await?;
            let back = now.is_some_and(|now| now["metadata"]["uid"] != first["metadata"]["uid"]);
            let secret = world
                .cluster()
                .object(&Kind::of("v1", "Secret"), Some(&inner), "db")
                .await?
                .is_some();
            let seen = || Seen::NotYet(format!("namespace back: {back}, Secret there: {secret}"));
            Ok(if back && secret {
                Seen::Yes(())
            } else {
                seen()
            })
        },
    )
    .await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn a_sync_deleted_with_its_account_goes(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    // As `kubectl delete -f tenant.yaml` does it: the account, its rights and the sync in one go.
    world
        .delete("rbac.authorization.k8s.io/v1", "RoleBinding", ACCOUNT)
        .await?;
    world.delete("v1", "ServiceAccount", ACCOUNT).await?;
    world.delete(OURS, "ManifestSync", "app").await?;
    world.wait_gone(OURS, "ManifestSync", "app").await?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_some(),
        "its objects to stay, as orphans",
    )?;
    let events = world
        .cluster()
        .list(&Kind::of("v1", "Event"), Some(&world.namespace))
        .await?;
    check(
        events.iter().any(|event| event["reason"] == "Orphaned"),
        "an event that says so",
    )
}

async fn a_namespace_with_a_sync_in_it_can_be_deleted(world: &World) -> Result<()> {
    let name = format!("{}-doomed", world.namespace);
    world.make_namespace(&name).await?;
    let git = world.git.repository("doomed").await?;
    git.write(
        "map.yaml",
        world
            .config_map("settings", "mode", "on")
            .replace(&world.namespace, &name),
    )?;
    let commit = git.push("First").await?;
    let mut secret = world.git_secret(&[]);
    secret["metadata"]["namespace"] = json!(name);
    let spec = json!({"interval": "2s", "serviceAccountName": ACCOUNT, "source": {"git": {
        "url": git.url(), "ref": {"branch": "main"}, "secretRef": {"name": "git"}}}});
    let sync = json!({"apiVersion": OURS, "kind": "ManifestSync",
        "metadata": {"name": "app", "namespace": name}, "spec": spec});
    world.cluster().apply(&[secret, sync]).await?;
    let kind = Kind::of(OURS, "ManifestSync");
    until(
        "the sync in the other namespace to be Ready",
        SOON,
        async || {
            let sync = world
                .cluster()
                .object(&kind, Some(&name), "app")
                .await?
                .context("the sync")?;
            let applied = sync["status"]["lastAppliedRevision"]
                .as_str()
                .unwrap_or_default()
                .contains(&commit);
            Ok(if applied {
                Seen::Yes(())
            } else {
                Seen::NotYet(sync["status"].to_string())
            })
        },
    )
    .await?;
    world
        .cluster()
        .kubectl(&["delete", "namespace", &name, "--wait=false"])
        .await?
        .ok()?;
    until("the namespace to be gone", SOON, async || {
        let namespace = world
            .cluster()
            .object(&Kind::of("v1", "Namespace"), None, &name)
            .await?;
        Ok(namespace.map_or(Seen::Yes(()), |namespace| {
            Seen::NotYet(namespace["status"].to_string())
        }))
    })
    .await
}
