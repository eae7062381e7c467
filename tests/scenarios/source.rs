//! Where revisions come from, and what happens when they do not come.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    canary,
    git_server::Access,
    proxy::Proxy,
    world::{
        World,
        condition::{check, reason},
    },
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared("source::a_force_push_is_followed", a_force_push_is_followed),
        shared(
            "source::git_away_keeps_what_runs_and_catches_up",
            git_away_keeps_what_runs_and_catches_up,
        ),
        shared(
            "source::credentials_come_from_a_secret",
            credentials_come_from_a_secret,
        ),
        shared(
            "source::a_corrected_secret_is_used_without_being_asked",
            a_corrected_secret_is_used,
        ),
        shared(
            "source::a_proxy_with_a_password_is_used_for_everything",
            a_proxy_with_a_password,
        ),
    ]
}

async fn a_force_push_is_followed(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "one"))?;
    git.push("First").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "two"))?;
    let commit = git.push("Second").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.write(
        "map.yaml",
        world.config_map("settings", "mode", "rewritten"),
    )?;
    let commit = git.force_push("Another second").await?;
    world.wait_applied("app", &commit).await?;
    let map = world
        .find("v1", "ConfigMap", "settings")
        .await?
        .context("the ConfigMap")?;
    check(map["data"]["mode"] == "rewritten", "the rewritten value")
}

async fn git_away_keeps_what_runs_and_catches_up(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    let (sealed, value) = world.sealed_secret("db", "password").await?;
    git.write("db.yaml", sealed)?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    world.wait_applied("app", &commit).await?;
    world.git.pause().await;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &["127.0.0.1"])
        .await?;
    check(
        reason(&sync, "Ready") == "SourceUnavailable",
        "the reason SourceUnavailable",
    )?;
    check(
        world.value("db", "password").await? == Some(value.clone()),
        "what runs to stay",
    )?;
    // Unsealing needs no Git: a deleted Secret comes back meanwhile.
    world.delete("v1", "Secret", "db").await?;
    world.wait_for_value("db", "password", &value).await?;

    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("While away").await?;
    world.git.resume().await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn credentials_come_from_a_secret(world: &World) -> Result<()> {
    let access = Access::Basic {
        user: "robot".to_owned(),
        password: canary::value(),
    };
    let Access::Basic { password, .. } = &access else {
        unreachable!("made so above")
    };
    world.git.set_access(access.clone());
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"retryInterval": "1s"}))
        .await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    check(
        reason(&sync, "Ready") == "SourceUnauthorized",
        &format!("SourceUnauthorized, not: {sync}"),
    )?;

    let wrong = world.git_secret(&[("username", "robot"), ("password", "wrong")]);
    world.cluster().apply(&[wrong]).await?;
    world.reconcile("ManifestSync", "app").await?;
    let right = world.git_secret(&[("username", "robot"), ("password", password)]);
    world.cluster().apply(&[right]).await?;
    world.reconcile("ManifestSync", "app").await?;
    let sync = world.wait_applied("app", &commit).await?;
    check(
        !sync["status"].to_string().contains(password.as_str()),
        "no password in the status",
    )
}

async fn a_corrected_secret_is_used(world: &World) -> Result<()> {
    let password = canary::value();
    world.git.set_access(Access::Basic {
        user: "robot".to_owned(),
        password: password.clone(),
    });
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    let wrong = world.git_secret(&[("username", "robot"), ("password", "wrong")]);
    world.cluster().apply(&[wrong]).await?;
    let never = json!({"interval": "1h", "retryInterval": "1h"});
    world.sync("app", &git, never).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &["secretRef"])
        .await?;
    check(
        reason(&sync, "Ready") == "SourceUnauthorized",
        &format!("SourceUnauthorized, not: {}", sync["status"]),
    )?;
    let right = world.git_secret(&[("username", "robot"), ("password", &password)]);
    world.cluster().apply(&[right]).await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn a_proxy_with_a_password(world: &World) -> Result<()> {
    let password = canary::value();
    let proxy = Proxy::start("robot", &password).await?;
    let secret = |password: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy", "namespace": world.namespace},
            "stringData": {"address": proxy.url(), "username": "robot", "password": password}})
    };
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world.cluster().apply(&[secret("wrong")]).await?;
    let through = json!({"source": {"git": {"proxySecretRef": {"name": "proxy"}}}});
    world.sync("app", &git, through).await?;
    let words = ["407", "proxySecretRef"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &words)
        .await?;
    check(
        reason(&sync, "Ready") == "SourceUnauthorized",
        &format!("SourceUnauthorized, not: {}", sync["status"]),
    )?;
    check(
        world.git.counts().listings == 0,
        "nothing to reach the server past the proxy",
    )?;
    world.cluster().apply(&[secret(&password)]).await?;
    let sync = world.wait_applied("app", &commit).await?;
    check(proxy.tunnels() > 0, "the proxy to be used")?;
    check(
        !sync["status"].to_string().contains(password.as_str()),
        "no password in the status",
    )
}
