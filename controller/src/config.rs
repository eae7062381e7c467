//! Flags and the configuration file, read once at start.
//!
//! Nothing is ignored: an unknown key, a value that cannot be, and a setting whose function does
//! not exist yet each stop the start, with file and line.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::telemetry::LogFormat;
use crate::watched::Watched;

/// Observes Git, opens SealedSecrets in the cluster, applies everything in one pass and repairs
/// drift.
#[derive(Debug, Parser)]
#[command(name = "waxwing-controller", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the custom resource definitions as YAML.
    Crds,
    /// Run the controller, in a cluster or with the current kubeconfig.
    Run(RunArguments),
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Namespace of the private keys, the signer and the lease.
    #[arg(long, value_name = "NS", default_value = "waxwing-system")]
    pub namespace: String,
    /// Work in this namespace only (may be repeated); its rights: deploy/namespaced/role.yaml.
    #[arg(long, value_name = "NS")]
    pub watch_namespace: Vec<String>,
    /// Configuration file (YAML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Directory for the object stores of Git repositories; holds nothing that is not in Git.
    #[arg(long, value_name = "DIR", default_value = "/var/cache/waxwing")]
    pub cache_dir: PathBuf,
    /// How log lines are written; what is logged: `WAXWING_LOG` (such as `debug`; default `info`).
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Everything that the controller was told, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of the private keys, the signer and the lease.
    pub namespace: String,
    /// Where it works.
    pub watched: Watched,
    /// Address of `/livez`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
    /// Directory for object stores.
    pub cache_dir: PathBuf,
    /// The configuration file, or its defaults.
    pub configuration: Configuration,
}

/// The configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// `clusterName`: the name in attestations; a label as the format defines it. Empty when not
    /// set.
    pub cluster_name: String,
    /// `minimumSuite`: which keys are made, and what sealed values may be opened with.
    pub minimum_suite: MinimumSuite,
    /// `defaultServiceAccount`: for a `ManifestSync` that names none, in its namespace.
    pub default_service_account: Option<String>,
    /// `allowTokenTypes`: whether SealedSecrets may become service account tokens and bootstrap
    /// tokens.
    pub allow_token_types: bool,
    /// `allowReplicatorAnnotations`: whether templates may carry annotations that make other
    /// controllers copy the Secret to other namespaces.
    pub allow_replicator_annotations: bool,
    /// `allowFileSources`: whether `file://` repositories are read. For tests only: it lets
    /// whoever can write a `ManifestSync` read repositories in the controller's file system.
    pub allow_file_sources: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            cluster_name: String::new(),
            minimum_suite: MinimumSuite::Hybrid,
            default_service_account: None,
            allow_token_types: false,
            allow_replicator_annotations: false,
            allow_file_sources: false,
        }
    }
}

/// The weakest suite that is accepted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MinimumSuite {
    /// Hybrid keys (X-Wing) only.
    #[default]
    Hybrid,
    /// Also X25519 alone, which a future quantum computer can open from what Git keeps for ever.
    Classical,
}

/// Why the controller does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A flag has a value that cannot be.
    #[error("--{flag} {value:?}: {why}")]
    Flag {
        /// Name of the flag, without dashes.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what to write.
        why: String,
    },
    /// The configuration file is not what it should be.
    #[error("{place}: {why}")]
    File {
        /// File, line and column, as far as known.
        place: String,
        /// What is wrong and what to write.
        why: String,
    },
}

impl Settings {
    /// Judges the flags and reads the configuration file.
    ///
    /// # Errors
    /// The first thing wrong, see [`ConfigError`].
    pub fn load(arguments: &RunArguments) -> Result<Self, ConfigError> {
        if !is_dns_label(&arguments.namespace) {
            return Err(ConfigError::Flag {
                flag: "namespace",
                value: arguments.namespace.clone(),
                why: "is not the name of a namespace (RFC 1123 label)".to_owned(),
            });
        }
        let watched = watched(arguments)?;
        let configuration = match &arguments.config {
            None => Configuration::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
                    place: path.display().to_string(),
                    why: format!("cannot be read: {error}"),
                })?;
                Configuration::parse(path, &text)?
            }
        };
        Ok(Self {
            namespace: arguments.namespace.clone(),
            watched,
            listen: arguments.listen,
            cache_dir: arguments.cache_dir.clone(),
            configuration,
        })
    }
}

