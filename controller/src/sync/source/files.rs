//! The files of a commit below a directory, from the object store into memory.

use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use gix::object::tree::EntryKind;
use gix::objs::Kind;
use manifests::{Limits, Tree};

use super::protocol::chain;
use super::{Revision, SourceError, SourceTree};

/// A directory of a repository: names from the root down, none of which leaves it.
pub(super) struct Directory {
    text: String,
    names: Vec<String>,
}

impl Directory {
    /// Accepts `deploy/prod`, `./deploy/prod/`, `.` and the empty path.
    pub(super) fn parse(path: &str) -> Result<Self, SourceError> {
        let refuse = |why| {
            Err(SourceError::PathRefused {
                path: path.chars().take(256).collect(),
                why,
            })
        };
        if path.starts_with('/') {
            return refuse("it is absolute; write it relative to the root of the repository");
        }
        if path.chars().any(char::is_control) {
            return refuse("it holds control characters");
        }
        let mut names = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => return refuse("`..` leaves the directory; write the path without it"),
                name if name.eq_ignore_ascii_case(".git") => {
                    return refuse("no directory of a revision has the name .git");
                }
                name => names.push(name.to_owned()),
            }
        }
        Ok(Self {
            text: path.to_owned(),
            names,
        })
    }
}

/// Reads the files below a directory of a commit.
pub(super) fn read(
    repository: &gix::Repository,
    commit: ObjectId,
    revision: &Revision,
    directory: &Directory,
    limits: &Limits,
    interrupt: &AtomicBool,
) -> Result<SourceTree, SourceError> {
    let mut reader = Reader {
        repository,
        revision,
        limits,
        interrupt,
        tree: Tree::new(),
        entries: 0,
        files: 0,
        bytes: 0,
    };
    let (root, author, subject) = reader.commit(commit)?;
    let id = reader.find(root, directory)?;
    let mut path = directory.names.join("/");
    reader.walk(id, &mut path, 0)?;
    Ok(SourceTree {
        tree: reader.tree,
        subtree_id: id.to_string(),
        author,
        subject,
    })
}

/// Whether rendering can have a use for a file: manifests, and the files that make a directory a
/// kustomization. Nothing else is brought into memory.
fn is_read(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json")) || name == "Kustomization"
}

