//! Wraps that only a sealer with ill intent makes: they open by HPKE and must be refused all the same.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use hkdf::Hkdf;
use hpke::Deserializable;
use sha2::Sha256;

use super::*;
use crate::binding::Binding;
use crate::{Place, Scope, SealedAt};

const ENC: usize = 1120;

fn header() -> Header {
    let place = Place::new("payments", "db-credentials", None).unwrap();
    Header::new(
        &Binding::of(Scope::Strict, &place),
        None,
        SealedAt::from_unix(1).unwrap(),
    )
}

fn data_key(byte: u8) -> DataKey {
    let mut key = DataKey::zero();
    key.as_mut().fill(byte);
    key
}

/// Two recipients, two data keys, one commitment: each would see another value.
#[test]
fn a_data_key_that_the_commitment_is_not_for_is_refused() {
    for suite in [Suite::XWing, Suite::X25519] {
        let key = Identity::generate(suite).unwrap();
        let (good, bad) = (data_key(1), data_key(2));
        let commitment = good.derive(&header()).commitment;
        let wrapped = |data_key| wrap(key.recipient(), &header(), &commitment, data_key).unwrap();
        assert!(
            unwrap(&key, &wrapped(&good), &header(), &commitment)
                .is_some_and(|opened| opened.as_bytes() == good.as_bytes())
        );
        assert!(unwrap(&key, &wrapped(&bad), &header(), &commitment).is_none());
        // Any bit of the commitment, with HPKE agreeing to it.
        for bit in 0..256 {
            let mut other = commitment;
            other.0[bit / 8] ^= 1 << (bit % 8);
            let wrapped = wrap(key.recipient(), &header(), &other, &good).unwrap();
            assert!(
                unwrap(&key, &wrapped, &header(), &other).is_none(),
                "bit {bit}"
            );
            if suite == Suite::XWing && bit > 16 {
                break;
            }
        }
    }
}

/// HPKE's sending side of base mode (RFC 9180, 5.1) from a shared secret on: for encapsulations that
/// no library makes.
fn seal_with_secret(
    secret: &[u8],
    suite: Suite,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let suite_id = [b"HPKE".as_slice(), &suite.ids()].concat();
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| {
        Hkdf::<Sha256>::extract(
            Some(salt),
            &[b"HPKE-v1", suite_id.as_slice(), label, ikm].concat(),
        )
    };
    let (psk_id_hash, _) = extract(b"", b"psk_id_hash", b"");
    let (info_hash, _) = extract(b"", b"info_hash", info);
    let context = [&[0][..], &psk_id_hash, &info_hash].concat();
    let (_, schedule) = extract(secret, b"secret", b"");
    let expand = |label: &[u8], length: u8| {
        let mut out = vec![0; length.into()];
        schedule
            .expand_multi_info(
                &[&[0, length], b"HPKE-v1", &suite_id, label, &context],
                &mut out,
            )
            .unwrap();
        out
    };
    let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(&expand(b"key", 32)).unwrap();
    let nonce = chacha20poly1305::Nonce::try_from(expand(b"base_nonce", 12).as_slice()).unwrap();
    cipher
        .encrypt(
            &nonce,
            Payload {
                msg: plaintext,
                aad,
            },
        )
        .unwrap()
}

#[test]
fn a_share_of_small_order_is_refused_though_hpke_takes_it() {
    let key = Identity::generate(Suite::XWing).unwrap();
    let Secret::XWing(secret) = key.secret() else {
        unreachable!()
    };
    let data_key = data_key(7);
    let commitment = data_key.derive(&header()).commitment;
    let context = Context::new(key.recipient(), &header(), &commitment);
    let enc = wrap(key.recipient(), &header(), &commitment, &data_key).unwrap()[1..=ENC].to_vec();
    let (mut zero, mut one) = ([0; 32], [0; 32]);
    one[0] = 1;
    zero[31] = 0x80;
    let mut base = [0; 32];
    base[0] = 9;
    for (share, refused) in [([0; 32], true), (zero, true), (one, true), (base, false)] {
        let enc = [&enc[..ENC - 32], &share].concat();
        // Whoever holds the private key knows what a sealer of this share would compute.
        let shared =
            kem::XWing::decap(secret, None, &Deserializable::from_bytes(&enc).unwrap()).unwrap();
        let sealed = seal_with_secret(
            &shared.0,
            Suite::XWing,
            &context.info,
            &context.aad,
            data_key.as_bytes(),
        );
        let bytes = [&[1][..], &enc, &sealed].concat();
        assert_eq!(check(&bytes, Suite::XWing), Ok(()));
        let by_hpke = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, kem::XWing>(
            &OpModeR::Base,
            secret,
            &Deserializable::from_bytes(&enc).unwrap(),
            &context.info,
            &sealed,
            &context.aad,
        );
        assert_eq!(
            by_hpke.unwrap(),
            data_key.as_bytes(),
            "the wrap is a good one for HPKE"
        );
        let opened = unwrap(&key, &bytes, &header(), &commitment);
        assert_eq!(opened.is_none(), refused, "{share:x?}");
    }
}

#[test]
fn wraps_have_one_length_per_suite() {
    for suite in [Suite::XWing, Suite::X25519] {
        let mut good = vec![0; suite.wrap_len()];
        good[0] = suite.number();
        assert_eq!(check(&good, suite), Ok(()));
        assert!(check(&good[..good.len() - 1], suite).is_err());
        assert!(check(&[good.as_slice(), &[0]].concat(), suite).is_err());
        for number in (0..=255).filter(|number| *number != suite.number()) {
            let mut other = good.clone();
            other[0] = number;
            assert!(check(&other, suite).is_err(), "{number}");
        }
    }
    assert!(check(&[], Suite::XWing).is_err());
}
