//! `bench seal`: one manifest of three values, sealed by a process of its own.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use sealing::{Identity, Suite};
use tests::{binaries::Binaries, janitor, waxwing::Waxwing};

use crate::numbers::{goal, median, quantile, say};

const WITHIN: Duration = Duration::from_millis(5);
const MANIFEST: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n\
    stringData:\n  DB_PASSWORD: correct horse battery staple\n  API_TOKEN: 0123456789abcdef0123456789abcdef\n  \
    TLS_PASSPHRASE: open sesame\n";

/// Measures; returns whether the goal was reached.
pub async fn measure(runs: usize) -> Result<bool> {
    let binaries = tokio::task::spawn_blocking(Binaries::ready)
        .await
        .context("building")??;
    let directory = janitor::root().join("seal");
    let home = directory.join("home");
    fs::create_dir_all(&home).context("a directory")?;
    fs::write(directory.join("secret.yaml"), MANIFEST).context("a manifest")?;
    let identity = Identity::generate(Suite::XWing).context("a key")?;
    fs::write(
        directory.join("cluster.pub"),
        format!("{}\n", identity.recipient()),
    )?;
    let waxwing = Waxwing::new(&binaries, &directory, &home, Path::new("/nonexistent"));
    tokio::task::spawn_blocking(move || alternate(&waxwing, &directory, runs)).await?
}

fn alternate(waxwing: &Waxwing, directory: &Path, runs: usize) -> Result<bool> {
    let mut seal = Command::new(waxwing.program());
    seal.args(["seal", "-f", "secret.yaml", "-r", "cluster.pub"])
        .current_dir(directory)
        .envs(waxwing.environment());
    let sealed = seal.output().context("starting waxwing")?;
    let text = String::from_utf8_lossy(&sealed.stdout);
    if !sealed.status.success() || text.matches("wx1:").count() != 3 {
        bail!(
            "waxwing does not seal: {}",
            String::from_utf8_lossy(&sealed.stderr)
        );
    }
    let mut nothing = Command::new("true");
    let (mut sealing, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        sealing.push(time(&mut seal)?);
        floor.push(time(&mut nothing)?);
    }
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    for (what, times) in [("waxwing seal", &sealing), ("true", &floor)] {
        say(&format!(
            "{what:>12}: median {:.2} ms, 95 of 100 within {:.2} ms, {runs} runs",
            ms(median(times)),
            ms(quantile(times, 0.95))
        ));
    }
    let text = format!("median under {} ms as a whole process", WITHIN.as_millis());
    Ok(goal(&text, median(&sealing) < WITHIN))
}

fn time(command: &mut Command) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().context("starting a process")?;
    let time = started.elapsed();
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(time)
}
