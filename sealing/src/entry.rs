//! Entries: one value, sealed under the entry key of its run.

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::header::{Header, lp16};
use crate::names::EntryKey;
use crate::padding::{LENGTH_WORD, MINIMUM, padded_len};
use crate::random::{self, NoRandomness};
use crate::schedule::{Commitment, Derived};

/// Bit 0: the value may be used in `template.data`.
const TEMPLATABLE: u8 = 0b0000_0001;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Flags and nonce.
const PREFIX_LEN: usize = 1 + NONCE_LEN;

/// `flags(1) || nonce(24) || ct || tag(16)`: of a legal length and without unknown flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedEntry(Vec<u8>);

impl SealedEntry {
    /// Says in words why bytes are no entry.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let shortest = PREFIX_LEN + MINIMUM + TAG_LEN;
        if bytes.len() < shortest {
            return Err(format!(
                "the sealed value has {} bytes, at least {shortest} are needed; the token is cut short",
                bytes.len()
            ));
        }
        match bytes[0] & !TEMPLATABLE {
            0 => Ok(Self(bytes)),
            _ => Err(format!(
                "the sealed value has flags {:#04x}, which this version does not know",
                bytes[0]
            )),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the sealer allowed templates to use the value; authenticated by opening.
    pub(crate) fn templatable(&self) -> bool {
        self.0[0] & TEMPLATABLE != 0
    }

    /// The most bytes that the value can have: public, like the ciphertext's length.
    pub(crate) fn longest_value(&self) -> usize {
        self.0.len() - PREFIX_LEN - TAG_LEN - LENGTH_WORD
    }

    /// Seals a value. The buffer that the value is copied to has its final size from the start and
    /// is encrypted in place.
    pub(crate) fn seal(
        derived: &Derived,
        header: &Header,
        key: &EntryKey,
        templatable: bool,
        value: &[u8],
    ) -> Result<Self, NoRandomness> {
        let mut nonce = XNonce::default();
        random::fill(&mut nonce)?;
        Ok(Self::seal_with_nonce(
            derived,
            header,
            key,
            templatable,
            value,
            &nonce,
        ))
    }

    /// The nonce must be fresh and random.
    fn seal_with_nonce(
        derived: &Derived,
        header: &Header,
        key: &EntryKey,
        templatable: bool,
        value: &[u8],
        nonce: &XNonce,
    ) -> Self {
        let padded = padded_len(value.len());
        let mut bytes = Zeroizing::new(vec![0; PREFIX_LEN + padded + TAG_LEN]);
        let (prefix, rest) = bytes.split_at_mut(PREFIX_LEN);
        let (plaintext, tag) = rest.split_at_mut(padded);
        prefix[0] = if templatable { TEMPLATABLE } else { 0 };
        prefix[1..].copy_from_slice(nonce);

        #[expect(
            clippy::expect_used,
            reason = "a run is limited to 1 MiB of values before it comes here"
        )]
        let length = u32::try_from(value.len()).expect("a value of less than 4 GiB");
        plaintext[..LENGTH_WORD].copy_from_slice(&length.to_be_bytes());
        plaintext[LENGTH_WORD..LENGTH_WORD + value.len()].copy_from_slice(value);

        let aad = aad(header, &derived.commitment, key.as_str(), prefix[0]);
        #[expect(
            clippy::expect_used,
            reason = "ChaCha20-Poly1305 refuses only messages of 256 GiB"
        )]
        let sealed = cipher(derived)
            .encrypt_inout_detached(nonce, &aad, plaintext.into())
            .expect("a message of legal length");
        tag.copy_from_slice(&sealed);
        Self(std::mem::take(&mut *bytes))
    }

    /// Opens an entry: tag, length word, canonical padded length and zero fill. `None`, whatever
    /// was wrong.
    pub(crate) fn open(&self, derived: &Derived, header: &Header, key: &str) -> Option<Value> {
        let (prefix, rest) = self.0.split_at_checked(PREFIX_LEN)?;
        let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_LEN)?)?;
        let mut padded = Zeroizing::new(ciphertext.to_vec());
        cipher(derived)
            .decrypt_inout_detached(
                &XNonce::try_from(prefix.get(1..)?).ok()?,
                &aad(header, &derived.commitment, key, prefix[0]),
                padded.as_mut_slice().into(),
                &Tag::try_from(tag).ok()?,
            )
            .ok()?;
        let (word, rest) = padded.split_first_chunk::<LENGTH_WORD>()?;
        let length = usize::try_from(u32::from_be_bytes(*word)).ok()?;
        let fill = rest.get(length..)?;
        let canonical = padded.len() == padded_len(length);
        let zero = fill.iter().fold(0, |all, byte| all | byte) == 0;
        (canonical && zero).then_some(Value { padded, length })
    }
}

/// An opened value inside its padded buffer, which is wiped on drop.
pub(crate) struct Value {
    padded: Zeroizing<Vec<u8>>,
    length: usize,
}

impl Value {
    pub(crate) fn expose(&self) -> &[u8] {
        &self.padded[LENGTH_WORD..LENGTH_WORD + self.length]
    }
}

fn cipher(derived: &Derived) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&**derived.entry_key).into())
}

fn aad(header: &Header, commitment: &Commitment, key: &str, flags: u8) -> Vec<u8> {
    let mut aad = b"waxwing/v1/entry".to_vec();
    lp16(&mut aad, header.as_bytes());
    aad.extend_from_slice(&commitment.0);
    lp16(&mut aad, key.as_bytes());
    aad.push(flags);
    aad
}

#[cfg(test)]
mod tests;
