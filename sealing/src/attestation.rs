//! Attestations.
use std::fmt;
use std::str::FromStr;
use crate::{KeyId, SealedAt, Signer, SignerPublic};

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Seals and opens.
    Active,
    /// Opens.
    DecryptOnly,
    /// Its private half is gone from the cluster.
    Retired,
    /// Somebody else may have it.
    Compromised,
}
impl fmt::Display for KeyState { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(match self { Self::Active => "Active", Self::DecryptOnly => "DecryptOnly", Self::Retired => "Retired", Self::Compromised => "Compromised" }) } }
impl FromStr for KeyState { type Err = AttestationError; fn from_str(s: &str) -> Result<Self, AttestationError> { match s { "Active" => Ok(Self::Active), "DecryptOnly" => Ok(Self::DecryptOnly), "Retired" => Ok(Self::Retired), "Compromised" => Ok(Self::Compromised), _ => Err(AttestationError::Forged) } } }
/// What a signer says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The cluster's name, may be empty.
    pub cluster: String,
    /// Grows with every statement.
    pub sequence: u64,
    /// The key.
    pub key: KeyId,
    /// The key before it.
    pub previous: Option<KeyId>,
    /// When the key was made.
    pub created_at: SealedAt,
    /// Its state.
    pub state: KeyState,
}
/// Why an attestation does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Forged.
    #[error("the signature does not fit")]
    Forged,
}
/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation(());
impl Attestation {
    /// Signs.
    pub fn sign(_statement: &Statement, _signer: &Signer) -> Result<Self, AttestationError> { unimplemented!() }
    /// The text.
    pub fn text(&self) -> String { unimplemented!() }
    /// Reads the text, verifies nothing.
    pub fn parse(_text: &str) -> Result<Self, AttestationError> { unimplemented!() }
    /// Verifies.
    pub fn verify(&self, _signer: &SignerPublic) -> Result<&Statement, AttestationError> { unimplemented!() }
    /// The statement, unverified.
    pub fn unverified_statement(&self) -> &Statement { unimplemented!() }
}
