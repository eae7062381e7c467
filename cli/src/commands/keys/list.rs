//! `waxwing keys list`: what is configured, what is pinned, and what a cluster has.

use std::fmt::Write;

use clap::Args;
use crds::SealingKey;
use serde_json::{Value, json};

use super::cluster;
use crate::{
    commands::Format,
    config::{Cluster, Config, Recovery},
    error::{Code, CommandError},
    session::Session,
    terminal::printable,
    trust::{self, pins::Pins, repository},
};

/// Arguments of `keys list`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing keys list
  waxwing keys list --context prod --format json")]
pub struct ListArgs {
    /// Also ask the cluster of this kubeconfig context for its keys
    #[arg(long, value_name = "C")]
    pub context: Option<String>,

    /// Form of the answer [default: text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// Lists.
pub fn run(args: &ListArgs, session: &mut Session) -> Result<(), CommandError> {
    let config = session.config_here()?;
    if config.is_none() && args.context.is_none() {
        return Err(CommandError::new(
            Code::Config,
            "there is no .waxwing.yaml here, and no --context to ask",
        )
        .hint("list a cluster's own keys with --context NAME"));
    }
    let (clusters, recovery) = match &config {
        Some(config) => configured(config, session)?,
        None => (Vec::new(), Vec::new()),
    };
    let live = match &args.context {
        Some(context) => Some(
            cluster::sealing_keys(Some(context), session)?
                .keys
                .iter()
                .map(live)
                .collect::<Vec<_>>(),
        ),
        None => None,
    };
    if Format::choose(args.format, session) == Format::Json {
        let mut whole = json!({ "schemaVersion": 1, "clusters": clusters, "recovery": recovery });
        if let (Some(context), Some(live)) = (&args.context, live) {
            whole["context"] = json!({ "name": context, "keys": live });
        }
        return session.output.result(format!("{whole:#}\n").as_bytes());
    }
    session.output.result(
        text(
            &clusters,
            &recovery,
            args.context.as_deref(),
            live.as_deref(),
        )
        .as_bytes(),
    )
}

fn configured(
    config: &Config,
    session: &Session,
) -> Result<(Vec<Value>, Vec<Value>), CommandError> {
    let mut clusters = Vec::new();
    for cluster in config.clusters.values() {
        let pin = trust::pinned(session, config, cluster.label.as_str())?;
        let mut entry = json!({
            "name": cluster.label.as_str(),
            "file": cluster.recipients_shown,
            "signer": cluster.signer,
            "pinnedSigner": pin.as_ref().map(|pin| &pin.fingerprint),
            "highestSequence": pin.as_ref().map(|pin| pin.sequence),
        });
        match key_of(cluster) {
            Ok(Some((fingerprint, statement))) => {
                entry["fingerprint"] = fingerprint.into();
                entry["attestation"] = statement;
            }
            Ok(None) => entry["problem"] = "no recipients file yet".into(),
            Err(problem) => entry["problem"] = problem.into(),
        }
        clusters.push(entry);
    }
    let recovery = match &config.recovery {
        Some(recovery) => recovery_of(config, recovery, session)?,
        None => Vec::new(),
    };
    Ok((clusters, recovery))
}

/// Fingerprint and statement of a cluster's file; the problem in words when it could not be sealed to.
fn key_of(cluster: &Cluster) -> Result<Option<(String, Value)>, String> {
    let file = match trust::recipients_file(&cluster.recipients, &cluster.recipients_shown) {
        Ok(file) => file,
        Err(CommandError::Failed(failure)) if failure.code == Code::RecipientsMissing => {
            return Ok(None);
        }
        Err(CommandError::Failed(failure)) => return Err(failure.message.clone()),
        Err(CommandError::BrokenPipe) => return Ok(None),
    };
    let Some(signer) = file.signer() else {
        return Err("the file carries no attestation".to_owned());
    };
    let (recipient, statement) = file
        .verify(&signer)
        .map_err(|error| format!("the attestation does not hold: {error}"))?;
    if cluster
        .signer
        .as_deref()
        .is_some_and(|expected| expected != signer.fingerprint())
    {
        return Err(format!(
            "attested by another signer than the configured one: {}",
            signer.fingerprint()
        ));
    }
    let statement = json!({
        "cluster": statement.cluster,
        "sequence": statement.sequence,
        "state": statement.state.to_string(),
        "createdAt": statement.created_at.to_string(),
    });
    Ok(Some((recipient.key_id().fingerprint(), statement)))
}

fn recovery_of(
    config: &Config,
    recovery: &Recovery,
    session: &Session,
) -> Result<Vec<Value>, CommandError> {
    let repository = repository::key(&config.root, &session.environment);
    let pins = Pins::load(&session.environment)?;
    let held = trust::recipients_file(&recovery.recipients, &recovery.recipients_shown)
        .map(|file| {
            file.recipients()
                .iter()
                .map(|key| *key.key_id())
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let mut all = recovery.fingerprints.clone();
    all.extend(
        held.iter()
            .filter(|key| !recovery.fingerprints.contains(key)),
    );
    Ok(all
        .iter()
        .map(|key| {
            let mut entry = json!({
                "fingerprint": key.fingerprint(),
                "file": recovery.recipients_shown,
                "pinned": pins.has_recovery(&repository, key),
            });
            if !held.contains(key) {
                entry["problem"] = "listed, but not in the file".into();
            } else if !recovery.fingerprints.contains(key) {
                entry["problem"] = "in the file, but not listed".into();
            }
            entry
        })
        .collect())
}

fn live(key: &SealingKey) -> Value {
    json!({
        "name": key.metadata.name,
        "fingerprint": printable(&key.spec.fingerprint),
        "state": format!("{:?}", key.spec.state),
        "createdAt": key.spec.created_at,
        "entries": key.status.as_ref().and_then(|status| status.entries),
        "publicKey": printable(&key.spec.public_key),
    })
}

fn text(
    clusters: &[Value],
    recovery: &[Value],
    context: Option<&str>,
    live: Option<&[Value]>,
) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut text = String::new();
    for cluster in clusters {
        let _ = writeln!(
            text,
            "{}  {}",
            word(&cluster["name"]),
            word(&cluster["file"])
        );
        let _ = writeln!(text, "  key     {}", word(&cluster["fingerprint"]));
        let signer = &cluster["signer"];
        let pin = match (cluster["pinnedSigner"].as_str(), signer.as_str()) {
            (None, _) => "not pinned".to_owned(),
            (Some(pinned), Some(signer)) if pinned == signer => "pinned".to_owned(),
            (Some(pinned), _) => format!("PINNED IS {pinned}"),
        };
        let _ = writeln!(text, "  signer  {} ({pin})", word(signer));
        if let Some(problem) = cluster["problem"].as_str() {
            let _ = writeln!(text, "  PROBLEM {problem}");
        }
    }
    for key in recovery {
        let pinned = if key["pinned"] == true {
            "pinned"
        } else {
            "not pinned"
        };
        let _ = writeln!(
            text,
            "recovery  {}\n  key     {} ({pinned})",
            word(&key["file"]),
            word(&key["fingerprint"])
        );
        if let Some(problem) = key["problem"].as_str() {
            let _ = writeln!(text, "  PROBLEM {problem}");
        }
    }
    if let (Some(context), Some(live)) = (context, live) {
        let _ = writeln!(text, "context {context}");
        for key in live {
            let values = key["entries"]
                .as_i64()
                .map_or_else(|| "-".to_owned(), |count| count.to_string());
            let _ = writeln!(
                text,
                "  {}  {}  {values} values",
                word(&key["fingerprint"]),
                word(&key["state"])
            );
        }
    }
    text
}
