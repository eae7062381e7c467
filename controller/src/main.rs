//! `waxwing-controller`.
//!
//! Exit codes: 0 stopped as asked, 1 stopped by an error, 2 usage, 3 configuration.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use controller::config::{Arguments, Command, RunArguments, Settings};
use controller::{process, run, telemetry};

fn main() -> ExitCode {
    // First of all: with two providers linked, the first TLS session would panic otherwise.
    // It fails only when one is installed already, and then there is nothing left to do.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Arguments::parse().command {
        Command::Crds => print_crds(),
        Command::Run(arguments) => start(&arguments),
    }
}

fn start(arguments: &RunArguments) -> ExitCode {
    let settings = match Settings::load(arguments) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, CONFIGURATION),
    };
    let filter = std::env::var(telemetry::FILTER).ok();
    if let Err(error) = telemetry::start(arguments.log_format, filter.as_deref()) {
        return complain(&error, CONFIGURATION);
    }
    if let Err(error) = process::forbid_dumps() {
        // Some sandboxes forbid the calls; the rest of the protection stands.
        tracing::warn!("{error}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, FAILED),
    };
    let outcome = runtime.block_on(run::run(settings));
    // Git work that is on the network ends by itself at once; nothing else may hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn print_crds() -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(crds::yaml().as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

fn complain(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // stderr is all there is to say it on.
    let _ = writeln!(std::io::stderr(), "waxwing-controller: {error}");
    ExitCode::from(code)
}

/// Exit code of an error while running.
const FAILED: u8 = 1;
/// Exit code of a wrong flag value, file or log filter.
const CONFIGURATION: u8 = 3;
