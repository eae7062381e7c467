//! Tokens: a sealed value as one line of text, with its envelope beside it or inside it.

use crate::binding::Binding;
use crate::entry::SealedEntry;
use crate::header::lp16;
use crate::key_id::KeyId;
use crate::limits::MAX_RECIPIENTS;
use crate::place::Scope;
use crate::refusal::Class;
use crate::schedule::Commitment;
use crate::sealed_at::SealedAt;
use crate::text::{base64url, from_base64url, is_base32};

const VERSION: &str = "wx1";
const ALONE: &str = "self";

/// A token, parsed.
pub(crate) enum Token {
    /// `wx1:<envelope id>:<entry>`.
    Shared {
        envelope: String,
        entry: SealedEntry,
    },
    /// `wx1:self:<envelope bytes || entry>`.
    Alone {
        envelope: Box<AloneEnvelope>,
        entry: SealedEntry,
    },
}

/// The envelope inside a token that stands alone.
#[derive(Clone, Debug)]
pub(crate) struct AloneEnvelope {
    pub(crate) binding: Binding,
    /// The digest of the template's text when that is bound.
    pub(crate) template: Option<[u8; 32]>,
    pub(crate) sealed_at: SealedAt,
    pub(crate) commitment: Commitment,
    pub(crate) wraps: Vec<(KeyId, Vec<u8>)>,
}

/// Prints a token that shares an envelope.
pub(crate) fn shared(envelope: &str, entry: &SealedEntry) -> String {
    format!("{VERSION}:{envelope}:{}", base64url(entry.as_bytes()))
}

/// Prints a token that stands alone.
pub(crate) fn alone(envelope: &AloneEnvelope, entry: &SealedEntry) -> String {
    let mut bytes = envelope.to_bytes();
    bytes.extend_from_slice(entry.as_bytes());
    format!("{VERSION}:{ALONE}:{}", base64url(&bytes))
}

/// Whether a text is an envelope id: 8 characters of lower-case base32.
pub(crate) fn is_envelope_id(text: &str) -> bool {
    is_base32(text, 5)
}

impl Token {
    /// Reads a token; says class and reason of what is not one.
    pub(crate) fn parse(text: &str) -> Result<Self, (Class, String)> {
        let malformed = |why: &str| (Class::Malformed, why.to_owned());
        let Some((version, rest)) = text.split_once(':') else {
            return Err(malformed(
                "not a token: it reads `wx1:<envelope id or self>:<base64url>`",
            ));
        };
        if version != VERSION {
            return Err(malformed(
                "not a token of this version: it starts with `wx1:`",
            ));
        }
        let Some((middle, body)) = rest.split_once(':') else {
            return Err(malformed(
                "not a token: it reads `wx1:<envelope id or self>:<base64url>`",
            ));
        };
        let bytes = from_base64url(body)
            .ok_or_else(|| malformed("the token is not base64url without padding, line breaks or spaces; a character is wrong or missing"))?;
        if middle == ALONE {
            let (envelope, entry) = AloneEnvelope::parse(&bytes)?;
            let entry =
                SealedEntry::parse(entry.to_vec()).map_err(|why| (Class::Malformed, why))?;
            return Ok(Self::Alone {
                envelope: Box::new(envelope),
                entry,
            });
        }
        if !is_envelope_id(middle) {
            return Err(malformed(
                "the token names no envelope: an envelope id is 8 characters of a-z and 2-7",
            ));
        }
        let entry = SealedEntry::parse(bytes).map_err(|why| (Class::Malformed, why))?;
        Ok(Self::Shared {
            envelope: middle.to_owned(),
            entry,
        })
    }
}

impl AloneEnvelope {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.sealed_at.unix().to_be_bytes().to_vec();
        bytes.push(self.binding.scope.number());
        lp16(&mut bytes, self.binding.namespace.as_bytes());
        lp16(&mut bytes, self.binding.name.as_bytes());
        lp16(&mut bytes, self.binding.secret_type.as_bytes());
        lp16(
            &mut bytes,
            self.template.as_ref().map_or(&[], <[u8; 32]>::as_slice),
        );
        bytes.extend_from_slice(&self.commitment.0);
        #[expect(
            clippy::expect_used,
            reason = "recipients are limited to 64 before anything is wrapped"
        )]
        bytes.push(u8::try_from(self.wraps.len()).expect("at most 64 wraps"));
        for (key_id, wrap) in &self.wraps {
            bytes.extend_from_slice(key_id.as_bytes());
            lp16(&mut bytes, wrap);
        }
        bytes
    }

    /// The envelope at the front of `bytes`, and what follows it.
    fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), (Class, String)> {
        let cut = || {
            (
                Class::Malformed,
                "the token is cut short inside its envelope".to_owned(),
            )
        };
        let malformed = |why: &str| (Class::Malformed, why.to_owned());
        let mut reader = Reader(bytes);

        let seconds = u64::from_be_bytes(reader.array().ok_or_else(cut)?);
        let sealed_at = SealedAt::from_unix(seconds)
            .map_err(|_| malformed("the token's time is beyond the year 9999"))?;
        let [scope] = reader.array().ok_or_else(cut)?;
        let scope = Scope::from_number(scope).ok_or_else(|| {
            malformed("the token's scope is none of strict, namespace and cluster")
        })?;
        let names = [
            reader.lp16().ok_or_else(cut)?,
            reader.lp16().ok_or_else(cut)?,
            reader.lp16().ok_or_else(cut)?,
        ];
        let [Ok(namespace), Ok(name), Ok(secret_type)] = names.map(str::from_utf8) else {
            return Err(malformed("the token's namespace, name or type is not text"));
        };
        let binding = Binding::new(scope, namespace, name, secret_type).ok_or_else(|| {
            malformed("the token's namespace, name and type are not what its scope binds")
        })?;
        let template = match reader.lp16().ok_or_else(cut)? {
            [] => None,
            digest => Some(
                digest
                    .try_into()
                    .map_err(|_| malformed("the token's template digest has not 32 bytes"))?,
            ),
        };
        let commitment = Commitment(reader.array().ok_or_else(cut)?);
        let [count] = reader.array().ok_or_else(cut)?;
        if count == 0 {
            return Err(malformed("the token has no recipient"));
        }
        if usize::from(count) > MAX_RECIPIENTS {
            return Err((
                Class::Limit,
                format!("the token has {count} recipients, at most {MAX_RECIPIENTS} are allowed"),
            ));
        }
        let mut wraps: Vec<(KeyId, Vec<u8>)> = Vec::new();
        for _ in 0..count {
            let key_id = KeyId::from_bytes(reader.array().ok_or_else(cut)?);
            let wrap = reader.lp16().ok_or_else(cut)?.to_vec();
            if wraps.iter().any(|(other, _)| *other == key_id) {
                return Err(malformed("the token names one recipient twice"));
            }
            wraps.push((key_id, wrap));
        }
        Ok((
            Self {
                binding,
                template,
                sealed_at,
                commitment,
                wraps,
            },
            reader.0,
        ))
    }
}

/// Takes fields off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn lp16(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        let (field, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests;
