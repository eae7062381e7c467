//! `waxwing keys fetch`: from the cluster's Active `SealingKey` to a recipients file that carries its own proof.

use std::path::PathBuf;

use clap::Args;
use crds::{KeyState, SealingKey};
use sealing::{Attestation, Recipient, RecipientsFile, SignerPublic, Statement};

use super::cluster;
use crate::{
    config::{Cluster, Config},
    error::{Code, CommandError},
    files::{self, Existing},
    session::Session,
    terminal::printable,
    trust::{
        pins::{self, Pins},
        repository,
    },
};

/// Arguments of `keys fetch`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing keys fetch                            into the file that .waxwing.yaml names for this cluster
  waxwing keys fetch --context prod -o prod.pub

The cluster's signer is pinned for this repository: from then on another signer is refused, whatever Git says.")]
pub struct FetchArgs {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "C")]
    pub context: Option<String>,

    /// Write (or replace) this file instead of the configured one
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The Active key of a cluster, with everything that was verified about it.
struct Fetched {
    recipient: Recipient,
    signer: SignerPublic,
    attestation: Attestation,
    statement: Statement,
}

/// Fetches.
pub fn run(args: &FetchArgs, session: &mut Session) -> Result<(), CommandError> {
    session.need_network("keys fetch")?;
    let config = session.config_here()?;
    let answer = cluster::sealing_keys(args.context.as_deref(), session)?;
    let fetched = active(&answer.keys)?;
    let signer = fetched.signer.fingerprint();
    let configured = match &config {
        Some(config) => configured(
            config,
            &fetched.statement,
            &signer,
            answer.context.as_deref(),
            session,
        )?,
        None => None,
    };
    if let (Some(config), Some(cluster)) = (&config, configured) {
        judge_configured(config, cluster, &fetched.statement, &signer)?;
    }
    let name = configured
        .map(|cluster| cluster.label.to_string())
        .or_else(|| Some(fetched.statement.cluster.clone()).filter(|name| !name.is_empty()));
    let root = session.root(config.as_ref())?;
    let repository = repository::key(&root, &session.environment);
    if let Some(name) = &name {
        judge_pin(name, &repository, &fetched.statement, &signer, session)?;
    }
    let text = RecipientsFile::attested(
        fetched.recipient.clone(),
        fetched.signer,
        fetched.attestation,
    )
    .print();
    match (&args.output, configured) {
        (Some(path), _) => files::write(path, text.as_bytes(), Existing::Replace, 0o644)?,
        (None, Some(cluster)) => {
            if let Some(directory) = cluster.recipients.parent() {
                std::fs::create_dir_all(directory).map_err(|error| {
                    CommandError::new(
                        Code::Io,
                        format!(
                            "cannot make {}: {}",
                            directory.display(),
                            files::describe(&error)
                        ),
                    )
                })?;
            }
            files::write(
                &cluster.recipients,
                text.as_bytes(),
                Existing::Replace,
                0o644,
            )?;
            session
                .output
                .tell(&format!("wrote {}", cluster.recipients_shown));
        }
        (None, None) => session.output.result(text.as_bytes())?,
    }
    session.output.tell(&format!(
        "key    {}",
        fetched.recipient.key_id().fingerprint()
    ));
    session.output.tell(&format!("signer {signer}"));
    match &name {
        Some(name) => pins::remember_signer(
            &session.environment,
            &repository,
            name,
            &signer,
            fetched.statement.sequence,
        )?,
        None => session.output.note(
            "the cluster has no name and no configuration names it: its signer is not pinned",
        ),
    }
    if let (Some(config), Some(cluster)) = (&config, configured)
        && cluster.signer.is_none()
    {
        session.output.note(&format!(
            "add to {}: signer: \"{signer}\"",
            config.at(cluster.line)
        ));
    }
    Ok(())
}

