//! Why an object was refused.
use std::fmt;

/// The classes of refusals, in the order in which an object as a whole is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A count exceeded.
    Limit,
    /// Not what the format allows.
    Malformed,
    /// Sealed for another place.
    Misplaced,
    /// No recipient is one of ours.
    UnknownKey,
    /// Everything else.
    CannotBeUnsealed,
}
impl fmt::Display for Class { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(match self { Self::Limit => "limit", Self::Malformed => "malformed", Self::Misplaced => "misplaced", Self::UnknownKey => "unknown-key", Self::CannotBeUnsealed => "cannot be unsealed" }) } }

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Its class.
    pub class: Class,
    /// The entry it is about.
    pub entry: Option<String>,
    /// The envelope it is about.
    pub envelope: Option<String>,
    /// What is wrong, in words.
    pub detail: String,
}

/// Everything that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);
impl Refusals {
    /// The class of the object.
    pub fn class(&self) -> Class { self.0.iter().map(|r| r.class).min().unwrap_or(Class::CannotBeUnsealed) }
    /// Every problem.
    pub fn items(&self) -> &[Refusal] { &self.0 }
}
impl fmt::Display for Refusals { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}", self.class()) } }
impl std::error::Error for Refusals {}