impl Configuration {
    /// Reads the text of a configuration file; `path` is for errors.
    ///
    /// # Errors
    /// Unknown keys, wrong types, values that cannot be, keys that are not built yet.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // An empty file, or one of comments only, is YAML's null.
        let raw: Option<Raw> = serde_yaml::from_str(text).map_err(|error| {
            let place = error.location().map_or_else(
                || path.display().to_string(),
                |at| format!("{}:{}:{}", path.display(), at.line(), at.column()),
            );
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or(&why).to_owned();
            ConfigError::File { place, why }
        })?;
        let raw = raw.unwrap_or_default();
        let fail = |key: &str, why: &str| {
            Err(ConfigError::File {
                place: place_of(path, text, key),
                why: format!("{key}: {why}"),
            })
        };
        for (key, set) in [
            ("rotateAfter", raw.rotate_after.is_some()),
            ("foreignRecipients", raw.foreign_recipients.is_some()),
        ] {
            if set {
                return fail(key, "is not built yet; remove it");
            }
        }
        let cluster_name = raw.cluster_name.unwrap_or_default();
        if !cluster_name.is_empty() {
            if let Err(error) = sealing::Label::new(&cluster_name) {
                return fail("clusterName", &error.to_string());
            }
            if cluster_name == "recovery" {
                return fail(
                    "clusterName",
                    "is the label of recovery keys; choose another",
                );
            }
        }
        if let Some(account) = &raw.default_service_account
            && !is_dns_subdomain(account)
        {
            return fail(
                "defaultServiceAccount",
                "is not the name of a ServiceAccount (RFC 1123 subdomain)",
            );
        }
        Ok(Self {
            cluster_name,
            minimum_suite: raw.minimum_suite.unwrap_or_default(),
            default_service_account: raw.default_service_account,
            allow_token_types: raw.allow_token_types.unwrap_or_default(),
            allow_replicator_annotations: raw.allow_replicator_annotations.unwrap_or_default(),
            allow_file_sources: raw.allow_file_sources.unwrap_or_default(),
        })
    }
}

fn watched(arguments: &RunArguments) -> Result<Watched, ConfigError> {
    let mut namespaces = BTreeSet::new();
    for namespace in &arguments.watch_namespace {
        let refuse = |why: &str| {
            Err(ConfigError::Flag {
                flag: "watch-namespace",
                value: namespace.clone(),
                why: why.to_owned(),
            })
        };
        if !is_dns_label(namespace) {
            return refuse(
                "is not the name of a namespace (RFC 1123 label); repeat the flag for each one",
            );
        }
        if *namespace == arguments.namespace {
            return refuse(
                "is the controller's own namespace (--namespace), where SealedSecrets are refused \
                 because its keys lie there; name namespaces of applications",
            );
        }
        namespaces.insert(namespace.clone());
    }
    Ok(if namespaces.is_empty() {
        Watched::Cluster
    } else {
        Watched::Namespaces(namespaces)
    })
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    cluster_name: Option<String>,
    minimum_suite: Option<MinimumSuite>,
    rotate_after: Option<IgnoredAny>,
    default_service_account: Option<String>,
    foreign_recipients: Option<IgnoredAny>,
    allow_token_types: Option<bool>,
    allow_replicator_annotations: Option<bool>,
    allow_file_sources: Option<bool>,
}

/// File and line of a top-level key.
fn place_of(path: &Path, text: &str, key: &str) -> String {
    let line = text.lines().position(|line| {
        line.trim_start_matches(['"', '\'', '{', ' '])
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
    });
    match line {
        Some(index) => format!("{}:{}", path.display(), index + 1),
        None => path.display().to_string(),
    }
}

