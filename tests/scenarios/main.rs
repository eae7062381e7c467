//! End-to-end scenarios on a real control plane, one file per theme, readable as a specification.
//!
//! `cargo test -p tests --test scenarios` runs them all, with a part of a name after `--` only those.

use std::{panic::AssertUnwindSafe, process::ExitCode};

use anyhow::{Result, anyhow};
use futures::FutureExt as _;
use libtest_mimic::{Arguments, Trial};
use tests::{RUNTIME, janitor, plane, world::World};

mod canary;
mod drift;
mod harness;
mod install;
mod life;
mod outages;
mod ownership;
mod refused;
mod rules;
mod scope;
mod source;
mod sync;
mod tenants;
mod unseal;

/// Scenarios mostly wait. More at a time than this and two cores make them wait for each other.
const AT_A_TIME: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    if let Err(error) = plane::check_machine() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let trials = [
        harness::scenarios(),
        install::scenarios(),
        sync::scenarios(),
        drift::scenarios(),
        source::scenarios(),
        refused::scenarios(),
        rules::scenarios(),
        unseal::scenarios(),
        scope::scenarios(),
        ownership::scenarios(),
        tenants::scenarios(),
        life::scenarios(),
        outages::scenarios(),
    ];
    let trials = trials.into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // After all the others, over everything that they left.
    let searched = libtest_mimic::run(&arguments, canary::scenarios());
    janitor::clean_up();
    if conclusion.has_failed() {
        conclusion.exit_code()
    } else {
        searched.exit_code()
    }
}

/// A scenario that needs no world.
fn plain<F>(name: &str, run: F) -> Trial
where
    F: AsyncFnOnce() -> Result<()> + Send + 'static,
{
    Trial::test(name, move || {
        RUNTIME
            .block_on(run())
            .map_err(|error| format!("{error:#}").into())
    })
}

/// A scenario on the shared plane, in a namespace of its own.
fn shared<F>(name: &str, run: F) -> Trial
where
    F: AsyncFnOnce(&World) -> Result<()> + Send + 'static,
{
    on(name, async || World::shared().await, run)
}

/// A scenario in a world that `make` makes. When it fails, what a person would look at first is told with it.
fn on<M, F>(name: &str, make: M, run: F) -> Trial
where
    M: AsyncFnOnce() -> Result<World> + Send + 'static,
    F: AsyncFnOnce(&World) -> Result<()> + Send + 'static,
{
    Trial::test(name, move || {
        RUNTIME.block_on(async {
            let world = make()
                .await
                .map_err(|error| format!("setting up: {error:#}"))?;
            let result = AssertUnwindSafe(run(&world)).catch_unwind().await;
            let result = result.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Err(anyhow!("panicked: {}", text.unwrap_or_default()))
            });
            let result = match result {
                Ok(()) => world.keep_traces().await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => Ok(()),
                Err(error) => Err(format!("{error:#}\n\n{}", world.report().await).into()),
            }
        })
    })
}
