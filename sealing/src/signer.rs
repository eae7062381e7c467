//! The cluster's signer: one long-lived Ed25519 key that says which sealing key is the current one.
//! A KEM key cannot sign. Never called an identity: that word is age's.

use std::fmt;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use zeroize::Zeroizing;

use crate::random;

/// What the signatures are for; `ssh-keygen -Y verify -n waxwing`.
const NAMESPACE: &str = "waxwing";

/// Why a signer was not read or made. The text that was given is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The private key is protected by a passphrase.
    #[error("the signer's private key is encrypted; this program cannot ask for a passphrase")]
    Encrypted,
    /// Not an Ed25519 key.
    #[error("the signer is not an Ed25519 key; `ssh-keygen -t ed25519` makes one")]
    NotEd25519,
    /// Not an OpenSSH private key file.
    #[error("not an OpenSSH private key: it starts with `-----BEGIN OPENSSH PRIVATE KEY-----`")]
    NotAPrivateKey,
    /// Not a public key line.
    #[error("not a signer's public key: it reads `ssh-ed25519 AAAA…`")]
    NotAPublicKey,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// The private half of a signer. Wiped when dropped; can be neither printed, logged, serialised nor
/// cloned; [`Signer::to_openssh`] is the one way out.
pub struct Signer(Box<PrivateKey>);

impl Signer {
    /// Makes a new one of 32 random bytes; [`SignerError::Random`] when there are none.
    pub fn generate() -> Result<Self, SignerError> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(seed.as_mut_slice()).map_err(|_| SignerError::Random)?;
        Ok(Self(Box::new(PrivateKey::from(Ed25519Keypair::from_seed(
            &seed,
        )))))
    }

    /// Reads an OpenSSH private key file, as `ssh-keygen -t ed25519 -N ''` writes it.
    pub fn from_openssh(text: &str) -> Result<Self, SignerError> {
        let key = PrivateKey::from_openssh(text)
            .map(Box::new)
            .map_err(|_| SignerError::NotAPrivateKey)?;
        match key.key_data() {
            KeypairData::Encrypted(_) => Err(SignerError::Encrypted),
            KeypairData::Ed25519(_) => Ok(Self(key)),
            _ => Err(SignerError::NotEd25519),
        }
    }

    /// Writes an OpenSSH private key file.
    #[expect(clippy::missing_panics_doc, reason = "it cannot, see below")]
    pub fn to_openssh(&self) -> Zeroizing<String> {
        #[expect(
            clippy::expect_used,
            reason = "only keys of other algorithms, or encrypted ones, can fail to encode"
        )]
        self.0
            .to_openssh(LineEnding::LF)
            .expect("an Ed25519 key encodes")
    }

    /// The public half.
    pub fn public(&self) -> SignerPublic {
        SignerPublic(without_comment(self.0.public_key()))
    }

    /// Signs a message in the SSH signature format (PROTOCOL.sshsig), over its SHA-512.
    pub(crate) fn sign(&self, message: &[u8]) -> SshSig {
        #[expect(
            clippy::expect_used,
            reason = "an unencrypted Ed25519 key signs every message"
        )]
        self.0
            .sign(NAMESPACE, HashAlg::Sha512, message)
            .expect("an Ed25519 key signs")
    }
}

/// The public half of a signer. Printed `ssh-ed25519 AAAA…`, without a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerPublic(PublicKey);

impl SignerPublic {
    /// Reads `ssh-ed25519 AAAA…`; a comment after it is dropped.
    pub fn parse(line: &str) -> Result<Self, SignerError> {
        let key = PublicKey::from_openssh(line).map_err(|_| SignerError::NotAPublicKey)?;
        if key.algorithm() == Algorithm::Ed25519 {
            Ok(Self(without_comment(&key)))
        } else {
            Err(SignerError::NotEd25519)
        }
    }

    /// `SHA256:` and 43 characters of base64, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether a signature is this signer's, in our namespace, with the one hash that we use, over
    /// `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &SshSig) -> bool {
        signature.hash_alg() == HashAlg::Sha512
            && self.0.verify(NAMESPACE, message, signature).is_ok()
    }

    /// Whether a signature names this signer, whatever it signs.
    pub(crate) fn is_named_by(&self, signature: &SshSig) -> bool {
        signature.public_key() == self.0.key_data()
    }
}

impl fmt::Display for SignerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(
            clippy::expect_used,
            reason = "only keys of unknown algorithms can fail to encode"
        )]
        f.write_str(&self.0.to_openssh().expect("an Ed25519 key encodes"))
    }
}

fn without_comment(key: &PublicKey) -> PublicKey {
    PublicKey::new(key.key_data().clone(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_survives_its_file() {
        let signer = Signer::generate().unwrap();
        let again = Signer::from_openssh(&signer.to_openssh()).unwrap();
        assert_eq!(again.public(), signer.public());
        let line = signer.public().to_string();
        assert_eq!(line.split(' ').count(), 2, "{line}");
        assert_eq!(SignerPublic::parse(&line).unwrap(), signer.public());
        assert_eq!(
            SignerPublic::parse(&format!("{line} ops@example.org")).unwrap(),
            signer.public()
        );
        assert_ne!(Signer::generate().unwrap().public(), signer.public());
    }

    #[test]
    fn other_keys_are_refused() {
        assert_eq!(
            Signer::from_openssh("x").err(),
            Some(SignerError::NotAPrivateKey)
        );
        assert_eq!(
            SignerPublic::parse("ssh-ed25519").err(),
            Some(SignerError::NotAPublicKey)
        );
        assert_eq!(
            SignerPublic::parse("").err(),
            Some(SignerError::NotAPublicKey)
        );
    }
}
