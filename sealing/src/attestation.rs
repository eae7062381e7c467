//! Attestations: what a cluster's signer says about a sealing key. The exact bytes are described in
//! `docs/attestation.md` and frozen.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use ssh_key::{LineEnding, SshSig};

use crate::key_id::KeyId;
use crate::names::Label;
use crate::sealed_at::SealedAt;
use crate::signer::{Signer, SignerPublic};
use crate::text::shown;

/// The first line of every statement of this version.
pub(crate) const TITLE: &str = "waxwing attestation v1";
/// The last line of every attestation.
pub(crate) const END: &str = "-----END SSH SIGNATURE-----";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";

/// The state of a sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// It seals and opens; the one that new values are sealed to.
    Active,
    /// It opens what was sealed to it; nothing new is.
    DecryptOnly,
    /// Its private half is gone from the cluster.
    Retired,
    /// Somebody else may have its private half.
    Compromised,
}

impl KeyState {
    const ALL: [Self; 4] = [
        Self::Active,
        Self::DecryptOnly,
        Self::Retired,
        Self::Compromised,
    ];
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "Active",
            Self::DecryptOnly => "DecryptOnly",
            Self::Retired => "Retired",
            Self::Compromised => "Compromised",
        })
    }
}

impl FromStr for KeyState {
    type Err = AttestationError;

    fn from_str(text: &str) -> Result<Self, AttestationError> {
        Self::ALL
            .into_iter()
            .find(|state| state.to_string() == text)
            .ok_or_else(|| {
                AttestationError::Malformed(format!(
                    "{:?} is not the state of a key: Active, DecryptOnly, Retired or Compromised",
                    shown(text)
                ))
            })
    }
}

/// What a signer says about one sealing key. Printed as the lines that are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The cluster's name by the grammar of labels; empty when it has none.
    pub cluster: String,
    /// Grows by at least one with every statement of a signer; a lower one than seen before is old.
    pub sequence: u64,
    /// The sealing key that it is about.
    pub key: KeyId,
    /// The sealing key that was Active before it.
    pub previous: Option<KeyId>,
    /// When the sealing key was made.
    pub created_at: SealedAt,
    /// The state of the sealing key.
    pub state: KeyState,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        // No blank at the end of a line: editors and hooks take it away, and the signature with it.
        match self.cluster.as_str() {
            "" => writeln!(f, "cluster:")?,
            name => writeln!(f, "cluster: {name}")?,
        }
        writeln!(f, "sequence: {}", self.sequence)?;
        writeln!(f, "key: {}", self.key)?;
        match &self.previous {
            None => writeln!(f, "previous: none")?,
            Some(key) => writeln!(f, "previous: {key}")?,
        }
        writeln!(f, "created: {}", self.created_at)?;
        writeln!(f, "state: {}", self.state)
    }
}

/// Why an attestation was not made, read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// A cluster name that is not of the grammar of labels.
    #[error("{0:?} is not a name for a cluster: 1 to 40 of a-z, 0-9 and `-`")]
    ClusterName(String),
    /// The signature does not belong to the statement: one of them was changed.
    #[error("the attestation is forged or damaged: its signature does not belong to its statement")]
    Forged,
    /// The text is no attestation of this version.
    #[error("not an attestation: {0}")]
    Malformed(String),
    /// There is no attestation.
    #[error(
        "there is no attestation by the cluster's signer; `waxwing keys fetch` gets the key with it"
    )]
    Missing,
    /// The attested key is not Active, so nothing new is to be sealed to it.
    #[error("the attested key is {0}; `waxwing keys fetch` gets the Active one")]
    NotActive(KeyState),
    /// The file holds another key than the attested one, or others beside it.
    #[error("the attestation is for the key {0}, and the file does not hold exactly this key")]
    OtherKey(KeyId),
    /// Signed by somebody else.
    #[error("the attestation is not signed by {expected}")]
    OtherSigner {
        /// The fingerprint of the signer that was asked for.
        expected: String,
    },
}

/// A signed statement: its lines, followed by an armored SSH signature over exactly these lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    statement: Statement,
    signature: SshSig,
}

impl Attestation {
    /// Signs a statement; [`AttestationError::ClusterName`] when the name is not of the grammar.
    pub fn sign(statement: &Statement, signer: &Signer) -> Result<Self, AttestationError> {
        check_cluster(&statement.cluster).map_err(AttestationError::ClusterName)?;
        let signature = signer.sign(statement.to_string().as_bytes());
        Ok(Self {
            statement: statement.clone(),
            signature,
        })
    }

