//! Replacing objects in a file and leaving every other byte alone.
//!
//! [`edit`] takes new values for some objects of a file and changes only the lines (in flow style: the entries) that differ, so comments,
//! order and style of what stays are kept; [`seal_in_place`] makes SealedSecrets of Secrets with it. What comes out is read again and
//! compared: unless it holds exactly the intended values, the object is written anew as a whole, and if that fails too (an anchor that
//! other parts of the file use) an error comes back and no text.

mod block;
mod editor;
mod flow;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::read::{Parsed, parse};
use crate::{Limits, Location, Object, ObjectId, ReadError};

use editor::Editor;

/// What takes the place of one Secret.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedReplacement {
    /// The new `apiVersion`, such as `waxwing.dev/v1alpha1`.
    pub api_version: String,
    /// The new `kind`, such as `SealedSecret`.
    pub kind: String,
    /// The namespace to write into `metadata` when it names none; `None` leaves `metadata` as it is. Ignored when `metadata` names one.
    pub namespace: Option<String>,
    /// The new `spec`, keys in the order in which they shall be written.
    pub spec: Value,
    /// Annotations to remove from `metadata`, such as `kubectl.kubernetes.io/last-applied-configuration`. Ones that are not there are
    /// ignored.
    pub remove_annotations: Vec<String>,
}

/// Why a file cannot be rewritten. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The file cannot be read; every error of it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Read(Vec<ReadError>),
    /// There is no object of that index: the caller read another file.
    #[error("the file has no object number {}", .0 + 1)]
    NoSuchObject(usize),
    /// A Secret has a field that a Secret does not have, and that would be lost.
    #[error("{location}: {object} has a field {field:?}, which a Secret does not have; remove it")]
    UnexpectedField {
        /// The Secret.
        object: Box<ObjectId>,
        /// The field.
        field: String,
        /// Where it stands.
        location: Location,
    },
    /// Values of a Secret are written at an anchor outside of what is replaced, and would stay readable there.
    #[error(
        "{location}: values of {object} come from an anchor at line {definition} and would stay readable there; write them out in the Secret itself"
    )]
    CopyRemains {
        /// The Secret.
        object: Box<ObjectId>,
        /// Where it stands.
        location: Location,
        /// The line on which the anchored values stand, from 1.
        definition: usize,
    },
    /// The object cannot be changed without changing others.
    #[error(
        "{location}: {object} shares anchors with other parts of the file, or comes from a merge key; write it out in full"
    )]
    Entangled {
        /// The object.
        object: Box<ObjectId>,
        /// Where it stands.
        location: Location,
    },
}

/// Replaces the objects of a file that `sealed` names by their index ([`crate::Object::index`]) and returns the new file. `file` is for
/// error messages.
///
/// In each replaced object the values of `apiVersion` and `kind` change, `data`, `stringData`, `type` and `immutable` go, `spec` stands
/// where the first of them stood, the named annotations go (and `annotations` with the last of them), and all else (`metadata` with its
/// comments, order and style) keeps its bytes. Comments inside of what goes, go with it. Everything outside of the replaced objects
/// keeps every byte: comments, document markers, byte order mark, line endings, a missing final newline. The new text is in the style of
/// its place: block YAML with the file's line endings, JSON inside of JSON and flow style.
///
/// ```
/// # use manifests::{Limits, read, rewrite::{SealedReplacement, seal_in_place}};
/// let file = b"# the database\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db # ours\nstringData:\n  password: hunter2\n";
/// let sealed = SealedReplacement {
///     api_version: "waxwing.dev/v1alpha1".to_owned(),
///     kind: "SealedSecret".to_owned(),
///     namespace: Some("shop".to_owned()),
///     spec: serde_json::json!({ "encryptedData": { "password": "wx1:self:…" } }),
///     remove_annotations: vec![],
/// };
/// let new = seal_in_place("db.yaml", file, &[(0, sealed)].into(), &Limits::default()).unwrap();
/// assert_eq!(
///     String::from_utf8(new).unwrap(),
///     "# the database\napiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db # ours\n  namespace: shop\n\
///      spec:\n  encryptedData:\n    password: wx1:self:…\n",
/// );
/// ```
pub fn seal_in_place(
    file: &str,
    source: &[u8],
    sealed: &BTreeMap<usize, SealedReplacement>,
    limits: &Limits,
) -> Result<Vec<u8>, RewriteError> {
    let parsed = Source::read(file, source, limits)?;
    let mut values = BTreeMap::new();
    for (&index, replacement) in sealed {
        let found = parsed.find(index)?;
        if let Some(definition) = copy_outside(&found) {
            return Err(RewriteError::CopyRemains {
                object: Box::new(found.object.id.clone()),
                location: found.object.location.clone(),
                definition,
            });
        }
        values.insert(index, sealed_value(found.object, replacement)?);
    }
    rewrite(file, source, &parsed, &values, limits)
}

