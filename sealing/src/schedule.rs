//! From the data key to the commitment and the entry key.

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::header::Header;
use crate::random::{self, NoRandomness};

/// The data key of one sealing run: 32 random bytes, wrapped once per recipient. Boxed, so that
/// moving it copies nothing; wiped on drop.
pub(crate) struct DataKey(Box<Zeroizing<[u8; 32]>>);

impl DataKey {
    pub(crate) fn random() -> Result<Self, NoRandomness> {
        let mut key = Self::zero();
        random::fill(key.as_mut())?;
        Ok(key)
    }

    /// To be filled by the caller, in place.
    pub(crate) fn zero() -> Self {
        Self(Box::new(Zeroizing::new([0; 32])))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }

    /// What follows from this data key under a header.
    pub(crate) fn derive(&self, header: &Header) -> Derived {
        let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(b"waxwing/v1/prk"), self.as_bytes());
        prk.as_mut_slice().zeroize();
        let mut commitment = Commitment([0; 32]);
        let mut entry_key = Box::new(Zeroizing::new([0; 32]));
        expand(&hkdf, b"waxwing/v1/commit", header, &mut commitment.0);
        expand(&hkdf, b"waxwing/v1/entry-key", header, &mut entry_key);
        Derived {
            commitment,
            entry_key,
        }
    }
}

fn expand(hkdf: &Hkdf<Sha256>, label: &[u8], header: &Header, out: &mut [u8; 32]) {
    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 refuses only more than 255 * 32 bytes"
    )]
    hkdf.expand_multi_info(&[label, header.as_bytes()], out)
        .expect("32 bytes of output");
}

pub(crate) struct Derived {
    pub(crate) commitment: Commitment,
    /// The key of all entries of the run.
    pub(crate) entry_key: Box<Zeroizing<[u8; 32]>>,
}

/// The commitment C to data key and header. It is public: without it a sealer could give every
/// recipient another value, because ChaCha20-Poly1305 does not commit to its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commitment(pub(crate) [u8; 32]);

impl Commitment {
    /// Compares in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
