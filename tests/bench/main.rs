//! Measurements of the release build, run by hand; docs/benchmarks.md says how, and what came out.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tests::{RUNTIME, janitor, plane};

mod audit;
mod bare;
mod drift;
mod ground;
mod idle;
mod numbers;
mod restart;
mod seal;
mod unseal;

/// Measures Waxwing on a Kubernetes control plane that is started on this machine and removed afterwards. Everything
/// shares the machine: the API server's own work is in every figure.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// From the start of the controller until every Secret and every status is written, against a bare loop that makes
    /// the same writes.
    Unseal {
        /// SealedSecrets of three values.
        #[arg(long, default_value_t = 5000)]
        objects: usize,
        /// How often the controller and the bare loop take turns.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// A restart with everything in order: time, writes, decryptions, memory.
    Restart {
        /// SealedSecrets of three values, unsealed before.
        #[arg(long, default_value_t = 10_000)]
        objects: usize,
    },
    /// From a change of a Secret by hand until it is whole again.
    Drift {
        /// SealedSecrets in the cluster.
        #[arg(long, default_value_t = 1000)]
        objects: usize,
        /// Changes made.
        #[arg(long, default_value_t = 200)]
        edits: usize,
    },
    /// What a controller with nothing to do asks of the API server and of Git.
    Idle {
        /// SealedSecrets in the cluster.
        #[arg(long, default_value_t = 1000)]
        objects: usize,
        /// ManifestSyncs in the cluster.
        #[arg(long, default_value_t = 20)]
        syncs: usize,
        /// For how long, in seconds.
        #[arg(long, default_value_t = 300)]
        seconds: u64,
        /// The interval of the syncs, in seconds.
        #[arg(long, default_value_t = 60)]
        interval: u64,
    },
    /// `waxwing seal` of one manifest of three values, as a whole process.
    Seal {
        /// How often.
        #[arg(long, default_value_t = 1000)]
        runs: usize,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = RUNTIME.block_on(measure(&arguments.measurement));
    janitor::clean_up();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(MISSED),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every goal was reached.
async fn measure(measurement: &Measurement) -> Result<bool> {
    if cfg!(debug_assertions) {
        bail!("a debug build measures nothing; docs/benchmarks.md says how to build");
    }
    plane::check_machine()?;
    tokio::select! {
        met = async {
            match *measurement {
                Measurement::Unseal { objects, rounds } => unseal::measure(objects, rounds).await,
                Measurement::Restart { objects } => restart::measure(objects).await,
                Measurement::Drift { objects, edits } => drift::measure(objects, edits).await,
                Measurement::Idle { objects, syncs, seconds, interval } => {
                    idle::measure(&idle::Size { objects, syncs, seconds, interval }).await
                }
                Measurement::Seal { runs } => seal::measure(runs).await,
            }
        } => met,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

/// Exit code when a goal was missed.
const MISSED: u8 = 2;
