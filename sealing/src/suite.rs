//! The suites: what a key is made of. A suite is a property of a key and never negotiated.

use hpke::{Kem as _, kem};

/// HKDF-SHA256, in the registry of RFC 9180, 7.2.
const KDF_ID: u16 = 0x0001;
/// ChaCha20-Poly1305, in the registry of RFC 9180, 7.3.
const AEAD_ID: u16 = 0x0003;
/// A wrapped data key: 32 bytes and the tag.
const WRAPPED_LEN: usize = 32 + 16;

/// What a key is made of and how a data key is wrapped to it.
///
/// The numbers stand in every wrap and are append-only; 3 is reserved for a FIPS set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// MLKEM768-X25519 (X-Wing, draft-connolly-cfrg-xwing-kem), HKDF-SHA256, ChaCha20-Poly1305: the
    /// default. It holds as long as either half does. Keys read `age1pq1…`.
    XWing = 1,
    /// DHKEM(X25519, HKDF-SHA256) of RFC 9180, HKDF-SHA256, ChaCha20-Poly1305: classical, only where
    /// somebody asked for it. Keys read `age1…`.
    X25519 = 2,
}

impl Suite {
    /// Whether the suite also holds against a quantum computer.
    pub fn is_hybrid(self) -> bool {
        matches!(self, Self::XWing)
    }

    /// The byte that a wrap of this suite starts with.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::XWing => 1,
            Self::X25519 => 2,
        }
    }

    /// The suite of a wrap's first byte.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::XWing, Self::X25519]
            .into_iter()
            .find(|suite| suite.number() == number)
    }

    /// `kem(2) || kdf(2) || aead(2)`, as they enter key ids and HPKE's `info`.
    pub(crate) fn ids(self) -> [u8; 6] {
        let kem = match self {
            Self::XWing => kem::XWing::KEM_ID,
            Self::X25519 => kem::X25519HkdfSha256::KEM_ID,
        };
        let mut ids = [0; 6];
        ids[..2].copy_from_slice(&kem.to_be_bytes());
        ids[2..4].copy_from_slice(&KDF_ID.to_be_bytes());
        ids[4..].copy_from_slice(&AEAD_ID.to_be_bytes());
        ids
    }

    /// Bytes of a public key.
    pub(crate) fn public_key_len(self) -> usize {
        match self {
            Self::XWing => 1216,
            Self::X25519 => 32,
        }
    }

    /// Bytes of an encapsulation.
    pub(crate) fn enc_len(self) -> usize {
        match self {
            Self::XWing => 1120,
            Self::X25519 => 32,
        }
    }

    /// Bytes of a whole wrap; a suite knows no other length.
    pub(crate) fn wrap_len(self) -> usize {
        1 + self.enc_len() + WRAPPED_LEN
    }
}