    /// The statement's lines and the armored signature, as `SealingKey.spec.attestation` holds them;
    /// ends with a line ending.
    #[expect(clippy::missing_panics_doc, reason = "it cannot, see below")]
    pub fn text(&self) -> String {
        #[expect(
            clippy::expect_used,
            reason = "the signature is Ed25519, made or read by this type"
        )]
        let armor = self
            .signature
            .to_pem(LineEnding::LF)
            .expect("a signature encodes");
        let mut text = self.statement.to_string();
        // `write!` to a String cannot fail.
        let _ = writeln!(text, "{}", armor.trim_end());
        text
    }

    /// Reads a text and verifies nothing. The last line ending may be missing; everything else must
    /// be as [`Attestation::text`] writes it ([`AttestationError::Malformed`]).
    pub fn parse(text: &str) -> Result<Self, AttestationError> {
        let malformed = |why: &str| AttestationError::Malformed(why.to_owned());
        let at = text
            .find(BEGIN)
            .ok_or_else(|| malformed("it has no SSH signature"))?;
        let (lines, armor) = text.split_at(at);
        let statement = parse_statement(lines)?;
        if armor.trim_end_matches('\n').strip_suffix(END).is_none() {
            return Err(malformed(
                "something follows its signature, or the signature is cut short",
            ));
        }
        let signature =
            SshSig::from_pem(armor).map_err(|_| malformed("its SSH signature cannot be read"))?;
        Ok(Self {
            statement,
            signature,
        })
    }

    /// The statement, when `signer` signed it; else [`AttestationError::OtherSigner`] or
    /// [`AttestationError::Forged`].
    pub fn verify(&self, signer: &SignerPublic) -> Result<&Statement, AttestationError> {
        if !signer.is_named_by(&self.signature) {
            return Err(AttestationError::OtherSigner {
                expected: signer.fingerprint(),
            });
        }
        let message = self.statement.to_string();
        if signer.verifies(message.as_bytes(), &self.signature) {
            Ok(&self.statement)
        } else {
            Err(AttestationError::Forged)
        }
    }

    /// The statement, which nobody may have signed: to show, not to trust.
    pub fn unverified_statement(&self) -> &Statement {
        &self.statement
    }
}

impl FromStr for Attestation {
    type Err = AttestationError;

    fn from_str(text: &str) -> Result<Self, AttestationError> {
        Self::parse(text)
    }
}

fn parse_statement(text: &str) -> Result<Statement, AttestationError> {
    let malformed = |why: String| AttestationError::Malformed(why);
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let &[title, cluster, sequence, key, previous, created, state] = lines.as_slice() else {
        return Err(malformed(format!(
            "its statement has {} lines instead of 7",
            lines.len()
        )));
    };
    if title != TITLE {
        return Err(malformed(format!("its first line is not `{TITLE}`")));
    }
    let field = |line: &'_ str, name: &str| {
        let value = line.strip_prefix(name).and_then(|rest| {
            rest.strip_prefix(": ")
                .or_else(|| rest.strip_prefix(':').filter(|r| r.is_empty()))
        });
        value.map(ToOwned::to_owned).ok_or_else(|| {
            AttestationError::Malformed(format!("a line does not start with `{name}:`"))
        })
    };
    let key_id = |text: &str| {
        KeyId::parse_fingerprint(text)
            .map_err(|error| AttestationError::Malformed(error.to_string()))
    };
    let statement = Statement {
        cluster: field(cluster, "cluster")?,
        sequence: field(sequence, "sequence")?
            .parse()
            .map_err(|_| malformed("its sequence is not a number".to_owned()))?,
        key: key_id(&field(key, "key")?)?,
        previous: match field(previous, "previous")?.as_str() {
            "none" => None,
            other => Some(key_id(other)?),
        },
        created_at: SealedAt::parse(&field(created, "created")?)
            .map_err(|error| malformed(error.to_string()))?,
        state: field(state, "state")?.parse()?,
    };
    check_cluster(&statement.cluster)
        .map_err(|name| malformed(format!("{name:?} is not a name for a cluster")))?;
    // One text for one statement: what is signed is what the fields print.
    if statement.to_string() == text {
        Ok(statement)
    } else {
        Err(malformed(
            "a field is not written as this version writes it".to_owned(),
        ))
    }
}

fn check_cluster(name: &str) -> Result<(), String> {
    if name.is_empty() || Label::new(name).is_ok() {
        Ok(())
    } else {
        Err(name.to_owned())
    }
}

#[cfg(test)]
mod tests;
