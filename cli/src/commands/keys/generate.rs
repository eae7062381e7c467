//! `waxwing keys generate`.

use std::{path::PathBuf, time::SystemTime};

use clap::Args;
use sealing::{Identity, SealedAt, Suite};
use zeroize::Zeroizing;

use crate::{
    error::{Code, CommandError},
    files::{self, Existing},
    session::Session,
};

/// Arguments of `keys generate`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing keys generate -o recovery.key > recovery.pub
  waxwing keys generate | age -p -o recovery.key.age")]
pub struct GenerateArgs {
    /// Make an X25519 key, which a quantum computer could break one day, for tools that know nothing else
    #[arg(long)]
    pub classical: bool,

    /// Write the identity file here, mode 0600, and print the recipient; without it the identity is printed
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Makes a key pair.
pub fn run(args: &GenerateArgs, session: &mut Session) -> Result<(), CommandError> {
    if let Some(path) = &args.output {
        files::refuse_existing(path)?;
    }
    let suite = if args.classical {
        Suite::X25519
    } else {
        Suite::XWing
    };
    let identity = Identity::generate(suite).map_err(|error| {
        CommandError::new(Code::Internal, format!("cannot make a key: {error}"))
    })?;
    let recipient = identity.recipient().to_string();
    let created = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| SealedAt::from_unix(since.as_secs()).ok())
        .map_or_else(String::new, |time| format!("# created: {time}\n"));
    let line = identity.to_line();
    let mut file = Zeroizing::new(String::with_capacity(
        created.len() + recipient.len() + line.len() + 32,
    ));
    for part in [
        created.as_str(),
        "# public key: ",
        &recipient,
        "\n",
        &line,
        "\n",
    ] {
        file.push_str(part);
    }
    if let Some(path) = &args.output {
        files::write(path, file.as_bytes(), Existing::Refuse, 0o600)?;
        return session.output.result(format!("{recipient}\n").as_bytes());
    }
    session.output.result(file.as_bytes())?;
    session.output.tell(&format!("Public key: {recipient}"));
    Ok(())
}
