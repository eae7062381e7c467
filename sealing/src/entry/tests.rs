//! Every intermediate value of one entry, from `vectors/steps.json`, and what opening must notice.

use serde_json::Value as Json;

use super::*;
use crate::binding::Binding;
use crate::schedule::DataKey;
use crate::text::base64url;
use crate::{Identity, KeyId, Place, Scope, SealedAt};

fn steps() -> Json {
    serde_json::from_str(include_str!("../../vectors/steps.json")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap())
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn header() -> Header {
    let place = Place::new("payments", "db-credentials", None).unwrap();
    Header::new(
        &Binding::of(Scope::Strict, &place),
        None,
        SealedAt::from_unix(1_795_287_600).unwrap(),
    )
}

fn derived() -> Derived {
    let mut key = DataKey::zero();
    key.as_mut()
        .copy_from_slice(&unhex(steps()["dek"].as_str().unwrap()));
    key.derive(&header())
}

#[test]
fn the_steps_of_one_entry() {
    let steps = steps();
    let text = |name: &str| steps[name].as_str().unwrap();
    let binding = Binding::parse(text("place")).unwrap();
    let sealed_at = SealedAt::from_unix(text("sealedAt").parse().unwrap()).unwrap();
    let header = Header::new(&binding, None, sealed_at);
    assert_eq!(hex(header.as_bytes()), text("H"));
    let derived = derived();
    assert_eq!(hex(&derived.commitment.0), text("C"));
    assert_eq!(hex(derived.entry_key.as_slice()), text("Ke"));

    let nonce = XNonce::try_from(unhex(text("nonce")).as_slice()).unwrap();
    let key = EntryKey::new(text("entryKey")).unwrap();
    let entry = SealedEntry::seal_with_nonce(
        &derived,
        &header,
        &key,
        text("flags") == "1",
        text("value").as_bytes(),
        &nonce,
    );
    assert_eq!(base64url(entry.as_bytes()), text("entry"));
    let opened = entry.open(&derived, &header, key.as_str()).unwrap();
    assert_eq!(opened.expose(), text("value").as_bytes());
}

#[test]
fn the_keys_of_the_steps() {
    let steps = steps();
    let text = |name: &str| steps[name].as_str().unwrap();
    for (identity, public, id) in [
        ("identity", "publicKey", "keyId"),
        ("identityClassical", "publicKeyClassical", "keyIdClassical"),
    ] {
        let identity_text = text(identity);
        let identity = Identity::parse(identity_text).unwrap();
        assert_eq!(*identity.to_line(), identity_text);
        assert_eq!(identity.recipient().to_string(), text(public));
        assert_eq!(hex(identity.recipient().key_id().as_bytes()), text(id));
    }
    let id = *Identity::parse(text("identity"))
        .unwrap()
        .recipient()
        .key_id();
    assert_eq!(id.short(), text("shortKeyId"));
    assert_eq!(id.fingerprint(), text("fingerprint"));
    assert_eq!(KeyId::parse_fingerprint(text("fingerprint")), Ok(id));
}

/// An entry of any padded plaintext, as a careless or hostile sealer could make it.
fn forge(padded: &[u8]) -> SealedEntry {
    let (derived, header) = (derived(), header());
    let mut text = padded.to_vec();
    let nonce = XNonce::default();
    let tag = cipher(&derived)
        .encrypt_inout_detached(
            &nonce,
            &aad(&header, &derived.commitment, "k", 0),
            text.as_mut_slice().into(),
        )
        .unwrap();
    SealedEntry::parse([&[0][..], &nonce, &text, &tag].concat()).unwrap()
}

fn plaintext(length: u32, value: &[u8], padded: usize) -> Vec<u8> {
    let mut bytes = [&length.to_be_bytes()[..], value].concat();
    bytes.resize(padded, 0);
    bytes
}

#[test]
fn only_canonical_padding_opens() {
    let open = |padded: &[u8]| {
        forge(padded)
            .open(&derived(), &header(), "k")
            .map(|value| value.expose().to_vec())
    };
    assert_eq!(open(&plaintext(3, b"abc", 64)), Some(b"abc".to_vec()));
    assert_eq!(open(&plaintext(60, &[7; 60], 64)), Some(vec![7; 60]));
    assert_eq!(open(&plaintext(61, &[7; 61], 72)), Some(vec![7; 61]));
    assert_eq!(open(&plaintext(2, b"abc", 64)), None, "zero fill");
    assert_eq!(open(&plaintext(3, b"abc", 128)), None, "padded too long");
    assert_eq!(open(&plaintext(60, &[7; 60], 72)), None, "padded too long");
    assert_eq!(
        open(&plaintext(61, &[7; 61], 65)),
        None,
        "not a padded length"
    );
    assert_eq!(
        open(&plaintext(61, &[7; 60], 64)),
        None,
        "length word beyond the end"
    );
    assert_eq!(
        open(&plaintext(u32::MAX, &[7; 60], 64)),
        None,
        "length word beyond the end"
    );
    let mut last = plaintext(3, b"abc", 64);
    last[63] = 1;
    assert_eq!(open(&last), None, "last byte of the fill");
}

#[test]
fn entries_have_a_shortest_length_and_no_unknown_flags() {
    assert!(SealedEntry::parse(vec![0; 105]).is_ok());
    assert!(SealedEntry::parse(vec![0; 104]).is_err());
    assert!(SealedEntry::parse(vec![]).is_err());
    for flags in 0..=255 {
        let mut bytes = vec![0; 105];
        bytes[0] = flags;
        assert_eq!(SealedEntry::parse(bytes).is_ok(), flags < 2, "{flags:#x}");
    }
    let value = vec![1; 1000];
    let entry = SealedEntry::seal(
        &derived(),
        &header(),
        &EntryKey::new("k").unwrap(),
        true,
        &value,
    )
    .unwrap();
    assert!(entry.templatable());
    assert!(entry.longest_value() >= 1000 && entry.longest_value() < 1100);
}
