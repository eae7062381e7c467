//! The frozen vectors: made by another implementation, never to be changed, only added to. What was
//! ever released must stay openable, because Git history never goes away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use base64ct::{Base64, Encoding as _};
use sealing::{Class, Identity, Sealed};
use serde_json::Value;

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn class(text: &str) -> Class {
    [
        Class::Limit,
        Class::Malformed,
        Class::Misplaced,
        Class::UnknownKey,
        Class::CannotBeUnsealed,
    ]
    .into_iter()
    .find(|class| class.to_string() == text)
    .unwrap_or_else(|| panic!("class {text:?}"))
}

#[test]
fn every_accepted_object_opens_to_its_values() {
    let vectors = vectors(include_str!("../vectors/accept.json"));
    assert_eq!(vectors.len(), 19);
    for vector in &vectors {
        let name = &vector["name"];
        let keys = support::identities(&vector["identities"]);
        let keys: Vec<&Identity> = keys.iter().collect();
        let sealed = Sealed::parse(&support::sealed_text(&vector["object"]))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(sealed.check_place().is_ok(), "{name}");
        let opened = sealed
            .open(&keys)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let data = vector["data"].as_object().unwrap();
        assert!(!data.is_empty(), "{name}");
        for (key, value) in data {
            let value = Base64::decode_vec(value.as_str().unwrap()).unwrap();
            assert!(opened.get(key).unwrap().expose() == value, "{name}: {key}");
        }
        if let Some(templatable) = vector["templatable"].as_array() {
            let keys: Vec<_> = opened
                .values()
                .filter(|value| value.templatable())
                .map(|value| value.key().into())
                .collect::<Vec<Value>>();
            assert_eq!(&keys, templatable, "{name}");
        }
        assert_eq!(
            opened.keys_used().values().sum::<usize>(),
            opened.values().count(),
            "{name}"
        );
    }
}

#[test]
fn every_rejected_object_is_refused_with_its_class() {
    let vectors = vectors(include_str!("../vectors/reject.json"));
    assert_eq!(vectors.len(), 72);
    for vector in &vectors {
        let name = &vector["name"];
        let keys = support::identities(&vector["identities"]);
        let keys: Vec<&Identity> = keys.iter().collect();
        let refusals = Sealed::parse(&support::sealed_text(&vector["object"]))
            .and_then(|sealed| sealed.open(&keys))
            .err()
            .unwrap_or_else(|| panic!("{name} opened"));
        assert_eq!(
            refusals.class(),
            class(vector["error"].as_str().unwrap()),
            "{name}: {refusals}"
        );
        assert_eq!(refusals.items()[0].class, refusals.class(), "{name}");
        if refusals.class() == Class::CannotBeUnsealed {
            assert_eq!(refusals.to_string(), "cannot be unsealed", "{name}");
            assert_eq!(refusals.items().len(), 1, "{name}");
            assert_eq!(
                (&refusals.items()[0].entry, &refusals.items()[0].envelope),
                (&None, &None),
                "{name}"
            );
        }
    }
}

#[test]
fn templates_of_accepted_objects_render() {
    for name in ["templatable", "bound-template"] {
        let vectors = vectors(include_str!("../vectors/accept.json"));
        let vector = vectors
            .iter()
            .find(|vector| vector["name"] == name)
            .unwrap();
        let keys = support::identities(&vector["identities"]);
        let opened = Sealed::parse(&support::sealed_text(&vector["object"]))
            .unwrap()
            .open(&[&keys[0]])
            .unwrap();
        let data = opened.data().unwrap();
        let data: Vec<(&str, &[u8])> = data
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose()))
            .collect();
        assert!(
            data == [
                ("password", &b"hunter2"[..]),
                ("url", b"postgres://app:hunter2@db/app")
            ],
            "{name}"
        );
    }
}
