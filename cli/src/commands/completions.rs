//! `waxwing completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{args::Cli, error::CommandError, session::Session};

/// Arguments of `completions`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing completions bash > ~/.local/share/bash-completion/completions/waxwing
  waxwing completions zsh > ~/.zfunc/_waxwing
  waxwing completions fish > ~/.config/fish/completions/waxwing.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, session: &mut Session) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "waxwing", &mut script);
    session.output.result(&script)
}
