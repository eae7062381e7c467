//! Who opens, what is refused and in which order, and that nothing is said once a key was used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;

use sealing::{
    Class, Identity, Label, MAX_ENTRIES, Opened, Recipient, Refusals, Scope, SealError, Sealed,
    SealedText, Suite,
};
use support::{Wanted, labelled};

fn hybrid() -> Identity {
    Identity::generate(Suite::XWing).unwrap()
}

fn classical() -> Identity {
    Identity::generate(Suite::X25519).unwrap()
}

fn open(text: &SealedText, keys: &[&Identity]) -> Result<Opened, Refusals> {
    Sealed::parse(text)?.open(keys)
}

fn refusals(text: &SealedText, keys: &[&Identity]) -> Refusals {
    open(text, keys).err().expect("a refusal")
}

/// The names of an envelope's recipients.
fn names(text: &SealedText) -> Vec<String> {
    text.envelopes
        .values()
        .next()
        .unwrap()
        .recipients
        .keys()
        .cloned()
        .collect()
}

fn recipients(text: &mut SealedText) -> &mut BTreeMap<String, String> {
    &mut text.envelopes.values_mut().next().unwrap().recipients
}

#[test]
fn the_newest_of_our_keys_opens_and_is_told() {
    let (old, new, recovery) = (classical(), classical(), classical());
    let text = Wanted::default().seal(&[old.recipient(), new.recipient(), recovery.recipient()]);
    for (keys, used) in [([&new, &old], &new), ([&old, &new], &old)] {
        let opened = open(&text, &keys).unwrap();
        assert_eq!(
            opened.keys_used(),
            BTreeMap::from([(*used.recipient().key_id(), 1)])
        );
    }
}

#[test]
fn a_wrong_wrap_of_ours_leaves_the_others_a_chance() {
    let (new, old) = (hybrid(), hybrid());
    let mut text = Wanted::default().seal(&[new.recipient(), old.recipient()]);
    let other = Wanted::default().seal(&[new.recipient()]);
    let foreign = other
        .envelopes
        .values()
        .next()
        .unwrap()
        .recipients
        .values()
        .next()
        .unwrap()
        .clone();
    let of_new = names(&text)
        .into_iter()
        .find(|name| name.ends_with(&new.recipient().key_id().short()))
        .unwrap();
    recipients(&mut text).insert(of_new, foreign);
    let opened = open(&text, &[&new, &old]).unwrap();
    assert_eq!(
        opened.keys_used(),
        BTreeMap::from([(*old.recipient().key_id(), 1)])
    );
    assert_eq!(refusals(&text, &[&new]).class(), Class::CannotBeUnsealed);
}

#[test]
fn a_key_that_no_wrap_names_is_never_tried() {
    let (ours, named) = (classical(), classical());
    let mut text = Wanted::default().seal(&[ours.recipient()]);
    let wrap = recipients(&mut text).pop_first().unwrap().1;
    // Our wrap under another key's name.
    recipients(&mut text).insert(format!("prod.{}", named.recipient().key_id().short()), wrap);
    assert_eq!(refusals(&text, &[&ours]).class(), Class::UnknownKey);
    assert_eq!(refusals(&text, &[&named]).class(), Class::CannotBeUnsealed);
    assert_eq!(refusals(&text, &[]).class(), Class::UnknownKey);
}

