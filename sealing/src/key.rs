//! Private keys (identities) and public keys (recipients), in age's encodings.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hpke::{Deserializable as _, Kem, Serializable as _, kem};
use zeroize::Zeroizing;

use crate::age_text;
use crate::key_id::KeyId;
use crate::random::{self, NoRandomness};
use crate::small_order::is_small_order;
use crate::stack::clean_after;
use crate::suite::Suite;

const XWING_IDENTITY: &str = "AGE-SECRET-KEY-PQ-";
const X25519_IDENTITY: &str = "AGE-SECRET-KEY-";
const XWING_RECIPIENT: &str = "age1pq";
const X25519_RECIPIENT: &str = "age";

/// Why a key was not read or made. The text that was given is never repeated: it could be, or hold
/// parts of, a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text looks like a key, but a character is wrong or missing.
    #[error("the key is damaged: a character of it is wrong or missing; copy the whole line again")]
    Damaged,
    /// Not the fingerprint of a sealing key.
    #[error(
        "not a fingerprint: it reads `SHA256:` and 43 characters of base64url; `waxwing keys fingerprint FILE` prints it"
    )]
    Fingerprint,
    /// A private key was expected and something else was given.
    #[error("not a private key: it starts with `AGE-SECRET-KEY-PQ-1` (or `AGE-SECRET-KEY-1`)")]
    NotAnIdentity,
    /// A public key was expected and something else was given.
    #[error("not a public key: it starts with `age1pq1` (or `age1`)")]
    NotARecipient,
    /// The recipient belongs to an age plugin or is of a kind that wraps no data keys of this format.
    #[error(
        "this kind of age recipient cannot be sealed to; use a key that starts with `age1pq1` (or `age1`)"
    )]
    OtherKind,
    /// A private key was expected and a public one was given.
    #[error(
        "this is a public key; a private key is needed here, which starts with `AGE-SECRET-KEY-`"
    )]
    Public,
    /// A public key was expected and a private one was given.
    #[error(
        "this is a PRIVATE key; give the public key that belongs to it, which starts with `age1`, and if the private key was sent or committed anywhere replace it"
    )]
    Private,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// The right length and checksum, but no key of its suite.
    #[error(
        "not a usable key: its numbers are not those of a key; copy it again from where it was made"
    )]
    Unusable,
}

impl From<NoRandomness> for KeyError {
    fn from(_: NoRandomness) -> Self {
        Self::Random
    }
}

/// A private key. It is wiped when dropped and can be neither printed, logged, serialised nor
/// cloned; [`Identity::to_line`] is the one way out.
///
/// ```
/// let identity = sealing::Identity::generate(sealing::Suite::XWing)?;
/// assert!(identity.recipient().to_string().starts_with("age1pq1"));
/// # Ok::<(), sealing::KeyError>(())
/// ```
///
/// ```compile_fail,E0277
/// let identity = sealing::Identity::generate(sealing::Suite::XWing).unwrap();
/// println!("{identity:?}");
/// ```
///
/// ```compile_fail,E0599
/// let identity = sealing::Identity::generate(sealing::Suite::XWing).unwrap();
/// let copy = identity.clone();
/// ```
pub struct Identity {
    /// What the text holds; HPKE's form of an X25519 key is clamped and would print differently.
    seed: Box<Zeroizing<[u8; 32]>>,
    secret: Secret,
    recipient: Recipient,
}

/// The key in the form that HPKE uses. Boxed, so that moving an identity copies no key bytes; both
/// types wipe themselves.
pub(crate) enum Secret {
    XWing(Box<<kem::XWing as Kem>::PrivateKey>),
    X25519(Box<<kem::X25519HkdfSha256 as Kem>::PrivateKey>),
}

impl Identity {
    /// Makes a new key of 32 random bytes; [`KeyError::Random`] when there are none.
    pub fn generate(suite: Suite) -> Result<Self, KeyError> {
        clean_after(|| {
            let mut seed = Box::new(Zeroizing::new([0; 32]));
            random::fill(seed.as_mut_slice())?;
            Self::from_seed(suite, seed)
        })
    }

