//! Bare repositories made by the real `git`, also such as no honest user makes.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot set its stage has failed"
)]
#![allow(dead_code, reason = "each test target uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use controller::sync::source::{GitSource, Reference, Remote, SourceLimits, SourceTree};
use manifests::{Entry, Limits};
use tempfile::TempDir;

/// A bare repository in a directory of its own, and a cache beside it.
pub struct Repository {
    directory: TempDir,
}

impl Repository {
    pub fn new() -> Self {
        Self::with_format("sha1")
    }

    pub fn with_format(format: &str) -> Self {
        let repository = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        let format = format!("--object-format={format}");
        repository.git(
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                &format,
                ".",
            ],
            b"",
        );
        repository
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("repository.git")
    }

    pub fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    pub fn remote(&self, reference: Reference) -> Remote {
        remote(&self.url(), reference)
    }

    pub fn source(&self) -> GitSource {
        GitSource::new(&self.cache(), SourceLimits::default(), true).expect("a source")
    }

    /// Runs `git` in the repository and returns what it prints, trimmed.
    pub fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let path = self.path();
        std::fs::create_dir_all(&path).expect("a directory");
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(&path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_AUTHOR_NAME", "Ada Example"),
                ("GIT_AUTHOR_EMAIL", "ada@example.com"),
                ("GIT_COMMITTER_NAME", "Ada Example"),
                ("GIT_COMMITTER_EMAIL", "ada@example.com"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("git is installed");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(input)
            .expect("takes input");
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "git {arguments:?} failed");
        String::from_utf8(output.stdout)
            .expect("text")
            .trim()
            .to_owned()
    }

    pub fn blob(&self, bytes: &[u8]) -> String {
        self.git(&["hash-object", "-w", "--stdin"], bytes)
    }

    /// A tree of `(mode, type, id, name)`, whatever the names are.
    pub fn tree(&self, entries: &[(&str, &str, &str, &[u8])]) -> String {
        let mut lines = Vec::new();
        for (mode, kind, id, name) in entries {
            lines.extend_from_slice(format!("{mode} {kind} {id}\t").as_bytes());
            lines.extend_from_slice(name);
            lines.push(0);
        }
        self.git(&["mktree", "-z", "--missing"], &lines)
    }

    /// A commit of a tree, at the tip of a branch.
    pub fn commit_tree(&self, tree: &str, parents: &[&str], branch: &str, message: &str) -> String {
        let mut arguments = vec!["commit-tree", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        let commit = self.git(&arguments, message.as_bytes());
        self.git(
            &["update-ref", &format!("refs/heads/{branch}"), &commit],
            b"",
        );
        commit
    }

    /// A commit with these files, at the tip of a branch.
    pub fn commit(&self, files: &[(&str, &str)], parents: &[&str], branch: &str) -> String {
        let tree = self.nested(files);
        self.commit_tree(&tree, parents, branch, "Change it\n\nBecause.\n")
    }

    fn nested(&self, files: &[(&str, &str)]) -> String {
        let mut entries: Vec<(&str, &str, String, &[u8])> = Vec::new();
        let mut done: Vec<&str> = Vec::new();
        for (path, content) in files {
            match path.split_once('/') {
                None => entries.push((
                    "100644",
                    "blob",
                    self.blob(content.as_bytes()),
                    path.as_bytes(),
                )),
                Some((directory, _)) if done.contains(&directory) => {}
                Some((directory, _)) => {
                    done.push(directory);
                    let prefix = format!("{directory}/");
                    let below: Vec<(&str, &str)> = files
                        .iter()
                        .filter_map(|(path, content)| Some((path.strip_prefix(&prefix)?, *content)))
                        .collect();
                    entries.push(("040000", "tree", self.nested(&below), directory.as_bytes()));
                }
            }
        }
        let borrowed: Vec<(&str, &str, &str, &[u8])> = entries
            .iter()
            .map(|(mode, kind, id, name)| (*mode, *kind, id.as_str(), *name))
            .collect();
        self.tree(&borrowed)
    }
}

pub fn remote(url: &str, reference: Reference) -> Remote {
    Remote {
        url: url.to_owned(),
        reference,
        credentials: None,
        ca: None,
        proxy: None,
        timeout: Duration::from_secs(30),
    }
}

pub fn branch(name: &str) -> Reference {
    Reference::Branch(name.to_owned())
}

/// Resolves and reads in one go, with the default limits.
pub async fn read(
    source: &GitSource,
    remote: &Remote,
    path: &str,
) -> Result<SourceTree, controller::sync::source::SourceError> {
    let revision = source.resolve(remote).await?;
    source
        .tree(remote, &revision, path, &Limits::default())
        .await
}

/// The paths of a tree, with the content of files and a mark on everything else.
pub fn listing(tree: &SourceTree) -> Vec<(String, String)> {
    tree.tree
        .entries()
        .map(|(path, entry)| {
            let what = match entry {
                Entry::File(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Entry::Symlink => "<symlink>".to_owned(),
                Entry::Submodule => "<submodule>".to_owned(),
                _ => "<other>".to_owned(),
            };
            (path.to_owned(), what)
        })
        .collect()
}

pub fn file(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

/// All packs below a directory.
pub fn packs(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(below) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(packs(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "pack")
        {
            found.push(path);
        }
    }
    found
}
