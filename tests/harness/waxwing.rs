//! The command-line tool, run as a person runs it, with a home directory of its own.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    binaries::Binaries,
    janitor,
    process::{Output, run},
};

/// `waxwing` in a directory, with a kubeconfig and a home of its own (where it pins signers).
pub struct Waxwing {
    program: PathBuf,
    directory: PathBuf,
    home: PathBuf,
    kubeconfig: PathBuf,
}

impl Waxwing {
    /// Works in `directory`; keeps its user's files in `home`.
    pub fn new(binaries: &Binaries, directory: &Path, home: &Path, kubeconfig: &Path) -> Self {
        Self {
            program: binaries.waxwing.clone(),
            directory: directory.to_owned(),
            home: home.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What makes up its environment, for whoever runs it by other means (a shell, a Git hook).
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = |path: &Path| path.as_os_str().to_owned();
        vec![
            ("HOME", path(&self.home)),
            ("XDG_CONFIG_HOME", path(&self.home.join(".config"))),
            ("XDG_DATA_HOME", path(&self.home.join(".local/share"))),
            ("XDG_STATE_HOME", path(&self.home.join(".local/state"))),
            ("KUBECONFIG", path(&self.kubeconfig)),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("NO_COLOR", "1".into()),
        ]
    }

    /// Runs it in its directory.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_with(args, None).await
    }

    /// Runs it with something on standard input.
    pub async fn run_with(&self, args: &[&str], stdin: Option<&[u8]>) -> Result<Output> {
        let mut command = tokio::process::Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("WAXWING_"))
            {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(&self.directory)
            .envs(self.environment());
        let output = run(&mut command, stdin).await.context("running waxwing")?;
        // Kept for the search for values at the end of the run. What `reveal` prints is asked for.
        if args.first() != Some(&"reveal") {
            let file = janitor::root().join("waxwing.log");
            let mut log = std::fs::File::options()
                .create(true)
                .append(true)
                .open(file)
                .context("the log of waxwing")?;
            writeln!(log, "{output}").context("the log of waxwing")?;
        }
        Ok(output)
    }
}
