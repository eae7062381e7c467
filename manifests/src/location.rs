//! Where in a file something stands.

use std::fmt;

/// A place in a file. All numbers count from 1; `column` counts characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as the caller named it.
    pub file: String,
    /// Line in the file (not in the document).
    pub line: usize,
    /// Column in the line, in characters.
    pub column: usize,
    /// Document in the file, as YAML counts them.
    pub document: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            document,
        } = self;
        write!(f, "{file}:{line}:{column} (document {document})")
    }
}
