//! The SealingKey of a key: a projection of the key Secret, the same bytes every time (Ed25519
//! signatures are deterministic), so that restoring an edited one needs no memory. Pure.

use crds::{SealingKey, SealingKeySpec};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::ResourceExt as _;
use sealing::{Attestation, AttestationError, Signer, Statement};

use super::secret::{Key, in_use};

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
    let mut sealing_key = SealingKey::new(
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
    );
    sealing_key.annotations_mut().extend([in_use()]);
    Ok(Some(sealing_key))
}

/// Whether a live SealingKey says what it should. Other people's annotations are theirs.
pub fn is_true(live: &SealingKey, wanted: &SealingKey) -> bool {
    live.spec == wanted.spec && is_marked(live)
}

/// Whether a SealingKey carries the mark that protects it.
pub fn is_marked(live: &SealingKey) -> bool {
    let (name, value) = in_use();
    live.annotations().get(&name) == Some(&value)
}

#[cfg(test)]
mod tests {
    use sealing::{Identity, KeyState, SealedAt, Suite};

    use super::*;

    fn published() -> SealingKey {
        let key = Key {
            identity: Identity::generate(Suite::X25519).unwrap(),
            secret_name: "waxwing-key".into(),
            created_at: SealedAt::from_unix(1).unwrap(),
            state: Some(KeyState::Active),
            sequence: Some(1),
            previous: None,
            backed_up: None,
            marked_in_use: true,
        };
        let signer = Signer::generate().unwrap();
        projection(&key, &signer, "prod").unwrap().unwrap()
    }

    #[test]
    fn a_key_is_published_with_its_protection_which_is_restored_when_it_is_taken_off() {
        let wanted = published();
        assert_eq!(wanted.annotations()["waxwing.dev/in-use"], "true");
        let mut live = wanted.clone();
        live.annotations_mut().insert("team".into(), "a".into());
        assert!(is_true(&live, &wanted), "other people's annotations");
        for value in [None, Some("false")] {
            let mut bare = wanted.clone();
            bare.annotations_mut().clear();
            let value = value.map(|value| ("waxwing.dev/in-use".into(), value.into()));
            bare.annotations_mut().extend(value);
            assert!(!is_true(&bare, &wanted));
        }
        let mut forged = wanted.clone();
        forged.spec.public_key = "age1x".into();
        assert!(!is_true(&forged, &wanted));
    }
}