/// The one Active key, its attestation verified against the signer published beside it.
fn active(keys: &[SealingKey]) -> Result<Fetched, CommandError> {
    let active: Vec<&SealingKey> = keys
        .iter()
        .filter(|key| key.spec.state == KeyState::Active)
        .collect();
    let [key] = active.as_slice() else {
        return Err(match active.len() {
            0 => CommandError::new(Code::Cluster, format!("none of the cluster's {} SealingKeys is Active", keys.len()))
                .hint("the controller makes the first key when it starts: see `kubectl get sealingkeys` and its log"),
            several => CommandError::new(Code::Cluster, format!("{several} SealingKeys are Active, and there must be one"))
                .hint("see `kubectl get sealingkeys`"),
        });
    };
    let name = printable(key.metadata.name.as_deref().unwrap_or_default());
    let invalid = |why: &str| {
        CommandError::new(
            Code::AttestationInvalid,
            format!("SealingKey {name}: {}", printable(why)),
        )
        .hint("somebody changed it, or the controller is at fault: compare with its log")
    };
    let recipient = Recipient::parse(&key.spec.public_key)
        .map_err(|error| invalid(&format!("publicKey: {error}")))?;
    let signer = SignerPublic::parse(&key.spec.signer)
        .map_err(|error| invalid(&format!("signer: {error}")))?;
    let attestation = Attestation::parse(&key.spec.attestation)
        .map_err(|error| invalid(&format!("attestation: {error}")))?;
    let statement = attestation
        .verify(&signer)
        .map_err(|error| invalid(&format!("attestation: {error}")))?
        .clone();
    if statement.key != *recipient.key_id() {
        return Err(invalid("the attestation is about another key"));
    }
    if statement.state != sealing::KeyState::Active {
        return Err(CommandError::new(
            Code::KeyNotActive,
            format!(
                "SealingKey {name}: its attestation says {}",
                statement.state
            ),
        )
        .hint("the controller has not caught up with a change of keys: try again"));
    }
    Ok(Fetched {
        recipient,
        signer,
        attestation,
        statement,
    })
}

/// Which configured cluster this is: the attested name says it; without one the environment, the signer, the
/// context's name, or being the only one.
fn configured<'a>(
    config: &'a Config,
    statement: &Statement,
    signer: &str,
    context: Option<&str>,
    session: &Session,
) -> Result<Option<&'a Cluster>, CommandError> {
    if !statement.cluster.is_empty() {
        return Ok(config
            .clusters
            .get(&statement.cluster)
            .or_else(|| by_signer(config, signer)));
    }
    if let [name] = session.environment.clusters.as_slice() {
        return config.cluster(name).map(Some);
    }
    if let Some(cluster) = by_signer(config, signer) {
        return Ok(Some(cluster));
    }
    if let Some(cluster) = context.and_then(|context| config.clusters.get(context)) {
        return Ok(Some(cluster));
    }
    let mut all = config.clusters.values();
    Ok(match (all.next(), all.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })
}

fn by_signer<'a>(config: &'a Config, signer: &str) -> Option<&'a Cluster> {
    let mut matching = config
        .clusters
        .values()
        .filter(|cluster| cluster.signer.as_deref() == Some(signer));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn judge_configured(
    config: &Config,
    cluster: &Cluster,
    statement: &Statement,
    signer: &str,
) -> Result<(), CommandError> {
    let name = cluster.label.as_str();
    if !statement.cluster.is_empty() && statement.cluster != name {
        return Err(CommandError::new(
            Code::ForeignCluster,
            format!(
                "the cluster calls itself {:?}, and {} names its signer under {name:?}",
                printable(&statement.cluster),
                config.at(cluster.line)
            ),
        )
        .hint("name the cluster in the configuration as it calls itself"));
    }
    match cluster.signer.as_deref() {
        Some(expected) if expected != signer => Err(CommandError::new(
            Code::SignerMismatch,
            format!("the cluster's signer is {signer}, and {} names {expected} for {name:?}; nothing was written", config.at(cluster.line)),
        )
        .hint("is this the right cluster? --context chooses another")
        .hint("if the cluster really has a new signer, correct the configuration")),
        _ => Ok(()),
    }
}

fn judge_pin(
    name: &str,
    repository: &repository::Key,
    statement: &Statement,
    signer: &str,
    session: &Session,
) -> Result<(), CommandError> {
    let Some(pin) = Pins::load(&session.environment)?.signer(repository, name) else {
        return Ok(());
    };
    if pin.fingerprint != signer {
        return Err(CommandError::new(
            Code::SignerChanged,
            format!("the signer of {name:?} is now {signer}, and you have pinned {}; nothing was written", pin.fingerprint),
        )
        .hint("is this the right cluster? --context chooses another")
        .hint(format!("if the cluster really has a new signer: waxwing trust --cluster {name} {signer}")));
    }
    if statement.sequence < pin.sequence {
        return Err(CommandError::new(
            Code::SequenceReplayed,
            format!(
                "the cluster shows attestation number {} of {name:?}, and number {} has been seen; nothing was written",
                statement.sequence, pin.sequence
            ),
        )
        .hint(format!("if the cluster was restored from a backup, begin anew: waxwing trust --cluster {name} {signer}")));
    }
    Ok(())
}
