//! The frozen attestation, and OpenSSH's own opinion of what we sign and of what it signs for us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use sealing::{
    Attestation, AttestationError, KeyId, KeyState, RecipientsFile, SealedAt, Signer, SignerPublic,
    Statement,
};
use serde_json::Value;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../vectors/attestation.json")).unwrap()
}

fn signer(seed: u8) -> Signer {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
    Signer::from_openssh(&key.to_openssh(LineEnding::LF).unwrap()).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {vector}"))
}

fn statement(vector: &Value) -> Statement {
    Statement {
        cluster: text(vector, "cluster").to_owned(),
        sequence: vector["sequence"].as_u64().unwrap(),
        key: KeyId::parse_fingerprint(text(vector, "key")).unwrap(),
        previous: vector["previous"]
            .as_str()
            .map(|key| KeyId::parse_fingerprint(key).unwrap()),
        created_at: SealedAt::parse(text(vector, "created")).unwrap(),
        state: text(vector, "state").parse().unwrap(),
    }
}

#[test]
fn the_frozen_attestations_verify() {
    let vectors = vectors();
    assert!(vectors.len() >= 3);
    for vector in &vectors {
        let public = SignerPublic::parse(text(vector, "signer")).unwrap();
        assert_eq!(public.fingerprint(), text(vector, "signerFingerprint"));
        let attestation = Attestation::parse(text(vector, "attestation")).unwrap();
        assert_eq!(
            attestation.verify(&public),
            Ok(&statement(vector)),
            "{}",
            vector["name"]
        );
        assert_eq!(
            attestation.verify(&signer(0xee).public()).err(),
            Some(AttestationError::OtherSigner {
                expected: signer(0xee).public().fingerprint()
            })
        );
    }
}

/// Ed25519 is deterministic: the same statement by the same signer has always the same text.
#[test]
fn signing_gives_the_frozen_bytes() {
    for vector in vectors() {
        let seed = u8::try_from(vector["signerSeedByte"].as_u64().unwrap()).unwrap();
        let attestation = Attestation::sign(&statement(&vector), &signer(seed)).unwrap();
        assert_eq!(
            attestation.verify(&SignerPublic::parse(text(&vector, "signer")).unwrap()),
            Ok(&statement(&vector))
        );
        if vector["madeBy"] == "waxwing" {
            assert_eq!(
                attestation.text(),
                text(&vector, "attestation"),
                "{}",
                vector["name"]
            );
        } else {
            assert_eq!(
                attestation.text(),
                Attestation::parse(text(&vector, "attestation"))
                    .unwrap()
                    .text(),
                "{}",
                vector["name"]
            );
        }
    }
}

#[test]
fn openssh_verifies_what_we_sign() {
    let signer = Signer::generate().unwrap();
    let key = *sealing::Identity::generate(sealing::Suite::XWing)
        .unwrap()
        .recipient()
        .key_id();
    let said = Statement {
        cluster: String::new(),
        sequence: 1,
        key,
        previous: None,
        created_at: SealedAt::from_unix(0).unwrap(),
        state: KeyState::Active,
    };
    let fresh = Attestation::sign(&said, &signer).unwrap().text();
    let frozen = vectors();
    let all = frozen.iter().map(|vector| {
        (
            text(vector, "signer").to_owned(),
            text(vector, "attestation").to_owned(),
        )
    });
    for (public, attestation) in all.chain([(signer.public().to_string(), fresh)]) {
        let at = attestation.find("-----BEGIN").unwrap();
        let (lines, armor) = attestation.split_at(at);
        let output = openssh_verify(&public, lines, armor);
        assert!(
            output.status.success(),
            "{attestation}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let output = openssh_verify(&public, &lines.replace("sequence: ", "sequence: 9"), armor);
        assert!(!output.status.success(), "ssh-keygen takes a forgery");
    }
}

#[test]
fn the_fingerprint_is_what_openssh_prints() {
    let public = Signer::generate().unwrap().public();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("signer.pub");
    fs::write(&file, format!("{public}\n")).unwrap();
    let output = ssh_keygen(
        Command::new("ssh-keygen").arg("-l").arg("-f").arg(&file),
        "",
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed.split(' ').nth(1),
        Some(public.fingerprint().as_str()),
        "{printed}"
    );
}

#[test]
fn a_signer_made_by_openssh_signs_and_openssh_signs_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("signer");
    let output = ssh_keygen(
        Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "ops@example.org",
                "-f",
            ])
            .arg(&file),
        "",
    );
    assert!(output.status.success(), "{output:?}");
    let signer = Signer::from_openssh(&fs::read_to_string(&file).unwrap()).unwrap();
    let public =
        SignerPublic::parse(&fs::read_to_string(file.with_extension("pub")).unwrap()).unwrap();
    assert_eq!(signer.public(), public);

    let said = statement(&vectors()[0]);
    let ours = Attestation::sign(&said, &signer).unwrap();
    let lines = said.to_string();
    let output = ssh_keygen(
        Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", "waxwing", "-f"])
            .arg(&file),
        &lines,
    );
    let theirs = Attestation::parse(&format!(
        "{lines}{}",
        String::from_utf8(output.stdout).unwrap()
    ))
    .unwrap();
    assert_eq!(theirs.verify(&public), Ok(&said));
    assert_eq!(theirs.text(), ours.text());
}

/// The recipe of `docs/attestation.md`: an attestation is taken out of a recipients file with `sed`.
#[test]
fn a_recipients_file_is_checked_with_sed_and_openssh() {
    let recipient = sealing::Identity::generate(sealing::Suite::XWing)
        .unwrap()
        .recipient()
        .clone();
    let signer = Signer::generate().unwrap();
    let said = Statement {
        cluster: "prod".to_owned(),
        sequence: 3,
        key: *recipient.key_id(),
        previous: None,
        created_at: SealedAt::from_unix(0).unwrap(),
        state: KeyState::Active,
    };
    let attestation = Attestation::sign(&said, &signer).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prod.pub");
    fs::write(
        &file,
        RecipientsFile::attested(recipient, signer.public(), attestation).print(),
    )
    .unwrap();
    let sed = |script: &str| {
        let output = Command::new("sed")
            .arg("-n")
            .arg(script)
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = sed("s/^# //; /^waxwing attestation v1$/,/^state: /p");
    let armor = sed("s/^# //; /^-----BEGIN SSH/,/^-----END SSH/p");
    let output = openssh_verify(&signer.public().to_string(), &lines, &armor);
    assert!(output.status.success(), "{lines}{armor}{output:?}");
}

fn openssh_verify(public: &str, lines: &str, armor: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let (signers, signature) = (
        directory.path().join("allowed_signers"),
        directory.path().join("signature"),
    );
    fs::write(
        &signers,
        format!("waxwing namespaces=\"waxwing\" {public}\n"),
    )
    .unwrap();
    fs::write(&signature, armor).unwrap();
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-Y", "verify", "-I", "waxwing", "-n", "waxwing", "-f"])
        .arg(&signers)
        .arg("-s")
        .arg(&signature);
    ssh_keygen(&mut command, lines)
}

fn ssh_keygen(command: &mut Command, input: &str) -> Output {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "this test needs OpenSSH's `ssh-keygen` on the PATH (Debian and Ubuntu: apt-get install openssh-client)"
            )
        }
        other => other.expect("ssh-keygen starts"),
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}
