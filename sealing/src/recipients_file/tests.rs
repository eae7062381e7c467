use super::*;
use crate::{Identity, SealedAt, Signer, Suite};

fn recipient() -> Recipient {
    Identity::generate(Suite::XWing)
        .unwrap()
        .recipient()
        .clone()
}

fn statement(recipient: &Recipient, state: KeyState) -> Statement {
    Statement {
        cluster: "prod".to_owned(),
        sequence: 1,
        key: *recipient.key_id(),
        previous: None,
        created_at: SealedAt::from_unix(1_795_287_600).unwrap(),
        state,
    }
}

fn attested(recipient: &Recipient, signer: &Signer, state: KeyState) -> RecipientsFile {
    let attestation = Attestation::sign(&statement(recipient, state), signer).unwrap();
    RecipientsFile::attested(recipient.clone(), signer.public(), attestation)
}

#[test]
fn an_attested_file_prints_parses_and_verifies() {
    let (signer, recipient) = (Signer::generate().unwrap(), recipient());
    let file = attested(&recipient, &signer, KeyState::Active);
    let text = file.print();
    let (last, comments) = text
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(l, c)| (l.to_string(), c.to_vec()))
        .unwrap();
    assert_eq!(last, recipient.to_string());
    assert!(comments.iter().all(|line| line.starts_with("# ")), "{text}");
    for text in [
        text.clone(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\n{text}\n# the end\n"),
        text.replace("# ", "#"),
    ] {
        let read = RecipientsFile::parse(&text).unwrap();
        assert_eq!(read, file);
        assert_eq!(
            read.verify(&signer.public()).unwrap(),
            (&recipient, &statement(&recipient, KeyState::Active))
        );
        assert_eq!(
            read.signer().unwrap().fingerprint(),
            signer.public().fingerprint()
        );
    }
}

#[test]
fn a_file_is_believed_only_for_exactly_the_attested_active_key() {
    let (signer, thief, recipient, stolen) = (
        Signer::generate().unwrap(),
        Signer::generate().unwrap(),
        recipient(),
        recipient(),
    );
    let file = attested(&recipient, &signer, KeyState::Active);
    let text = file.print();

    let swapped =
        RecipientsFile::parse(&text.replace(&recipient.to_string(), &stolen.to_string())).unwrap();
    assert_eq!(
        swapped.verify(&signer.public()),
        Err(AttestationError::OtherKey(*recipient.key_id()))
    );
    let joined = RecipientsFile::parse(&format!("{text}{stolen}\n")).unwrap();
    assert_eq!(
        joined.verify(&signer.public()),
        Err(AttestationError::OtherKey(*recipient.key_id()))
    );
    let by_thief = attested(&stolen, &thief, KeyState::Active);
    assert!(matches!(
        by_thief.verify(&signer.public()),
        Err(AttestationError::OtherSigner { .. })
    ));
    let forged = RecipientsFile::parse(&text.replace("sequence: 1", "sequence: 2")).unwrap();
    assert_eq!(
        forged.verify(&signer.public()),
        Err(AttestationError::Forged)
    );
    let bare = RecipientsFile::bare(vec![recipient.clone()]);
    assert_eq!(
        bare.verify(&signer.public()),
        Err(AttestationError::Missing)
    );
    for state in [
        KeyState::DecryptOnly,
        KeyState::Retired,
        KeyState::Compromised,
    ] {
        let old = attested(&recipient, &signer, state);
        assert_eq!(
            old.verify(&signer.public()),
            Err(AttestationError::NotActive(state))
        );
    }
}

#[test]
fn errors_name_the_line_and_never_repeat_it() {
    let identity = Identity::generate(Suite::XWing).unwrap();
    let line = identity.recipient().to_string();
    let signer = Signer::generate().unwrap();
    let attestation = attested(identity.recipient(), &signer, KeyState::Active).print();
    for (text, at, why) in [
        (String::new(), 1, "without a public key"),
        (
            "# only\n\n# comments\n".to_owned(),
            3,
            "without a public key",
        ),
        (
            format!("{line}\n\n{}\n", &*identity.to_line()),
            3,
            "PRIVATE key",
        ),
        (format!("{line}\nage1nonsense\n"), 2, "damaged"),
        (format!("{line}\n{line}\n"), 2, "twice"),
        (format!("{line}\nssh-ed25519 AAAA\n"), 2, "not a public key"),
        (
            format!("# signer: nonsense\n{line}\n"),
            1,
            "not a signer's public key",
        ),
        (
            format!("# signer: {0}\n# signer: {0}\n{line}\n", signer.public()),
            2,
            "signer twice",
        ),
        (
            format!("{attestation}{attestation}"),
            attestation.lines().count() + 1,
            "",
        ),
        (
            format!("# {TITLE}\n# cluster: x\n{line}\n"),
            1,
            "not an attestation",
        ),
    ] {
        let error = RecipientsFile::parse(&text).unwrap_err();
        assert!(error.why.contains(why), "{error}");
        assert!(!error.to_string().contains("AGE-SECRET"), "{error}");
        if !why.is_empty() {
            assert_eq!(error.line, at, "{error}");
        }
    }
}
