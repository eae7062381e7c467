//! `.waxwing.yaml`: for whom a path is sealed, and whom to believe about their keys.
//!
//! [`discover`] finds it, [`mod@file`] reads it, [`rules`] picks the rule of a path.

pub mod discover;
pub mod file;
pub mod nearest;
pub mod rules;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sealing::{KeyId, Label, Scope};

use crate::error::{Code, CommandError};

/// The name that is looked for.
pub const FILE_NAME: &str = ".waxwing.yaml";

/// A configuration that was read and is valid in itself.
pub struct Config {
    /// The file, as messages name it.
    pub shown: String,
    /// The file's own directory, absolute: what its paths and globs are relative to.
    pub directory: PathBuf,
    /// The top of the work tree it governs; its own directory outside of a repository.
    pub root: PathBuf,
    /// The clusters by label.
    pub clusters: BTreeMap<String, Cluster>,
    /// The recovery keys.
    pub recovery: Option<Recovery>,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// One entry under `clusters`.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The label that its wraps carry.
    pub label: Label,
    /// Its recipients file, absolute.
    pub recipients: PathBuf,
    /// The same as it stands in the configuration.
    pub recipients_shown: String,
    /// The signer's fingerprint. Sealing needs it; `keys fetch` can tell it.
    pub signer: Option<String>,
    /// Line in the configuration.
    pub line: u64,
}

/// The entry `recovery`.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The recipients file, absolute.
    pub recipients: PathBuf,
    /// The same as it stands in the configuration.
    pub recipients_shown: String,
    /// The only keys that this file may hold.
    pub fingerprints: Vec<KeyId>,
    /// Line in the configuration.
    pub line: u64,
}

/// One entry under `rules`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The glob as written.
    pub path: String,
    /// The clusters to seal for.
    pub clusters: Vec<String>,
    /// Template of the namespace, with `{dir:N}`.
    pub namespace: Option<String>,
    /// The scope to seal with.
    pub scope: Option<Scope>,
    /// Template of the file that `--write` makes, with `{name}`.
    pub output: Option<String>,
    /// Why nothing may be sealed here.
    pub deny: Option<String>,
    /// Line in the configuration.
    pub line: u64,
}

impl Config {
    /// The cluster of that name, or an error that says which ones there are.
    pub fn cluster(&self, name: &str) -> Result<&Cluster, CommandError> {
        self.clusters.get(name).ok_or_else(|| {
            let error = CommandError::new(
                Code::UnknownCluster,
                format!("{} names no cluster {name:?}", self.shown),
            );
            match nearest::nearest(name, self.clusters.keys().map(String::as_str)) {
                Some(close) => error.hint(format!("did you mean {close:?}?")),
                None if self.clusters.is_empty() => {
                    error.hint(format!("add it under `clusters:` in {}", self.shown))
                }
                None => error.hint(format!(
                    "the clusters are: {}",
                    self.clusters
                        .keys()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            }
        })
    }

    /// `file:line`, for messages.
    pub fn at(&self, line: u64) -> String {
        format!("{}:{line}", self.shown)
    }

    /// A path under this configuration relative to the top of the work tree, for Git.
    pub fn in_repository(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(Path::to_owned)
    }
}
