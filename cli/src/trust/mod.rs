//! Whether a configured key may be sealed to.
//!
//! ```text
//! .waxwing.yaml ─ signer ──────────┐ same?
//! pins of this user ─ signer ──────┤ same?          [`pins`], keyed as [`repository`] says
//! recipients file ─ signer ────────┘
//!                 └ attestation ─ signature, key, state, cluster, sequence
//! ```
//!
//! Whoever can change the repository can change the first and the last; the pins are out of their reach.

pub mod history;
pub mod pins;
pub mod repository;

use std::{fs, path::Path};

use sealing::{AttestationError, KeyId, Recipient, RecipientsFile, Statement};

use self::pins::{Pins, SignerPin};
use crate::{
    config::{Cluster, Config, Recovery},
    error::{Code, CommandError},
    files,
    session::Session,
    terminal,
};

/// The signer's fingerprint as `ssh-keygen -l` prints it.
pub fn parse_signer_fingerprint(text: &str) -> Result<String, String> {
    let fits = text.strip_prefix("SHA256:").is_some_and(|digest| {
        digest.len() == 43
            && digest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    });
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a signer's fingerprint: SHA256: and 43 characters, as `ssh-keygen -l` prints it"
        ))
    }
}

/// The key of a configured cluster, if everything that vouches for it holds. Pins the signer on first use when
/// somebody at a terminal says so.
pub fn cluster_key(
    session: &mut Session,
    config: &Config,
    cluster: &Cluster,
) -> Result<Recipient, CommandError> {
    let name = cluster.label.as_str();
    let signer = cluster.signer.as_deref().ok_or_else(|| {
        CommandError::new(
            Code::Config,
            format!(
                "{}: the cluster {name:?} names no signer, so nobody vouches for its key",
                config.at(cluster.line)
            ),
        )
        .hint("add `signer: \"SHA256:…\"`; `waxwing keys fetch` prints the fingerprint")
    })?;
    let repository = repository::key(&config.root, &session.environment);
    let pin = Pins::load(&session.environment)?.signer(&repository, name);
    if let Some(pin) = &pin
        && pin.fingerprint != signer
    {
        return Err(signer_changed(
            session,
            config,
            cluster,
            signer,
            &pin.fingerprint,
        ));
    }
    let file = recipients_file(&cluster.recipients, &cluster.recipients_shown).map_err(
        |error| match error {
            CommandError::Failed(failure) if failure.code == Code::RecipientsMissing => {
                CommandError::Failed(failure)
                    .hint(format!("fetch the key of {name:?}: waxwing keys fetch"))
            }
            other => other,
        },
    )?;
    let (recipient, statement) = attested(&file, &cluster.recipients_shown, signer, || {
        by_whom(session, config, &cluster.recipients, |text| {
            names_other_signer(text, signer)
        })
    })?;
    judge_statement(statement, name, &cluster.recipients_shown)?;
    match pin {
        Some(pin) if statement.sequence < pin.sequence => {
            return Err(replayed(
                &cluster.recipients_shown,
                statement.sequence,
                pin.sequence,
            ));
        }
        Some(pin) if statement.sequence == pin.sequence && pin.repository == repository.primary => {
        }
        Some(_) => pins::remember_signer(
            &session.environment,
            &repository,
            name,
            signer,
            statement.sequence,
        )?,
        None => first_use_of_signer(session, &repository, name, signer, statement.sequence)?,
    }
    session.output.debug(&format!(
        "{name}: key {} attested by {signer}, sequence {}",
        recipient.key_id().fingerprint(),
        statement.sequence
    ));
    Ok(recipient.clone())
}

