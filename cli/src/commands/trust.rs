//! `waxwing trust`: this user's word for a signer or a recovery key.

use clap::Args;
use sealing::{KeyId, Label};

use crate::{
    error::{Code, CommandError},
    session::Session,
    trust::{self, pins, repository},
};

/// Arguments of `trust`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing trust --cluster prod SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8
  waxwing trust SHA256:J2PxPpTtrf5ULYFGGCqmSb1PZVSeSh4DCBaH7Xr1F5c

Compare the fingerprint with what the cluster's operators, or the holder of the recovery key, tell you by another way
than the repository. Pins are kept per repository in ~/.local/state/waxwing/pins.")]
pub struct TrustArgs {
    /// Pin the signer of this cluster; without it a recovery key is pinned
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// SHA256:…, of the signer as `ssh-keygen -l` prints it, of a recovery key as `waxwing keys fingerprint` prints it
    pub fingerprint: String,
}

/// Pins.
pub fn run(args: &TrustArgs, session: &mut Session) -> Result<(), CommandError> {
    let config = session.config_here()?;
    let root = session.root(config.as_ref())?;
    let repository = repository::key(&root, &session.environment);
    let Some(name) = &args.cluster else {
        let key = KeyId::parse_fingerprint(&args.fingerprint).map_err(|error| {
            CommandError::new(
                Code::Grammar,
                format!("{:?} is not a key's fingerprint: {error}", args.fingerprint),
            )
            .hint("a signer's fingerprint is pinned with --cluster NAME")
        })?;
        pins::remember_recovery(&session.environment, &repository, &key)?;
        session
            .output
            .tell(&format!("pinned the recovery key {}", key.fingerprint()));
        return Ok(());
    };
    let fingerprint = trust::parse_signer_fingerprint(&args.fingerprint)
        .map_err(|why| CommandError::new(Code::Grammar, why))?;
    Label::new(name)
        .map_err(|error| CommandError::new(Code::Grammar, format!("--cluster: {error}")))?;
    if let Some(config) = &config {
        let cluster = config.cluster(name)?;
        if cluster
            .signer
            .as_deref()
            .is_some_and(|signer| signer != fingerprint)
        {
            session.output.warn(&format!(
                "{} names another signer for {name:?}",
                config.at(cluster.line)
            ));
        }
    }
    let old = pins::Pins::load(&session.environment)?.signer(&repository, name);
    // What the user says now is the beginning: an earlier sequence belongs to an earlier word.
    pins::remember_signer(&session.environment, &repository, name, &fingerprint, 0)?;
    match old {
        Some(old) if old.fingerprint != fingerprint => {
            session.output.tell(&format!(
                "pinned {fingerprint} as the signer of {name:?}, instead of {}",
                old.fingerprint
            ));
        }
        _ => session
            .output
            .tell(&format!("pinned {fingerprint} as the signer of {name:?}")),
    }
    Ok(())
}
