//! Labels and entry keys.
use std::fmt;

/// Why a label or an entry key was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a label.
    #[error("{0:?} is not a recipient label: 1 to 40 of a-z, 0-9 and '-'")]
    Label(String),
    /// Not a Secret key.
    #[error("{0:?} is not a key of a Secret: 1 to 253 of A-Z, a-z, 0-9, '-', '_' and '.', and neither '.' nor starting with '..'")]
    EntryKey(String),
}

/// The name of a recipient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);
impl Label {
    /// Checks the grammar.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=40).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::Label(text.to_owned())) }
    }
    /// `key`.
    pub fn key() -> Self { Self("key".to_owned()) }
    /// `recovery`.
    pub fn recovery() -> Self { Self("recovery".to_owned()) }
    /// The text.
    pub fn as_str(&self) -> &str { &self.0 }
}
impl fmt::Display for Label { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(String);
impl EntryKey {
    /// Checks the grammar.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=253).contains(&text.len()) && text != "." && !text.starts_with("..")
            && text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::EntryKey(text.to_owned())) }
    }
    /// The text.
    pub fn as_str(&self) -> &str { &self.0 }
}
impl fmt::Display for EntryKey { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
