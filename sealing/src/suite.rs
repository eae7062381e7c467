//! The suites of the format: a property of a key, never negotiated.

/// What a key is made of and how it wraps a data key. Numbers are append-only; 3 is reserved for a FIPS set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// MLKEM768-X25519 (X-Wing), HKDF-SHA256, ChaCha20-Poly1305: the default, hybrid post-quantum.
    XWing = 1,
    /// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305: classical, only on request.
    X25519 = 2,
}

impl Suite {
    /// Whether the suite holds against a quantum computer as well.
    pub fn is_hybrid(self) -> bool {
        matches!(self, Self::XWing)
    }
}
