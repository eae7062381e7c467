//! Whose a Secret is, and what becomes of the keys of others in it.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::world::{
    OURS, World,
    condition::{check, reason},
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "ownership::adopting_takes_the_secret_over",
            adopting_takes_the_secret_over,
        ),
        shared(
            "ownership::a_sync_that_may_update_the_secret_adopts_it_at_once",
            a_sync_adopts_at_once,
        ),
        shared(
            "ownership::merging_keeps_what_others_have_there",
            merging_keeps_what_others_have_there,
        ),
        shared(
            "ownership::an_empty_secret_can_be_adopted",
            an_empty_secret_can_be_adopted,
        ),
        shared(
            "ownership::a_controlled_secret_is_refused_by_name",
            a_controlled_secret_is_refused_by_name,
        ),
        shared(
            "ownership::a_strangers_secret_with_other_keys_gets_none_of_ours",
            a_strangers_secret_gets_none_of_ours,
        ),
        shared(
            "ownership::what_was_in_the_way_goes_and_ours_comes",
            what_was_in_the_way_goes_and_ours_comes,
        ),
        shared(
            "ownership::an_orphan_stays_when_its_sealed_secret_goes",
            an_orphan_stays,
        ),
    ]
}

/// A Secret of somebody else, with or without consent to adopt it.
async fn theirs(world: &World, data: Value, consent: bool) -> Result<()> {
    let annotations = if consent {
        json!({"waxwing.dev/adopt": "allowed"})
    } else {
        json!({})
    };
    let metadata = json!({"annotations": annotations, "labels": {"their": "label"}});
    let secret = world.object(
        "v1",
        "Secret",
        "db",
        json!({"metadata": metadata, "stringData": data}),
    );
    // As `kubectl create` does it.
    let cluster = world.cluster();
    let create = ["create", "-f", "-"];
    cluster
        .kubectl_with(
            cluster.kubeconfig(),
            &create,
            Some(secret.to_string().as_bytes()),
        )
        .await?
        .ok()
        .map(drop)
}

/// The SealedSecret `db` with one entry, `password`, and an ownership.
async fn ours(world: &World, ownership: &str) -> Result<String> {
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    let sealed = sealed.replace("\nspec:\n", &format!("\nspec:\n  ownership: {ownership}\n"));
    let cluster = world.cluster();
    cluster
        .kubectl_with(
            cluster.kubeconfig(),
            &["apply", "-f", "-"],
            Some(sealed.as_bytes()),
        )
        .await?
        .ok()?;
    Ok(value)
}

async fn keys(world: &World) -> Result<Vec<String>> {
    let secret = world
        .find("v1", "Secret", "db")
        .await?
        .context("the Secret")?;
    Ok(secret["data"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect())
}

async fn adopting_takes_the_secret_over(world: &World) -> Result<()> {
    theirs(
        world,
        json!({"password": "theirs", "other": "theirs"}),
        true,
    )
    .await?;
    let value = ours(world, "{mode: Adopt}").await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_for("v1", "Secret", "db", "only our key", |secret| {
            secret["data"]
                .as_object()
                .is_some_and(|data| data.keys().eq(["password"]))
        })
        .await?;
    // Ours now: it comes back like any other.
    world.delete("v1", "Secret", "db").await?;
    world.wait_for_value("db", "password", &value).await
}

async fn merging_keeps_what_others_have_there(world: &World) -> Result<()> {
    theirs(
        world,
        json!({"password": "theirs", "other": "theirs"}),
        true,
    )
    .await?;
    let value = ours(world, "{mode: Adopt, merge: true}").await?;
    world.wait_for_value("db", "password", &value).await?;
    world
        .wait_condition("SealedSecret", "db", "Ready", "True", &[])
        .await?;
    check(
        world.value("db", "other").await? == Some("theirs".to_owned()),
        "their key to stay",
    )?;
    let secret = world
        .find("v1", "Secret", "db")
        .await?
        .context("the Secret")?;
    check(
        secret["metadata"]["labels"]["their"] == "label",
        "their label to stay",
    )?;
    // Their keys are theirs to change; ours are repaired.
    let edit = json!({"stringData": {"other": "changed", "password": "changed"}});
    world.patch("v1", "Secret", "db", edit).await?;
    world.wait_for_value("db", "password", &value).await?;
    check(
        world.value("db", "other").await? == Some("changed".to_owned()),
        "their change to stay",
    )?;
    // When ours goes, theirs stays.
    world.delete(OURS, "SealedSecret", "db").await?;
    world
        .wait_for("v1", "Secret", "db", "only their key", |secret| {
            secret["data"]
                .as_object()
                .is_some_and(|data| data.keys().eq(["other"]))
        })
        .await
        .map(drop)
}

/// The consent is the account's right; no other part of the controller may refuse in between.
async fn a_sync_adopts_at_once(world: &World) -> Result<()> {
    theirs(world, json!({"password": "theirs"}), false).await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    let git = world.repository("app").await?;
    git.write(
        "db.yaml",
        sealed.replace("\nspec:\n", "\nspec:\n  ownership: {mode: Adopt}\n"),
    )?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "password").await? == Some(value),
        "the sealed value",
    )?;
    let events = tests::cluster::Kind::of("v1", "Event");
    let events = world
        .cluster()
        .list(&events, Some(&world.namespace))
        .await?;
    let refused: Vec<&Value> = events
        .iter()
        .filter(|event| event["reason"] == "NotOurs")
        .collect();
    check(
        refused.is_empty(),
        &format!("no refusal on the way, not {refused:?}"),
    )
}