fn is_dns_label(name: &str) -> bool {
    name.len() <= 63
        && !name.is_empty()
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, String> {
        Configuration::parse(Path::new("waxwing.yaml"), text).map_err(|error| error.to_string())
    }

    fn run(arguments: &[&str]) -> RunArguments {
        let all = ["waxwing-controller", "run"].iter().chain(arguments);
        match Arguments::try_parse_from(all).expect("parses").command {
            Command::Run(arguments) => arguments,
            Command::Crds => panic!("not run"),
        }
    }

    #[test]
    fn every_key_is_read() {
        let configuration = parse(
            "clusterName: prod-1\nminimumSuite: classical\ndefaultServiceAccount: deployer\n\
             allowTokenTypes: true\nallowReplicatorAnnotations: true\nallowFileSources: true\n",
        );
        assert_eq!(
            configuration,
            Ok(Configuration {
                cluster_name: "prod-1".to_owned(),
                minimum_suite: MinimumSuite::Classical,
                default_service_account: Some("deployer".to_owned()),
                allow_token_types: true,
                allow_replicator_annotations: true,
                allow_file_sources: true,
            })
        );
        for empty in ["", "# nothing\n", "---\n"] {
            assert_eq!(parse(empty), Ok(Configuration::default()), "{empty:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        for (text, place, says) in [
            (
                "clusterName: a\nclusterNames: b\n",
                "waxwing.yaml:2:1",
                "clusterNames",
            ),
            (
                "allowTokenTypes: 7\n",
                "waxwing.yaml:1:18",
                "allowTokenTypes",
            ),
            ("minimumSuite: strong\n", "waxwing.yaml:1:15", "strong"),
            ("a: [\n", "waxwing.yaml:", ""),
            ("- a\n", "waxwing.yaml:", ""),
            (
                "\nclusterName: 'Not A Label'\n",
                "waxwing.yaml:2",
                "clusterName",
            ),
            ("clusterName: recovery\n", "waxwing.yaml:1", "recovery keys"),
            (
                "defaultServiceAccount: A_b\n",
                "waxwing.yaml:1",
                "defaultServiceAccount",
            ),
            (
                "clusterName: a\nclusterName: b\n",
                "waxwing.yaml",
                "clusterName",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(place), "{text:?}: {error}");
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn keys_without_a_function_are_refused_by_name() {
        for (text, place) in [
            (
                "clusterName: a\nrotateAfter: 720h\n",
                "waxwing.yaml:2: rotateAfter",
            ),
            (
                "foreignRecipients:\n  - { recipient: age1x, namespaces: [a] }\n",
                "waxwing.yaml:1: foreignRecipients",
            ),
            ("\"rotateAfter\": off\n", "waxwing.yaml:1: rotateAfter"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(place), "{text:?}: {error}");
            assert!(error.contains("not built yet"), "{error}");
        }
    }

    #[test]
    fn flags_have_the_documented_defaults() {
        let settings = Settings::load(&run(&[])).expect("valid");
        assert_eq!(settings.namespace, "waxwing-system");
        assert_eq!(settings.watched, Watched::Cluster);
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(settings.configuration, Configuration::default());
        assert_eq!(run(&["--log-format", "json"]).log_format, LogFormat::Json);
    }

    #[test]
    fn namespaces_add_up() {
        let flags = ["team-b", "team-a", "team-b"].map(|name| ["--watch-namespace", name]);
        let settings = Settings::load(&run(flags.as_flattened())).expect("valid");
        assert_eq!(settings.watched.to_string(), "team-a, team-b");
    }

    #[test]
    fn flags_that_cannot_be_are_refused_by_name() {
        for (arguments, says) in [
            (
                &["--watch-namespace", "team-a,team-b"][..],
                "--watch-namespace",
            ),
            (
                &["--watch-namespace", "waxwing-system"][..],
                "--watch-namespace",
            ),
            (&["--namespace", "Team_A"][..], "--namespace"),
            (&["--namespace", ""][..], "--namespace"),
            (
                &["--config", "/nonexistent/waxwing.yaml"][..],
                "/nonexistent/waxwing.yaml",
            ),
        ] {
            let error = Settings::load(&run(arguments)).expect_err(says).to_string();
            assert!(error.starts_with(says), "{error}");
        }
        let all = ["waxwing-controller", "run", "--listen", "here"];
        assert!(Arguments::try_parse_from(all).is_err());
        assert!(Arguments::try_parse_from(["waxwing-controller"]).is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