/// The recovery keys, each listed in the configuration and pinned by this user.
pub fn recovery_keys(
    session: &mut Session,
    config: &Config,
    recovery: &Recovery,
) -> Result<Vec<Recipient>, CommandError> {
    let file = recipients_file(&recovery.recipients, &recovery.recipients_shown)?;
    let recipients = file.recipients();
    if recipients.is_empty() {
        return Err(CommandError::new(
            Code::Config,
            format!("{} holds no key", recovery.recipients_shown),
        ));
    }
    let repository = repository::key(&config.root, &session.environment);
    let pins = Pins::load(&session.environment)?;
    for recipient in &recipients {
        let key = recipient.key_id();
        if !recovery.fingerprints.contains(key) {
            let who = by_whom(session, config, &recovery.recipients, |text| {
                text.contains(&recipient.to_string())
            });
            return Err(CommandError::new(
                Code::RecoveryMismatch,
                format!(
                    "{} holds the key {key}, which {} does not list under recovery.fingerprints{who}",
                    recovery.recipients_shown,
                    config.at(recovery.line)
                ),
            )
            .hint("ask the holder of the recovery key for its fingerprint; add it there only if it is the same"));
        }
        if !pins.has_recovery(&repository, key) {
            first_use_of_recovery(session, &repository, key)?;
        }
    }
    Ok(recipients)
}

/// Reads a recipients file that the configuration names.
pub fn recipients_file(path: &Path, shown: &str) -> Result<RecipientsFile, CommandError> {
    if !path.exists() {
        return Err(CommandError::new(
            Code::RecipientsMissing,
            format!("the recipients file {shown} is not there"),
        ));
    }
    let bytes = files::read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CommandError::new(Code::Unparsable, format!("{shown} is not UTF-8 text")))?;
    parse_recipients(text, shown)
}

/// Parses a recipients file; a broken attestation in it is a matter of trust, anything else of syntax.
pub fn parse_recipients(text: &str, shown: &str) -> Result<RecipientsFile, CommandError> {
    RecipientsFile::parse(text).map_err(|error| {
        let code = if text.contains("BEGIN SSH SIGNATURE") || text.contains("waxwing attestation") {
            Code::AttestationInvalid
        } else {
            Code::Unparsable
        };
        CommandError::new(code, format!("{shown}: {error}"))
            .hint("write it anew with `waxwing keys fetch`; by hand it is one age1… line, comments after #")
    })
}

/// The one key of a file and the statement about it, when `signer` made the attestation.
fn attested<'a>(
    file: &'a RecipientsFile,
    shown: &str,
    signer: &str,
    who: impl FnOnce() -> String,
) -> Result<(&'a Recipient, &'a Statement), CommandError> {
    let fetch = "write the file anew from the cluster: waxwing keys fetch";
    let (Some(found), Some(_)) = (file.signer(), file.attestation()) else {
        return Err(CommandError::new(
            Code::AttestationMissing,
            format!("{shown} carries no attestation: anybody could have written this key there"),
        )
        .hint(fetch));
    };
    if found.fingerprint() != signer {
        return Err(CommandError::new(
            Code::SignerMismatch,
            format!(
                "{shown} is attested by the signer {}, and the configuration names {signer}{}",
                found.fingerprint(),
                who()
            ),
        )
        .hint(fetch));
    }
    file.verify(&found).map_err(|error| {
        let code = match error {
            AttestationError::NotActive(_) => Code::KeyNotActive,
            _ => Code::AttestationInvalid,
        };
        CommandError::new(code, format!("{shown}: {error}")).hint(fetch)
    })
}

fn judge_statement(statement: &Statement, name: &str, shown: &str) -> Result<(), CommandError> {
    if !statement.cluster.is_empty() && statement.cluster != name {
        return Err(CommandError::new(
            Code::ForeignCluster,
            format!(
                "{shown} is configured for the cluster {name:?}, and its key is attested for {:?}",
                statement.cluster
            ),
        )
        .hint(
            "correct `recipients` under that cluster, or fetch the right key: waxwing keys fetch",
        ));
    }
    Ok(())
}

/// The error of an attestation that is older than what this user has seen.
pub fn replayed(shown: &str, found: u64, seen: u64) -> CommandError {
    CommandError::new(
        Code::SequenceReplayed,
        format!("{shown} carries attestation number {found}, and number {seen} has been seen: an old key was put back"),
    )
    .hint("fetch the present key: waxwing keys fetch")
}

