//! The key id.
use std::fmt;
use crate::KeyError;

/// Names a public key: a SHA-256 over suite and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The first 8 bytes in lower-case base32, 13 characters.
    pub fn short(&self) -> String { unimplemented!() }
    /// `SHA256:` and unpadded base64url.
    pub fn fingerprint(&self) -> String { unimplemented!() }
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] { &self.0 }
    /// Reads what [`KeyId::fingerprint`] printed.
    pub fn parse_fingerprint(_text: &str) -> Result<Self, KeyError> { unimplemented!() }
}
impl fmt::Display for KeyId { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.fingerprint()) } }
impl fmt::Debug for KeyId { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.fingerprint()) } }
