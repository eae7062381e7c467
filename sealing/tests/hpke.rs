//! The published vectors of HPKE for both suites, on the library and the algorithms that wraps use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, Serializable as _, kem, setup_receiver};
use serde_json::Value;
use support::unhex;

fn opens<K: Kem>(vector: &Value) {
    assert_eq!(vector["kem_id"], K::KEM_ID);
    assert_eq!(
        (&vector["kdf_id"], &vector["aead_id"]),
        (&1.into(), &3.into())
    );
    let key = K::PrivateKey::from_bytes(&unhex(&vector["skRm"])).unwrap();
    assert_eq!(
        K::sk_to_pk(&key).to_bytes().as_slice(),
        unhex(&vector["pkRm"])
    );
    let enc = K::EncappedKey::from_bytes(&unhex(&vector["enc"])).unwrap();
    let mut context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        &key,
        &enc,
        &unhex(&vector["info"]),
    )
    .unwrap();
    let encryptions = vector["encryptions"].as_array().unwrap();
    assert!(!encryptions.is_empty());
    for encryption in encryptions {
        let plaintext = context
            .open(&unhex(&encryption["ct"]), &unhex(&encryption["aad"]))
            .unwrap();
        assert_eq!(plaintext, unhex(&encryption["pt"]));
    }
}

#[test]
fn rfc_9180_a_2_1() {
    opens::<kem::X25519HkdfSha256>(
        &serde_json::from_str(include_str!(
            "../vectors/rfc9180-x25519-chacha20poly1305.json"
        ))
        .unwrap(),
    );
}

/// The file encodes `info` and `pt` as hex of hex text; the bytes as given are what was sealed.
#[test]
fn hpke_working_group_xwing() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../vectors/hpke-pq.json")).unwrap();
    assert_eq!(vectors.len(), 1);
    opens::<kem::XWing>(&vectors[0]);
}
