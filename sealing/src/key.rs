//! Keys.
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;
use crate::{KeyId, Suite};

/// Why a key was not read or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a key.
    #[error("not a key")]
    NotAKey,
}

/// A private key.
pub struct Identity { recipient: Recipient, _seed: Zeroizing<Vec<u8>> }
impl Identity {
    /// Makes a new one.
    pub fn generate(_suite: Suite) -> Result<Self, KeyError> { unimplemented!() }
    /// Reads `AGE-SECRET-KEY-…`.
    pub fn parse(_line: &str) -> Result<Self, KeyError> { unimplemented!() }
    /// The public half.
    pub fn recipient(&self) -> &Recipient { &self.recipient }
    /// `AGE-SECRET-KEY-…`.
    pub fn to_line(&self) -> Zeroizing<String> { unimplemented!() }
}

/// A public key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Recipient { suite: Suite, key_id: KeyId }
impl Recipient {
    /// Reads `age1…`.
    pub fn parse(_text: &str) -> Result<Self, KeyError> { unimplemented!() }
    /// Its suite.
    pub fn suite(&self) -> Suite { self.suite }
    /// Its id.
    pub fn key_id(&self) -> &KeyId { &self.key_id }
}
impl FromStr for Recipient { type Err = KeyError; fn from_str(s: &str) -> Result<Self, KeyError> { Self::parse(s) } }
impl fmt::Display for Recipient { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { unimplemented!() } }
