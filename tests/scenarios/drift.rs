//! What somebody changes beside Git, and what a controller costs while nobody does.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    cluster::Kind,
    controller::{ControllerOptions, NAMESPACE},
    plane::PlaneOptions,
    wait::{Seen, until},
    world::{
        ACCOUNT, World,
        condition::{check, is, message, reason},
    },
};

use crate::{on, shared};

/// What should happen at once, on a machine that runs several scenarios on two cores.
const AT_ONCE: Duration = Duration::from_secs(10);
/// So long that nothing in a scenario can be the work of the next poll.
const NO_POLL: &str = "1h";

pub fn scenarios() -> Vec<Trial> {
    let own = async || World::own(PlaneOptions::default(), ControllerOptions::default()).await;
    let audited =
        async || World::own(PlaneOptions { audit: true }, ControllerOptions::default()).await;
    vec![
        shared(
            "drift::an_edited_deployment_is_put_right_at_once",
            an_edited_deployment_is_put_right,
        ),
        shared(
            "drift::a_deleted_object_comes_back_at_once",
            a_deleted_object_comes_back,
        ),
        shared(
            "drift::what_stands_is_kept_while_git_is_away",
            what_stands_is_kept_while_git_is_away,
        ),
        shared(
            "drift::what_stands_is_kept_while_a_newer_revision_is_refused",
            what_stands_is_kept_while_another_is_refused,
        ),
        shared(
            "drift::a_manager_that_fights_is_left_alone_and_reported",
            a_manager_that_fights_is_reported,
        ),
        shared(
            "drift::a_kind_that_may_not_be_watched_is_looked_at_at_the_interval",
            a_kind_that_may_not_be_watched,
        ),
        on(
            "drift::what_changed_while_the_controller_was_down_is_put_right",
            own,
            what_changed_while_the_controller_was_down,
        ),
        on(
            "drift::an_unchanged_revision_asks_nothing_of_the_api_server",
            audited,
            an_unchanged_revision_asks_nothing,
        ),
    ]
}

/// A Deployment and a `ConfigMap`, applied, and not looked at by any poll.
async fn applied(world: &World) -> Result<String> {
    let git = world.repository("app").await?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    git.write("map.yaml", world.config_map("settings", "mode", "git"))?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"interval": NO_POLL}))
        .await?;
    world.wait_applied("app", &commit).await.map(|_| commit)
}

async fn scaled_by_hand(world: &World) -> Result<()> {
    let five = json!({"spec": {"replicas": 5}});
    world.patch("apps/v1", "Deployment", "app", five).await
}

async fn wait_for_one_replica(world: &World) -> Result<()> {
    world
        .wait_for("apps/v1", "Deployment", "app", "one replica", |found| {
            found["spec"]["replicas"] == 1
        })
        .await
        .map(drop)
}

async fn told(world: &World, reason: &str, words: &[&str]) -> Result<()> {
    until(
        &format!("an event {reason} with {words:?}"),
        AT_ONCE,
        async || {
            let events = Kind::of("v1", "Event");
            let events = world
                .cluster()
                .list(&events, Some(&world.namespace))
                .await?;
            let found = events.iter().any(|event| {
                let note = event["message"].as_str().unwrap_or_default();
                event["reason"] == reason && words.iter().all(|word| note.contains(word))
            });
            let notes: Vec<&Value> = events.iter().map(|event| &event["message"]).collect();
            Ok(if found {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{notes:?}"))
            })
        },
    )
    .await
}

async fn an_edited_deployment_is_put_right(world: &World) -> Result<()> {
    applied(world).await?;
    let before = Instant::now();
    scaled_by_hand(world).await?;
    wait_for_one_replica(world).await?;
    let took = before.elapsed();
    check(took < AT_ONCE, &format!("it to take seconds, not {took:?}"))?;
    let words = ["Deployment.apps", "/app", "spec.replicas", "kubectl-edit"];
    told(world, "DriftCorrected", &words).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Drifted", "False", &words)
        .await?;
    check(
        reason(&sync, "Drifted") == "DriftCorrected" && is(&sync, "Ready", "True"),
        &format!(
            "it to be told and the sync to stay Ready, not {}",
            sync["status"]
        ),
    )
}

async fn a_deleted_object_comes_back(world: &World) -> Result<()> {
    applied(world).await?;
    let before = Instant::now();
    world.delete("v1", "ConfigMap", "settings").await?;
    world
        .wait_for("v1", "ConfigMap", "settings", "Git's object", |map| {
            map["data"]["mode"] == "git" && map["metadata"]["deletionTimestamp"].is_null()
        })
        .await?;
    let took = before.elapsed();
    check(took < AT_ONCE, &format!("it to take seconds, not {took:?}"))?;
    told(world, "DriftCorrected", &["/settings (deleted)"]).await
}

async fn what_stands_is_kept_while_git_is_away(world: &World) -> Result<()> {
    applied(world).await?;
    world.git.pause().await;
    scaled_by_hand(world).await?;
    wait_for_one_replica(world).await
}

