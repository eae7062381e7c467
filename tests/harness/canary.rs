//! Secret values that can be searched for afterwards: what the promise "a value appears nowhere" is checked with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result};
use base64ct::{Base64, Encoding as _};

/// What every secret value of this test process holds. Random, so that a hit can come from nowhere else; letters and
/// digits only, so that no writer of JSON or YAML has a reason to escape it.
pub static MARK: LazyLock<String> = LazyLock::new(|| {
    // The seed of the standard library's hash maps: its one source of randomness.
    let seed = std::collections::hash_map::RandomState::new();
    format!(
        "canary{:016x}",
        std::hash::BuildHasher::hash_one(&seed, std::process::id())
    )
});

/// Where values lie by right, by the name of a directory: etcd stores Secrets; a work tree, like a file named in
/// [`INPUTS`], is what a test wrote itself.
const EXCLUDED_DIRECTORIES: [&str; 1] = ["etcd"];

/// Files in which a test puts plaintext for the command line to read.
pub const INPUTS: [&str; 1] = ["secret.yaml"];

/// A fresh secret value: holds the mark, and is unlike every other value of this process.
pub fn value() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", *MARK, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Looks for a mark in all the forms in which a value could have got out.
pub struct Search {
    forms: Vec<(String, Vec<u8>)>,
}

impl Search {
    /// For a mark: as it is, in hexadecimal, in base64 at any alignment, and with every character escaped as in JSON.
    pub fn new(mark: &str) -> Self {
        let hex: Vec<String> = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        let escaped: Vec<String> = mark
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        let mut forms = vec![
            ("as it is".to_owned(), mark.as_bytes().to_vec()),
            ("in hexadecimal".to_owned(), hex.clone().into_bytes()),
            ("in hexadecimal".to_owned(), hex.to_uppercase().into_bytes()),
            ("escaped".to_owned(), escaped.concat().into_bytes()),
        ];
        for before in 0..3 {
            // What precedes the mark decides the first characters, what follows it the last: cut both off.
            let text = Base64::encode_string(&[&vec![0; before][..], mark.as_bytes()].concat());
            let whole = (before + mark.len()) / 3 * 4;
            let first = before.div_ceil(3) * 4;
            forms.push((
                format!("in base64 after {before} bytes"),
                text.as_bytes()[first..whole].to_vec(),
            ));
        }
        Self { forms }
    }

    /// How it occurs in some bytes, if it does.
    pub fn hit(&self, bytes: &[u8]) -> Option<&str> {
        let form = self.forms.iter().find(|(_, form)| contains(bytes, form));
        form.map(|(name, _)| name.as_str())
    }

    /// Every file below a directory that holds it, but etcd's data and [`INPUTS`]. Git repositories are searched as the
    /// objects that they hold, which are compressed on disk.
    pub fn files(&self, directory: &Path) -> Result<Vec<String>> {
        let mut hits = Vec::new();
        self.descend(directory, &mut hits)?;
        Ok(hits)
    }

    fn descend(&self, directory: &Path, hits: &mut Vec<String>) -> Result<()> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            // Something that runs removed it meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", directory.display()));
            }
        };
        if directory.join("objects").is_dir() && directory.join("refs").is_dir() {
            let found = self.hit(&git_objects(directory)?).map(str::to_owned);
            hits.extend(
                found.map(|form| format!("Git objects of {} ({form})", directory.display())),
            );
        }
        for entry in entries {
            let path: PathBuf = entry.context("reading a directory")?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_symlink() || EXCLUDED_DIRECTORIES.contains(&name) || INPUTS.contains(&name) {
                continue;
            }
            if path.is_dir() {
                self.descend(&path, hits)?;
            } else if let Some(form) = fs::read(&path)
                .ok()
                .as_deref()
                .and_then(|bytes| self.hit(bytes))
            {
                hits.push(format!("{} ({form})", path.display()));
            }
        }
        Ok(())
    }
}

fn git_objects(directory: &Path) -> Result<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("--git-dir")
        .arg(directory)
        .args(["cat-file", "--batch-all-objects", "--batch"]);
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = git
        .output()
        .with_context(|| format!("reading the objects of {}", directory.display()))?;
    Ok(output.stdout)
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_wherever_it_begins() {
        let search = Search::new("canary0123456789abcdef");
        for before in 0..7 {
            let value = format!(
                "{}canary0123456789abcdef{}",
                "x".repeat(before),
                "y".repeat(before * 2 % 5)
            );
            let hex: Vec<String> = value.bytes().map(|byte| format!("{byte:02X}")).collect();
            for text in [
                value.clone(),
                Base64::encode_string(value.as_bytes()),
                hex.concat(),
            ] {
                assert!(
                    search
                        .hit(format!("before {text} after").as_bytes())
                        .is_some(),
                    "{text}"
                );
            }
        }
        assert_eq!(
            search.hit(b"canary0123456789abcdee, 63616e617279, Y2FuYXJ5"),
            None
        );
    }
}
