//! A Kubernetes object as it stands in a file, and its identity.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::Value;
use zeroize::Zeroize;

use crate::Location;

/// What Kubernetes tells objects apart by, plus the version of the API it is written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// API group, empty for the core group.
    pub group: String,
    /// Version of the API, such as `v1`.
    pub version: String,
    /// Kind, such as `Secret`.
    pub kind: String,
    /// Namespace as written; `None` when the object names none.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// `group/version`, or just the version for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// `Secret payments/db`, `Namespace payments`, `Ingress.networking.k8s.io shop/front`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name),
            None => write!(f, " {}", self.name),
        }
    }
}

/// One Kubernetes object of a file. The items of a `List` are objects of their own.
///
/// It may hold plaintext (a Secret that nobody sealed), so it has no `Debug`.
#[derive(Clone, PartialEq)]
pub struct Object {
    /// Its identity.
    pub id: ObjectId,
    /// Where its first key stands (in flow style, its `{`).
    pub location: Location,
    /// The object as JSON: keys in the order of the file, anchors and merge keys resolved.
    pub value: Value,
    /// Byte range of its node in the file: from its first key (in flow style, its `{`) to the end of its last value (its `}`). A comment
    /// or line break after that is outside. Of an item that is an alias: the alias.
    pub span: Range<usize>,
    /// Position among the objects of its file, from 0: the index that [`crate::rewrite::seal_in_place`] takes.
    pub index: usize,
    pub(crate) positions: Positions,
}

impl Object {
    /// Overwrites every text of the value with zeros and leaves it empty: for a Secret that is no longer needed. Identity and places stay.
    pub fn wipe(&mut self) {
        wipe(&mut self.value);
    }

    /// Where the key at `path` stands, such as `["metadata", "annotations", "waxwing.dev/wave"]`. Falls back to the deepest part of the
    /// path that is written in this object: below four levels, and where a key comes from a merge key.
    pub fn location_of(&self, path: &[&str]) -> Location {
        let found = (1..=path.len())
            .rev()
            .find_map(|depth| self.positions.0.get(&join(&path[..depth])));
        let (line, column) = found
            .copied()
            .unwrap_or((self.location.line, self.location.column));
        Location {
            line,
            column,
            ..self.location.clone()
        }
    }
}

/// Line and column, from 1, of the keys of an object, by their path.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions(BTreeMap<String, (usize, usize)>);

impl Positions {
    /// Levels that are kept: `spec.template.data.<key>` is the deepest that a finding names.
    pub(crate) const DEPTH: usize = 4;

    pub(crate) fn insert(&mut self, path: &[&str], line: usize, column: usize) {
        self.0.insert(join(path), (line, column));
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(entries) => entries.values_mut().for_each(wipe),
        _ => {}
    }
}

fn join(path: &[&str]) -> String {
    // NUL cannot stand in a YAML key, and dots do.
    path.join("\0")
}