    /// Reads `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`, as `age-keygen` writes them, without
    /// anything around it.
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        clean_after(|| Self::read(line))
    }

    fn read(line: &str) -> Result<Self, KeyError> {
        if line.starts_with("age1") {
            return Err(KeyError::Public);
        }
        let (suite, prefix) = if starts(line, XWING_IDENTITY) {
            (Suite::XWing, XWING_IDENTITY)
        } else if starts(line, X25519_IDENTITY) {
            (Suite::X25519, X25519_IDENTITY)
        } else {
            return Err(KeyError::NotAnIdentity);
        };
        let bytes = age_text::decode(line, prefix).ok_or(KeyError::Damaged)?;
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        if bytes.len() != seed.len() {
            return Err(KeyError::Damaged);
        }
        seed.copy_from_slice(&bytes);
        Self::from_seed(suite, seed)
    }

    /// The public half.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`, without a line ending.
    pub fn to_line(&self) -> Zeroizing<String> {
        let prefix = match self.secret {
            Secret::XWing(_) => XWING_IDENTITY,
            Secret::X25519(_) => X25519_IDENTITY,
        };
        clean_after(|| age_text::upper(prefix, self.seed.as_slice()))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    fn from_seed(suite: Suite, seed: Box<Zeroizing<[u8; 32]>>) -> Result<Self, KeyError> {
        let (secret, public_key) = match suite {
            Suite::XWing => {
                let key = private_key::<kem::XWing>(seed.as_slice())?;
                let public = kem::XWing::sk_to_pk(&key).to_bytes();
                (Secret::XWing(key), public.to_vec())
            }
            Suite::X25519 => {
                let key = private_key::<kem::X25519HkdfSha256>(seed.as_slice())?;
                let public = kem::X25519HkdfSha256::sk_to_pk(&key).to_bytes();
                (Secret::X25519(key), public.to_vec())
            }
        };
        Ok(Self {
            seed,
            secret,
            recipient: Recipient::new(suite, &public_key)?,
        })
    }
}

/// A public key: whom values are sealed to. Printed as `age1pq1…` (1,959 characters) or `age1…` (62).
#[derive(Clone)]
pub struct Recipient {
    key_id: KeyId,
    bytes: Arc<[u8]>,
    public: Public,
}

/// The key in the form that HPKE uses.
#[derive(Clone)]
pub(crate) enum Public {
    XWing(Arc<<kem::XWing as Kem>::PublicKey>),
    X25519(Arc<<kem::X25519HkdfSha256 as Kem>::PublicKey>),
}

impl Recipient {
    /// Reads `age1pq1…` or `age1…`, without anything around it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text
            .get(..15)
            .is_some_and(|start| start.eq_ignore_ascii_case(X25519_IDENTITY))
        {
            return Err(KeyError::Private);
        }
        if !text.starts_with("age1") {
            return Err(KeyError::NotARecipient);
        }
        let (suite, prefix) = if starts(text, XWING_RECIPIENT) {
            (Suite::XWing, XWING_RECIPIENT)
        } else if text.rfind('1') == Some(X25519_RECIPIENT.len()) {
            (Suite::X25519, X25519_RECIPIENT)
        } else {
            // A further `1` cannot stand in the data part of bech32: another prefix, a plugin's.
            return Err(KeyError::OtherKind);
        };
        let bytes = age_text::decode(text, prefix).ok_or(KeyError::Damaged)?;
        Self::new(suite, &bytes)
    }

    /// Its suite.
    pub fn suite(&self) -> Suite {
        match self.public {
            Public::XWing(_) => Suite::XWing,
            Public::X25519(_) => Suite::X25519,
        }
    }

    /// Its id.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    pub(crate) fn public(&self) -> &Public {
        &self.public
    }

    fn new(suite: Suite, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != suite.public_key_len() {
            return Err(KeyError::Damaged);
        }
        // Sealing to a share of small order would take the X25519 half out of a hybrid key.
        let share = bytes.last_chunk::<32>().ok_or(KeyError::Damaged)?;
        if is_small_order(share) {
            return Err(KeyError::Unusable);
        }
        let public = match suite {
            Suite::XWing => Public::XWing(public_key::<kem::XWing>(bytes)?),
            Suite::X25519 => Public::X25519(public_key::<kem::X25519HkdfSha256>(bytes)?),
        };
        Ok(Self {
            key_id: KeyId::of(suite, bytes),
            bytes: bytes.into(),
            public,
        })
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.suite() {
            Suite::XWing => XWING_RECIPIENT,
            Suite::X25519 => X25519_RECIPIENT,
        };
        f.write_str(&age_text::lower(prefix, &self.bytes))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:?}, {})", self.suite(), self.key_id)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.suite(), &self.bytes).cmp(&(other.suite(), &other.bytes))
    }
}

/// Whether a text is `prefix`, the separator and something.
fn starts(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with('1'))
}

fn private_key<K: Kem>(seed: &[u8]) -> Result<Box<K::PrivateKey>, KeyError> {
    K::PrivateKey::from_bytes(seed)
        .map(Box::new)
        .map_err(|_| KeyError::Damaged)
}

fn public_key<K: Kem>(bytes: &[u8]) -> Result<Arc<K::PublicKey>, KeyError> {
    K::PublicKey::from_bytes(bytes)
        .map(Arc::new)
        .map_err(|_| KeyError::Unusable)
}
