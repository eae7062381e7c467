//! What this crate seals is opened by a second implementation: `interop/main.go`, on Go's own HPKE
//! and ML-KEM.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding as _};
use sealing::{Identity, Recipient, Scope, SealedText, Suite};
use serde_json::{Value, json};
use support::Wanted;

/// What the program in Go makes of objects, each with the identity to open it.
fn open_in_go(objects: &[(String, SealedText)]) -> Vec<Value> {
    let input: Vec<Value> = objects
        .iter()
        .map(|(identity, text)| {
            let envelopes: BTreeMap<_, _> = text
                .envelopes
                .iter()
                .map(|(id, envelope)| {
                    let fields = json!({
                        "binding": envelope.binding, "sealedAt": envelope.sealed_at, "templateBound": envelope.template_bound,
                        "commitment": envelope.commitment, "recipients": envelope.recipients,
                    });
                    (id, fields)
                })
                .collect();
            json!({
                "identity": identity, "namespace": text.namespace, "name": text.name, "type": text.secret_type.as_deref().unwrap_or("Opaque"),
                "templateData": text.template_data, "envelopes": envelopes, "entries": text.entries,
            })
        })
        .collect();

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let child = Command::new("go")
        .args(["run", "."])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "this test needs Go 1.26 or later (https://go.dev/dl/): it runs `go run .` in sealing/tests/interop, and `go` is not on the PATH"
            )
        }
        other => other.expect("go starts"),
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(&input).unwrap())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "`go run .` in sealing/tests/interop failed ({}); it needs Go 1.26 or later",
        output.status
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_we_seal_opens_in_go() {
    let keys: Vec<Identity> = [Suite::XWing, Suite::X25519, Suite::XWing]
        .map(|suite| Identity::generate(suite).unwrap())
        .into();
    let to: Vec<&Recipient> = keys.iter().map(Identity::recipient).collect();
    let sizes = [0_usize, 1, 59, 60, 61, 123, 1000, 1021, 65_536];
    let mut wanted = Vec::new();
    for scope in [Scope::Strict, Scope::Namespace, Scope::Cluster] {
        for bind_template in [false, true] {
            let entries = sizes.iter().flat_map(|&size| {
                let value: Vec<u8> = (0..=250).cycle().step_by(7).take(size).collect();
                [false, true].map(|alone| (format!("n{size}{alone}"), value.clone(), alone))
            });
            wanted.push(Wanted {
                scope,
                bind_template,
                templatable: true,
                secret_type: bind_template.then(|| "kubernetes.io/basic-auth".to_owned()),
                template_data: BTreeMap::from([
                    ("z".to_owned(), "{{ n1true }}".to_owned()),
                    ("a".to_owned(), "é".to_owned()),
                ]),
                entries: entries.collect(),
                ..Wanted::default()
            });
        }
    }
    let objects: Vec<(String, SealedText)> = wanted
        .iter()
        .flat_map(|wanted| {
            let text = wanted.seal(&to);
            keys.iter()
                .map(move |key| (key.to_line().to_string(), text.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let results = open_in_go(&objects);
    assert_eq!(results.len(), wanted.len() * keys.len());
    for (i, result) in results.iter().enumerate() {
        let wanted = &wanted[i / keys.len()];
        let values = result["values"]
            .as_object()
            .unwrap_or_else(|| panic!("object {i}: {result}"));
        assert_eq!(values.len(), wanted.entries.len());
        for (name, value, _) in &wanted.entries {
            assert!(
                Base64::decode_vec(values[name].as_str().unwrap()).unwrap() == *value,
                "object {i}: {name}"
            );
        }
    }
}

#[test]
fn go_refuses_what_was_moved_or_sealed_to_others() {
    let (key, stranger) = (
        Identity::generate(Suite::XWing).unwrap(),
        Identity::generate(Suite::XWing).unwrap(),
    );
    let text = Wanted::default().seal(&[key.recipient()]);
    let mut moved = text.clone();
    moved.name = "moved".to_owned();
    moved.envelopes.values_mut().next().unwrap().binding =
        "strict:payments/moved:Opaque".to_owned();
    let line = key.to_line().to_string();
    let results = open_in_go(&[
        (line.clone(), text.clone()),
        (line, moved),
        (stranger.to_line().to_string(), text),
    ]);
    assert!(results[0]["values"]["DB_PASSWORD"].is_string());
    assert!(results[1]["values"].is_null() && results[1]["error"].is_string());
    assert_eq!(results[2]["error"], "DB_PASSWORD: unknown key");
}
