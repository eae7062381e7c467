//! Keys that come late, controllers that die: scenarios with a plane of their own.

use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::{
    canary,
    cluster::Kind,
    controller::{ControllerOptions, NAMESPACE},
    plane::PlaneOptions,
    wait::{Seen, until},
    world::{
        OURS, World,
        condition::{check, reason},
    },
};

use crate::on;

/// How many SealedSecrets wait for the key.
const WAITING: usize = 500;

pub fn scenarios() -> Vec<Trial> {
    let own = async || World::own(PlaneOptions::default(), ControllerOptions::default()).await;
    let audited =
        async || World::own(PlaneOptions { audit: true }, ControllerOptions::default()).await;
    vec![
        on(
            "life::a_key_that_arrives_late_unblocks_what_waits",
            own,
            a_key_that_arrives_late,
        ),
        on(
            "life::a_forged_public_key_is_restored",
            own,
            a_forged_public_key_is_restored,
        ),
        on(
            "life::a_killed_controller_goes_on_where_it_was",
            audited,
            a_killed_controller_goes_on,
        ),
        on(
            "life::twenty_kills_in_a_pass_of_three_hundred_objects",
            own,
            twenty_kills,
        ),
    ]
}

/// The cluster was rebuilt; Git's SealedSecrets are there before the old key is restored.
async fn a_key_that_arrives_late(world: &World) -> Result<()> {
    world
        .waxwing
        .run(&["keys", "generate", "-o", "old.key"])
        .await?
        .ok()?;
    let identity =
        std::fs::read_to_string(world.directory.join("old.key")).context("the generated key")?;
    let public = identity
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .context("the public key")?;
    let value = canary::value();
    let seal = async |manifest: &str| -> Result<String> {
        let sealed = world
            .waxwing
            .run_with(
                &["seal", "-f", "-", "-r", public],
                Some(manifest.as_bytes()),
            )
            .await?;
        Ok(sealed.ok()?.stdout)
    };
    let git = world.repository("app").await?;
    git.write(
        "db.yaml",
        seal(&world.secret("in-git", &[("password", &value)])).await?,
    )?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    let waiting = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    check(
        reason(&waiting, "Ready") == "PlanRefused",
        &format!("PlanRefused, not: {}", waiting["status"]),
    )?;
    let waiting_ones: Vec<String> = (0..WAITING)
        .map(|n| world.secret(&format!("by-hand-{n}"), &[("password", &value)]))
        .collect();
    let sealed = seal(&waiting_ones.join("---\n")).await?;
    let cluster = world.cluster();
    cluster
        .kubectl_with(
            cluster.kubeconfig(),
            &["create", "-f", "-"],
            Some(sealed.as_bytes()),
        )
        .await?
        .ok()?;
    let waiting = world
        .wait_condition("SealedSecret", "by-hand-0", "Ready", "False", &[])
        .await?;
    check(
        reason(&waiting, "Ready") == "UnknownKey",
        &format!("UnknownKey, not: {}", waiting["status"]),
    )?;

    // A restore from backup: type, label and data as documented.
    let short = sealed
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("key.")
                .and_then(|rest| rest.split(':').next())
        })
        .context("the short id of the recipient")?;
    let line = identity
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY"))
        .context("an identity")?;
    let key = json!({"apiVersion": "v1", "kind": "Secret", "type": "waxwing.dev/sealing-key",
        "metadata": {"name": "restored", "namespace": NAMESPACE, "labels": {"waxwing.dev/key": short}},
        "stringData": {"identity": line}});
    world.cluster().apply(&[key]).await?;
    let started = std::time::Instant::now();
    until(
        "every Secret that waited",
        Duration::from_secs(60),
        async || {
            let secrets = world
                .cluster()
                .list(&Kind::of("v1", "Secret"), Some(&world.namespace))
                .await?;
            let there = secrets
                .iter()
                .filter(|secret| secret["metadata"]["labels"]["waxwing.dev/sealed"] == "true")
                .count();
            Ok(if there == WAITING + 1 {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{there} Secrets"))
            })
        },
    )
    .await?;
    world
        .wait_for_value("by-hand-7", "password", &value)
        .await?;
    world.wait_for_value("in-git", "password", &value).await?;
    world.wait_applied("app", &commit).await?;
    let took = started.elapsed();
    check(
        took < Duration::from_secs(30),
        &format!("everything to proceed within seconds, not {took:?}"),
    )
}

async fn a_forged_public_key_is_restored(world: &World) -> Result<()> {
    let kind = Kind::of(OURS, "SealingKey");
    let keys = world.cluster().list(&kind, None).await?;
    let active = keys
        .iter()
        .find(|key| key["spec"]["state"] == "Active")
        .context("an Active key")?;
    let name = active["metadata"]["name"]
        .as_str()
        .context("a key has a name")?;
    let restored = async |what: &str| {
        until(what, Duration::from_secs(30), async || {
            Ok(match world.cluster().object(&kind, None, name).await? {
                Some(key) if key["spec"] == active["spec"] => Seen::Yes(()),
                Some(key) => Seen::NotYet(key["spec"].to_string()),
                None => Seen::NotYet("no such SealingKey".to_owned()),
            })
        })
        .await
    };
    let theirs = world
        .waxwing
        .run(&["keys", "generate", "-o", "theirs.key"])
        .await?
        .ok()?
        .stdout;
    let forged = json!({"spec": {"publicKey": theirs.trim()}}).to_string();
    world
        .cluster()
        .kubectl(&[
            "patch",
            "sealingkey",
            name,
            "--type=merge",
            "--patch",
            &forged,
        ])
        .await?
        .ok()?;
    restored("the forged SealingKey to be restored").await
}

