//! What a repository is called in the pins: by its root commit, which every clone shares.
//!
//! Before the first commit, in a shallow clone and outside of a repository it is called by its real path. The walk to
//! the root is done once per clone; its result is kept beside the pins and believed only while that commit is there
//! and has no parents.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use gix::ObjectId;

use crate::{environment::Environment, files};

/// The names of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name under which pins are written.
    pub primary: String,
    /// The name by path, under which pins from before the first commit lie.
    pub path: String,
}

/// The names of the repository whose top is `root` (real path).
pub fn key(root: &Path, environment: &Environment) -> Key {
    let path = format!("path:{}", encoded(root));
    let primary = root_commit(root, &path, environment)
        .map_or_else(|| path.clone(), |id| format!("commit:{id}"));
    Key { primary, path }
}

/// Opens the repository at `root` without anybody's global configuration.
pub fn open(root: &Path, environment: &Environment) -> Option<gix::Repository> {
    let git_dir = environment
        .git_dir
        .as_deref()
        .and_then(|dir| dir.canonicalize().ok())
        .filter(|dir| dir.starts_with(root) || environment.git_work_tree.is_some());
    gix::open_opts(
        git_dir.as_deref().unwrap_or(root),
        gix::open::Options::isolated(),
    )
    .ok()
}

fn root_commit(root: &Path, name: &str, environment: &Environment) -> Option<ObjectId> {
    let repository = open(root, environment)?;
    if repository.is_shallow().unwrap_or(true) {
        return None;
    }
    let is_root = |id: ObjectId| {
        repository
            .find_commit(id)
            .is_ok_and(|commit| commit.parent_ids().next().is_none())
    };
    if let Some(known) = known_root(environment, name).filter(|id| is_root(*id)) {
        return Some(known);
    }
    let head = repository.head_id().ok()?;
    let last = repository
        .rev_walk([head])
        .first_parent_only()
        .all()
        .ok()?
        .try_fold(None, |_, step| step.ok().map(|info| Some(info.id)));
    let id = last.flatten().filter(|id| is_root(*id))?;
    remember_root(environment, name, id);
    Some(id)
}

fn known_root(environment: &Environment, name: &str) -> Option<ObjectId> {
    let text = fs::read_to_string(roots(environment)?).ok()?;
    let (id, _) = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, path)| *path == name)?;
    id.parse().ok()
}

/// Only a saving of time: what fails here is walked again.
fn remember_root(environment: &Environment, name: &str, id: ObjectId) {
    let Some(path) = roots(environment) else {
        return;
    };
    let old = fs::read_to_string(&path).unwrap_or_default();
    let mut text = String::new();
    for line in old
        .lines()
        .filter(|line| line.split_once(' ').is_some_and(|(_, path)| path != name))
    {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{id} {name}");
    if let Some(directory) = path.parent()
        && fs::create_dir_all(directory).is_ok()
    {
        let _ = files::write_state(&path, text.as_bytes());
    }
}

fn roots(environment: &Environment) -> Option<PathBuf> {
    environment.state.as_ref().map(|state| state.join("roots"))
}

/// A path as one word: everything but plain characters is percent-encoded.
fn encoded(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(
            encoded(Path::new("/home/ada/my repo%")),
            "/home/ada/my%20repo%25"
        );
    }
}
