//! Which commit brought a change: for the one message where it matters who did it.

use std::{collections::HashMap, path::Path};

use gix::ObjectId;

use super::repository;
use crate::environment::Environment;

/// Commits looked at before giving up: the message then says less, nothing else changes.
const MOST_COMMITS: usize = 20_000;

/// Where a change comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Introduced {
    /// This commit has it and none of its parents do.
    Commit(Commit),
    /// HEAD does not have it: it is only in the work tree.
    Uncommitted,
    /// No repository, or the history does not reach far enough.
    Unknown,
}

/// A commit as a person names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id, shortened to 12 digits.
    pub id: String,
    /// Its day, `YYYY-MM-DD`, as the author's clock had it.
    pub day: String,
    /// `Name <address>`. Anybody can write anything there.
    pub author: String,
}

/// The newest commit that made `holds` true of the file at `path` (relative to the top).
pub fn introduced(
    root: &Path,
    environment: &Environment,
    path: &Path,
    holds: impl Fn(&str) -> bool,
) -> Introduced {
    let Some(repository) = repository::open(root, environment) else {
        return Introduced::Unknown;
    };
    let Ok(head) = repository.head_id() else {
        return Introduced::Uncommitted;
    };
    let mut blobs: HashMap<ObjectId, bool> = HashMap::new();
    let mut holds_at = |commit: ObjectId| -> Option<bool> {
        let tree = repository.find_commit(commit).ok()?.tree().ok()?;
        let Some(entry) = tree.lookup_entry_by_path(path).ok()? else {
            return Some(false);
        };
        if let Some(known) = blobs.get(&entry.object_id()) {
            return Some(*known);
        }
        let object = entry.object().ok()?;
        let answer = std::str::from_utf8(&object.data).is_ok_and(&holds);
        blobs.insert(object.id, answer);
        Some(answer)
    };
    match holds_at(head.detach()) {
        Some(true) => {}
        Some(false) => return Introduced::Uncommitted,
        None => return Introduced::Unknown,
    }
    let Ok(walk) = repository.rev_walk([head.detach()]).all() else {
        return Introduced::Unknown;
    };
    for step in walk.take(MOST_COMMITS) {
        let Ok(info) = step else {
            return Introduced::Unknown;
        };
        if holds_at(info.id) != Some(true) {
            continue;
        }
        if info
            .parent_ids()
            .all(|parent| holds_at(parent.detach()) == Some(false))
        {
            return describe(&repository, info.id).map_or(Introduced::Unknown, Introduced::Commit);
        }
    }
    Introduced::Unknown
}

fn describe(repository: &gix::Repository, id: ObjectId) -> Option<Commit> {
    let commit = repository.find_commit(id).ok()?;
    let author = commit.author().ok()?;
    let seconds = author.time().ok()?.seconds;
    let day = jiff::Timestamp::from_second(seconds)
        .ok()?
        .strftime("%Y-%m-%d")
        .to_string();
    Some(Commit {
        id: id.to_hex_with_len(12).to_string(),
        day,
        author: format!("{} <{}>", author.name, author.email),
    })
}
