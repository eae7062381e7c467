//! The cluster's signer.
use std::fmt;
use zeroize::Zeroizing;

/// Why a signer was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes")]
    Random,
}
/// The private half.
pub struct Signer(());
impl Signer {
    /// Makes one.
    pub fn generate() -> Result<Self, SignerError> { unimplemented!() }
    /// Reads an OpenSSH private key file.
    pub fn from_openssh(_text: &str) -> Result<Self, SignerError> { unimplemented!() }
    /// Writes an OpenSSH private key file.
    pub fn to_openssh(&self) -> Zeroizing<String> { unimplemented!() }
    /// The public half.
    pub fn public(&self) -> SignerPublic { unimplemented!() }
}
/// The public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerPublic(());
impl SignerPublic {
    /// Reads `ssh-ed25519 AAAA…`.
    pub fn parse(_line: &str) -> Result<Self, SignerError> { unimplemented!() }
    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String { unimplemented!() }
}
impl fmt::Display for SignerPublic { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { unimplemented!() } }
