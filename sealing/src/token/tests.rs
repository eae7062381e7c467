use proptest::prelude::*;

use super::*;

fn print(token: &Token) -> String {
    match token {
        Token::Shared { envelope, entry } => shared(envelope, entry),
        Token::Alone { envelope, entry } => alone(envelope, entry),
    }
}

fn entry() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..2, prop::collection::vec(any::<u8>(), 104..300))
        .prop_map(|(flags, rest)| [&[flags][..], &rest].concat())
}

fn alone_envelope() -> impl Strategy<Value = AloneEnvelope> {
    let bindings = prop_oneof![
        Just("strict:payments/db-credentials:Opaque"),
        Just("namespace:payments:kubernetes.io/tls"),
        Just("cluster:Opaque"),
    ];
    let wraps = prop::collection::btree_map(
        any::<[u8; 32]>(),
        prop::collection::vec(any::<u8>(), 0..90),
        1..5,
    );
    (
        bindings,
        prop::option::of(any::<[u8; 32]>()),
        0_u64..=253_402_300_799,
        any::<[u8; 32]>(),
        wraps,
    )
        .prop_map(
            |(binding, template, unix, commitment, wraps)| AloneEnvelope {
                binding: Binding::parse(binding).unwrap(),
                template,
                sealed_at: SealedAt::from_unix(unix).unwrap(),
                commitment: Commitment(commitment),
                wraps: wraps
                    .into_iter()
                    .map(|(id, wrap)| (KeyId::from_bytes(id), wrap))
                    .collect(),
            },
        )
}

proptest! {
    #[test]
    fn tokens_print_parse_and_print_the_same(id in "[a-z2-7]{8}", envelope in alone_envelope(), bytes in entry()) {
        let entry = SealedEntry::parse(bytes).unwrap();
        for text in [shared(&id, &entry), alone(&envelope, &entry)] {
            prop_assert_eq!(print(&Token::parse(&text).unwrap()), text);
        }
    }

    /// Whatever a token's bytes are changed to, what still parses prints the same text again: there
    /// is one text for one token.
    #[test]
    fn what_parses_prints_the_same(envelope in alone_envelope(), bytes in entry(), position in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let text = alone(&envelope, &SealedEntry::parse(bytes).unwrap());
        let mut changed = from_base64url(text.strip_prefix("wx1:self:").unwrap()).unwrap();
        let length = changed.len();
        changed[position.index(length)] = to;
        for changed in [&changed[..], &changed[..cut.index(length)]] {
            let text = format!("wx1:self:{}", base64url(changed));
            if let Ok(token) = Token::parse(&text) {
                prop_assert_eq!(print(&token), text);
            }
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in ".{0,60}", body in "[A-Za-z0-9_-]{0,400}") {
        for text in [text.clone(), format!("wx1:{text}"), format!("wx1:self:{body}"), format!("wx1:k3v7q2mh:{body}")] {
            if let Ok(token) = Token::parse(&text) {
                prop_assert_eq!(print(&token), text);
            }
        }
    }
}

#[test]
fn tokens_of_other_forms_are_malformed() {
    for text in [
        "",
        "wx1",
        "wx1:",
        "wx1:self",
        "wx1:self:",
        "wx1:SELF:AAAA",
        "WX1:self:AAAA",
        "wx2:self:AAAA",
        "wx1:k3v7q2m:AAAA",
        "wx1:k3v7q2mh:AAAA",
        "wx1:k3v7q2m1:AAAA",
        " wx1:self:AAAA",
    ] {
        assert!(
            matches!(Token::parse(text), Err((Class::Malformed, _))),
            "{text:?}"
        );
    }
}

#[test]
fn more_recipients_than_allowed_are_over_the_limit() {
    let wraps = |count: usize| {
        (0..count)
            .map(|i| (KeyId::from_bytes([u8::try_from(i).unwrap(); 32]), vec![1]))
            .collect()
    };
    let entry = SealedEntry::parse(vec![0; 105]).unwrap();
    for (count, fits) in [(1, true), (64, true), (65, false), (255, false)] {
        let envelope = AloneEnvelope {
            binding: Binding::parse("cluster:Opaque").unwrap(),
            template: None,
            sealed_at: SealedAt::from_unix(0).unwrap(),
            commitment: Commitment([0; 32]),
            wraps: wraps(count),
        };
        let parsed = Token::parse(&alone(&envelope, &entry));
        assert_eq!(parsed.is_ok(), fits, "{count}");
        assert!(fits || matches!(parsed, Err((Class::Limit, _))), "{count}");
    }
}