#[test]
fn a_wrap_of_another_suite_than_its_key_is_malformed() {
    let (hybrid, classical) = (hybrid(), classical());
    let mut text = Wanted::default().seal(&[classical.recipient()]);
    let wrap = recipients(&mut text).pop_first().unwrap().1;
    recipients(&mut text).insert(
        format!("prod.{}", hybrid.recipient().key_id().short()),
        wrap,
    );
    assert_eq!(refusals(&text, &[&hybrid]).class(), Class::Malformed);
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_classes() {
    let key = classical();
    let entries = [("A", true), ("B", true), ("C", false), ("D", true)]
        .map(|(name, alone)| (name.to_owned(), b"v".to_vec(), alone));
    let mut text = Wanted {
        entries: entries.to_vec(),
        ..Wanted::default()
    }
    .seal(&[key.recipient()]);
    text.entries.insert("A".to_owned(), "nonsense".to_owned());
    text.entries.insert(
        "B".to_owned(),
        text.entries["B"].replace("wx1:self", "wx1:aaaaaaaa"),
    );
    text.template_data
        .insert("file".to_owned(), "{{ MISSING }}".to_owned());
    text.name = "renamed".to_owned();

    let refusals = refusals(&text, &[&key]);
    assert_eq!(refusals.class(), Class::Malformed);
    let told: Vec<String> = refusals.items().iter().map(ToString::to_string).collect();
    let id = text.envelopes.keys().next().unwrap();
    assert_eq!(
        told,
        [
            "malformed: template.data \"file\": there is no entry \"MISSING\"".to_owned(),
            "malformed: entry A: not a token: it reads `wx1:<envelope id or self>:<base64url>`".to_owned(),
            "malformed: entry B: the object has no envelope aaaaaaaa".to_owned(),
            format!("misplaced: envelope {id}: sealed for `strict:payments/db-credentials:Opaque`, found at `strict:payments/renamed:Opaque`"),
            "misplaced: entry D: sealed for `strict:payments/db-credentials:Opaque`, found at `strict:payments/renamed:Opaque`".to_owned(),
        ]
    );
    for _ in 0..3 {
        assert_eq!(self::refusals(&text, &[&key]), refusals);
    }
}

type Change<'a> = &'a dyn Fn(&mut SealedText);

#[test]
fn the_classes_come_in_their_order() {
    let (key, stranger) = (hybrid(), hybrid());
    let good = Wanted::default().seal(&[key.recipient()]);
    let cannot = |text: &mut SealedText| {
        text.envelopes.values_mut().next().unwrap().sealed_at = "2020-01-01T00:00:00Z".to_owned();
    };
    let misplaced = |text: &mut SealedText| text.name = "renamed".to_owned();
    let own_wrap =
        |text: &mut SealedText| *recipients(text).values_mut().next().unwrap() = "AQ".to_owned();
    let malformed =
        |text: &mut SealedText| drop(text.entries.insert("X".to_owned(), String::new()));
    let limit = |text: &mut SealedText| {
        text.template_data = (0..=MAX_ENTRIES)
            .map(|i| (format!("k{i}"), String::new()))
            .collect();
    };
    let changes: [(Change<'_>, Class); 5] = [
        (&cannot, Class::CannotBeUnsealed),
        (&misplaced, Class::Misplaced),
        (&own_wrap, Class::Malformed),
        (&malformed, Class::Malformed),
        (&limit, Class::Limit),
    ];
    let mut text = good.clone();
    for (change, class) in changes {
        change(&mut text);
        assert_eq!(refusals(&text, &[&key]).class(), class);
    }
    // A stranger learns of his key only when nothing else is wrong; wraps that are not his are nobody's.
    let mut text = good;
    for (change, class) in [
        (&cannot as Change<'_>, Class::UnknownKey),
        (&own_wrap, Class::UnknownKey),
        (&misplaced, Class::Misplaced),
    ] {
        change(&mut text);
        assert_eq!(refusals(&text, &[&stranger]).class(), class);
    }
}

#[test]
fn after_a_key_was_used_every_failure_is_the_same() {
    let key = classical();
    let good = Wanted::with_entries(&[("A", b"1"), ("B", b"2")]).seal(&[key.recipient()]);
    let mut swapped = good.clone();
    let (a, b) = (good.entries["A"].clone(), good.entries["B"].clone());
    swapped.entries.insert("A".to_owned(), b);
    swapped.entries.insert("B".to_owned(), a);
    let mut wrap = good.clone();
    for text in recipients(&mut wrap).values_mut() {
        text.replace_range(10..14, "AAAA");
    }
    let mut time = good;
    time.envelopes
        .values_mut()
        .for_each(|envelope| envelope.sealed_at = "2020-01-01T00:00:00Z".to_owned());
    let all: Vec<Refusals> = [swapped, wrap, time]
        .iter()
        .map(|text| refusals(text, &[&key]))
        .collect();
    assert_eq!(all[0].to_string(), "cannot be unsealed");
    assert!(all.iter().all(|refusals| refusals == &all[0]), "{all:?}");
}

#[test]
fn an_envelope_that_nobody_uses_needs_no_key_but_its_grammar_and_place_count() {
    let (key, stranger) = (classical(), classical());
    let mut text = Wanted::default().seal(&[key.recipient()]);
    let other = Wanted::default().seal(&[stranger.recipient()]);
    text.envelopes.extend(other.envelopes.clone());
    assert!(open(&text, &[&key]).is_ok());
    let id = other.envelopes.keys().next().unwrap();
    text.envelopes.get_mut(id).unwrap().binding = "strict:payments/other:Opaque".to_owned();
    assert_eq!(refusals(&text, &[&key]).class(), Class::Misplaced);
    text.envelopes.get_mut(id).unwrap().binding = "other".to_owned();
    assert_eq!(refusals(&text, &[&key]).class(), Class::Malformed);
}

#[test]
fn counts_are_limited_and_the_limits_themselves_are_allowed() {
    let key = classical();
    let entries = |count: usize| {
        (0..count)
            .map(|i| (format!("K{i}"), vec![1], false))
            .collect()
    };
    let full = Wanted {
        entries: entries(MAX_ENTRIES),
        ..Wanted::default()
    };
    assert_eq!(
        open(&full.seal(&[key.recipient()]), &[&key])
            .unwrap()
            .values()
            .count(),
        MAX_ENTRIES
    );
    let over = Wanted {
        entries: entries(MAX_ENTRIES + 1),
        ..Wanted::default()
    };
    assert_eq!(
        over.try_seal(&[key.recipient()], true).err(),
        Some(SealError::TooManyEntries(1025))
    );
    let mut text = full.seal(&[key.recipient()]);
    text.entries
        .insert("MORE".to_owned(), text.entries["K0"].clone());
    assert_eq!(refusals(&text, &[&key]).class(), Class::Limit);

    let mut text = Wanted::default().seal(&[key.recipient()]);
    let unused = Wanted::default()
        .seal(&[key.recipient()])
        .envelopes
        .into_values()
        .next()
        .unwrap();
    let ids = ("abcdefghijklmnopqrstuvwxyz234567")
        .chars()
        .flat_map(|a| ['a', 'b'].map(|b| format!("zzzzzz{a}{b}")));
    text.envelopes
        .extend(ids.take(63).map(|id| (id, unused.clone())));
    assert_eq!(text.envelopes.len(), 64);
    assert!(open(&text, &[&key]).is_ok());
    text.envelopes.insert("yyyyyyyy".to_owned(), unused);
    assert_eq!(refusals(&text, &[&key]).class(), Class::Limit);
}

#[test]
fn sixty_four_recipients_are_allowed_in_both_forms() {
    let keys: Vec<Identity> = (0..65).map(|_| classical()).collect();
    let to: Vec<&Recipient> = keys.iter().map(Identity::recipient).collect();
    for alone in [false, true] {
        let wanted = Wanted {
            entries: vec![("k".to_owned(), b"v".to_vec(), alone)],
            ..Wanted::default()
        };
        let text = wanted.seal(&to[..64]);
        assert!(open(&text, &[&keys[63]]).is_ok());
        assert_eq!(Sealed::parse(&text).unwrap().runs()[0].recipients.len(), 64);
        assert_eq!(
            wanted.try_seal(&to, true).err(),
            Some(SealError::TooManyRecipients(65))
        );
    }
}

#[test]
fn sealing_refuses_what_could_not_be_opened_or_would_be_weak() {
    let (hybrid, classical) = (hybrid(), classical());
    let good = Wanted::default();
    let failing = |wanted: &Wanted, to: &[&Identity], allow: bool| {
        let to: Vec<&Recipient> = to.iter().map(|key| key.recipient()).collect();
        wanted.try_seal(&to, allow).err()
    };
    assert_eq!(failing(&good, &[&hybrid], false), None);
    assert_eq!(failing(&good, &[], true), Some(SealError::NoRecipients));
    assert!(matches!(
        failing(&good, &[&classical], false),
        Some(SealError::Classical(_))
    ));
    assert!(matches!(
        failing(&good, &[&hybrid, &classical], false),
        Some(SealError::MixedSuites(_))
    ));
    assert_eq!(failing(&good, &[&hybrid, &classical], true), None);
    assert!(matches!(
        failing(&good, &[&hybrid, &hybrid], true),
        Some(SealError::RecipientTwice(..))
    ));
    assert_eq!(
        failing(
            &Wanted {
                namespace: String::new(),
                ..good.clone()
            },
            &[&hybrid],
            true
        ),
        Some(SealError::NamespaceMissing(Scope::Strict))
    );
    assert_eq!(
        failing(
            &Wanted {
                namespace: String::new(),
                scope: Scope::Namespace,
                ..good.clone()
            },
            &[&hybrid],
            true
        ),
        Some(SealError::NamespaceMissing(Scope::Namespace))
    );
    assert_eq!(
        failing(
            &Wanted {
                name: String::new(),
                ..good.clone()
            },
            &[&hybrid],
            true
        ),
        Some(SealError::NameMissing)
    );
    assert_eq!(
        failing(
            &Wanted {
                name: String::new(),
                scope: Scope::Namespace,
                ..good.clone()
            },
            &[&hybrid],
            true
        ),
        None
    );
    assert_eq!(
        failing(
            &Wanted {
                name: String::new(),
                namespace: String::new(),
                scope: Scope::Cluster,
                ..good.clone()
            },
            &[&hybrid],
            true
        ),
        None
    );
    let twice = Wanted::with_entries(&[("A", b"1"), ("A", b"2")]);
    assert!(matches!(
        failing(&twice, &[&hybrid], true),
        Some(SealError::EntryTwice(_))
    ));
    let half = vec![0; 512 * 1024];
    assert_eq!(
        failing(
            &Wanted::with_entries(&[("A", &half), ("B", &half)]),
            &[&hybrid],
            true
        ),
        None
    );
    assert_eq!(
        failing(
            &Wanted::with_entries(&[("A", &half), ("B", &half), ("C", b"1")]),
            &[&hybrid],
            true
        ),
        Some(SealError::ValuesTooLarge(1_048_577))
    );
    let template_data = BTreeMap::from([("a".to_owned(), "{{".to_owned())]);
    assert!(matches!(
        failing(
            &Wanted {
                template_data,
                bind_template: true,
                ..good
            },
            &[&hybrid],
            true
        ),
        Some(SealError::Template(_))
    ));
}

#[test]
fn small_order_shares_are_refused_for_both_suites() {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    for key in [hybrid(), classical()] {
        let text = Wanted::default().seal(&[key.recipient()]);
        let mut one = [0; 32];
        one[0] = 1;
        for share in [[0; 32], one] {
            let mut changed = text.clone();
            let wrap = recipients(&mut changed).values_mut().next().unwrap();
            let mut bytes = Base64UrlUnpadded::decode_vec(wrap).unwrap();
            let at = bytes.len() - 48 - 32;
            bytes[at..at + 32].copy_from_slice(&share);
            *wrap = Base64UrlUnpadded::encode_string(&bytes);
            assert_eq!(
                refusals(&changed, &[&key]).to_string(),
                "cannot be unsealed"
            );
        }
    }
}

#[test]
fn templates_need_consent_and_are_judged_before_opening() {
    let key = classical();
    let stranger = classical();
    let sealed = |templatable: bool, file: &str, text: &str| {
        let template_data = BTreeMap::from([(file.to_owned(), text.to_owned())]);
        Wanted {
            template_data,
            templatable,
            ..Wanted::default()
        }
        .seal(&[key.recipient()])
    };
    let told = |text: &SealedText| {
        // A stranger's key shows that it is refused before any key is looked at.
        let refusals = refusals(text, &[&stranger]);
        (refusals.class(), refusals.to_string())
    };
    let good = sealed(true, "url", "db://{{ DB_PASSWORD | urlencode }}");
    let opened = open(&good, &[&key]).unwrap();
    let data: Vec<(String, Vec<u8>)> = opened
        .data()
        .unwrap()
        .into_iter()
        .map(|(key, value)| (key, value.expose().to_vec()))
        .collect();
    assert_eq!(
        data,
        [
            ("DB_PASSWORD".to_owned(), b"correct horse".to_vec()),
            ("url".to_owned(), b"db://correct%20horse".to_vec())
        ]
    );

    for (text, why) in [
        (
            sealed(false, "url", "{{ DB_PASSWORD }}"),
            "--templatable DB_PASSWORD",
        ),
        (
            sealed(true, "url", "{{ OTHER }}"),
            "there is no entry \"OTHER\"",
        ),
        (
            sealed(true, "DB_PASSWORD", "x"),
            "an entry has this key too",
        ),
        (sealed(true, "a b", "x"), "is not a key of a Secret"),
        (sealed(true, "url", "{{ DB_PASSWORD"), "without `}}`"),
    ] {
        let (class, detail) = told(&text);
        assert_eq!(class, Class::Malformed, "{detail}");
        assert!(detail.contains(why), "{detail}");
    }
}

#[test]
fn sizes_of_templates_are_judged_by_padded_lengths() {
    let key = classical();
    let sealed = |length: usize, text: &str| {
        let template_data = BTreeMap::from([("file".to_owned(), text.to_owned())]);
        let entries = vec![("V".to_owned(), vec![b'a'; length], false)];
        Wanted {
            templatable: true,
            template_data,
            entries,
            ..Wanted::default()
        }
        .seal(&[key.recipient()])
    };
    // The same verdict for every value of one padded length, whatever it holds.
    let fill = "x".repeat(1024 * 1024 - 60 - 60);
    for length in [0, 1, 59, 60] {
        assert!(
            open(&sealed(length, &format!("{fill}{{{{ V }}}}")), &[&key]).is_ok(),
            "{length}"
        );
        assert_eq!(
            refusals(&sealed(length, &format!("{fill}x{{{{ V }}}}")), &[]).class(),
            Class::Limit,
            "{length}"
        );
    }
    let bomb =
        "{{ V | indent(100) | indent(100) | indent(100) | json | json | json | json }}".to_owned();
    assert_eq!(refusals(&sealed(1, &bomb), &[]).class(), Class::Limit);
    let many = "{{ V | base64 }}".repeat(20_000);
    assert_eq!(refusals(&sealed(1, &many), &[]).class(), Class::Limit);
}

#[test]
fn rewrapping_changes_recipients_and_nothing_else() {
    let (old, new, other) = (hybrid(), hybrid(), hybrid());
    let text = Wanted::with_entries(&[("A", b"1"), ("B", b"2")]).seal(&[old.recipient()]);
    let id = text.envelopes.keys().next().unwrap().clone();
    let opened = open(&text, &[&old]).unwrap();
    let wraps = opened
        .rewrap(&id, &labelled(&[new.recipient(), other.recipient()]))
        .unwrap();
    assert_eq!(wraps.len(), 2);

    let mut rewrapped = text.clone();
    *recipients(&mut rewrapped) = wraps;
    for key in [&new, &other] {
        let again = open(&rewrapped, &[key]).unwrap();
        assert!(
            again.get("A").unwrap().expose() == b"1" && again.get("B").unwrap().expose() == b"2"
        );
    }
    assert_eq!(refusals(&rewrapped, &[&old]).class(), Class::UnknownKey);
    // The new wraps open nothing but this envelope at this place.
    rewrapped.name = "moved".to_owned();
    rewrapped.envelopes.values_mut().next().unwrap().binding =
        "strict:payments/moved:Opaque".to_owned();
    assert_eq!(
        refusals(&rewrapped, &[&new]).class(),
        Class::CannotBeUnsealed
    );

    assert_eq!(
        opened.rewrap("aaaaaaaa", &labelled(&[new.recipient()])),
        Err(SealError::UnknownEnvelope("aaaaaaaa".to_owned()))
    );
    assert_eq!(opened.rewrap(&id, &[]), Err(SealError::NoRecipients));
    let weak = [(Label::recovery(), classical().recipient().clone())];
    assert!(matches!(
        opened.rewrap(&id, &weak),
        Err(SealError::Classical(_))
    ));
}

#[test]
fn rewrapping_a_token_that_stands_alone_changes_recipients_and_nothing_else() {
    let (old, new) = (hybrid(), hybrid());
    let entries = vec![
        ("A".to_owned(), b"1".to_vec(), true),
        ("B".to_owned(), b"2".to_vec(), false),
    ];
    let template_data = BTreeMap::from([("f".to_owned(), "{{ A }}".to_owned())]);
    let wanted = Wanted {
        entries,
        template_data,
        bind_template: true,
        templatable: true,
        ..Wanted::default()
    };
    let text = wanted.seal(&[old.recipient()]);
    let opened = open(&text, &[&old]).unwrap();

    let mut rewrapped = text.clone();
    let token = opened
        .rewrap_alone("A", &labelled(&[new.recipient()]))
        .unwrap();
    rewrapped.entries = BTreeMap::from([("A".to_owned(), token)]);
    let again = open(&rewrapped, &[&new]).unwrap();
    assert!(again.get("A").unwrap().expose() == b"1");
    let told = |text: &SealedText| {
        let run = Sealed::parse(text)
            .unwrap()
            .runs()
            .into_iter()
            .find(|run| run.id.is_none())
            .unwrap();
        sealing::RunInfo {
            recipients: Vec::new(),
            ..run
        }
    };
    assert_eq!(told(&rewrapped), told(&text));
    assert_eq!(refusals(&rewrapped, &[&old]).class(), Class::UnknownKey);
    rewrapped.name = "moved".to_owned();
    assert_eq!(refusals(&rewrapped, &[&new]).class(), Class::Misplaced);

    for key in ["B", "C"] {
        assert_eq!(
            opened.rewrap_alone(key, &labelled(&[new.recipient()])),
            Err(SealError::NotAlone(key.to_owned()))
        );
    }
    assert_eq!(opened.rewrap_alone("A", &[]), Err(SealError::NoRecipients));
    assert!(matches!(
        opened.rewrap_alone("A", &labelled(&[classical().recipient()])),
        Err(SealError::Classical(_))
    ));
}

#[test]
fn what_can_be_told_without_a_key() {
    let key = classical();
    let entries = vec![
        ("A".to_owned(), vec![], false),
        ("B".to_owned(), vec![], true),
    ];
    let text = Wanted {
        entries,
        scope: Scope::Namespace,
        templatable: true,
        ..Wanted::default()
    }
    .seal(&[key.recipient()]);
    let sealed = Sealed::parse(&text).unwrap();
    let runs = sealed.runs();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].id.as_ref(), text.envelopes.keys().next());
    assert_eq!(
        runs[0].commitment,
        text.envelopes.values().next().unwrap().commitment
    );
    assert_eq!(
        (&*runs[0].entries, &*runs[0].templatable),
        (&["A".to_owned()][..], &["A".to_owned()][..])
    );
    assert_eq!(runs[1].id, None);
    assert_eq!(runs[1].entries, ["B"]);
    assert_eq!(
        runs[1].recipients,
        [(
            None,
            key.recipient().key_id().short(),
            Some(*key.recipient().key_id())
        )]
    );
    for run in &runs {
        assert_eq!(
            (run.scope, run.namespace.as_str(), run.name.as_str()),
            (Scope::Namespace, "payments", "")
        );
        assert_eq!(
            (run.sealed_at.to_string().as_str(), run.template_bound),
            ("2026-11-21T19:00:00Z", false)
        );
    }
}

#[test]
fn identities_and_recipients_are_told_apart_and_never_repeated() {
    use sealing::KeyError;
    for key in [hybrid(), classical()] {
        let (private, public) = (key.to_line(), key.recipient().to_string());
        assert_eq!(Recipient::parse(&private).err(), Some(KeyError::Private));
        assert_eq!(
            Recipient::parse(&private.to_lowercase()).err(),
            Some(KeyError::Private)
        );
        assert_eq!(Identity::parse(&public).err(), Some(KeyError::Public));
        assert_eq!(
            Recipient::parse(&public[..public.len() - 1]).err(),
            Some(KeyError::Damaged)
        );
        assert_eq!(
            Recipient::parse(&public.to_uppercase()).err(),
            Some(KeyError::NotARecipient)
        );
        assert_eq!(
            Identity::parse(&private.to_lowercase()).err(),
            Some(KeyError::NotAnIdentity)
        );
        assert_eq!(
            Identity::parse(&format!("{} ", &*private)).err(),
            Some(KeyError::Damaged)
        );
    }
    assert_eq!(
        Recipient::parse("age1yubikey1qwerty").err(),
        Some(KeyError::OtherKind)
    );
    assert_eq!(
        Recipient::parse("ssh-ed25519 AAAA").err(),
        Some(KeyError::NotARecipient)
    );
    assert_eq!(Identity::parse("").err(), Some(KeyError::NotAnIdentity));
}
