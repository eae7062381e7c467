//! A revision's files in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A virtual tree: paths with `/` to the bytes of files. Nothing of it is ever a file of this machine, so a hostile path or link in a
/// repository has nothing to act on; such paths are refused all the same, since they are never meant well.
#[derive(Clone, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

/// What stands at a path of a [`Tree`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Entry {
    /// A file's bytes.
    File(Arc<[u8]>),
    /// A symbolic link: recorded, never followed.
    Symlink,
    /// A submodule: recorded, never fetched.
    Submodule,
}

/// A path that may not be in a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} may not be in a tree: {why}")]
pub struct TreeError {
    /// The path.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. Refuses a path that is absolute, that has a component which is empty, `.`, `..` or `.git` (in any case), or that holds
    /// a backslash or a NUL. A path that is there already is replaced.
    pub fn insert(&mut self, path: &str, bytes: impl Into<Arc<[u8]>>) -> Result<(), TreeError> {
        self.record(path, Entry::File(bytes.into()))
    }

    /// Records a symbolic link. It is never followed; rendering reports it where it would be read. Refuses paths as [`Tree::insert`] does.
    pub fn insert_symlink(&mut self, path: &str) -> Result<(), TreeError> {
        self.record(path, Entry::Symlink)
    }

    /// Records a submodule. It is never fetched; rendering reports it where it would be read. Refuses paths as [`Tree::insert`] does.
    pub fn insert_submodule(&mut self, path: &str) -> Result<(), TreeError> {
        self.record(path, Entry::Submodule)
    }

    /// The bytes of the file at `path`.
    pub fn file(&self, path: &str) -> Option<&Arc<[u8]>> {
        match self.entries.get(path) {
            Some(Entry::File(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Everything in the tree, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Everything below `directory`, sorted by path, with the path relative to it; `""` is the root.
    pub fn below<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Entry)> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let first = prefix.clone();
        self.entries.range(first..).map_while(move |(path, entry)| {
            Some((path.as_str(), path.strip_prefix(prefix.as_str())?, entry))
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn record(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        check(path)?;
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }
}

/// Refuses what no tree may hold.
pub(crate) fn check(path: &str) -> Result<(), TreeError> {
    let why = if path.is_empty() {
        "it is empty"
    } else if path.starts_with('/') {
        "it is absolute"
    } else if path.contains('\0') {
        "it holds a NUL"
    } else if path.contains('\\') {
        "it holds a backslash"
    } else {
        let wrong = path.split('/').find_map(|component| match component {
            "" => Some("it has an empty component"),
            "." => Some("it has a component `.`"),
            ".." => Some("it has a component `..`"),
            _ if component.eq_ignore_ascii_case(".git") => Some("it has a component `.git`"),
            _ => None,
        });
        match wrong {
            Some(why) => why,
            None => return Ok(()),
        }
    };
    Err(TreeError {
        path: path.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_are_refused() {
        let mut tree = Tree::new();
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            ".git/config",
            "a/.GIT/x",
            "a\\b",
            "a\0b",
            "..",
            ".",
        ] {
            let error = tree.insert(path, *b"").unwrap_err();
            assert_eq!(error.path, path);
            assert!(tree.insert_symlink(path).is_err() && tree.insert_submodule(path).is_err());
        }
        assert!(tree.is_empty());
        for path in [
            "a",
            "a/b.yaml",
            "...",
            ".github/x",
            "a/.gitignore",
            "über/ä.yaml",
        ] {
            tree.insert(path, *b"").unwrap();
        }
        assert_eq!(tree.len(), 6);
    }

    #[test]
    fn below_a_directory_is_only_what_is_in_it() {
        let mut tree = Tree::new();
        for path in ["a.yaml", "a/x", "a/y/z", "a0/x", "a-b", "b"] {
            tree.insert(path, *b"").unwrap();
        }
        let found: Vec<_> = tree
            .below("a")
            .map(|(path, relative, _)| (path, relative))
            .collect();
        assert_eq!(found, [("a/x", "x"), ("a/y/z", "y/z")]);
        assert_eq!(tree.below("").count(), 6);
        assert_eq!(tree.below("c").count(), 0);
    }
}
