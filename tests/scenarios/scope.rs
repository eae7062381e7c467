//! Where a value opens and where it does not, and what kinds of Secrets come out.

use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    canary,
    cluster::Kind,
    wait::{Seen, holds, until},
    world::{
        OURS, SOON, World,
        condition::{check, reason},
    },
};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "scope::strict_opens_at_its_own_place_only",
            strict_opens_at_its_own_place_only,
        ),
        shared(
            "scope::namespace_opens_under_any_name_in_its_namespace",
            namespace_opens_under_any_name,
        ),
        shared("scope::cluster_opens_everywhere", cluster_opens_everywhere),
        shared(
            "scope::a_foreign_key_opens_nothing",
            a_foreign_key_opens_nothing,
        ),
        shared(
            "scope::a_registry_secret_keeps_its_type",
            a_registry_secret_keeps_its_type,
        ),
        shared(
            "scope::labels_and_annotations_come_along",
            labels_and_annotations_come_along,
        ),
        shared(
            "scope::an_entry_sealed_later_stands_beside_the_others",
            an_entry_sealed_later,
        ),
        shared(
            "scope::entries_poured_into_a_file_stay_secret_in_git",
            entries_poured_into_a_file,
        ),
        shared(
            "scope::an_immutable_secret_is_replaced_only_with_leave",
            an_immutable_secret,
        ),
    ]
}

async fn apply(world: &World, manifest: &str) -> Result<()> {
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

/// Seals with flags that come before the recipients.
async fn seal(world: &World, manifest: &str, flags: &[&str]) -> Result<String> {
    let recipients = world.recipients().await?;
    let words = [&["seal", "-f", "-", "-r", &recipients], flags].concat();
    Ok(world
        .waxwing
        .run_with(&words, Some(manifest.as_bytes()))
        .await?
        .ok()?
        .stdout)
}

/// A second namespace of the scenario.
async fn other_namespace(world: &World) -> Result<String> {
    let name = format!("{}-other", world.namespace);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    world.cluster().apply(&[namespace]).await?;
    Ok(name)
}

/// Waits until the SealedSecret `name` of a namespace is refused as misplaced, and watches that no Secret comes.
async fn stays_closed(world: &World, namespace: &str, name: &str) -> Result<()> {
    until(
        &format!("SealedSecret {namespace}/{name} to be refused"),
        SOON,
        async || {
            let object = world
                .cluster()
                .object(&Kind::of(OURS, "SealedSecret"), Some(namespace), name)
                .await?;
            let object = object.context("the SealedSecret")?;
            let refused = reason(&object, "Ready") == "Misplaced";
            Ok(if refused {
                Seen::Yes(())
            } else {
                Seen::NotYet(object["status"].to_string())
            })
        },
    )
    .await?;
    holds(
        "the absence of a Secret",
        Duration::from_secs(2),
        async || {
            let secret = world
                .cluster()
                .object(&Kind::of("v1", "Secret"), Some(namespace), name)
                .await?;
            Ok(if secret.is_none() {
                Seen::Yes(())
            } else {
                Seen::NotYet("a Secret".to_owned())
            })
        },
    )
    .await
}

async fn opens(world: &World, namespace: &str, name: &str) -> Result<()> {
    until(&format!("Secret {namespace}/{name}"), SOON, async || {
        let secret = world
            .cluster()
            .object(&Kind::of("v1", "Secret"), Some(namespace), name)
            .await?;
        Ok(if secret.is_some() {
            Seen::Yes(())
        } else {
            Seen::NotYet("no Secret".to_owned())
        })
    })
    .await
}

async fn strict_opens_at_its_own_place_only(world: &World) -> Result<()> {
    let other = other_namespace(world).await?;
    let manifest = world.secret("db", &[("password", &canary::value())]);
    let sealed = seal(world, &manifest, &["--scope", "strict"]).await?;
    apply(world, &sealed.replace("  name: db\n", "  name: moved\n")).await?;
    stays_closed(world, &world.namespace, "moved").await?;
    apply(
        world,
        &sealed.replace(
            &format!("  namespace: {}", world.namespace),
            &format!("  namespace: {other}"),
        ),
    )
    .await?;
    stays_closed(world, &other, "db").await?;
    apply(world, &sealed).await?;
    opens(world, &world.namespace, "db").await
}

async fn namespace_opens_under_any_name(world: &World) -> Result<()> {
    let other = other_namespace(world).await?;
    let manifest = world.secret("db", &[("password", &canary::value())]);
    let sealed = seal(world, &manifest, &["--scope", "namespace"]).await?;
    apply(world, &sealed.replace("  name: db\n", "  name: moved\n")).await?;
    opens(world, &world.namespace, "moved").await?;
    apply(
        world,
        &sealed.replace(
            &format!("  namespace: {}", world.namespace),
            &format!("  namespace: {other}"),
        ),
    )
    .await?;
    stays_closed(world, &other, "db").await
}

async fn cluster_opens_everywhere(world: &World) -> Result<()> {
    let other = other_namespace(world).await?;
    let manifest = world.secret("db", &[("password", &canary::value())]);
    let sealed = seal(world, &manifest, &["--scope", "cluster"]).await?;
    apply(world, &sealed.replace("  name: db\n", "  name: moved\n")).await?;
    opens(world, &world.namespace, "moved").await?;
    apply(
        world,
        &sealed.replace(
            &format!("  namespace: {}", world.namespace),
            &format!("  namespace: {other}"),
        ),
    )
    .await?;
    opens(world, &other, "db").await
}

async fn a_foreign_key_opens_nothing(world: &World) -> Result<()> {
    let theirs = world
        .waxwing
        .run(&["keys", "generate", "-o", "theirs.key"])
        .await?
        .ok()?
        .stdout;
    let manifest = world.secret("db", &[("password", &canary::value())]);
    let words = ["seal", "-f", "-", "-r", theirs.trim()];
    let sealed = world
        .waxwing
        .run_with(&words, Some(manifest.as_bytes()))
        .await?
        .ok()?
        .stdout;
    apply(world, &sealed).await?;
    let refused = world
        .wait_condition(
            "SealedSecret",
            "db",
            "Ready",
            "False",
            &["waxwing keys fetch"],
        )
        .await?;
    check(
        reason(&refused, "Ready") == "UnknownKey",
        &format!("UnknownKey, not: {}", refused["status"]),
    )?;
    until("a warning event", SOON, async || {
        let events = world
            .cluster()
            .list(&Kind::of("v1", "Event"), Some(&world.namespace))
            .await?;
        let told = events
            .iter()
            .any(|event| event["reason"] == "UnknownKey" && event["type"] == "Warning");
        Ok(if told {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("{} events", events.len()))
        })
    })
    .await?;
    holds(
        "the absence of a Secret",
        Duration::from_secs(2),
        async || {
            let secret = world.find("v1", "Secret", "db").await?;
            Ok(if secret.is_none() {
                Seen::Yes(())
            } else {
                Seen::NotYet("a Secret".to_owned())
            })
        },
    )
    .await
}

