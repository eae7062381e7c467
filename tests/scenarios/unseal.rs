//! From a `SealedSecret` to its Secret, whoever brought it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    canary,
    wait::Seen,
    wait::holds,
    world::{
        OURS, World,
        condition::{check, message, reason},
    },
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "unseal::a_sealed_secret_applied_by_hand_becomes_a_secret",
            applied_by_hand,
        ),
        shared("unseal::a_hand_edit_is_repaired", a_hand_edit_is_repaired),
        shared("unseal::an_added_key_is_removed", an_added_key_is_removed),
        shared(
            "unseal::server_side_string_data_is_taken_back",
            server_side_string_data_is_taken_back,
        ),
        shared(
            "unseal::a_deleted_secret_comes_back",
            a_deleted_secret_comes_back,
        ),
        shared(
            "unseal::a_removed_label_comes_back",
            a_removed_label_comes_back,
        ),
        shared(
            "unseal::one_bad_sealed_secret_among_fifty_writes_nothing",
            one_bad_among_fifty,
        ),
        shared(
            "unseal::a_renamed_sealed_secret_is_refused",
            a_renamed_sealed_secret_is_refused,
        ),
        shared(
            "unseal::a_renamed_entry_is_refused",
            a_renamed_entry_is_refused,
        ),
        shared(
            "unseal::a_version_that_does_not_open_keeps_the_last_good_secret",
            the_last_good_secret_is_kept,
        ),
        shared(
            "unseal::a_secret_that_is_not_ours_is_left_alone",
            a_secret_that_is_not_ours_is_left_alone,
        ),
        shared(
            "unseal::replacing_a_sealed_secret_never_loses_the_secret",
            replacing_never_loses_the_secret,
        ),
        shared(
            "unseal::the_grace_of_a_secret_begins_with_each_deletion",
            grace_begins_with_each_deletion,
        ),
    ]
}

/// Applies a sealed manifest as a person does, with `kubectl apply`.
async fn kubectl_apply(world: &World, manifest: &str) -> Result<()> {
    let cluster = world.cluster();
    cluster
        .kubectl_with(
            cluster.kubeconfig(),
            &["apply", "-f", "-"],
            Some(manifest.as_bytes()),
        )
        .await?
        .ok()
        .map(drop)
}

async fn applied_by_hand(world: &World) -> Result<()> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed).await?;
    world.wait_for_value("db", "password", &value).await?;
    let sealed = world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    check(sealed["status"]["entries"] == 1, "one entry to be counted")?;
    check(
        !sealed.to_string().contains(&value),
        "the value not to be in the SealedSecret",
    )
}

/// One sealed Secret `db` with the entry `password`, there and settled.
async fn settled(world: &World) -> Result<String> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed).await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    Ok(value)
}

async fn a_hand_edit_is_repaired(world: &World) -> Result<()> {
    let value = settled(world).await?;
    let started = Instant::now();
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"stringData": {"password": "changed by hand"}}),
        )
        .await?;
    world.wait_for_value("db", "password", &value).await?;
    // The promise is a second or two on an idle cluster; several scenarios share this one.
    let took = started.elapsed();
    check(
        took.as_secs() < 10,
        &format!("the repair within seconds, not {took:?}"),
    )
}

async fn an_added_key_is_removed(world: &World) -> Result<()> {
    settled(world).await?;
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"stringData": {"added": "by hand"}}),
        )
        .await?;
    world
        .wait_for("v1", "Secret", "db", "only the sealed key", |secret| {
            secret["data"]
                .as_object()
                .is_some_and(|data| data.keys().eq(["password"]))
        })
        .await
        .map(drop)
}

/// The API server notes `stringData` under a name of its own, and lets our claim on the value stand.
async fn server_side_string_data_is_taken_back(world: &World) -> Result<()> {
    let value = settled(world).await?;
    let theirs = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": world.namespace},
        "stringData": {"password": "not this", "added": "by hand"}});
    world
        .cluster()
        .kubectl_with(
            world.cluster().kubeconfig(),
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            Some(theirs.to_string().as_bytes()),
        )
        .await?
        .ok()?;
    world
        .wait_for("v1", "Secret", "db", "only the sealed key", |secret| {
            secret["data"]
                .as_object()
                .is_some_and(|data| data.keys().eq(["password"]))
        })
        .await?;
    world.wait_for_value("db", "password", &value).await?;
    // Taken back once: a claim that stayed behind would look like drift for ever.
    let version = |secret: Option<serde_json::Value>| {
        secret.map(|secret| secret["metadata"]["resourceVersion"].clone())
    };
    let before = version(world.find("v1", "Secret", "db").await?);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = version(world.find("v1", "Secret", "db").await?);
    check(before == after, "nothing to be written any more")
}

