//! What the API server itself refuses, before any controller sees it, and what it fills in.

use anyhow::Result;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tests::world::{OURS, World, condition::check};

use crate::shared;

pub fn scenarios() -> Vec<Trial> {
    vec![
        shared(
            "rules::a_sealed_secret_that_cannot_be_one_is_refused",
            a_sealed_secret_that_cannot_be_one_is_refused,
        ),
        shared(
            "rules::a_sync_that_cannot_be_one_is_refused",
            a_sync_that_cannot_be_one_is_refused,
        ),
        shared(
            "rules::what_is_refused_is_not_repeated",
            what_is_refused_is_not_repeated,
        ),
        shared("rules::defaults_are_filled_in", defaults_are_filled_in),
    ]
}

/// What the API server says to an object: `Err` with its words when it refuses. Nothing is stored.
async fn ask(world: &World, kind: &str, spec: Value) -> Result<Result<Value, String>> {
    let object = world.object(OURS, kind, "asked", json!({ "spec": spec }));
    let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let cluster = world.cluster();
    let output = cluster
        .kubectl_with(
            cluster.kubeconfig(),
            &arguments,
            Some(object.to_string().as_bytes()),
        )
        .await?;
    Ok(if output.code == Some(0) {
        Ok(serde_json::from_str(&output.stdout)?)
    } else {
        Err(output.stderr)
    })
}

async fn refused(world: &World, kind: &str, spec: Value, words: &str) -> Result<()> {
    let answer = ask(world, kind, spec.clone()).await?;
    check(
        matches!(&answer, Err(said) if said.contains(words)),
        &format!("{kind} {spec} to be refused with {words:?}, not: {answer:?}"),
    )
}

async fn accepted(world: &World, kind: &str, spec: Value) -> Result<()> {
    let answer = ask(world, kind, spec.clone()).await?;
    check(
        answer.is_ok(),
        &format!("{kind} {spec} to be accepted, not: {answer:?}"),
    )
}

async fn a_sealed_secret_that_cannot_be_one_is_refused(world: &World) -> Result<()> {
    let kind = "SealedSecret";
    let sealed = json!({"value": "wx1:self:x"});
    for (spec, words) in [
        (
            json!({"encryptedData": {"a": {"value": "plain"}}}),
            "begins with wx1:",
        ),
        (
            json!({"encryptedData": {"a key": sealed}}),
            "a Secret key is",
        ),
        (
            json!({"envelopes": {"UPPER": {"binding": "b", "sealedAt": "s", "commitment": "c"}}}),
            "an envelope id is",
        ),
        (
            json!({"template": {"type": "waxwing.dev/sealing-key"}}),
            "the controller's own",
        ),
        (
            json!({"ownership": {"mode": "Owned", "merge": true}}),
            "merge is only for mode Adopt",
        ),
        (
            json!({"ownership": {"merge": true}}),
            "merge is only for mode Adopt",
        ),
    ] {
        refused(world, kind, spec, words).await?;
    }
    let adopting = json!({"encryptedData": {"a.b_c-D": sealed}, "ownership": {"mode": "Adopt", "merge": true}});
    accepted(world, kind, adopting).await
}

async fn a_sync_that_cannot_be_one_is_refused(world: &World) -> Result<()> {
    let kind = "ManifestSync";
    let with = |git: Value, more: Value| {
        let mut spec = json!({"source": {"git": {"url": "https://git.example.com/app.git"}}});
        for (key, value) in git.as_object().into_iter().flatten() {
            spec["source"]["git"][key.as_str()] = value.clone();
        }
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key.as_str()] = value.clone();
        }
        spec
    };
    for (git, more, words) in [
        (
            json!({"url": "http://git.example.com/app.git"}),
            json!({}),
            "url begins with",
        ),
        (json!({"url": "/srv/app.git"}), json!({}), "url begins with"),
        (
            json!({"url": "https://me:password@git.example.com/app.git"}),
            json!({}),
            "credentials belong into",
        ),
        (
            json!({"ref": {"branch": "main", "tag": "v1"}}),
            json!({}),
            "set one of",
        ),
        (
            json!({"ref": {"commit": "abc123"}}),
            json!({}),
            "should match",
        ),
        (json!({"ref": {"name": "main"}}), json!({}), "should match"),
        (json!({}), json!({"path": "../other"}), "path is relative"),
        (json!({}), json!({"path": "/etc"}), "path is relative"),
        (json!({}), json!({"interval": "100ms"}), "at least 1s"),
        (json!({}), json!({"interval": "soon"}), "should match"),
        (json!({}), json!({"timeout": "0s"}), "at least 1s"),
        (json!({}), json!({"render": "Helm"}), "Unsupported value"),
    ] {
        refused(world, kind, with(git, more), words).await?;
    }
    for (git, more) in [
        (
            json!({"ref": {"branch": "main"}}),
            json!({"path": "clusters/prod", "interval": "1h30m"}),
        ),
        (
            json!({"ref": {"commit": "0123456789012345678901234567890123456789"}}),
            json!({}),
        ),
        // Accepted by the API, refused by name by the controller: not built yet.
        (
            json!({"url": "git@git.example.com:app.git"}),
            json!({"wait": true}),
        ),
    ] {
        accepted(world, kind, with(git, more)).await?;
    }
    Ok(())
}

/// A text that is not a token may be a plaintext that was pasted, and an address may hold a password: the API server's
/// answer goes to terminals, logs and other controllers' status.
async fn what_is_refused_is_not_repeated(world: &World) -> Result<()> {
    for (kind, spec) in [
        (
            "SealedSecret",
            json!({"encryptedData": {"a": {"value": "hunter2-pasted"}}}),
        ),
        (
            "ManifestSync",
            json!({"source": {"git": {"url": "https://me:hunter2-pasted@git.example.com/app.git"}}}),
        ),
    ] {
        let answer = ask(world, kind, spec).await?;
        check(
            matches!(&answer, Err(said) if !said.contains("hunter2-pasted")),
            &format!("a refusal that does not repeat the text, not: {answer:?}"),
        )?;
    }
    Ok(())
}

async fn defaults_are_filled_in(world: &World) -> Result<()> {
    let spec = json!({"source": {"git": {"url": "https://git.example.com/app.git"}}});
    let sync = ask(world, "ManifestSync", spec).await?;
    let expected = json!({
        "source": {"git": {"url": "https://git.example.com/app.git"}},
        "render": "Auto", "interval": "1m", "prune": true, "deletionPolicy": "MirrorPrune",
        "unsealPolicy": "Atomic", "plaintextSecrets": "Refuse",
    });
    check(
        matches!(&sync, Ok(object) if object["spec"] == expected),
        &format!("these defaults and no other: {expected}, not: {sync:?}"),
    )?;
    let sealed = ask(world, "SealedSecret", json!({})).await?;
    check(
        matches!(&sealed, Ok(object) if object["spec"] == json!({"ownership": {"mode": "Owned"}})),
        &format!("mode Owned and no other default, not: {sealed:?}"),
    )
}
