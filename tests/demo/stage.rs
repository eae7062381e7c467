//! The stage: every command is shown, run for real, and timed.

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tests::process::{Output, run, shown};

/// Where commands are run, and with what environment.
pub struct Stage {
    directory: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    programs: Vec<(&'static str, PathBuf)>,
    started: Instant,
    commands: u32,
}

impl Stage {
    /// Commands run in `directory`. A program's name is looked up in `programs` first, then on PATH.
    pub fn new(
        directory: PathBuf,
        environment: Vec<(&'static str, OsString)>,
        programs: Vec<(&'static str, PathBuf)>,
    ) -> Self {
        Self {
            directory,
            environment,
            programs,
            started: Instant::now(),
            commands: 0,
        }
    }

    /// Runs a command that must succeed, and shows its output.
    pub async fn run(&mut self, words: &[&str]) -> Result<Output> {
        let output = self.attempt(words).await?;
        if output.code != Some(0) {
            bail!("`{}` failed: {}", words.join(" "), output.stderr.trim());
        }
        Ok(output)
    }

    /// Runs a command, shows it, its output and how long it took.
    pub async fn attempt(&mut self, words: &[&str]) -> Result<Output> {
        let [name, args @ ..] = words else {
            bail!("no command")
        };
        let known = self.programs.iter().find(|(known, _)| known == name);
        let program = known.map_or_else(|| PathBuf::from(name), |(_, path)| path.clone());
        let mut command = tokio::process::Command::new(program);
        command
            .args(args)
            .current_dir(&self.directory)
            .envs(self.environment.iter().cloned());
        say(&format!("\n$ {}", shown(command.as_std())));
        let started = Instant::now();
        let output = run(&mut command, None).await?;
        self.commands += 1;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            say(&format!("  {line}"));
        }
        say(&format!("  ({})", time(started.elapsed())));
        Ok(output)
    }

    /// Writes a file and shows it; `secret` words are shown as dots.
    pub fn write(&self, name: &str, text: &str, secret: &[&str]) -> Result<()> {
        let path = self.directory.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
        let mut visible = text.to_owned();
        for word in secret {
            visible = visible.replace(word, "••••••••");
        }
        say(&format!("\n{name}:"));
        for line in visible.lines() {
            say(&format!("  | {line}"));
        }
        Ok(())
    }

    /// How many commands were run, and the time since the start.
    pub fn tally(&self) -> (u32, Duration) {
        (self.commands, self.started.elapsed())
    }
}

/// A heading.
pub fn chapter(text: &str) {
    say(&format!("\n== {text}"));
}

/// One line.
#[expect(clippy::print_stdout, reason = "the demo's whole purpose is to print")]
pub fn say(text: &str) {
    println!("{text}");
}

/// A duration for people.
pub fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.2} s", duration.as_secs_f64())
    } else {
        format!("{:.0} s", duration.as_secs_f64())
    }
}