async fn what_stands_is_kept_while_another_is_refused(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.write("broken.yaml", "apiVersion: v1\nkind: [\n")?;
    git.push("Broken").await?;
    let refused = ["broken.yaml"];
    world
        .wait_condition("ManifestSync", "app", "Ready", "False", &refused)
        .await?;
    scaled_by_hand(world).await?;
    wait_for_one_replica(world).await?;
    // That it is put right says nothing about the revision that is refused.
    let corrected = ["spec.replicas"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Drifted", "False", &corrected)
        .await?;
    check(
        is(&sync, "Ready", "False") && message(&sync, "Ready").contains("broken.yaml"),
        &format!("the refusal to stand, not {}", sync["status"]),
    )
}

async fn a_manager_that_fights_is_reported(world: &World) -> Result<()> {
    applied(world).await?;
    let mode = |value: &str| json!({"data": {"mode": value}});
    for round in 0..4 {
        let hand = mode(&format!("hand {round}"));
        world.patch("v1", "ConfigMap", "settings", hand).await?;
        world
            .wait_for("v1", "ConfigMap", "settings", "Git's value", |map| {
                map["data"]["mode"] == "git"
            })
            .await?;
    }
    world
        .patch("v1", "ConfigMap", "settings", mode("hand"))
        .await?;
    let words = ["/settings", "data.mode", "kubectl-edit"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Drifted", "True", &words)
        .await?;
    check(
        reason(&sync, "Drifted") == "Contended" && sync["status"]["summary"]["drifted"] == 1,
        &format!("Contended and counted, not {}", sync["status"]),
    )?;
    told(world, "Contended", &words).await?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(map["data"]["mode"] == "hand", "it to be left alone")?;
    // Only for a while.
    world
        .wait_for("v1", "ConfigMap", "settings", "Git's value", |map| {
            map["data"]["mode"] == "git"
        })
        .await?;
    world
        .wait_condition("ManifestSync", "app", "Drifted", "False", &words)
        .await
        .map(drop)
}

async fn a_kind_that_may_not_be_watched(world: &World) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("{}-gadgets", world.namespace)},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}]});
    world.cluster().apply(&[binding]).await?;
    let group = format!("{}.example.org", world.namespace);
    let git = world.repository("app").await?;
    git.write(
        "gadget.yaml",
        format!(
            "apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: first}}\nspec: {{size: 3}}\n"
        ),
    )?;
    let schema =
        "{type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}";
    git.write(
        "definition.yaml",
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.{group}}}\n\
             spec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Gadget, plural: gadgets}}\n  versions:\n  \
             - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {schema}}}}}\n"
        ),
    )?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    let words = [&*format!("Gadget.{group}"), "deploy/rbac/watch.yaml"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Drifted", "False", &words)
        .await?;
    check(
        reason(&sync, "Drifted") == "PartlyWatched" && is(&sync, "Ready", "True"),
        &format!("PartlyWatched, not {}", sync["status"]),
    )?;
    let api = format!("{group}/v1");
    let hand = json!({"spec": {"size": 4}});
    world.patch(&api, "Gadget", "first", hand).await?;
    world
        .wait_for(&api, "Gadget", "first", "Git's size", |found| {
            found["spec"]["size"] == 3
        })
        .await?;
    told(
        world,
        "DriftCorrected",
        &["/first", "spec.size", "kubectl-edit"],
    )
    .await
}

async fn what_changed_while_the_controller_was_down(world: &World) -> Result<()> {
    let commit = applied(world).await?;
    world.controller.stop().await?;
    scaled_by_hand(world).await?;
    world.delete("v1", "ConfigMap", "settings").await?;
    world.controller.resume().await?;
    wait_for_one_replica(world).await?;
    world
        .wait_for("v1", "ConfigMap", "settings", "Git's object", |map| {
            map["data"]["mode"] == "git"
        })
        .await?;
    world.wait_applied("app", &commit).await?;
    let words = ["spec.replicas (kubectl-edit)", "/settings (deleted)"];
    told(world, "DriftCorrected", &words).await
}

async fn an_unchanged_revision_asks_nothing(world: &World) -> Result<()> {
    const POLLS: u32 = 5;
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("app.yaml", world.deployment("app", "db"))?;
    git.write("map.yaml", world.config_map("settings", "mode", "git"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_condition("ManifestSync", "app", "Drifted", "False", &[])
        .await?;
    // What belongs to the first pass ends.
    tokio::time::sleep(Duration::from_secs(5)).await;

    let (before, asked) = (world.git.counts(), requests(world)?.len());
    until("five polls", Duration::from_secs(60), async || {
        let polls = world.git.counts().listings - before.listings;
        Ok(if polls >= POLLS {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("{polls}"))
        })
    })
    .await?;
    let asked: Vec<String> = requests(world)?.split_off(asked);
    check(
        asked.is_empty(),
        &format!("no request but for the Lease and watches, not {asked:#?}"),
    )?;
    check(
        world.git.counts().fetches == before.fetches,
        "nothing to be fetched",
    )
}

/// What the controller asked so far, by the API server's audit log, Lease and watches aside.
fn requests(world: &World) -> Result<Vec<String>> {
    let log = fs::read_to_string(world.plane.audit_log()).context("the audit log")?;
    let account = &world.controller.installation().account;
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    Ok(log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"] == user.as_str())
        .filter(|event| event["verb"] != "watch" && event["objectRef"]["resource"] != "leases")
        .map(|event| format!("{} {}", event["verb"], event["requestURI"]))
        .collect())
}
