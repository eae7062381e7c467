//! One SealedSecret becomes one Secret.

use crds::SealedSecret;

/// Opens SealedSecrets and writes their Secrets; shared by the unsealing watch and the sync.
#[derive(Clone)]
pub struct Unsealer {}

/// One SealedSecret opened in memory, ready to be written.
pub struct Unsealed {}

/// Whose word allows an existing Secret that is not ours to be taken over (`ownership.mode: Adopt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Only the Secret itself, by its annotation `waxwing.dev/adopt: allowed`.
    OfSecretOnly,
    /// Also a sync whose account may update that Secret (the caller asked the API server).
    SyncMayUpdate,
}

/// What a write did.
#[derive(Clone, Debug)]
pub struct Written {
    /// False when the Secret was already exactly what the SealedSecret says.
    pub changed: bool,
}

/// Why a SealedSecret does not become a Secret. Never holds a value.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct UnsealError {
    /// Stable CamelCase reason, as the condition carries it.
    pub reason: &'static str,
    /// What, where, why, and what to do.
    pub message: String,
    /// Entries that fail, each with its reason.
    pub failing: Vec<(String, String)>,
}

impl Unsealer {
    /// Changes whenever the keyring changes.
    pub fn keys_version(&self) -> u64 {
        todo!()
    }

    /// Judges and opens a SealedSecret in memory. No I/O, nothing is written.
    pub fn open(&self, sealed: &SealedSecret) -> Result<Unsealed, UnsealError> {
        todo!()
    }

    /// Would the Secret be ours to write? Reads metadata only.
    pub async fn check(&self, unsealed: &Unsealed, consent: Consent) -> Result<(), UnsealError> {
        todo!()
    }

    /// Writes the Secret, then the status of its SealedSecret (`applied`: as the API server
    /// answered, with uid and generation).
    pub async fn write(
        &self,
        unsealed: Unsealed,
        applied: &SealedSecret,
        consent: Consent,
    ) -> Result<Written, UnsealError> {
        todo!()
    }
}
