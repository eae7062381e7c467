//! For whom to seal: `-r`, `--cluster`, `WAXWING_CLUSTER` or the rules, in this order.

use std::{collections::BTreeSet, path::Path};

use clap::Args;
use sealing::{Label, Recipient, RecipientsFile};

use crate::{
    config::{Config, Rule},
    error::{Code, CommandError},
    files,
    session::Session,
    trust,
};

/// The arguments that say for whom.
#[derive(Args)]
pub struct RecipientArgs {
    /// Seal for this key: a recipients file or an age1… string; naming it here is trusting it (repeatable)
    #[arg(
        short,
        long = "recipient",
        value_name = "FILE|age1…",
        help_heading = "Recipients"
    )]
    pub recipient: Vec<String>,

    // Said here and not above: the environment's names carry no backticks in help.
    #[arg(
        help = "Seal for this cluster of .waxwing.yaml, and for its recovery keys (repeatable) [env: WAXWING_CLUSTER]",
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Recipients"
    )]
    pub cluster: Vec<String>,

    /// Allow X25519 keys (age1… without pq), which a quantum computer could open one day
    #[arg(long, help_heading = "Recipients")]
    pub allow_classical: bool,
}

/// The recipients of one sealing run, each key once. Judges trust for every key that comes from the configuration.
pub fn resolve(
    session: &mut Session,
    args: &RecipientArgs,
    config: Option<&Config>,
    rule: Option<&Rule>,
    shown_target: &str,
) -> Result<Vec<(Label, Recipient)>, CommandError> {
    let mut found = Vec::new();
    for text in &args.recipient {
        found.extend(named(session, text)?);
    }
    let clusters: &[String] = if !args.cluster.is_empty() {
        &args.cluster
    } else if !args.recipient.is_empty() {
        &[]
    } else if !session.environment.clusters.is_empty() {
        &session.environment.clusters.clone()
    } else {
        rule.map_or(&[], |rule| rule.clusters.as_slice())
    };
    if !clusters.is_empty() {
        let Some(config) = config else {
            return Err(CommandError::new(
                Code::Config,
                format!("the cluster {:?} is to be sealed for, and there is no .waxwing.yaml that says what its key is", clusters[0]),
            )
            .hint("name the key itself with -r, or write a .waxwing.yaml at the top of the repository"));
        };
        for name in clusters {
            let cluster = config.cluster(name)?;
            found.push((
                cluster.label.clone(),
                trust::cluster_key(session, config, cluster)?,
            ));
        }
        if let Some(recovery) = &config.recovery {
            let keys = trust::recovery_keys(session, config, recovery)?;
            found.extend(keys.into_iter().map(|key| (Label::recovery(), key)));
        }
    } else if config.is_some_and(|config| config.recovery.is_some()) && !found.is_empty() {
        session
            .output
            .note("-r says for whom: the recovery keys of the configuration are not added");
    }
    if found.is_empty() {
        return Err(nobody(config, shown_target));
    }
    let mut seen = BTreeSet::new();
    found.retain(|(_, recipient)| seen.insert(*recipient.key_id()));
    if !args.allow_classical
        && let Some((label, recipient)) = found
            .iter()
            .find(|(_, recipient)| !recipient.suite().is_hybrid())
    {
        return Err(CommandError::new(
            Code::Classical,
            format!(
                "the key {} ({label}) is an X25519 key: a value sealed for it can be opened by a future quantum computer",
                recipient.key_id().fingerprint()
            ),
        )
        .hint("use a hybrid key (age1pq1…), or accept it with --allow-classical"));
    }
    Ok(found)
}

/// The keys that one `-r` names: a key string has the label `key`, a file the name it is attested for.
fn named(session: &mut Session, text: &str) -> Result<Vec<(Label, Recipient)>, CommandError> {
    if text.starts_with("age1") && !Path::new(text).exists() {
        let recipient = Recipient::parse(text)
            .map_err(|error| CommandError::new(Code::Grammar, format!("-r {text}: {error}")))?;
        return Ok(vec![(Label::key(), recipient)]);
    }
    let bytes = files::read(Path::new(text))?;
    let content = std::str::from_utf8(&bytes)
        .map_err(|_| CommandError::new(Code::Unparsable, format!("{text} is not UTF-8 text")))?;
    if content.contains("AGE-SECRET-KEY-") {
        return Err(CommandError::new(Code::Unparsable, format!("{text} holds a private key; -r takes public keys"))
            .hint(format!("print the public half: waxwing keys fingerprint {text}, or the `# public key:` line of that file")));
    }
    let file = RecipientsFile::parse(content)
        .map_err(|error| CommandError::new(Code::Unparsable, format!("{text}: {error}")))?;
    let recipients = file.recipients();
    if recipients.is_empty() {
        return Err(CommandError::new(
            Code::Unparsable,
            format!("{text} holds no key"),
        ));
    }
    let label = attested_label(session, &file, text);
    Ok(recipients
        .into_iter()
        .map(|recipient| (label.clone(), recipient))
        .collect())
}

/// The cluster's name when the file's attestation holds and carries one, else `key`. Naming the file was trusting it,
/// so that nothing is refused here; only a name is not taken from a text that nobody signed.
fn attested_label(session: &mut Session, file: &RecipientsFile, shown: &str) -> Label {
    let (Some(signer), Some(_)) = (file.signer(), file.attestation()) else {
        return Label::key();
    };
    match file.verify(&signer) {
        Ok((_, statement)) if statement.cluster.is_empty() => Label::key(),
        Ok((_, statement)) => Label::new(&statement.cluster).unwrap_or_else(|_| Label::key()),
        Err(error) => {
            session.output.warn(&format!("the attestation in {shown} does not hold ({error}); its key is used because you named it"));
            Label::key()
        }
    }
}

fn nobody(config: Option<&Config>, shown_target: &str) -> CommandError {
    let error = match config {
        Some(config) => CommandError::new(
            Code::NoRecipients,
            format!(
                "nothing says for whom to seal {shown_target}: no rule of {} names a cluster for it",
                config.shown
            ),
        ),
        None => CommandError::new(
            Code::NoRecipients,
            format!(
                "nothing says for whom to seal {shown_target}: there is no -r, no --cluster and no .waxwing.yaml"
            ),
        ),
    };
    error
        .hint("name a public key: -r FILE or -r age1pq1…")
        .hint("or a cluster of .waxwing.yaml: --cluster NAME, or a rule for this path")
}
