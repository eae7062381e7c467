//! `waxwing`: seals Kubernetes Secrets so that they can be committed. Also the kubectl plugin `kubectl-waxwing`.
//!
//! ```text
//! main ─ args ─▶ commands/* ─▶ config ─ which rule?  ─▶ trust ─ whose key? ─▶ sealing ─▶ output | files
//!                   │                                     (pins, attestation, history)
//!                   └─ error: one CommandError, its word fixes the exit code
//! ```
//!
//! Nothing here opens a socket except `keys fetch` and `keys list --context`; only they start an async runtime.

mod args;
mod commands;
mod config;
mod environment;
mod error;
mod files;
mod identity;
mod interrupt;
mod output;
mod recipients;
mod sealed_file;
mod session;
mod terminal;
mod trust;

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::{
    args::Cli,
    environment::Environment,
    error::{Code, CommandError, Exit},
    output::Output,
    session::Session,
};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let mut output = Output::new(environment.level);
    if let Err(error) = interrupt::install() {
        return failed(
            &mut output,
            &CommandError::new(Code::Io, format!("cannot listen for signals: {error}")),
        );
    }
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    match output.styled_result(&text) {
                        Ok(()) => ExitCode::SUCCESS,
                        Err(error) => failed(&mut output, &error),
                    }
                }
                _ => {
                    output.usage_error(&text);
                    ExitCode::from(Exit::Usage as u8)
                }
            };
        }
    };
    let offline = cli.offline || environment.offline;
    let mut session = Session {
        output,
        environment,
        config: cli.config,
        offline,
    };
    match commands::run(cli.command, &mut session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&mut session.output, &error),
    }
}

fn failed(output: &mut Output, error: &CommandError) -> ExitCode {
    if let CommandError::Failed(failure) = error {
        output.failure(failure);
    }
    ExitCode::from(error.exit())
}