/// Each revision changes every object, and the controller is killed as soon as some of them are changed.
async fn twenty_kills(world: &World) -> Result<()> {
    const OBJECTS: usize = 290;
    const SEALED: usize = 10;
    let git = world.repository("app").await?;
    let value = canary::value();
    let secrets: Vec<String> = (0..SEALED)
        .map(|n| world.secret(&format!("db-{n}"), &[("password", &value)]))
        .collect();
    git.write("secrets.yaml", world.seal(&secrets.join("---\n")).await?)?;
    let revision = async |round: usize| -> Result<String> {
        let value = format!("round {round}");
        let maps: Vec<String> = (0..OBJECTS)
            .map(|n| world.config_map(&format!("map-{n:03}"), "round", &value))
            .collect();
        git.write("maps.yaml", maps.join("---\n"))?;
        git.push(&value).await
    };
    let changed = async |round: usize| -> Result<usize> {
        let maps = world
            .cluster()
            .list(&Kind::of("v1", "ConfigMap"), Some(&world.namespace))
            .await?;
        Ok(maps
            .iter()
            .filter(|map| map["data"]["round"] == format!("round {round}").as_str())
            .count())
    };
    let commit = revision(0).await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    world.wait_applied("app", &commit).await?;

    let mut halfway = Vec::new();
    for round in 1..=20 {
        let commit = revision(round).await?;
        world.reconcile("ManifestSync", "app").await?;
        until(
            "the first objects to be changed",
            Duration::from_secs(60),
            async || {
                let count = changed(round).await?;
                Ok(if count > 0 {
                    Seen::Yes(())
                } else {
                    Seen::NotYet("none".to_owned())
                })
            },
        )
        .await?;
        world.controller.kill()?;
        // Requests on their way still arrive.
        let left = changed(round).await?;
        if left < OBJECTS {
            halfway.push(left);
        }
        world.controller.resume().await?;
        world.wait_applied("app", &commit).await?;
        check(
            changed(round).await? == OBJECTS,
            "every object of the revision",
        )?;
    }
    check(
        halfway.len() >= 15,
        &format!("15 kills or more in the midst of a pass, not {halfway:?}"),
    )?;
    let secrets = world
        .cluster()
        .list(&Kind::of("v1", "Secret"), Some(&world.namespace))
        .await?;
    let sealed = secrets
        .iter()
        .filter(|secret| secret["metadata"]["labels"]["waxwing.dev/sealed"] == "true")
        .count();
    check(sealed == SEALED, &format!("{SEALED} Secrets, not {sealed}"))?;
    world.wait_for_value("db-3", "password", &value).await
}

async fn a_killed_controller_goes_on(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;

    // While it is down, Git moves on and somebody edits the Secret.
    world.controller.kill()?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    let commit = git.push("While down").await?;
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"stringData": {"password": "changed by hand"}}),
        )
        .await?;
    world.controller.resume().await?;
    world.wait_applied("app", &commit).await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;

    // With everything in order a restart writes nothing but its Lease.
    world.controller.stop().await?;
    let before = writes(world)?.len();
    world.controller.resume().await?;
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
    let after = writes(world)?;
    let wrote: Vec<String> = after[before..]
        .iter()
        .map(|event| format!("{} {}", event["verb"], event["requestURI"]))
        // The one that says that the request was handled.
        .filter(|write| !write.contains("/manifestsyncs/app/status"))
        .collect();
    check(
        wrote.is_empty(),
        &format!("no writes after a restart, not: {wrote:#?}"),
    )
}

/// What the controller, and accounts that it impersonated, wrote so far: by the API server's audit log, dry runs and
/// the Lease aside.
fn writes(world: &World) -> Result<Vec<Value>> {
    let log = std::fs::read_to_string(world.plane.audit_log()).context("the audit log")?;
    let account = format!(
        "system:serviceaccount:{NAMESPACE}:{}",
        world.controller.installation().account
    );
    Ok(log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"] == account.as_str())
        .filter(|event| {
            ["create", "update", "patch", "delete"]
                .contains(&event["verb"].as_str().unwrap_or_default())
        })
        .filter(|event| {
            !event["requestURI"]
                .as_str()
                .is_some_and(|uri| uri.contains("dryRun="))
        })
        .filter(|event| {
            let resource = event["objectRef"]["resource"].as_str().unwrap_or_default();
            ![
                "leases",
                "subjectaccessreviews",
                "localsubjectaccessreviews",
            ]
            .contains(&resource)
        })
        .collect())
}
