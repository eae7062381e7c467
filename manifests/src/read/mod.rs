//! Bytes to objects, as Kubernetes reads them.
//!
//! `encoding` makes text of bytes, `split` cuts it into documents, `outline` says where each node stands, `value` resolves it to
//! JSON, `kubectl` refuses what kubectl would read differently, `identity` makes objects of it.

mod document;
mod encoding;
mod error;
mod identity;
pub(crate) mod kubectl;
mod split;
mod value;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub(crate) use document::Parsed;
pub use error::{ReadError, Reason};

use crate::{Limits, Location, Object};

/// One document of a file.
#[derive(Clone, PartialEq)]
pub struct Document {
    /// Position among the documents of the file, from 1. A `---` at the very start of a file begins the first document, not the second.
    pub number: usize,
    /// Byte range in the file, `---` line and comments included. The ranges of all documents, in order, make up the whole file.
    pub span: Range<usize>,
    /// The objects in it: none when it is empty, one, or the items of a `List`.
    pub objects: Vec<Object>,
    /// What in it is no Kubernetes object: another program's YAML, or an object without a name.
    pub incomplete: Vec<Incomplete>,
}

/// A document, or an item of a `List`, that is no complete Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Its `apiVersion`, if it has one.
    pub api_version: Option<String>,
    /// Its `kind`, if it has one.
    pub kind: Option<String>,
    /// What is missing, and where.
    pub error: ReadError,
}

impl Incomplete {
    /// Whether this claims to be a core `Secret`: a caller that leaves other programs' YAML alone must not leave this one alone.
    pub fn is_secret(&self) -> bool {
        self.kind.as_deref() == Some("Secret")
            && self
                .api_version
                .as_deref()
                .is_none_or(|version| version == "v1")
    }
}

/// All objects of a file, in order. A document that is no Kubernetes object is an error here; see [`documents`] for callers that leave
/// such documents alone. All errors of the file are reported at once, in the order of the file.
pub fn read(file: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Object>, Vec<ReadError>> {
    let (parsed, mut errors) = parse(file, bytes, limits);
    let mut objects = Vec::new();
    for Parsed { document, .. } in parsed {
        objects.extend(document.objects);
        errors.extend(
            document
                .incomplete
                .into_iter()
                .map(|incomplete| incomplete.error),
        );
    }
    errors.sort_by(|a, b| a.location.cmp(&b.location));
    if errors.is_empty() {
        Ok(objects)
    } else {
        Err(errors)
    }
}

/// The documents of a file with their objects. Empty documents are among them, without objects; so are documents that are no Kubernetes
/// objects, as [`Document::incomplete`]. Errors are only what makes a document unreadable.
pub fn documents(
    file: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Vec<Document>, Vec<ReadError>> {
    let (parsed, errors) = parse(file, bytes, limits);
    if errors.is_empty() {
        Ok(parsed.into_iter().map(|parsed| parsed.document).collect())
    } else {
        Err(errors)
    }
}

/// Every document that can be read, and what is wrong with the others.
pub(crate) fn parse(file: &str, bytes: &[u8], limits: &Limits) -> (Vec<Parsed>, Vec<ReadError>) {
    let whole_file = |line, column, reason| {
        let location = Location {
            file: file.to_owned(),
            line,
            column,
            document: 1,
        };
        (Vec::new(), vec![ReadError { location, reason }])
    };
    if bytes.len() > limits.file_bytes {
        return whole_file(
            1,
            1,
            Reason::Limit {
                what: "bytes in one file",
                limit: limits.file_bytes,
            },
        );
    }
    let text = match encoding::text(bytes) {
        Ok(text) => text,
        Err((line, column, reason)) => return whole_file(line, column, reason),
    };
    let chunks = split::split(text);
    if let Some(chunk) = chunks.get(limits.documents) {
        return whole_file(
            chunk.line,
            chunk.column,
            Reason::Limit {
                what: "documents in one file",
                limit: limits.documents,
            },
        );
    }
    let (mut parsed, mut errors, mut objects) = (Vec::new(), Vec::new(), 0);
    for (position, chunk) in chunks.into_iter().enumerate() {
        match document::parse(file, text, &chunk, position + 1, objects, limits) {
            Ok(document) => {
                objects += document.document.objects.len();
                parsed.push(document);
            }
            Err(found) => errors.extend(found),
        }
    }
    (parsed, errors)
}

/// The value of a text with one document.
#[cfg(test)]
pub(crate) fn value_of(text: &str, limits: &Limits) -> Result<serde_json::Value, Reason> {
    value::value(text, limits).map_err(|(_, _, reason)| reason)
}
