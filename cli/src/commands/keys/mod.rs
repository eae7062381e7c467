//! `waxwing keys`.

mod cluster;
mod fetch;
mod fingerprint;
mod generate;
mod list;

use clap::Subcommand;

use crate::{error::CommandError, session::Session};

/// The commands about keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key pair of your own
    Generate(generate::GenerateArgs),
    /// Fetch a cluster's public key with its attestation, and pin the cluster's signer
    Fetch(fetch::FetchArgs),
    /// List the configured clusters and recovery keys with their pins, and a cluster's own keys
    List(list::ListArgs),
    /// Print fingerprints of public keys
    Fingerprint(fingerprint::FingerprintArgs),
}

/// Runs one of them.
pub fn run(command: KeysCommand, session: &mut Session) -> Result<(), CommandError> {
    match command {
        KeysCommand::Generate(args) => generate::run(&args, session),
        KeysCommand::Fetch(args) => fetch::run(&args, session),
        KeysCommand::List(args) => list::run(&args, session),
        KeysCommand::Fingerprint(args) => fingerprint::run(&args, session),
    }
}
