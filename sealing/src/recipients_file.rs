//! Recipients files: age's form, one public key a line and `#` comments, which may carry the
//! attestation of the cluster's signer.

use std::fmt::Write as _;

use crate::attestation::{Attestation, AttestationError, END, KeyState, Statement, TITLE};
use crate::key::Recipient;
use crate::signer::SignerPublic;

const SIGNER: &str = "signer: ";

/// Why a file is no recipients file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct RecipientsFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in words. Never repeats the line: it could hold a private key.
    pub why: String,
}

/// A recipients file: `age -R FILE` reads it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientsFile {
    recipients: Vec<Recipient>,
    signer: Option<SignerPublic>,
    attestation: Option<Attestation>,
}

impl RecipientsFile {
    /// Reads a file: recipients, blank lines and comments. Among the comments it knows
    /// `# signer: ssh-ed25519 AAAA…` and an attestation, each at most once; believes neither.
    /// Line endings of either kind.
    pub fn parse(text: &str) -> Result<Self, RecipientsFileError> {
        let mut file = Self {
            recipients: Vec::new(),
            signer: None,
            attestation: None,
        };
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim_end()));
        while let Some((line, content)) = lines.next() {
            let refused = |why: String| RecipientsFileError { line, why };
            let Some(comment) = content.strip_prefix('#').map(uncommented) else {
                if !content.is_empty() {
                    let recipient =
                        Recipient::parse(content).map_err(|error| refused(error.to_string()))?;
                    if file.recipients.contains(&recipient) {
                        return Err(refused("this key is in the file twice".to_owned()));
                    }
                    file.recipients.push(recipient);
                }
                continue;
            };
            if let Some(signer) = comment.strip_prefix(SIGNER) {
                let signer =
                    SignerPublic::parse(signer).map_err(|error| refused(error.to_string()))?;
                if file.signer.replace(signer).is_some() {
                    return Err(refused("the file names a signer twice".to_owned()));
                }
            } else if comment == TITLE {
                let attestation = Attestation::parse(&attestation_text(&mut lines))
                    .map_err(|error| refused(error.to_string()))?;
                if file.attestation.replace(attestation).is_some() {
                    return Err(refused("the file holds two attestations".to_owned()));
                }
            }
        }
        if file.recipients.is_empty() {
            let line = text.lines().count().max(1);
            return Err(RecipientsFileError {
                line,
                why: "the file ends without a public key (age1pq1…)".to_owned(),
            });
        }
        Ok(file)
    }

    /// The file of a cluster's key, with its signer's word for it.
    pub fn attested(recipient: Recipient, signer: SignerPublic, attestation: Attestation) -> Self {
        Self {
            recipients: vec![recipient],
            signer: Some(signer),
            attestation: Some(attestation),
        }
    }

    /// The file of keys that nobody vouches for.
    pub fn bare(recipients: Vec<Recipient>) -> Self {
        Self {
            recipients,
            signer: None,
            attestation: None,
        }
    }

    /// Its recipients, in the order of the file.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.recipients.clone()
    }

    /// The signer that the file names: to compare with a pinned fingerprint, not to trust.
    pub fn signer(&self) -> Option<SignerPublic> {
        self.signer.clone()
    }

    /// The attestation that the file carries, verified by nobody yet.
    pub fn attestation(&self) -> Option<&Attestation> {
        self.attestation.as_ref()
    }

    /// The recipient that `signer` vouches for: the attestation is signed by `signer`, its key is
    /// the one recipient of the file, and its state is Active. To be asked with a trusted signer.
    pub fn verify(
        &self,
        signer: &SignerPublic,
    ) -> Result<(&Recipient, &Statement), AttestationError> {
        let statement = self
            .attestation
            .as_ref()
            .ok_or(AttestationError::Missing)?
            .verify(signer)?;
        // A second recipient in an attested file would be handed every value.
        let [recipient] = self.recipients.as_slice() else {
            return Err(AttestationError::OtherKey(statement.key));
        };
        if *recipient.key_id() != statement.key {
            return Err(AttestationError::OtherKey(statement.key));
        }
        match statement.state {
            KeyState::Active => Ok((recipient, statement)),
            state => Err(AttestationError::NotActive(state)),
        }
    }

    /// The file's text: facts for people as comments, the attestation, the recipients.
    pub fn print(&self) -> String {
        // `write!` to a String cannot fail.
        let mut text = String::new();
        for recipient in &self.recipients {
            let _ = writeln!(text, "# public key: {}", recipient.key_id());
        }
        if let Some(signer) = &self.signer {
            let _ = writeln!(text, "# signer fingerprint: {}", signer.fingerprint());
            let _ = writeln!(text, "# {SIGNER}{signer}");
        }
        if let Some(attestation) = &self.attestation {
            for line in attestation.text().lines() {
                let _ = writeln!(text, "# {line}");
            }
        }
        for recipient in &self.recipients {
            let _ = writeln!(text, "{recipient}");
        }
        text
    }
}

/// The text of an attestation whose first line was read: up to the end of its signature.
fn attestation_text<'t>(lines: &mut impl Iterator<Item = (usize, &'t str)>) -> String {
    let mut text = format!("{TITLE}\n");
    for (_, line) in lines {
        let line = uncommented(line.strip_prefix('#').unwrap_or(line));
        text.push_str(line);
        text.push('\n');
        if line == END {
            break;
        }
    }
    text
}

fn uncommented(comment: &str) -> &str {
    comment.strip_prefix(' ').unwrap_or(comment)
}

#[cfg(test)]
mod tests;