async fn a_deleted_secret_comes_back(world: &World) -> Result<()> {
    let value = settled(world).await?;
    world.delete("v1", "Secret", "db").await?;
    world.wait_for_value("db", "password", &value).await
}

async fn a_removed_label_comes_back(world: &World) -> Result<()> {
    let value = settled(world).await?;
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"metadata": {"labels": {"waxwing.dev/sealed": null}}}),
        )
        .await?;
    world
        .wait_for("v1", "Secret", "db", "the label to be back", |secret| {
            secret["metadata"]["labels"]["waxwing.dev/sealed"] == "true"
        })
        .await?;
    world.wait_for_value("db", "password", &value).await
}

async fn one_bad_among_fifty(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let manifests: Vec<String> = (0..50)
        .map(|n| world.secret(&format!("db-{n:02}"), &[("password", &canary::value())]))
        .collect();
    let sealed = world.seal(&manifests.join("---\n")).await?;
    // A person moves one to another name, and an editor eats a character of another.
    let bad = sealed.replace("name: db-07\n", "name: db-moved\n");
    let documents: Vec<String> = bad
        .split("---\n")
        .map(|text| {
            if text.contains("name: db-31\n") {
                flip_a_token(text)
            } else {
                text.to_owned()
            }
        })
        .collect();
    git.write("secrets.yaml", documents.join("---\n"))?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.push("Two are bad").await?;
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
    let named = |name: &str| {
        failing.iter().any(|one| {
            one["object"]
                .as_str()
                .is_some_and(|object| object.ends_with(name))
                && one["reason"] == "UnsealFailed"
        })
    };
    check(
        failing.len() == 2,
        &format!("two failing objects, not: {failing:?}"),
    )?;
    check(
        named("db-moved") && named("db-31"),
        &format!("both to be named, not: {failing:?}"),
    )?;
    check(
        failing.iter().all(|one| {
            one["file"]
                .as_str()
                .is_some_and(|file| file.starts_with("secrets.yaml:"))
        }),
        &format!("file and line of both, not: {failing:?}"),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing of the revision to be written",
    )?;
    for name in ["db-00", "db-31", "db-49", "db-moved"] {
        check(
            world.find(OURS, "SealedSecret", name).await?.is_none(),
            &format!("no SealedSecret {name}"),
        )?;
        check(
            world.find("v1", "Secret", name).await?.is_none(),
            &format!("no Secret {name}"),
        )?;
    }

    git.write("secrets.yaml", sealed)?;
    let commit = git.push("Mended").await?;
    world.wait_applied("app", &commit).await?;
    for n in [0, 7, 31, 49] {
        let name = format!("db-{n:02}");
        check(
            world.value(&name, "password").await?.is_some(),
            &format!("Secret {name}"),
        )?;
    }
    Ok(())
}

/// Changes one character inside a sealed value: what a bad merge or a careless hand does.
fn flip_a_token(document: &str) -> String {
    let start = document.rfind("wx1:").unwrap_or_default();
    let end = document[start..]
        .find(['\n', '"'])
        .map_or(document.len(), |length| start + length);
    let at = end - 8;
    let other = if &document[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &document[..at], &document[at + 1..])
}

async fn a_renamed_sealed_secret_is_refused(world: &World) -> Result<()> {
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed.replace("name: db\n", "name: other\n")).await?;
    let refused = world
        .wait_condition("SealedSecret", "other", "Ready", "False", &["db"])
        .await?;
    check(
        reason(&refused, "Ready") == "Misplaced",
        &format!("Misplaced, not: {}", refused["status"]),
    )?;
    check(
        world.find("v1", "Secret", "other").await?.is_none(),
        "no Secret",
    )
}

