//! Sealing.
use std::collections::BTreeMap;
use zeroize::Zeroizing;
use crate::{EntryKey, EnvelopeText, Label, Place, Recipient, Scope, SealedAt};

/// A value to be sealed.
pub struct Plaintext(Zeroizing<Vec<u8>>);
impl Plaintext {
    /// Takes the value.
    pub fn new(value: Zeroizing<Vec<u8>>) -> Self { Self(value) }
    /// Its length in bytes.
    pub fn len(&self) -> usize { self.0.len() }
    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool { self.0.is_empty() }
    /// Its bytes.
    pub fn expose(&self) -> &[u8] { &self.0 }
}
/// One entry to be sealed.
pub struct NewEntry {
    /// Its key.
    pub key: EntryKey,
    /// Its value.
    pub value: Plaintext,
    /// Whether templates may use it.
    pub templatable: bool,
}
/// What one sealing run shares.
#[derive(Clone, Copy, Debug)]
pub struct SealingRun<'a> {
    /// Where the values belong.
    pub place: &'a Place,
    /// How narrowly.
    pub scope: Scope,
    /// The template text to bind.
    pub bound_template: Option<&'a BTreeMap<String, String>>,
    /// When.
    pub sealed_at: SealedAt,
    /// To whom.
    pub recipients: &'a [(Label, Recipient)],
    /// Whether suite 2 is allowed.
    pub allow_classical: bool,
}
/// What a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRun {
    /// The envelope's id.
    pub envelope_id: String,
    /// The envelope.
    pub envelope: EnvelopeText,
    /// The tokens by entry key.
    pub tokens: BTreeMap<String, String>,
}
/// Why nothing was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes")]
    Random,
}
/// Seals entries into one envelope.
pub fn seal(_run: &SealingRun<'_>, _entries: Vec<NewEntry>) -> Result<SealedRun, SealError> { unimplemented!() }
/// Seals one entry into a token that stands alone.
pub fn seal_self(_run: &SealingRun<'_>, _entry: NewEntry) -> Result<String, SealError> { unimplemented!() }
