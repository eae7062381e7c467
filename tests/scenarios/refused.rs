//! Revisions and specs that are refused, with nothing written.

use anyhow::Result;
use libtest_mimic::Trial;
use serde_json::json;
use tests::world::{
    OURS, World,
    condition::{check, is, reason},
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "refused::an_empty_revision_prunes_nothing",
            an_empty_revision_prunes_nothing,
        ),
        shared(
            "refused::a_revision_that_has_nothing_of_what_there_is_prunes_nothing",
            a_revision_that_has_nothing_of_it,
        ),
        shared(
            "refused::plaintext_secrets_are_refused",
            plaintext_secrets_are_refused,
        ),
        shared(
            "refused::a_file_that_is_not_yaml_is_named",
            a_file_that_is_not_yaml_is_named,
        ),
        shared(
            "refused::a_field_that_is_not_built_is_refused_by_name",
            a_field_that_is_not_built_is_refused_by_name,
        ),
    ]
}

async fn an_empty_revision_prunes_nothing(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "a", "b"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({})).await?;
    world.wait_applied("app", &commit).await?;
    git.remove("map.yaml")?;
    git.push("Nothing left").await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &["allowEmpty"])
        .await?;
    check(
        reason(&sync, "Ready") == "EmptyRevision",
        "the reason EmptyRevision",
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_some(),
        "the object to stay",
    )?;
    world
        .patch(
            OURS,
            "ManifestSync",
            "app",
            json!({"spec": {"allowEmpty": true}}),
        )
        .await?;
    world.wait_gone("v1", "ConfigMap", "settings").await
}

/// Somebody wrote the wrong directory.
async fn a_revision_that_has_nothing_of_it(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("right/map.yaml", world.config_map("settings", "a", "b"))?;
    git.write("right/more.yaml", world.config_map("more", "a", "b"))?;
    git.write("wrong/map.yaml", world.config_map("other", "a", "b"))?;
    let commit = git.push("First").await?;
    world.sync("app", &git, json!({"path": "right"})).await?;
    world.wait_applied("app", &commit).await?;
    let path = |path: &str| json!({"spec": {"path": path}});
    world
        .patch(OURS, "ManifestSync", "app", path("wrong"))
        .await?;
    let words = ["allowEmpty", "spec.path", "/settings"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &words)
        .await?;
    check(
        reason(&sync, "Ready") == "EmptyRevision",
        &format!("EmptyRevision, not: {}", sync["status"]),
    )?;
    for (name, there) in [("settings", true), ("more", true), ("other", false)] {
        let found = world.find("v1", "ConfigMap", name).await?.is_some();
        check(found == there, &format!("{name} to be there: {there}"))?;
    }
    world
        .patch(OURS, "ManifestSync", "app", path("right"))
        .await?;
    world.wait_applied("app", &commit).await.map(drop)
}

async fn plaintext_secrets_are_refused(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    // Not a canary: what somebody pushes in plain text lies in Git, and so in the controller's copy of it.
    let value = "pushed in plain text".to_owned();
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.write("oops.yaml", world.secret("db", &[("password", &value)]))?;
    git.push("Oops").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    check(
        reason(&sync, "Ready") == "PlanRefused",
        &format!("PlanRefused, not: {}", sync["status"]),
    )?;
    let failing = &sync["status"]["failing"][0];
    let text = |field: &str| failing[field].as_str().unwrap_or_default();
    check(
        text("reason") == "PlaintextSecret",
        &format!("PlaintextSecret, not: {failing}"),
    )?;
    check(
        text("file").starts_with("oops.yaml:"),
        &format!("file and line, not: {failing}"),
    )?;
    check(
        text("object").contains("db"),
        &format!("the object to be named, not: {failing}"),
    )?;
    check(
        text("message").contains("password"),
        &format!("the key to be named, not: {failing}"),
    )?;
    check(
        text("message").contains("waxwing seal"),
        &format!("the command that mends it, not: {failing}"),
    )?;
    check(
        !sync.to_string().contains(&value),
        "the value to be nowhere in the status",
    )?;
    check(
        world.find("v1", "Secret", "db").await?.is_none(),
        "no Secret to be written",
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing else of the revision either",
    )?;

    git.write(
        "oops.yaml",
        world
            .seal(&world.secret("db", &[("password", &value)]))
            .await?,
    )?;
    let commit = git.push("Sealed").await?;
    world.wait_applied("app", &commit).await?;
    check(
        world.value("db", "password").await? == Some(value),
        "the Secret, once it is sealed",
    )
}

async fn a_file_that_is_not_yaml_is_named(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    git.write(
        "deep/broken.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\ndata: [\n",
    )?;
    git.push("Broken").await?;
    world.sync("app", &git, json!({})).await?;
    let sync = world
        .wait_condition("ManifestSync", "app", "Ready", "False", &[])
        .await?;
    let failing = &sync["status"]["failing"][0];
    let file = failing["file"].as_str().unwrap_or_default();
    check(
        file.starts_with("deep/broken.yaml:4:"),
        &format!("file and line, not: {}", sync["status"]),
    )?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written",
    )
}

async fn a_field_that_is_not_built_is_refused_by_name(world: &World) -> Result<()> {
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map("settings", "mode", "on"))?;
    let commit = git.push("First").await?;
    world
        .sync("app", &git, json!({"wait": true, "namePrefix": "x-"}))
        .await?;
    let words = ["spec.wait", "spec.namePrefix"];
    let sync = world
        .wait_condition("ManifestSync", "app", "Stalled", "True", &words)
        .await?;
    check(
        reason(&sync, "Stalled") == "NotBuilt",
        &format!("NotBuilt, not: {}", reason(&sync, "Stalled")),
    )?;
    check(is(&sync, "Ready", "False"), "it not to be Ready")?;
    check(
        world.find("v1", "ConfigMap", "settings").await?.is_none(),
        "nothing to be written",
    )?;
    world
        .patch(
            OURS,
            "ManifestSync",
            "app",
            json!({"spec": {"wait": null, "namePrefix": null}}),
        )
        .await?;
    world.wait_applied("app", &commit).await.map(drop)
}