/// Gives the objects of a file that `values` names by their index ([`crate::Object::index`]) new values, and returns the new file. Only
/// what differs is written anew: entries that are the same in the old and in the new value keep their bytes, new ones stand after the key
/// that precedes them in the new value. `file` is for error messages.
pub fn edit(
    file: &str,
    source: &[u8],
    values: &BTreeMap<usize, Value>,
    limits: &Limits,
) -> Result<Vec<u8>, RewriteError> {
    let parsed = Source::read(file, source, limits)?;
    rewrite(file, source, &parsed, values, limits)
}

/// One replacement of bytes of the file.
#[derive(Clone)]
struct Edit {
    range: Range<usize>,
    text: String,
}

/// A file that was read, plaintext Secrets and all: wiped when it is dropped.
struct Source(Vec<Parsed>);

impl Drop for Source {
    fn drop(&mut self) {
        for parsed in &mut self.0 {
            parsed.document.objects.iter_mut().for_each(Object::wipe);
        }
    }
}

impl Source {
    fn read(file: &str, bytes: &[u8], limits: &Limits) -> Result<Self, RewriteError> {
        let (parsed, errors) = parse(file, bytes, limits);
        let source = Self(parsed);
        if errors.is_empty() {
            Ok(source)
        } else {
            Err(RewriteError::Read(errors))
        }
    }

    fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.iter().flat_map(|parsed| &parsed.document.objects)
    }

    fn find(&self, index: usize) -> Result<Found<'_>, RewriteError> {
        let found = self.0.iter().find_map(|parsed| {
            let objects = &parsed.document.objects;
            let position = objects.iter().position(|object| object.index == index)?;
            Some(Found {
                object: &objects[position],
                parsed,
                node: parsed.nodes[position],
            })
        });
        found.ok_or(RewriteError::NoSuchObject(index))
    }

    /// Whether `new` is this file, with `values` in place of the objects of those indexes.
    fn is_this_with(&self, new: &Self, values: &BTreeMap<usize, Value>) -> bool {
        let count = |parsed: &Parsed| {
            (
                parsed.document.objects.len(),
                parsed.document.incomplete.len(),
            )
        };
        self.0.iter().map(count).eq(new.0.iter().map(count))
            && self
                .objects()
                .zip(new.objects())
                .all(|(old, new)| new.value == *values.get(&old.index).unwrap_or(&old.value))
    }
}

/// An object, the document that it stands in, and its node there.
struct Found<'a> {
    object: &'a Object,
    parsed: &'a Parsed,
    node: Option<usize>,
}

impl Found<'_> {
    fn entangled(&self) -> RewriteError {
        RewriteError::Entangled {
            object: Box::new(self.object.id.clone()),
            location: self.object.location.clone(),
        }
    }
}

fn rewrite(
    file: &str,
    bytes: &[u8],
    source: &Source,
    values: &BTreeMap<usize, Value>,
    limits: &Limits,
) -> Result<Vec<u8>, RewriteError> {
    let holds = |new: &[u8], values: &BTreeMap<usize, Value>| {
        Source::read(file, new, limits).is_ok_and(|new| source.is_this_with(&new, values))
    };
    let lines = |found: &Found<'_>, value: &Value| {
        Editor::new(bytes, found.parsed).differences(found.node?, &found.object.value, value)
    };
    let mut edits = Vec::new();
    for (&index, value) in values {
        edits.extend(lines(&source.find(index)?, value).unwrap_or_default());
    }
    let new = apply(bytes, edits);
    if holds(&new, values) {
        return Ok(new);
    }
    // Something in the file needs more than exchanging lines: find out which object, and write that one anew.
    let mut edits = Vec::new();
    for (&index, value) in values {
        let found = source.find(index)?;
        let only = BTreeMap::from([(index, value.clone())]);
        let fits = |edits: &Vec<Edit>| holds(&apply(bytes, edits.clone()), &only);
        let whole = || {
            found
                .node
                .map(|node| Editor::new(bytes, found.parsed).whole(node, value))
        };
        let chosen = lines(&found, value)
            .filter(fits)
            .or_else(|| whole().filter(fits));
        edits.extend(chosen.ok_or_else(|| found.entangled())?);
    }
    let new = apply(bytes, edits);
    match values.keys().next() {
        Some(&index) if !holds(&new, values) => Err(source.find(index)?.entangled()),
        _ => Ok(new),
    }
}

