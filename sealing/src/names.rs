//! The names inside a sealed object: recipient labels and the keys of entries.

use std::fmt;

use crate::text::shown;

/// Why a label or an entry key was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a key of a Secret's data.
    #[error(
        "{0:?} is not a key of a Secret: 1 to 253 of A-Z, a-z, 0-9, `-`, `_` and `.`, not `.` and not starting with `..`"
    )]
    EntryKey(String),
    /// Not a recipient label.
    #[error("{0:?} is not a recipient label: 1 to 40 of a-z, 0-9 and `-`")]
    Label(String),
}

/// What a recipient is called in a file: the cluster's name, `recovery`, or `key` for a bare key.
/// 1 to 40 of `a-z 0-9 -`. Only a label: opening goes by key ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// Checks the grammar.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=40).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Label(shown(text)))
        }
    }

    /// `key`: the label of a bare key string.
    pub fn key() -> Self {
        Self("key".to_owned())
    }

    /// `recovery`: the label of offline recovery keys.
    pub fn recovery() -> Self {
        Self("recovery".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of a Secret's data, by Kubernetes' grammar (`IsConfigMapKey`): 1 to 253 of
/// `A-Z a-z 0-9 - _ .`, not `.`, not starting with `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(String);

impl EntryKey {
    /// Checks the grammar.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=253).contains(&text.len())
            && text != "."
            && !text.starts_with("..")
            && text
                .bytes()
                .all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::EntryKey(shown(text)))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "prod-eu", "0", "-", &"x".repeat(40)] {
            assert!(Label::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Prod", "a.b", "a_b", "é", " a", &"x".repeat(41)] {
            assert!(Label::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_keys() {
        for good in [
            "a",
            "DB_PASSWORD",
            "tls.key",
            ".dockerconfigjson",
            "-",
            &"K".repeat(253),
        ] {
            assert!(EntryKey::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "..a",
            "a b",
            "a/b",
            "é",
            "a\n",
            &"K".repeat(254),
        ] {
            assert!(EntryKey::new(bad).is_err(), "{bad}");
        }
    }
}
