//! `waxwing keys fingerprint`.

use std::{fmt::Write, path::Path};

use clap::Args;
use sealing::{Recipient, RecipientsFile};

use crate::{
    error::{Code, CommandError},
    files, identity,
    session::Session,
    trust,
};

/// Arguments of `keys fingerprint`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing keys fingerprint .waxwing/prod.pub
  waxwing keys fingerprint recovery.key

One line per key. Of an attested file the signer's fingerprint follows, after `signer: `; it is printed only when the
attestation holds.")]
pub struct FingerprintArgs {
    /// A recipients file, an identity file or an age1… string
    #[arg(value_name = "FILE|age1…")]
    pub key: String,
}

/// Prints fingerprints.
pub fn run(args: &FingerprintArgs, session: &mut Session) -> Result<(), CommandError> {
    let path = Path::new(&args.key);
    if args.key.starts_with("age1") && !path.exists() {
        let recipient = Recipient::parse(&args.key)
            .map_err(|error| CommandError::new(Code::Grammar, format!("{}: {error}", args.key)))?;
        return session
            .output
            .result(format!("{}\n", recipient.key_id().fingerprint()).as_bytes());
    }
    let bytes = files::read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        CommandError::new(Code::Unparsable, format!("{} is not UTF-8 text", args.key))
    })?;
    let mut answer = String::new();
    if is_identity(text) {
        for identity in identity::read(path)? {
            let _ = writeln!(answer, "{}", identity.recipient().key_id().fingerprint());
        }
        return session.output.result(answer.as_bytes());
    }
    let file = trust::parse_recipients(text, &args.key)?;
    let recipients = file.recipients();
    if recipients.is_empty() {
        return Err(CommandError::new(
            Code::Unparsable,
            format!("{} holds no key", args.key),
        ));
    }
    for recipient in &recipients {
        let _ = writeln!(answer, "{}", recipient.key_id().fingerprint());
    }
    if let Some(line) = signer(&file, &args.key)? {
        answer.push_str(&line);
    }
    session.output.result(answer.as_bytes())
}

/// The signer's line: only of an attestation that holds, or the fingerprint of whoever forged it would be pinned.
fn signer(file: &RecipientsFile, shown: &str) -> Result<Option<String>, CommandError> {
    let (Some(signer), Some(_)) = (file.signer(), file.attestation()) else {
        return Ok(None);
    };
    file.verify(&signer).map_err(|error| {
        CommandError::new(
            Code::AttestationInvalid,
            format!("the attestation in {shown} does not hold: {error}"),
        )
        .hint("write the file anew from the cluster: waxwing keys fetch")
    })?;
    Ok(Some(format!("signer: {}\n", signer.fingerprint())))
}

fn is_identity(text: &str) -> bool {
    text.starts_with("age-encryption.org/")
        || text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
        || text
            .lines()
            .any(|line| line.trim_start().starts_with("AGE-SECRET-KEY-"))
}