async fn a_renamed_entry_is_refused(world: &World) -> Result<()> {
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed.replace(" password:", " admin:")).await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &[])
        .await?;
    check(
        reason(&refused, "Ready") == "CannotBeUnsealed",
        &format!("CannotBeUnsealed, not: {}", refused["status"]),
    )?;
    check(
        world.find("v1", "Secret", "db").await?.is_none(),
        "no Secret",
    )?;
    // A changed value is told in the same words: what fails after a key was used must not say how.
    let renamed = message(&refused, "Ready").to_owned();
    world.delete(OURS, "SealedSecret", "db").await?;
    world.wait_gone(OURS, "SealedSecret", "db").await?;
    kubectl_apply(world, &flip_a_token(&sealed)).await?;
    let changed = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &[])
        .await?;
    check(
        message(&changed, "Ready") == renamed,
        &format!("the same words, not: {}", changed["status"]),
    )
}

async fn the_last_good_secret_is_kept(world: &World) -> Result<()> {
    let value = settled(world).await?;
    let (sealed, _) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &flip_a_token(&sealed)).await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &[])
        .await?;
    check(
        reason(&refused, "Ready") == "CannotBeUnsealed",
        &format!("CannotBeUnsealed, not: {}", refused["status"]),
    )?;
    check(
        world.value("db", "password").await? == Some(value),
        "the last good value to stay",
    )
}

async fn a_secret_that_is_not_ours_is_left_alone(world: &World) -> Result<()> {
    let theirs = world.object(
        "v1",
        "Secret",
        "db",
        json!({"stringData": {"password": "theirs"}}),
    );
    world.cluster().apply(&[theirs]).await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed).await?;
    let refused = world
        .wait_condition(
            "SealedSecret",
            "db",
            "Ready",
            "False",
            &["waxwing.dev/adopt"],
        )
        .await?;
    check(
        reason(&refused, "Ready") == "NotOurs",
        &format!("NotOurs, not: {}", refused["status"]),
    )?;
    check(
        world.value("db", "password").await? == Some("theirs".to_owned()),
        "the Secret to be untouched",
    )?;

    // Consent on both sides: the mode on ours, the annotation on theirs.
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"metadata": {"annotations": {"waxwing.dev/adopt": "allowed"}}}),
        )
        .await?;
    world
        .patch(
            OURS,
            "SealedSecret",
            "db",
            json!({"spec": {"ownership": {"mode": "Adopt"}}}),
        )
        .await?;
    world.wait_for_value("db", "password", &value).await
}

async fn replacing_never_loses_the_secret(world: &World) -> Result<()> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed).await?;
    world.wait_for_value("db", "password", &value).await?;
    let uid = |secret: &serde_json::Value| secret["metadata"]["uid"].clone();
    let first = world
        .find("v1", "Secret", "db")
        .await?
        .context("the Secret")?;
    let watching = holds("the Secret", Duration::from_secs(20), async || {
        Ok(match world.find("v1", "Secret", "db").await? {
            Some(secret) if uid(&secret) == uid(&first) => Seen::Yes(()),
            Some(_) => Seen::NotYet("another Secret of the same name".to_owned()),
            None => Seen::NotYet("no Secret".to_owned()),
        })
    });
    let replacing = async {
        for round in 0..10 {
            let how = if round % 2 == 0 {
                kube::api::PropagationPolicy::Background
            } else {
                kube::api::PropagationPolicy::Foreground
            };
            world.delete_with(OURS, "SealedSecret", "db", how).await?;
            world.wait_gone(OURS, "SealedSecret", "db").await?;
            kubectl_apply(world, &sealed).await?;
        }
        world
            .wait_condition("SealedSecret", "db", "Ready", "True", &[])
            .await
            .map(drop)
    };
    let (watched, replaced) = tokio::join!(watching, replacing);
    replaced?;
    watched
}

/// A Secret goes when no SealedSecret of its name has existed for 30 s: not 30 s after some earlier deletion.
async fn grace_begins_with_each_deletion(world: &World) -> Result<()> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    kubectl_apply(world, &sealed).await?;
    world.wait_for_value("db", "password", &value).await?;
    let there = async |period: u64| {
        holds("the Secret", Duration::from_secs(period), async || {
            let there = world.find("v1", "Secret", "db").await?.is_some();
            Ok(if there {
                Seen::Yes(())
            } else {
                Seen::NotYet("no Secret".to_owned())
            })
        })
        .await
    };
    world.delete(OURS, "SealedSecret", "db").await?;
    there(26).await?;
    kubectl_apply(world, &sealed).await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    world.delete(OURS, "SealedSecret", "db").await?;
    there(15).await?;
    world.wait_gone("v1", "Secret", "db").await
}
