//! The SealingKey of a key: a projection of the key Secret, the same bytes every time (Ed25519
//! signatures are deterministic), so that restoring an edited one needs no memory. Pure.

use crds::{SealingKey, SealingKeySpec};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use sealing::{Attestation, AttestationError, Signer, Statement};

use super::secret::Key;

/// What is published about a key: `None` while it has no state or sequence number yet.
///
/// # Errors
/// When the signer cannot sign.
pub fn projection(
    key: &Key,
    signer: &Signer,
    cluster: &str,
) -> Result<Option<SealingKey>, AttestationError> {
    let (Some(state), Some(sequence)) = (key.state, key.sequence) else {
        return Ok(None);
    };
    let recipient = key.identity.recipient();
    let statement = Statement {
        cluster: cluster.to_owned(),
        sequence,
        key: *recipient.key_id(),
        previous: key.previous,
        created_at: key.created_at,
        state,
    };
    let attestation = Attestation::sign(&statement, signer)?;
    let created = i64::try_from(key.created_at.unix())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or_default();
    Ok(Some(SealingKey::new(
        &key.short_id(),
        SealingKeySpec {
            public_key: recipient.to_string(),
            fingerprint: recipient.key_id().fingerprint(),
            suite: recipient.suite().into(),
            created_at: Time(created),
            state: state.into(),
            signer: signer.public().to_string(),
            attestation: attestation.text(),
        },
    )))
}
