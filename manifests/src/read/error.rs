//! What can be wrong with a file, in words that carry no value of it.

use std::fmt;

use crate::Location;

/// A file, or a document of it, that cannot be read. Never carries a value of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {reason}")]
pub struct ReadError {
    /// Where.
    pub location: Location,
    /// Why.
    pub reason: Reason,
}

/// Why a document cannot be read. `Display` says it with what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Not UTF-8: another encoding by name, or broken bytes.
    Encoding(&'static str),
    /// The text is not well-formed YAML. The words are the parser's.
    Syntax(String),
    /// A second document after `...` without `---`: kubectl would silently drop it.
    SecondDocument,
    /// A mapping names a key twice; kubectl would silently take the last.
    DuplicateKey(String),
    /// A number that JSON cannot carry: infinite, not a number, or out of range.
    NonFiniteNumber,
    /// More than [`crate::Limits`] allows.
    Limit {
        /// What there is too much of, such as `levels of nesting`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A plain key that kubectl turns into another key.
    DeceptiveKey {
        /// The key as written.
        key: String,
        /// What kubectl makes of it.
        reads_as: String,
    },
    /// A plain value that kubectl reads as another type than YAML 1.2 does.
    DeceptiveValue,
    /// A merge key (`<<`) after a key that it also brings: kubectl lets the merge win, YAML the key.
    LateMerge {
        /// The key that both name.
        key: String,
    },
    /// The document, or the `List` item, is not a mapping.
    NotAMapping,
    /// There is no `apiVersion`, `kind` or `metadata.name`.
    Missing(&'static str),
    /// A field that must be text and is not.
    NotText(String),
    /// An `apiVersion` with more than one slash, or with an empty part.
    ApiVersion,
    /// `metadata.generateName` without a name: what is applied from Git needs a name of its own.
    GenerateName,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(what) => write!(f, "the file is {what}; save it as UTF-8"),
            Self::Syntax(words) => write!(f, "not well-formed YAML: {words}"),
            Self::SecondDocument => f.write_str("a second document without `---` before it, which kubectl would drop; put a line `---` before it"),
            Self::DuplicateKey(key) => write!(f, "the key {key:?} stands twice in one mapping; remove one of the two"),
            Self::NonFiniteNumber => f.write_str("a number that JSON cannot carry; quote it if it is text"),
            Self::Limit { what, limit } => write!(f, "more than {limit} {what}; split it up"),
            Self::DeceptiveKey { key, reads_as } => write!(f, "kubectl reads the plain key {key} as {reads_as:?}; quote it: {key:?}"),
            Self::DeceptiveValue => f.write_str("a plain value that kubectl and YAML 1.2 read as different types; quote it if it is text, else write it in the usual form"),
            Self::LateMerge { key } => {
                write!(f, "the merge key `<<` stands after the key {key:?}, which it also brings, and kubectl lets the merge win; put `<<` first")
            }
            Self::NotAMapping => f.write_str("not a Kubernetes object: a mapping with apiVersion, kind and metadata was expected"),
            Self::Missing(field) => write!(f, "not a Kubernetes object: {field} is missing"),
            Self::NotText(field) => write!(f, "{field} must be text; quote it"),
            Self::ApiVersion => f.write_str("apiVersion must be `version` or `group/version`"),
            Self::GenerateName => f.write_str("metadata.generateName makes a new object on every apply, so it cannot be kept in step with Git; give it a metadata.name"),
        }
    }
}