async fn a_registry_secret_keeps_its_type(world: &World) -> Result<()> {
    let config = format!(
        r#"{{\"auths\":{{\"registry.example\":{{\"auth\":\"{}\"}}}}}}"#,
        canary::value()
    );
    let manifest = world
        .secret("pull", &[(".dockerconfigjson", &config)])
        .replace("type: Opaque", "type: kubernetes.io/dockerconfigjson");
    apply(world, &seal(world, &manifest, &[]).await?).await?;
    let secret = world
        .wait_for("v1", "Secret", "pull", "there", |_| true)
        .await?;
    check(
        secret["type"] == "kubernetes.io/dockerconfigjson",
        &format!("its type, not: {}", secret["type"]),
    )?;
    let value = world.value("pull", ".dockerconfigjson").await?;
    check(value == Some(config.replace('\\', "")), "its content")
}

async fn labels_and_annotations_come_along(world: &World) -> Result<()> {
    let manifest = world.secret("db", &[("password", &canary::value())]);
    let metadata = "metadata:\n  labels:\n    team: payments\n  annotations:\n    note: kept\n";
    let sealed = seal(world, &manifest.replace("metadata:\n", metadata), &[]).await?;
    apply(world, &sealed).await?;
    let secret = world
        .wait_for("v1", "Secret", "db", "there", |_| true)
        .await?;
    check(
        secret["metadata"]["labels"]["team"] == "payments",
        "the label on the Secret",
    )?;
    check(
        secret["metadata"]["annotations"]["note"] == "kept",
        "the annotation on the Secret",
    )
}

async fn an_entry_sealed_later(world: &World) -> Result<()> {
    let (sealed, first) = world.sealed_secret("db", "password").await?;
    let second = canary::value();
    let recipients = world.recipients().await?;
    let words = [
        "seal",
        "--raw",
        "-n",
        &world.namespace,
        "--name",
        "db",
        "token",
        "--type",
        "Opaque",
    ];
    let words = [&words[..], &["-r", &recipients]].concat();
    let token = world
        .waxwing
        .run_with(&words, Some(second.as_bytes()))
        .await?
        .ok()?
        .stdout;
    let entry = format!(
        "  encryptedData:\n    token:\n      value: {}\n",
        token.trim()
    );
    apply(world, &sealed.replace("  encryptedData:\n", &entry)).await?;
    world.wait_for_value("db", "token", &second).await?;
    world.wait_for_value("db", "password", &first).await
}

async fn entries_poured_into_a_file(world: &World) -> Result<()> {
    let (sealed, value) = {
        let value = canary::value();
        let manifest = world.secret("db", &[("password", &value)]);
        (
            seal(world, &manifest, &["--templatable", "password"]).await?,
            value,
        )
    };
    let template =
        "  template:\n    data:\n      url: \"postgres://app:{{ password | urlencode }}@db/app\"\n";
    apply(world, &sealed.replace("  template:\n", template)).await?;
    world
        .wait_for_value("db", "url", &format!("postgres://app:{value}@db/app"))
        .await
}

async fn an_immutable_secret(world: &World) -> Result<()> {
    let manifest = |value: &str| {
        format!(
            "{}immutable: true\n",
            world.secret("db", &[("password", value)])
        )
    };
    let (first, second) = (canary::value(), canary::value());
    apply(world, &seal(world, &manifest(&first), &[]).await?).await?;
    world.wait_for_value("db", "password", &first).await?;
    let secret = world
        .find("v1", "Secret", "db")
        .await?
        .context("the Secret")?;
    check(secret["immutable"] == true, "the Secret to be immutable")?;

    apply(world, &seal(world, &manifest(&second), &[]).await?).await?;
    let refused = world
        .wait_condition("SealedSecret", "db", "Ready", "False", &["recreate"])
        .await?;
    check(
        reason(&refused, "Ready") == "RecreateNeeded",
        &format!("RecreateNeeded, not: {}", refused["status"]),
    )?;
    check(
        world.value("db", "password").await? == Some(first),
        "the old value to stay",
    )?;
    world
        .patch(
            OURS,
            "SealedSecret",
            "db",
            json!({"spec": {"ownership": {"recreate": true}}}),
        )
        .await?;
    world.wait_for_value("db", "password", &second).await
}