async fn an_empty_secret_can_be_adopted(world: &World) -> Result<()> {
    theirs(world, json!({}), true).await?;
    let value = ours(world, "{mode: Adopt, merge: true}").await?;
    world.wait_for_value("db", "password", &value).await
}

async fn a_controlled_secret_is_refused_by_name(world: &World) -> Result<()> {
    let owner = world.object(
        "v1",
        "ConfigMap",
        "owner-of-it",
        json!({"data": {"a": "b"}}),
    );
    world.cluster().apply(&[owner]).await?;
    let owner = world
        .find("v1", "ConfigMap", "owner-of-it")
        .await?
        .context("the owner")?;
    theirs(world, json!({"password": "theirs"}), true).await?;
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner-of-it", "controller": true,
                            "uid": owner["metadata"]["uid"]}]);
    world
        .patch(
            "v1",
            "Secret",
            "db",
            json!({"metadata": {"ownerReferences": reference}}),
        )
        .await?;
    ours(world, "{mode: Adopt}").await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &["owner-of-it"])
        .await?;
    check(
        reason(&refused, "Ready") == "ControlledByAnother",
        &format!("not: {}", refused["status"]),
    )?;
    check(
        keys(world).await? == ["password"],
        "the Secret to be untouched",
    )?;
    check(
        world.value("db", "password").await? == Some("theirs".to_owned()),
        "its value, too",
    )
}

/// Nothing of it conflicts with what we would apply, so an apply without force would write.
async fn a_strangers_secret_gets_none_of_ours(world: &World) -> Result<()> {
    theirs(world, json!({"username": "theirs"}), false).await?;
    let before = world.find("v1", "Secret", "db").await?;
    ours(world, "{mode: Owned}").await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &[])
        .await?;
    check(
        reason(&refused, "Ready") == "NotOurs",
        &format!("NotOurs, not: {}", refused["status"]),
    )?;
    check(
        world.find("v1", "Secret", "db").await? == before,
        "not a byte of the Secret to change, its resourceVersion included",
    )
}

async fn what_was_in_the_way_goes_and_ours_comes(world: &World) -> Result<()> {
    theirs(world, json!({"password": "theirs"}), false).await?;
    let value = ours(world, "{mode: Owned}").await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &[])
        .await?;
    check(
        reason(&refused, "Ready") == "NotOurs",
        &format!("NotOurs, not: {}", refused["status"]),
    )?;
    world.delete("v1", "Secret", "db").await?;
    world.wait_for_value("db", "password", &value).await
}

async fn an_orphan_stays(world: &World) -> Result<()> {
    let value = ours(world, "{mode: Orphan}").await?;
    world.wait_for_value("db", "password", &value).await?;
    world.delete(OURS, "SealedSecret", "db").await?;
    world.wait_gone(OURS, "SealedSecret", "db").await?;
    // Longer than the Secret of an Owned one would stay.
    tests::wait::holds(
        "the Secret",
        std::time::Duration::from_secs(40),
        async || {
            let there = world.find("v1", "Secret", "db").await?.is_some();
            Ok(if there {
                tests::wait::Seen::Yes(())
            } else {
                tests::wait::Seen::NotYet("gone".to_owned())
            })
        },
    )
    .await
}
