//! Everything that commands take from environment variables, read in one place and once.

use std::{env, ffi::OsString, path::PathBuf};

use crate::output::Level;

/// The variables of the process. Empty ones count as not set.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `WAXWING_CONFIG`: the configuration file to use instead of the discovered one.
    pub config: Option<PathBuf>,
    /// `WAXWING_CLUSTER`: names, separated by commas, as if given by `--cluster`.
    pub clusters: Vec<String>,
    /// `WAXWING_OFFLINE`: as if `--offline` were given.
    pub offline: bool,
    /// `WAXWING_TRUSTED_KEYS`: fingerprints of signers and recovery keys, separated by commas.
    pub trusted_keys: Vec<String>,
    /// `WAXWING_FORMAT`: the default of `--format` where a command knows that form.
    pub format: Option<String>,
    /// `WAXWING_LOG`: how much is said on stderr.
    pub level: Level,
    /// `GIT_DIR`, as Git sets it in hooks.
    pub git_dir: Option<PathBuf>,
    /// `GIT_WORK_TREE`.
    pub git_work_tree: Option<PathBuf>,
    /// Where state of this user lives: `$XDG_STATE_HOME/waxwing` or `~/.local/state/waxwing`.
    pub state: Option<PathBuf>,
    /// The user's own configuration: `$XDG_CONFIG_HOME/waxwing/config.yaml` or `~/.config/waxwing/config.yaml`.
    pub user_config: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's variables.
    pub fn of_process() -> Self {
        Self::read(|name| env::var_os(name))
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let os = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| os(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| os(name).map(PathBuf::from);
        let list = |name: &str| -> Vec<String> {
            text(name)
                .map(|all| {
                    all.split(',')
                        .map(str::trim)
                        .filter(|one| !one.is_empty())
                        .map(str::to_owned)
                        .collect()
                })
                .unwrap_or_default()
        };
        // The base directory specification: a relative path in these variables is ignored.
        let base = |name: &str, below_home: &str| {
            path(name)
                .filter(|path| path.is_absolute())
                .or_else(|| path("HOME").map(|home| home.join(below_home)))
        };
        Self {
            config: path("WAXWING_CONFIG"),
            clusters: list("WAXWING_CLUSTER"),
            offline: text("WAXWING_OFFLINE").is_some_and(|value| {
                !matches!(
                    value.to_ascii_lowercase().as_str(),
                    "0" | "false" | "no" | "off"
                )
            }),
            trusted_keys: list("WAXWING_TRUSTED_KEYS"),
            format: text("WAXWING_FORMAT"),
            level: text("WAXWING_LOG")
                .map(|name| Level::parse(&name))
                .unwrap_or_default(),
            git_dir: path("GIT_DIR"),
            git_work_tree: path("GIT_WORK_TREE"),
            state: base("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("waxwing")),
            user_config: base("XDG_CONFIG_HOME", ".config")
                .map(|dir| dir.join("waxwing").join("config.yaml")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Environment {
        Environment::read(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn lists_are_split_and_empty_variables_are_not_set() {
        let environment = with(&[
            ("WAXWING_CLUSTER", "prod, staging,"),
            ("WAXWING_CONFIG", ""),
        ]);
        assert_eq!(environment.clusters, ["prod", "staging"]);
        assert_eq!(environment.config, None);
    }

    #[test]
    fn offline_can_be_said_and_unsaid() {
        assert!(with(&[("WAXWING_OFFLINE", "1")]).offline);
        assert!(with(&[("WAXWING_OFFLINE", "true")]).offline);
        assert!(!with(&[("WAXWING_OFFLINE", "0")]).offline);
        assert!(!with(&[]).offline);
    }

    #[test]
    fn relative_base_directories_are_ignored() {
        let environment = with(&[("XDG_STATE_HOME", "relative"), ("HOME", "/home/ada")]);
        assert_eq!(
            environment.state.as_deref(),
            Some("/home/ada/.local/state/waxwing".as_ref())
        );
    }
}
