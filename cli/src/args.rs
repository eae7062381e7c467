//! The command line: what all commands share. Each command describes its own arguments in its own file.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::{Command, seal};

/// The kubectl plugin's file name: kubectl runs it for `kubectl waxwing`.
const PLUGIN: &str = "kubectl-waxwing";

const EXAMPLES: &str = "\
Examples:
  waxwing keys generate -o me.key                            a key pair of your own
  waxwing keys fetch                                         the cluster's public key, with its attestation
  waxwing seal db -n payments --prompt password -o db.yaml   a new sealed Secret
  waxwing seal -f secret.yaml --in-place                     every Secret of a manifest, nothing else changes
  waxwing show db.yaml                                       what is sealed, for where and for whom

Exit codes: 0 done, 1 findings, 2 usage, 3 configuration, 4 key trust, 5 input not parsable, 6 cluster or network,
7 cannot unseal, 8 would overwrite, 70 internal, 130 interrupted (files untouched).";

/// Seal Kubernetes Secrets so that they can be committed.
#[derive(Parser)]
#[command(name = "waxwing", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = false)]
pub struct Cli {
    // Help texts stand in `help` where they name variables: backticks would be printed.
    #[arg(
        help = "The configuration, instead of the .waxwing.yaml found from the target upward [env: WAXWING_CONFIG]",
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Every command"
    )]
    pub config: Option<PathBuf>,

    #[arg(
        help = "Open no socket; a command that would need one fails [env: WAXWING_OFFLINE]",
        long,
        global = true,
        help_heading = "Every command"
    )]
    pub offline: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the process's arguments. Called as `kubectl-waxwing`, help speaks of `kubectl waxwing`.
    pub fn of_process() -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let plugin = arguments.first().is_some_and(|name| {
            PathBuf::from(name)
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(PLUGIN))
        });
        let mut command = Self::command();
        if plugin {
            let usage = seal::USAGE.replace("waxwing seal", "kubectl waxwing seal");
            command = command
                .bin_name("kubectl waxwing")
                .display_name("kubectl waxwing")
                .mut_subcommand("seal", |seal| seal.override_usage(usage));
        }
        let mut matches = command.try_get_matches_from(arguments)?;
        Self::from_arg_matches_mut(&mut matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
