use super::*;
use crate::{Identity, Suite};

fn statement() -> Statement {
    Statement {
        cluster: "prod-eu".to_owned(),
        sequence: 7,
        key: *Identity::generate(Suite::X25519)
            .unwrap()
            .recipient()
            .key_id(),
        previous: Some(
            *Identity::generate(Suite::X25519)
                .unwrap()
                .recipient()
                .key_id(),
        ),
        created_at: SealedAt::parse("2026-11-21T19:00:00Z").unwrap(),
        state: KeyState::Active,
    }
}

#[test]
fn what_a_signer_signed_verifies_and_prints_the_same() {
    let signer = Signer::generate().unwrap();
    for changed in [
        statement(),
        Statement {
            cluster: String::new(),
            previous: None,
            sequence: 0,
            ..statement()
        },
        Statement {
            state: KeyState::Compromised,
            sequence: u64::MAX,
            ..statement()
        },
        Statement {
            state: KeyState::DecryptOnly,
            ..statement()
        },
        Statement {
            state: KeyState::Retired,
            ..statement()
        },
    ] {
        let attestation = Attestation::sign(&changed, &signer).unwrap();
        let text = attestation.text();
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
        for text in [text.as_str(), text.trim_end()] {
            let read = Attestation::parse(text).unwrap();
            assert_eq!(read.text(), attestation.text());
            assert_eq!(read.verify(&signer.public()), Ok(&changed));
        }
    }
}

#[test]
fn another_signer_is_told_from_a_forgery() {
    let (signer, other) = (Signer::generate().unwrap(), Signer::generate().unwrap());
    let attestation = Attestation::sign(&statement(), &signer).unwrap();
    assert!(
        matches!(attestation.verify(&other.public()), Err(AttestationError::OtherSigner { expected }) if expected == other.public().fingerprint())
    );

    let forged = attestation.text().replace("sequence: 7", "sequence: 8");
    assert_eq!(
        Attestation::parse(&forged)
            .unwrap()
            .verify(&signer.public()),
        Err(AttestationError::Forged)
    );
}

#[test]
fn every_changed_field_is_a_forgery() {
    let signer = Signer::generate().unwrap();
    let text = Attestation::sign(&statement(), &signer).unwrap().text();
    let lines: Vec<&str> = text.lines().take(7).collect();
    let other = statement();
    for (i, line) in [
        (1, "cluster: prod".to_owned()),
        (1, "cluster:".to_owned()),
        (2, "sequence: 70".to_owned()),
        (3, format!("key: {}", other.key)),
        (4, format!("previous: {}", other.key)),
        (4, "previous: none".to_owned()),
        (5, "created: 2026-11-21T19:00:01Z".to_owned()),
        (6, "state: Retired".to_owned()),
    ] {
        let forged = text.replacen(lines[i], &line, 1);
        assert_ne!(forged, text);
        let read = Attestation::parse(&forged).unwrap();
        assert_eq!(
            read.verify(&signer.public()),
            Err(AttestationError::Forged),
            "{line}"
        );
    }
}

#[test]
fn a_signature_for_another_purpose_or_hash_is_refused() {
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[3; 32]));
    let signer = Signer::from_openssh(&key.to_openssh(LineEnding::LF).unwrap()).unwrap();
    let said = statement();
    let message = said.to_string();
    for (namespace, hash, good) in [
        ("waxwing", ssh_key::HashAlg::Sha512, true),
        ("file", ssh_key::HashAlg::Sha512, false),
        ("waxwing", ssh_key::HashAlg::Sha256, false),
    ] {
        let signature = key.sign(namespace, hash, message.as_bytes()).unwrap();
        let attestation = Attestation {
            statement: said.clone(),
            signature,
        };
        assert_eq!(
            attestation.verify(&signer.public()).is_ok(),
            good,
            "{namespace} {hash}"
        );
    }
}

#[test]
fn other_texts_are_refused() {
    let text = Attestation::sign(&statement(), &Signer::generate().unwrap())
        .unwrap()
        .text();
    let (lines, armor) = text.split_at(text.find(BEGIN).unwrap());
    for wrong in [
        String::new(),
        lines.to_owned(),
        armor.to_owned(),
        text.replace("attestation v1", "attestation v2"),
        text.replace("cluster: prod-eu", "cluster: prod-eu "),
        text.replace("cluster: prod-eu", "cluster: Prod"),
        text.replace("cluster: prod-eu", "cluster:prod-eu"),
        text.replace("sequence: 7", "sequence: 07"),
        text.replace("sequence: 7", "sequence: +7"),
        text.replace("sequence: 7", "sequence: -7"),
        text.replace("sequence: 7", "sequence: 18446744073709551616"),
        text.replace("state: Active", "state: active"),
        text.replace("19:00:00Z", "19:00:00+00:00"),
        text.replace('\n', "\r\n"),
        format!("\n{text}"),
        format!("{text}more"),
        format!("{text}{text}"),
        text.replace("state: Active\n", "state: Active\nmore: 1\n"),
        text.replace("state: Active\n", ""),
        text.replace(&armor[40..44], "!!!!"),
    ] {
        assert_ne!(wrong, text);
        assert!(
            matches!(
                Attestation::parse(&wrong),
                Err(AttestationError::Malformed(_))
            ),
            "{wrong}"
        );
    }
    let named = Statement {
        cluster: "Prod".to_owned(),
        ..statement()
    };
    assert_eq!(
        Attestation::sign(&named, &Signer::generate().unwrap()).err(),
        Some(AttestationError::ClusterName("Prod".to_owned()))
    );
}
