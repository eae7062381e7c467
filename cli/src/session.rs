//! What every command is given: the streams, the environment and the flags that all commands share.

use std::path::{Path, PathBuf};

use crate::{
    config::{Config, discover},
    environment::Environment,
    error::{Code, CommandError},
    output::Output,
};

/// The run of one command.
pub struct Session {
    /// Both streams.
    pub output: Output,
    /// The environment, read once.
    pub environment: Environment,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--offline` or `WAXWING_OFFLINE`: no socket is opened.
    pub offline: bool,
}

impl Session {
    /// The configuration that governs a target (absolute path of a file, existing or not).
    pub fn config_for(&mut self, target: &Path) -> Result<Option<Config>, CommandError> {
        let config = discover::load(self.config.as_deref(), &self.environment, target)?;
        match &config {
            Some(config) => self
                .output
                .debug(&format!("configuration: {}", config.shown)),
            None => self.output.debug("no configuration"),
        }
        Ok(config)
    }

    /// The configuration that governs the working directory.
    pub fn config_here(&mut self) -> Result<Option<Config>, CommandError> {
        let target = discover::real(Path::new("."))?.join(crate::config::FILE_NAME);
        self.config_for(&target)
    }

    /// What pins belong to: the repository of the configuration, else that of the working
    /// directory, else the working directory itself.
    pub fn root(&self, config: Option<&Config>) -> Result<PathBuf, CommandError> {
        if let Some(config) = config {
            return Ok(config.root.clone());
        }
        let here = discover::real(Path::new("."))?;
        Ok(discover::repository_root(&here, &self.environment).unwrap_or(here))
    }

    /// Stops a command that would open a socket.
    pub fn need_network(&self, what: &str) -> Result<(), CommandError> {
        if !self.offline {
            return Ok(());
        }
        Err(CommandError::new(
            Code::Offline,
            format!("{what} must ask the cluster, and this run is offline"),
        )
        .hint("leave out --offline and unset WAXWING_OFFLINE to allow it"))
    }
}
