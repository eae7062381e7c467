//! Key ids: how recipients are named in sealed objects and shown to people.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::key::KeyError;
use crate::suite::Suite;
use crate::text::{base32, base64url, from_base64url};

const FINGERPRINT_PREFIX: &str = "SHA256:";

/// Names one public key: `SHA-256("waxwing/v1/key-id" || kem || kdf || aead || public key)`.
///
/// Printed as the fingerprint, `SHA256:` and 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The first 8 bytes in lower-case base32: 13 characters, for labels and look-up.
    pub fn short(&self) -> String {
        base32(&self.0[..8])
    }

    /// `SHA256:` and the unpadded base64url of all 32 bytes: what people compare.
    pub fn fingerprint(&self) -> String {
        format!("{FINGERPRINT_PREFIX}{}", base64url(&self.0))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads what [`KeyId::fingerprint`] prints; [`KeyError::Fingerprint`] for any other text.
    pub fn parse_fingerprint(text: &str) -> Result<Self, KeyError> {
        text.strip_prefix(FINGERPRINT_PREFIX)
            .and_then(from_base64url)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(KeyError::Fingerprint)
    }

    pub(crate) fn of(suite: Suite, public_key: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"waxwing/v1/key-id")
            .chain_update(suite.ids())
            .chain_update(public_key)
            .finalize();
        Self(digest.into())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
