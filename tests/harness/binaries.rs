//! The programs under test, built from this workspace in the profile that the tests were built in.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tools::{require, workspace};

/// Paths of the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `waxwing`.
    pub waxwing: PathBuf,
    /// `waxwing-controller`.
    pub controller: PathBuf,
}

impl Binaries {
    /// The programs as the source tree has them now: cargo is asked each time, once per process, and answers at once
    /// when nothing changed. With `WAXWING_TEST_BINARIES` they are taken from that directory as they are.
    ///
    /// # Errors
    /// When they do not build; cargo has said why on standard error by then.
    pub fn ready() -> Result<Self> {
        static READY: Mutex<Option<Binaries>> = Mutex::new(None);
        let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(binaries) = &*ready {
            return Ok(binaries.clone());
        }
        let binaries = match env::var_os("WAXWING_TEST_BINARIES").map(PathBuf::from) {
            Some(directory) => Self {
                waxwing: directory.join("waxwing"),
                controller: directory.join("waxwing-controller"),
            },
            None => Self::build()?,
        };
        for program in [&binaries.waxwing, &binaries.controller] {
            if !program.is_file() {
                bail!(
                    "{} is not there; unset WAXWING_TEST_BINARIES to have it built",
                    program.display()
                );
            }
        }
        Ok(ready.insert(binaries).clone())
    }

    fn build() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        if env::var_os("CARGO").is_none() {
            require("cargo", "install Rust: https://rustup.rs")?;
        }
        let mut command = Command::new(cargo);
        command.current_dir(workspace()).args([
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ]);
        // The package of the tests is selected too, although nothing of it is built: cargo unifies the features of
        // what is selected, and the same selection as that of the tests means that no dependency is built twice.
        command.args(["--package=tests", "--package=cli", "--package=controller"]);
        command.args(["--bin=waxwing", "--bin=waxwing-controller"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("starting `cargo build`")?;
        if !output.status.success() {
            bail!("the programs under test do not build (see above)");
        }
        let built: Vec<Value> = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let find = |name: &str| -> Result<PathBuf> {
            let artifact = built.iter().find(|message| {
                message.pointer("/target/name").and_then(Value::as_str) == Some(name)
                    && message["executable"].is_string()
            });
            let path = artifact.and_then(|message| message["executable"].as_str());
            path.map(PathBuf::from)
                .with_context(|| format!("`cargo build` did not say where it put {name}"))
        };
        Ok(Self {
            waxwing: find("waxwing")?,
            controller: find("waxwing-controller")?,
        })
    }
}
