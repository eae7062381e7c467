//! A revision's files in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A virtual tree: paths with `/` to the bytes of files. Nothing of it is ever a file of this machine.
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

    /// Adds a file.
    pub fn insert(&mut self, path: &str, bytes: impl Into<Arc<[u8]>>) -> Result<(), TreeError> {
        self.entry(path, Entry::File(bytes.into()))
    }

    /// Records a symbolic link. It is never followed; rendering reports it where it would be read.
    pub fn insert_symlink(&mut self, path: &str) -> Result<(), TreeError> {
        self.entry(path, Entry::Symlink)
    }

    /// Records a submodule. It is never fetched; rendering reports it where it would be read.
    pub fn insert_submodule(&mut self, path: &str) -> Result<(), TreeError> {
        self.entry(path, Entry::Submodule)
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
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }
}
