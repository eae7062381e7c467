//! Whom this user trusts: `pins` in the user's state directory, one line each.
//!
//! ```text
//! signer   commit:<root commit> prod SHA256:<signer> <highest sequence seen>
//! recovery commit:<root commit> SHA256:<key>
//! ```
//!
//! A repository without a root commit is named `path:<percent-encoded real path>` instead.

use std::{fmt::Write, fs, fs::File, path::PathBuf};

use sealing::KeyId;

use super::repository::Key;
use crate::{
    environment::Environment,
    error::{Code, CommandError},
    files,
};

const HEADING: &str = "# Whom Waxwing trusts on your word, per repository. Change it with `waxwing trust` and `waxwing keys fetch`.\n";

/// A pinned signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerPin {
    /// The repository's name in the file.
    pub repository: String,
    /// The cluster's label.
    pub cluster: String,
    /// Fingerprint of the signer.
    pub fingerprint: String,
    /// The highest attestation number seen from it.
    pub sequence: u64,
}

/// All pins of this user.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pins {
    signers: Vec<SignerPin>,
    recovery: Vec<(String, String)>,
}

impl Pins {
    /// Reads them; none when there is no file yet. A file that cannot be read in full is an error: a pin that is
    /// overlooked is a pin that does not protect.
    pub fn load(environment: &Environment) -> Result<Self, CommandError> {
        let Some(path) = path(environment) else {
            return Ok(Self::default());
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|line| {
                CommandError::new(
                    Code::Config,
                    format!("{}:{line}: this is not a pin", path.display()),
                )
                .hint("remove that line and pin again with `waxwing trust`")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CommandError::new(
                Code::Config,
                format!(
                    "cannot read your pins in {}: {}",
                    path.display(),
                    files::describe(&error)
                ),
            )),
        }
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut pins = Self::default();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["signer", repository, cluster, fingerprint, sequence] => {
                    pins.signers.push(SignerPin {
                        repository: repository.to_owned(),
                        cluster: cluster.to_owned(),
                        fingerprint: super::parse_signer_fingerprint(fingerprint)
                            .map_err(|_| index + 1)?,
                        sequence: sequence.parse().map_err(|_| index + 1)?,
                    });
                }
                ["recovery", repository, fingerprint] => {
                    KeyId::parse_fingerprint(fingerprint).map_err(|_| index + 1)?;
                    pins.recovery
                        .push((repository.to_owned(), fingerprint.to_owned()));
                }
                _ => return Err(index + 1),
            }
        }
        Ok(pins)
    }

    fn print(&self) -> String {
        let mut text = HEADING.to_owned();
        for SignerPin {
            repository,
            cluster,
            fingerprint,
            sequence,
        } in &self.signers
        {
            let _ = writeln!(
                text,
                "signer {repository} {cluster} {fingerprint} {sequence}"
            );
        }
        for (repository, fingerprint) in &self.recovery {
            let _ = writeln!(text, "recovery {repository} {fingerprint}");
        }
        text
    }

    /// The pinned signer of a cluster. A pin by path, made before the repository had its first commit, still counts.
    pub fn signer(&self, repository: &Key, cluster: &str) -> Option<SignerPin> {
        let find = |name: &str| {
            self.signers
                .iter()
                .find(|pin| pin.repository == name && pin.cluster == cluster)
                .cloned()
        };
        find(&repository.primary).or_else(|| find(&repository.path))
    }

    /// Whether a recovery key is pinned.
    pub fn has_recovery(&self, repository: &Key, key: &KeyId) -> bool {
        let fingerprint = key.fingerprint();
        self.recovery.iter().any(|(name, pinned)| {
            (*name == repository.primary || *name == repository.path) && *pinned == fingerprint
        })
    }
}

/// Pins a signer, or raises the highest sequence seen of the pinned one.
pub fn remember_signer(
    environment: &Environment,
    repository: &Key,
    cluster: &str,
    fingerprint: &str,
    sequence: u64,
) -> Result<(), CommandError> {
    change(environment, |pins| {
        pins.signers.retain(|pin| {
            pin.cluster != cluster
                || (pin.repository != repository.primary && pin.repository != repository.path)
        });
        pins.signers.push(SignerPin {
            repository: repository.primary.clone(),
            cluster: cluster.to_owned(),
            fingerprint: fingerprint.to_owned(),
            sequence,
        });
    })
}

/// Pins a recovery key.
pub fn remember_recovery(
    environment: &Environment,
    repository: &Key,
    key: &KeyId,
) -> Result<(), CommandError> {
    change(environment, |pins| {
        let pin = (repository.primary.clone(), key.fingerprint());
        if !pins.recovery.contains(&pin) {
            pins.recovery.push(pin);
        }
    })
}

/// Changes the file under a lock, so that two runs at once lose nothing.
fn change(environment: &Environment, edit: impl FnOnce(&mut Pins)) -> Result<(), CommandError> {
    let Some(path) = path(environment) else {
        return Err(CommandError::new(
            Code::Config,
            "there is no place for your pins: neither XDG_STATE_HOME nor HOME is set",
        ));
    };
    let failed = |error: std::io::Error| {
        CommandError::new(
            Code::Io,
            format!(
                "cannot keep your pins in {}: {}",
                path.display(),
                files::describe(&error)
            ),
        )
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let lock = File::create(path.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut pins = Pins::load(environment)?;
    edit(&mut pins);
    files::write_state(&path, pins.print().as_bytes())
}

fn path(environment: &Environment) -> Option<PathBuf> {
    environment.state.as_ref().map(|state| state.join("pins"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/";

    #[test]
    fn what_is_printed_is_read_again_and_anything_else_is_refused() {
        let text = format!("# mine\n\nsigner commit:ab prod {SIGNER} 12\n");
        let pins = Pins::parse(&text).unwrap();
        assert_eq!(Pins::parse(&pins.print()).unwrap(), pins);
        for broken in [
            format!("signer commit:ab prod {SIGNER}\n"),
            format!("signer commit:ab prod {SIGNER} many\n"),
            "signer commit:ab prod SHA256:short 1\n".to_owned(),
            "trust me\n".to_owned(),
        ] {
            assert_eq!(Pins::parse(&broken), Err(1), "{broken}");
        }
    }

    #[test]
    fn a_pin_by_path_counts_until_there_is_one_by_commit() {
        let text =
            format!("signer path:/repo prod {SIGNER} 1\nsigner commit:ab staging {SIGNER} 2\n");
        let pins = Pins::parse(&text).unwrap();
        let key = Key {
            primary: "commit:ab".to_owned(),
            path: "path:/repo".to_owned(),
        };
        assert_eq!(pins.signer(&key, "prod").map(|pin| pin.sequence), Some(1));
        assert_eq!(
            pins.signer(&key, "staging").map(|pin| pin.sequence),
            Some(2)
        );
        let elsewhere = Key {
            primary: "commit:cd".to_owned(),
            path: "path:/other".to_owned(),
        };
        assert_eq!(pins.signer(&elsewhere, "prod"), None);
    }
}
