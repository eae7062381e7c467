//! One file per command.

pub mod completions;
pub mod keys;
pub mod reveal;
pub mod seal;
pub mod show;
pub mod trust;

use clap::{Subcommand, ValueEnum};

use crate::{error::CommandError, session::Session};

/// All commands.
#[derive(Subcommand)]
pub enum Command {
    /// Seal literals, files, env files, generated or prompted values, or whole manifests
    Seal(Box<seal::SealArgs>),
    /// Show structure, places, recipients and ages; never a value
    Show(show::ShowArgs),
    /// Open sealed values with a private key
    Reveal(reveal::RevealArgs),
    /// Make, fetch and look at keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Pin a cluster's signer or a recovery key
    Trust(trust::TrustArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs one command.
pub fn run(command: Command, session: &mut Session) -> Result<(), CommandError> {
    match command {
        Command::Seal(args) => seal::run(*args, session),
        Command::Show(args) => show::run(&args, session),
        Command::Reveal(args) => reveal::run(&args, session),
        Command::Keys(command) => keys::run(command, session),
        Command::Trust(args) => trust::run(&args, session),
        Command::Completions(args) => completions::run(&args, session),
    }
}

/// The forms of an answer that these commands know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// The flag, else `WAXWING_FORMAT` where it names a form that the command knows, else text.
    pub fn choose(flag: Option<Self>, session: &Session) -> Self {
        flag.or_else(|| Self::from_str(session.environment.format.as_deref()?, true).ok())
            .unwrap_or_default()
    }
}
