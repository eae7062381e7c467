//! Why an object was refused: classes, their order, and every single problem.

use std::fmt;

/// The classes of refusals, in the order in which an object as a whole is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `limit`: more recipients, envelopes, entries or bytes than the format allows.
    Limit,
    /// `malformed`: something that the format does not allow.
    Malformed,
    /// `misplaced`: sealed for another place than where it was found.
    Misplaced,
    /// `unknown-key`: no recipient is one of our keys.
    UnknownKey,
    /// `cannot be unsealed`: everything that failed once a key was used, without saying where.
    CannotBeUnsealed,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "limit",
            Self::Malformed => "malformed",
            Self::Misplaced => "misplaced",
            Self::UnknownKey => "unknown-key",
            Self::CannotBeUnsealed => "cannot be unsealed",
        })
    }
}

/// One problem of an object. Nothing in it depends on a private key: what fails after a key was
/// used is always the same refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Its class.
    pub class: Class,
    /// The entry that it is about, if about one.
    pub entry: Option<String>,
    /// The id of the envelope that it is about, if about one.
    pub envelope: Option<String>,
    /// What is wrong, in words.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn object(class: Class, detail: impl Into<String>) -> Self {
        Self {
            class,
            entry: None,
            envelope: None,
            detail: detail.into(),
        }
    }

    pub(crate) fn entry(class: Class, key: &str, detail: impl Into<String>) -> Self {
        Self {
            class,
            entry: Some(key.to_owned()),
            envelope: None,
            detail: detail.into(),
        }
    }

    pub(crate) fn envelope(class: Class, id: &str, detail: impl Into<String>) -> Self {
        Self {
            class,
            entry: None,
            envelope: Some(id.to_owned()),
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.class == Class::CannotBeUnsealed {
            return self.class.fmt(f);
        }
        write!(f, "{}: ", self.class)?;
        if let Some(entry) = &self.entry {
            write!(f, "entry {entry}: ")?;
        }
        if let Some(envelope) = &self.envelope {
            write!(f, "envelope {envelope}: ")?;
        }
        f.write_str(&self.detail)
    }
}

/// Everything that is wrong with an object, sorted: the class of the object as a whole comes first.
/// Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// The class of the object: the first in the order of [`Class`].
    pub fn class(&self) -> Class {
        self.0
            .first()
            .map_or(Class::CannotBeUnsealed, |refusal| refusal.class)
    }

    /// Every problem.
    pub fn items(&self) -> &[Refusal] {
        &self.0
    }

    /// `Ok` when there is no problem.
    pub(crate) fn check(mut problems: Vec<Refusal>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        problems.dedup();
        Err(Self(problems))
    }

    /// The one refusal for whatever failed after a key was used.
    pub(crate) fn cannot_be_unsealed() -> Self {
        Self(vec![Refusal::object(
            Class::CannotBeUnsealed,
            Class::CannotBeUnsealed.to_string(),
        )])
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, refusal) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}
