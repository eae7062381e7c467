//! Properties: what is sealed opens to the same bytes, and with any single bit changed it does not
//! open at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use sealing::{
    Class, Identity, Opened, Recipient, Refusals, Scope, Sealed, SealedAt, SealedText, Suite,
};
use support::Wanted;

static XWING: LazyLock<Identity> = LazyLock::new(|| Identity::generate(Suite::XWing).unwrap());
static X25519: LazyLock<Identity> = LazyLock::new(|| Identity::generate(Suite::X25519).unwrap());

fn open(text: &SealedText, keys: &[&Identity]) -> Result<Opened, Refusals> {
    Sealed::parse(text)?.open(keys)
}

/// Opens with the key, and must not.
#[track_caller]
fn refused(text: &SealedText, key: &Identity, what: &str) -> Class {
    match open(text, &[key]) {
        Ok(_) => panic!("opened with {what} changed"),
        Err(refusals) => refusals.class(),
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Strict),
        Just(Scope::Namespace),
        Just(Scope::Cluster)
    ]
}

/// Sizes around the steps of the padding, and some in between.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![
        0_usize..130,
        Just(60),
        Just(61),
        Just(1020),
        Just(1021),
        2_000_usize..70_000
    ];
    sizes.prop_flat_map(|size| prop::collection::vec(any::<u8>(), size))
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let place = (
        "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,5})?",
        prop::option::of("[A-Za-z0-9._/-]{1,40}"),
    );
    let entries = prop::collection::btree_map(
        "[-_A-Za-z0-9]{1,40}(\\.[a-z]{1,3})?",
        (values(), any::<bool>()),
        1..5,
    );
    (
        place,
        scopes(),
        0_u64..=253_402_300_799,
        any::<bool>(),
        any::<bool>(),
        entries,
    )
        .prop_map(
            |(
                (namespace, name, secret_type),
                scope,
                sealed_at,
                templatable,
                bind_template,
                entries,
            )| Wanted {
                namespace,
                name,
                secret_type,
                scope,
                sealed_at,
                templatable,
                bind_template,
                template_data: BTreeMap::new(),
                entries: entries
                    .into_iter()
                    .map(|(key, (value, alone))| (key, value, alone))
                    .collect(),
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_opens(wanted in wanted(), recipients in 1_usize..4) {
        let keys: Vec<Identity> = (0..recipients).map(|i| Identity::generate(if i % 2 == 0 { Suite::XWing } else { Suite::X25519 }).unwrap()).collect();
        let to: Vec<&Recipient> = keys.iter().map(Identity::recipient).collect();
        let text = wanted.seal(&to);
        for key in &keys {
            let opened = open(&text, &[key]).unwrap();
            prop_assert_eq!(opened.values().count(), wanted.entries.len());
            for (name, value, _) in &wanted.entries {
                let got = opened.get(name).unwrap();
                prop_assert!(got.expose() == value.as_slice());
                prop_assert_eq!(got.templatable(), wanted.templatable);
                prop_assert_eq!(got.key_id(), key.recipient().key_id());
            }
        }
        let stranger = Identity::generate(Suite::XWing).unwrap();
        prop_assert_eq!(open(&text, &[&stranger]).err().map(|r| r.class()), Some(Class::UnknownKey));
    }

    #[test]
    fn a_scope_frees_exactly_what_it_does_not_bind(scope in scopes(), moved in any::<bool>(), renamed in any::<bool>(), retyped in any::<bool>()) {
        let mut text = Wanted { scope, ..Wanted::default() }.seal(&[X25519.recipient()]);
        if moved { text.namespace = "elsewhere".to_owned(); }
        if renamed { text.name = "renamed".to_owned(); }
        if retyped { text.secret_type = Some("kubernetes.io/tls".to_owned()); }
        let bound = retyped || (moved && scope != Scope::Cluster) || (renamed && scope == Scope::Strict);
        match open(&text, &[&X25519]) {
            Ok(_) => prop_assert!(!bound),
            Err(refusals) => { prop_assert!(bound); prop_assert_eq!(refusals.class(), Class::Misplaced); }
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(token in "(wx1:)?(self|k3v7q2mh|[a-z2-7]{0,9}):?[A-Za-z0-9_-]{0,200}", binding in ".{0,40}", at in ".{0,25}", name in ".{0,20}", wrap in ".{0,100}", template in "[{}a\"| ]{0,30}") {
        let mut text = Wanted::default().seal(&[X25519.recipient()]);
        text.entries.insert("OTHER".to_owned(), token);
        let _ = open(&text, &[&X25519]);
        text.template_data.insert("file".to_owned(), template);
        let envelope = text.envelopes.values_mut().next().unwrap();
        envelope.binding = binding;
        envelope.sealed_at = at;
        envelope.recipients.insert(name.clone(), wrap);
        text.name = name;
        let _ = open(&text, &[&X25519]);
    }

    #[test]
    fn keys_have_one_text(position in 0_usize..77, replacement in any::<char>()) {
        for line in [XWING.to_line(), X25519.to_line()] {
            let mut changed: Vec<char> = line.chars().collect();
            let Some(place) = changed.get_mut(position) else { continue };
            *place = replacement;
            let changed: String = changed.into_iter().collect();
            if let Ok(identity) = Identity::parse(&changed) {
                prop_assert_eq!(&changed, &*line);
                prop_assert_eq!(&*identity.to_line(), &*line);
            }
        }
        let line = XWING.recipient().to_string();
        let mut changed: Vec<char> = line.chars().collect();
        changed[position * 25] = replacement;
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(Recipient::parse(&changed).is_ok(), changed == line);
    }

    #[test]
    fn times_print_and_parse(unix in 0_u64..=253_402_300_799) {
        let time = SealedAt::from_unix(unix).unwrap();
        prop_assert_eq!(SealedAt::parse(&time.to_string()), Ok(time));
    }
}

fn bytes(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

/// Every text that differs in one bit of the bytes behind it.
fn flips(text: &str) -> impl Iterator<Item = String> {
    let bytes = bytes(text);
    (0..bytes.len() * 8).map(move |bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        Base64UrlUnpadded::encode_string(&changed)
    })
}

/// Every text that differs in one bit of its own bytes and still is text.
fn text_flips(text: &str) -> impl Iterator<Item = String> {
    let bytes = text.as_bytes().to_vec();
    (0..bytes.len() * 8).filter_map(move |bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(changed).ok()
    })
}

fn sealed_to(key: &Identity, scope: Scope) -> SealedText {
    Wanted {
        scope,
        ..Wanted::default()
    }
    .seal(&[key.recipient()])
}

#[test]
fn every_bit_of_the_commitment_counts() {
    let text = sealed_to(&X25519, Scope::Strict);
    let commitment = text.envelopes.values().next().unwrap().commitment.clone();
    for flipped in flips(&commitment) {
        let mut changed = text.clone();
        changed.envelopes.values_mut().next().unwrap().commitment = flipped;
        assert_eq!(
            refused(&changed, &X25519, "a bit of the commitment"),
            Class::CannotBeUnsealed
        );
    }
}

#[test]
fn every_bit_of_a_classical_wrap_counts() {
    every_bit_of_a_wrap_counts(&X25519);
}

#[test]
fn every_bit_of_a_hybrid_wrap_counts() {
    every_bit_of_a_wrap_counts(&XWING);
}

fn every_bit_of_a_wrap_counts(key: &Identity) {
    let text = sealed_to(key, Scope::Namespace);
    let (id, envelope) = text.envelopes.iter().next().unwrap();
    let (name, wrap) = envelope.recipients.iter().next().unwrap();
    // X25519 ignores the top bit of a share (RFC 7748, 5); the key schedule does not.
    let all: Vec<(usize, String)> = flips(wrap).enumerate().collect();
    std::thread::scope(|scope| {
        for half in all.chunks(all.len().div_ceil(2)) {
            let text = &text;
            scope.spawn(move || {
                for (bit, flipped) in half {
                    let mut changed = text.clone();
                    changed
                        .envelopes
                        .get_mut(id)
                        .unwrap()
                        .recipients
                        .insert(name.clone(), flipped.clone());
                    let expected = if *bit < 8 {
                        Class::Malformed
                    } else {
                        Class::CannotBeUnsealed
                    };
                    assert_eq!(
                        refused(&changed, key, &format!("bit {bit} of the wrap")),
                        expected,
                        "bit {bit}"
                    );
                }
            });
        }
    });
}

#[test]
fn every_bit_of_an_entry_counts() {
    let text = sealed_to(&X25519, Scope::Cluster);
    let (key, token) = text.entries.iter().next().unwrap();
    let (head, body) = token.rsplit_once(':').unwrap();
    for (bit, flipped) in flips(body).enumerate() {
        let mut changed = text.clone();
        changed
            .entries
            .insert(key.clone(), format!("{head}:{flipped}"));
        let expected = if (1..8).contains(&bit) {
            Class::Malformed
        } else {
            Class::CannotBeUnsealed
        };
        assert_eq!(
            refused(&changed, &X25519, &format!("bit {bit} of the entry")),
            expected,
            "bit {bit}"
        );
    }
}

#[test]
fn every_bit_of_a_token_that_stands_alone_counts() {
    for scope in [Scope::Strict, Scope::Namespace, Scope::Cluster] {
        let entries = vec![("k".to_owned(), b"v".to_vec(), true)];
        let text = Wanted {
            scope,
            entries,
            ..Wanted::default()
        }
        .seal(&[X25519.recipient()]);
        let body = text.entries["k"]
            .strip_prefix("wx1:self:")
            .unwrap()
            .to_owned();
        for flipped in flips(&body) {
            let mut changed = text.clone();
            changed
                .entries
                .insert("k".to_owned(), format!("wx1:self:{flipped}"));
            refused(&changed, &X25519, "a bit of the token");
        }
    }
}

#[test]
fn every_character_of_the_texts_counts() {
    let text = sealed_to(&X25519, Scope::Strict);
    let (id, envelope) = text.envelopes.iter().next().unwrap();
    for flipped in text_flips(&envelope.sealed_at) {
        let mut changed = text.clone();
        changed.envelopes.get_mut(id).unwrap().sealed_at = flipped;
        refused(&changed, &X25519, "a bit of sealedAt");
    }
    for flipped in text_flips(&envelope.binding) {
        let mut changed = text.clone();
        changed.envelopes.get_mut(id).unwrap().binding = flipped;
        refused(&changed, &X25519, "a bit of the binding");
    }
    for flipped in text_flips(id) {
        let mut changed = text.clone();
        let envelope = changed.envelopes.remove(id).unwrap();
        changed.envelopes.insert(flipped, envelope);
        refused(&changed, &X25519, "a bit of the envelope's id");
    }
    let token = &text.entries["DB_PASSWORD"];
    for flipped in text_flips(token) {
        let mut changed = text.clone();
        changed.entries.insert("DB_PASSWORD".to_owned(), flipped);
        refused(&changed, &X25519, "a bit of the token's text");
    }
    for flipped in text_flips("DB_PASSWORD") {
        let mut changed = text.clone();
        changed.entries = BTreeMap::from([(flipped, token.clone())]);
        refused(&changed, &X25519, "a bit of the entry's key");
    }
}

/// The claim is forged along with the place, so that only the header can tell.
#[test]
fn every_bit_of_the_place_counts_with_the_claim_forged() {
    let text = Wanted {
        secret_type: Some("kubernetes.io/tls".to_owned()),
        ..Wanted::default()
    }
    .seal(&[X25519.recipient()]);
    let forged = |namespace: &str, name: &str, secret_type: &str| {
        let mut changed = text.clone();
        changed.namespace = namespace.to_owned();
        changed.name = name.to_owned();
        changed.secret_type = Some(secret_type.to_owned());
        changed.envelopes.values_mut().next().unwrap().binding =
            format!("strict:{namespace}/{name}:{secret_type}");
        changed
    };
    let (namespace, name, secret_type) = ("payments", "db-credentials", "kubernetes.io/tls");
    assert!(open(&forged(namespace, name, secret_type), &[&X25519]).is_ok());
    let mut reached = 0;
    for flipped in text_flips(namespace) {
        reached += usize::from(
            refused(
                &forged(&flipped, name, secret_type),
                &X25519,
                "the namespace",
            ) == Class::CannotBeUnsealed,
        );
    }
    for flipped in text_flips(name) {
        reached += usize::from(
            refused(
                &forged(namespace, &flipped, secret_type),
                &X25519,
                "the name",
            ) == Class::CannotBeUnsealed,
        );
    }
    for flipped in text_flips(secret_type) {
        reached += usize::from(
            refused(&forged(namespace, name, &flipped), &X25519, "the type")
                == Class::CannotBeUnsealed,
        );
    }
    assert!(reached > 100, "{reached} forgeries got as far as a key");
    // Bytes that slide from one field into the next.
    for (namespace, name, secret_type) in [
        ("payment", "sdb-credentials", "kubernetes.io/tls"),
        ("paymentsd", "b-credentials", "kubernetes.io/tls"),
    ] {
        assert_eq!(
            refused(
                &forged(namespace, name, secret_type),
                &X25519,
                "the borders"
            ),
            Class::CannotBeUnsealed
        );
    }
}

#[test]
fn every_bit_of_time_and_scope_counts() {
    for scope in [Scope::Strict, Scope::Namespace, Scope::Cluster] {
        let text = sealed_to(&X25519, scope);
        let mut reached = 0;
        for bit in 0..64 {
            let Ok(time) = SealedAt::from_unix(0x6b01_ea30 ^ (1 << bit)) else {
                continue;
            };
            let mut changed = text.clone();
            changed.envelopes.values_mut().next().unwrap().sealed_at = time.to_string();
            assert_eq!(
                refused(&changed, &X25519, "the time"),
                Class::CannotBeUnsealed
            );
            reached += 1;
        }
        assert!(reached > 30);
        for (other, binding) in [
            (Scope::Strict, "strict:payments/db-credentials:Opaque"),
            (Scope::Namespace, "namespace:payments:Opaque"),
            (Scope::Cluster, "cluster:Opaque"),
        ] {
            let mut changed = text.clone();
            changed.envelopes.values_mut().next().unwrap().binding = binding.to_owned();
            if other == scope {
                assert!(open(&changed, &[&X25519]).is_ok());
            } else {
                let class = refused(&changed, &X25519, "the scope");
                assert_eq!(class, Class::CannotBeUnsealed);
            }
        }
    }
}

#[test]
fn every_bit_of_a_bound_template_counts() {
    let template_data = BTreeMap::from([
        ("a".to_owned(), "x{{ DB_PASSWORD }}".to_owned()),
        ("b".to_owned(), "yy".to_owned()),
    ]);
    let wanted = Wanted {
        template_data,
        bind_template: true,
        templatable: true,
        ..Wanted::default()
    };
    for alone in [false, true] {
        let mut wanted = wanted.clone();
        wanted.entries[0].2 = alone;
        let text = wanted.seal(&[X25519.recipient()]);
        assert!(open(&text, &[&X25519]).is_ok());
        let change = |template_data: BTreeMap<String, String>| {
            let changed = SealedText {
                template_data,
                ..text.clone()
            };
            refused(&changed, &X25519, "the template")
        };
        for (key, value) in &text.template_data {
            for flipped in text_flips(value) {
                let mut data = text.template_data.clone();
                data.insert(key.clone(), flipped);
                change(data);
            }
            for flipped in text_flips(key) {
                let mut data = text.template_data.clone();
                let value = data.remove(key).unwrap();
                data.insert(flipped, value);
                change(data);
            }
        }
        let mut more = text.template_data.clone();
        more.insert("c".to_owned(), String::new());
        change(more);
        let expected = if alone {
            Class::Misplaced
        } else {
            Class::CannotBeUnsealed
        };
        assert_eq!(change(BTreeMap::new()), expected);
        if let Some(envelope) = text.clone().envelopes.values_mut().next() {
            let mut changed = text.clone();
            envelope.template_bound = false;
            changed
                .envelopes
                .values_mut()
                .next()
                .unwrap()
                .template_bound = false;
            assert_eq!(
                refused(&changed, &X25519, "templateBound"),
                Class::CannotBeUnsealed
            );
        }
    }
    let mut free = Wanted::default().seal(&[X25519.recipient()]);
    free.envelopes.values_mut().next().unwrap().template_bound = true;
    assert_eq!(
        refused(&free, &X25519, "templateBound"),
        Class::CannotBeUnsealed
    );
}