/// The file with its edits. Edits that overlap leave a file that does not hold what it should, which the caller finds out.
fn apply(source: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut new = Vec::with_capacity(source.len());
    let mut done = 0;
    for edit in edits {
        if edit.range.start >= done {
            new.extend_from_slice(&source[done..edit.range.start]);
            done = edit.range.end;
        }
        new.extend_from_slice(edit.text.as_bytes());
    }
    new.extend_from_slice(&source[done..]);
    new
}

/// The line of values of a Secret that are written outside of its `data` and `stringData`: sealing would leave them there.
fn copy_outside(found: &Found<'_>) -> Option<usize> {
    let outline = &found.parsed.outline;
    let line = |node: usize| {
        found.object.location.line + outline.node(node).line
            - found.node.map_or(0, |node| outline.node(node).line)
    };
    let node = found.node?;
    if outline.resolve(node) != node {
        return Some(line(outline.resolve(node)));
    }
    let replaced: Vec<_> = ["data", "stringData"]
        .into_iter()
        .filter_map(|field| outline.entry(node, field))
        .map(|(_, value)| value)
        .collect();
    let is_replaced = |node: usize| {
        replaced
            .iter()
            .any(|&value| outline.range(value).contains(&outline.node(node).start))
    };
    let mut aliases: Vec<_> = replaced
        .iter()
        .flat_map(|&value| outline.aliases(value))
        .collect();
    aliases.extend(
        outline
            .entry(node, "<<")
            .into_iter()
            .flat_map(|(_, value)| outline.aliases(value)),
    );
    aliases
        .into_iter()
        .map(|alias| outline.resolve(alias))
        .find(|&target| !is_replaced(target))
        .map(line)
}

/// The value that takes a Secret's place, its `spec` where the first field stood that goes.
fn sealed_value(object: &Object, sealed: &SealedReplacement) -> Result<Value, RewriteError> {
    let mut value = Map::new();
    let fields = object.value.as_object().into_iter().flatten();
    for (field, old) in fields {
        match field.as_str() {
            "apiVersion" => value.insert(field.clone(), Value::from(sealed.api_version.as_str())),
            "kind" => value.insert(field.clone(), Value::from(sealed.kind.as_str())),
            "metadata" => value.insert(field.clone(), sealed_metadata(old, sealed)),
            "data" | "stringData" | "type" | "immutable" => {
                if !value.contains_key("spec") {
                    value.insert("spec".to_owned(), sealed.spec.clone());
                }
                None
            }
            _ => {
                let (object, location) =
                    (Box::new(object.id.clone()), object.location_of(&[field]));
                return Err(RewriteError::UnexpectedField {
                    object,
                    field: field.clone(),
                    location,
                });
            }
        };
    }
    value.entry("spec").or_insert_with(|| sealed.spec.clone());
    Ok(Value::Object(value))
}

fn sealed_metadata(metadata: &Value, sealed: &SealedReplacement) -> Value {
    let mut new = Map::new();
    for (field, old) in metadata.as_object().into_iter().flatten() {
        match (field.as_str(), old, &sealed.namespace) {
            ("annotations", Value::Object(annotations), _) => {
                let kept: Map<_, _> = annotations
                    .iter()
                    .filter(|(key, _)| !sealed.remove_annotations.contains(key))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                if !kept.is_empty() || annotations.is_empty() {
                    new.insert(field.clone(), Value::Object(kept));
                }
            }
            ("namespace", old, Some(namespace)) if old.as_str().is_none_or(str::is_empty) => {
                new.insert(field.clone(), Value::from(namespace.as_str()));
            }
            _ => {
                new.insert(field.clone(), old.clone());
            }
        }
        if let ("name", Some(namespace), None) =
            (field.as_str(), &sealed.namespace, metadata.get("namespace"))
        {
            new.insert("namespace".to_owned(), Value::from(namespace.as_str()));
        }
    }
    Value::Object(new)
}