fn first_use_of_signer(
    session: &mut Session,
    repository: &repository::Key,
    name: &str,
    signer: &str,
    sequence: u64,
) -> Result<(), CommandError> {
    if session
        .environment
        .trusted_keys
        .iter()
        .any(|trusted| trusted == signer)
    {
        session
            .output
            .debug(&format!("{name}: WAXWING_TRUSTED_KEYS covers {signer}"));
        return Ok(());
    }
    let question = format!(
        "The key of cluster {name:?} is vouched for by the signer {signer}, which you have not used yet.\n\
         Compare it with the cluster's own (waxwing keys fetch, or ask its operators). Pin it for this repository?"
    );
    if terminal::confirm(&question) == Some(true) {
        pins::remember_signer(&session.environment, repository, name, signer, sequence)?;
        session
            .output
            .note(&format!("pinned {signer} as the signer of {name:?}"));
        return Ok(());
    }
    Err(CommandError::new(
        Code::NotPinned,
        format!("the signer {signer} of cluster {name:?} is not pinned: nobody on this machine has said that it is the right one"),
    )
    .hint("with access to the cluster: waxwing keys fetch")
    .hint(format!("after comparing it with what the cluster's operators say: waxwing trust --cluster {name} {signer}"))
    .hint("in CI: set WAXWING_TRUSTED_KEYS to the right fingerprint, outside of the repository"))
}

fn first_use_of_recovery(
    session: &mut Session,
    repository: &repository::Key,
    key: &KeyId,
) -> Result<(), CommandError> {
    let fingerprint = key.fingerprint();
    if session.environment.trusted_keys.contains(&fingerprint) {
        return Ok(());
    }
    let question = format!(
        "Every value is also sealed for the recovery key {fingerprint}, which you have not used yet.\n\
         Compare it with what its holder says. Pin it for this repository?"
    );
    if terminal::confirm(&question) == Some(true) {
        pins::remember_recovery(&session.environment, repository, key)?;
        session
            .output
            .note(&format!("pinned the recovery key {fingerprint}"));
        return Ok(());
    }
    Err(CommandError::new(
        Code::NotPinned,
        format!("the recovery key {fingerprint} is not pinned: nobody on this machine has said that it is the right one"),
    )
    .hint(format!("after comparing it with what its holder says: waxwing trust {fingerprint}"))
    .hint("in CI: set WAXWING_TRUSTED_KEYS to the right fingerprint, outside of the repository"))
}

/// The error of a signer that is not the pinned one, with the commit that brought it.
fn signer_changed(
    session: &Session,
    config: &Config,
    cluster: &Cluster,
    found: &str,
    pinned: &str,
) -> CommandError {
    let name = cluster.label.as_str();
    let path = config
        .directory
        .join(Path::new(&config.shown).file_name().unwrap_or_default());
    let who = by_whom(session, config, &path, |text| text.contains(found));
    CommandError::new(
        Code::SignerChanged,
        format!(
            "{}: the signer of cluster {name:?} is now {found}, and you have pinned {pinned}{who}",
            config.at(cluster.line)
        ),
    )
    .hint("if nobody can explain the change, somebody is redirecting your secrets: undo it")
    .hint(format!(
        "if the cluster really has a new signer: waxwing trust --cluster {name} {found}"
    ))
}

/// `; commit … by … changed it`, when Git knows.
fn by_whom(
    session: &Session,
    config: &Config,
    path: &Path,
    changed: impl Fn(&str) -> bool,
) -> String {
    let Some(inside) = config.in_repository(path) else {
        return String::new();
    };
    if !fs::read_to_string(path).is_ok_and(|text| changed(&text)) {
        return String::new();
    }
    match history::introduced(&config.root, &session.environment, &inside, changed) {
        history::Introduced::Commit(commit) => format!(
            "; commit {} of {} by {} changed {}",
            commit.id,
            commit.day,
            terminal::printable(&commit.author),
            inside.display()
        ),
        history::Introduced::Uncommitted => {
            format!("; the change to {} is not committed", inside.display())
        }
        history::Introduced::Unknown => String::new(),
    }
}

/// Whether the text of a recipients file names a signer other than `signer`.
fn names_other_signer(text: &str, signer: &str) -> bool {
    RecipientsFile::parse(text)
        .ok()
        .and_then(|file| file.signer())
        .is_some_and(|found| found.fingerprint() != signer)
}

/// What `keys list` shows about a pin.
pub fn pinned(
    session: &Session,
    config: &Config,
    name: &str,
) -> Result<Option<SignerPin>, CommandError> {
    let repository = repository::key(&config.root, &session.environment);
    Ok(Pins::load(&session.environment)?.signer(&repository, name))
}