struct Reader<'a> {
    repository: &'a gix::Repository,
    revision: &'a Revision,
    limits: &'a Limits,
    interrupt: &'a AtomicBool,
    tree: Tree,
    entries: usize,
    files: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn commit(&self, id: ObjectId) -> Result<(ObjectId, String, String), SourceError> {
        let kind = self
            .repository
            .find_header(id)
            .map_err(|e| self.corrupt(&e))?
            .kind();
        if kind != Kind::Commit {
            return Err(SourceError::ReferenceRefused {
                why: format!(
                    "{} is a {kind}, not a commit; for a tag write its name in `tag`",
                    self.revision.label
                ),
            });
        }
        let commit = self
            .repository
            .find_commit(id)
            .map_err(|e| self.corrupt(&e))?;
        let tree = commit.tree_id().map_err(|e| self.corrupt(&e))?.detach();
        let author = commit.author().map_err(|e| self.corrupt(&e))?;
        let author = format!(
            "{} <{}>",
            author.name.to_str_lossy(),
            author.email.to_str_lossy()
        );
        let subject = commit
            .message_raw_sloppy()
            .lines()
            .next()
            .unwrap_or_default();
        Ok((tree, shown(&author), shown(&subject.to_str_lossy())))
    }

    /// The tree of the directory.
    fn find(&self, root: ObjectId, directory: &Directory) -> Result<ObjectId, SourceError> {
        let mut id = root;
        for (depth, name) in directory.names.iter().enumerate() {
            let tree = self
                .repository
                .find_tree(id)
                .map_err(|e| self.corrupt(&e))?;
            let mut siblings = Vec::new();
            let mut found = None;
            for entry in tree.iter() {
                let entry = entry.map_err(|e| self.corrupt(&e))?;
                if !entry.mode().is_tree() {
                    continue;
                }
                if entry.filename() == name.as_str() {
                    found = Some(entry.object_id());
                    break;
                }
                if siblings.len() < 5 {
                    let mut path = directory.names[..depth].join("/");
                    push(&mut path, &shown(&entry.filename().to_str_lossy()));
                    siblings.push(path);
                }
            }
            id = found.ok_or_else(|| SourceError::PathNotFound {
                path: directory.text.clone(),
                revision: self.revision.label.clone(),
                nearest: siblings,
            })?;
        }
        Ok(id)
    }

    fn walk(&mut self, id: ObjectId, path: &mut String, depth: usize) -> Result<(), SourceError> {
        if depth > self.limits.directory_depth {
            return Err(self.over(
                &format!("the depth of {path}"),
                &format!("{} directories", self.limits.directory_depth),
            ));
        }
        let tree = self
            .repository
            .find_tree(id)
            .map_err(|e| self.corrupt(&e))?;
        for entry in tree.iter() {
            let entry = entry.map_err(|e| self.corrupt(&e))?;
            // A tree that holds itself many times over is small on disk and endless to walk.
            self.entries += 1;
            let most = self.limits.files.saturating_mul(ENTRIES_PER_FILE);
            if self.entries > most {
                return Err(self.over("the number of files of any kind", &most.to_string()));
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(SourceError::Interrupted {
                    url: self.revision.label.clone(),
                });
            }
            let length = path.len();
            let name = self.name(path, entry.filename())?;
            push(path, &name);
            match entry.mode().kind() {
                EntryKind::Tree => self.walk(entry.object_id(), path, depth + 1)?,
                EntryKind::Blob | EntryKind::BlobExecutable if is_read(&name) => {
                    self.file(entry.object_id(), path)?;
                }
                EntryKind::Blob | EntryKind::BlobExecutable => {}
                EntryKind::Link => {
                    let added = self.tree.insert_symlink(path);
                    self.added(added)?;
                }
                EntryKind::Commit => {
                    let added = self.tree.insert_submodule(path);
                    self.added(added)?;
                }
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn file(&mut self, id: ObjectId, path: &str) -> Result<(), SourceError> {
        self.files += 1;
        if self.files > self.limits.files {
            return Err(self.over(
                "the number of manifest files",
                &self.limits.files.to_string(),
            ));
        }
        // Asked before the object is unpacked: a small pack can hold a file of many gigabytes.
        let size = self
            .repository
            .find_header(id)
            .map_err(|e| self.corrupt(&e))?
            .size();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > self.limits.file_bytes {
            return Err(self.over(
                &format!("the size of {path}"),
                &format!("{} bytes", self.limits.file_bytes),
            ));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.total_bytes {
            return Err(self.over(
                "the size of all manifest files",
                &format!("{} bytes", self.limits.total_bytes),
            ));
        }
        let mut blob = self
            .repository
            .find_blob(id)
            .map_err(|e| self.corrupt(&e))?;
        let added = self.tree.insert(path, std::mem::take(&mut blob.data));
        self.added(added)
    }

    /// A name of a tree is bytes that the pusher chose. What could mean something to a path, here
    /// or on the machine of whoever checks the revision out, stops the revision.
    fn name(&self, parent: &str, name: &BStr) -> Result<String, SourceError> {
        let refuse = |why: &str| {
            let mut path = parent.to_owned();
            push(&mut path, &shown(&name.to_str_lossy()));
            Err(SourceError::NameRefused {
                path,
                revision: self.revision.label.clone(),
                why: why.to_owned(),
            })
        };
        let Ok(text) = name.to_str() else {
            return refuse("has a name that is not UTF-8");
        };
        match text {
            "" | "." | ".." => refuse("has a name that leads out of its directory"),
            _ if text.eq_ignore_ascii_case(".git") => refuse("has the name of Git's own directory"),
            _ if text.contains(['/', '\\']) => refuse("has a separator of paths in its name"),
            _ if text.chars().any(char::is_control) => refuse("has control characters in its name"),
            _ => Ok(text.to_owned()),
        }
    }

    fn added(&self, outcome: Result<(), manifests::TreeError>) -> Result<(), SourceError> {
        outcome.map_err(|error| SourceError::NameRefused {
            path: error.path,
            revision: self.revision.label.clone(),
            why: error.why.to_owned(),
        })
    }

    fn over(&self, what: &str, limit: &str) -> SourceError {
        SourceError::Limit {
            what: format!("{what} in {}", self.revision.label),
            limit: limit.to_owned(),
            mend: "Point spec.path at a smaller directory, or split the sync".to_owned(),
        }
    }

    fn corrupt(&self, error: &gix::Error) -> SourceError {
        SourceError::Protocol {
            url: self.revision.label.clone(),
            why: format!("an object cannot be read: {}", chain(error)),
        }
    }
}

/// How many entries a walk may meet for each manifest file that it may read.
const ENTRIES_PER_FILE: usize = 50;
/// Characters of foreign text in a status.
const MAX_SHOWN: usize = 200;

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_repository() {
        for (path, names) in [
            ("", &[][..]),
            (".", &[][..]),
            ("./", &[][..]),
            ("deploy/prod", &["deploy", "prod"][..]),
            ("./deploy//prod/", &["deploy", "prod"][..]),
        ] {
            let directory = Directory::parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(directory.names, names, "{path}");
        }
        for path in [
            "/deploy", "..", "a/../b", "a/..", ".git", "a/.GIT/b", "a\0b", "a\nb",
        ] {
            assert!(
                matches!(Directory::parse(path), Err(SourceError::PathRefused { .. })),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_what_rendering_reads_is_brought_into_memory() {
        for name in [
            "a.yaml",
            "b.yml",
            "c.json",
            "kustomization.yaml",
            "Kustomization",
        ] {
            assert!(is_read(name), "{name}");
        }
        for name in ["README.md", "yaml", "a.yaml.bak", "logo.png", ".gitignore"] {
            assert!(!is_read(name), "{name}");
        }
    }
}
