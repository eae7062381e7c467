//! Recipients files.
use crate::{Attestation, AttestationError, Recipient, SignerPublic, Statement};

/// Why a recipients file was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct RecipientsFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}
/// An age recipients file with comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientsFile(());
impl RecipientsFile {
    /// Reads one.
    pub fn parse(_text: &str) -> Result<Self, RecipientsFileError> { unimplemented!() }
    /// The file of a cluster's key.
    pub fn attested(_recipient: Recipient, _signer: SignerPublic, _attestation: Attestation) -> Self { unimplemented!() }
    /// Its recipients.
    pub fn recipients(&self) -> Vec<Recipient> { unimplemented!() }
    /// The signer it names.
    pub fn signer(&self) -> Option<SignerPublic> { unimplemented!() }
    /// The attestation it carries.
    pub fn attestation(&self) -> Option<&Attestation> { unimplemented!() }
    /// The attested recipient: exactly one recipient, the signature by `signer`, the key the statement's, its state Active.
    pub fn verify(&self, _signer: &SignerPublic) -> Result<(&Recipient, &Statement), AttestationError> { unimplemented!() }
    /// The file's text.
    pub fn print(&self) -> String { unimplemented!() }
}
