//! A key pair as the Secret that holds it: the source of truth of a key. Pure.

use std::collections::BTreeMap;

use crds::names;
use k8s_openapi::api::core::v1::Secret;
use sealing::{Identity, KeyId, KeyState, SealedAt};
use zeroize::Zeroize as _;

/// One key pair of this cluster.
pub struct Key {
    /// The private half.
    pub identity: Identity,
    /// Name of its Secret.
    pub secret_name: String,
    /// When it was made.
    pub created_at: SealedAt,
    /// `None` until the controller has given it one (a Secret restored by hand has none).
    pub state: Option<KeyState>,
    /// Sequence number of the attestation of that state.
    pub sequence: Option<u64>,
    /// The key that was Active before it.
    pub previous: Option<KeyId>,
    /// Kept in a backup (`waxwing.dev/backed-up`), and when.
    pub backed_up: Option<String>,
    /// Its Secret says that it is in use ([`IN_USE`]), and is thereby protected from being deleted.
    pub marked_in_use: bool,
}

/// Why a Secret is not taken into the keyring. Never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key Secret {secret}: {why}")]
pub struct KeySecretError {
    /// Name of the Secret.
    pub secret: String,
    /// Why, and what to do.
    pub why: String,
}

impl Key {
    /// Reads a key off its Secret and wipes the Secret's data.
    ///
    /// # Errors
    /// When the Secret is not of the right type, or what it holds is not one identity, or the
    /// identity is not the one its label names (a swapped or edited key).
    pub fn from_secret(mut secret: Secret) -> Result<Self, KeySecretError> {
        let parsed = Self::parse(&secret);
        wipe(&mut secret);
        parsed
    }

    /// The short key id: label, name of the SealingKey, part of every recipient's name.
    pub fn short_id(&self) -> String {
        self.identity.recipient().key_id().short()
    }

    /// The key's state, `DecryptOnly` while it has none.
    pub fn state(&self) -> KeyState {
        self.state.unwrap_or(KeyState::DecryptOnly)
    }

    /// Labels of its Secret.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(names::KEY_LABEL.to_owned(), self.short_id())])
    }

    /// Annotations of its Secret: state, history, protection.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::from([
            (
                names::CREATED_AT_ANNOTATION.to_owned(),
                self.created_at.to_string(),
            ),
            in_use(),
        ]);
        if let Some(state) = self.state {
            annotations.insert(names::STATE_ANNOTATION.to_owned(), state.to_string());
        }
        if let Some(sequence) = self.sequence {
            annotations.insert(names::SEQUENCE_ANNOTATION.to_owned(), sequence.to_string());
        }
        if let Some(previous) = &self.previous {
            annotations.insert(
                names::PREVIOUS_KEY_ANNOTATION.to_owned(),
                previous.fingerprint(),
            );
        }
        annotations
    }

    fn parse(secret: &Secret) -> Result<Self, KeySecretError> {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let error = |why: String| KeySecretError {
            secret: name.clone(),
            why,
        };
        if secret.type_.as_deref() != Some(names::SEALING_KEY_TYPE) {
            return Err(error(format!(
                "is of type {:?}, not {}: it is not used",
                secret.type_.as_deref().unwrap_or("Opaque"),
                names::SEALING_KEY_TYPE
            )));
        }
        let line = secret
            .data
            .as_ref()
            .and_then(|data| data.get(names::SEALING_KEY_DATA))
            .ok_or_else(|| error(format!("has no data.{}", names::SEALING_KEY_DATA)))?;
        let line = std::str::from_utf8(&line.0)
            .map_err(|_| error(format!("data.{} is not text", names::SEALING_KEY_DATA)))?;
        let identity = Identity::parse(line.trim_ascii()).map_err(|why| {
            error(format!(
                "data.{} is not one identity: {why}",
                names::SEALING_KEY_DATA
            ))
        })?;
        let short_id = identity.recipient().key_id().short();
        let label = secret
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(names::KEY_LABEL));
        if label != Some(&short_id) {
            return Err(error(format!(
                "holds key {short_id} but its label {} says {}: edited or swapped; restore it from \
                 a backup, or if the key is right: kubectl label secret {name} --overwrite {}={short_id}",
                names::KEY_LABEL,
                label.map_or("nothing", String::as_str),
                names::KEY_LABEL,
            )));
        }
        let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key);
        let created_at = match annotation(names::CREATED_AT_ANNOTATION) {
            Some(text) => SealedAt::parse(text).map_err(|why| {
                error(format!(
                    "annotation {}: {why}",
                    names::CREATED_AT_ANNOTATION
                ))
            })?,
            None => created(secret),
        };
        let state = annotation(names::STATE_ANNOTATION)
            .map(|text| {
                text.parse().map_err(|_| {
                    error(format!(
                        "annotation {}: {text:?} is no key state",
                        names::STATE_ANNOTATION
                    ))
                })
            })
            .transpose()?;
        let sequence = annotation(names::SEQUENCE_ANNOTATION)
            .map(|text| {
                text.parse().map_err(|_| {
                    error(format!(
                        "annotation {}: {text:?} is no number",
                        names::SEQUENCE_ANNOTATION
                    ))
                })
            })
            .transpose()?;
        let previous = annotation(names::PREVIOUS_KEY_ANNOTATION)
            .map(|text| {
                KeyId::parse_fingerprint(text).map_err(|why| {
                    error(format!(
                        "annotation {}: {why}",
                        names::PREVIOUS_KEY_ANNOTATION
                    ))
                })
            })
            .transpose()?;
        Ok(Self {
            identity,
            created_at,
            state,
            sequence,
            previous,
            backed_up: annotation(names::BACKED_UP_ANNOTATION).cloned(),
            marked_in_use: annotation(names::IN_USE_ANNOTATION).is_some_and(|text| text == IN_USE),
            secret_name: name,
        })
    }
}

/// What the admission policy of `deploy/` looks for on a key that must not be deleted.
pub const IN_USE: &str = "true";

/// The annotation that protects a key. Nobody counts yet which values depend on which key, so each counts as in use:
/// protecting one too many costs a command, one too few costs every value sealed to it.
pub fn in_use() -> (String, String) {
    (names::IN_USE_ANNOTATION.to_owned(), IN_USE.to_owned())
}

/// Overwrites the data of a Secret that came from the API server.
pub fn wipe(secret: &mut Secret) {
    for value in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        value.0.zeroize();
    }
}

fn created(secret: &Secret) -> SealedAt {
    let seconds = secret
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second());
    u64::try_from(seconds)
        .ok()
        .and_then(|seconds| SealedAt::from_unix(seconds).ok())
        .unwrap_or(SealedAt::EPOCH)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use sealing::Suite;

    use super::*;

    fn secret(change: impl FnOnce(&mut Secret)) -> (String, Secret) {
        let identity = Identity::generate(Suite::XWing).unwrap();
        let short_id = identity.recipient().key_id().short();
        let mut secret = Secret {
            type_: Some(names::SEALING_KEY_TYPE.into()),
            data: Some(BTreeMap::from([(
                names::SEALING_KEY_DATA.to_owned(),
                ByteString(identity.to_line().as_bytes().to_vec()),
            )])),
            ..Secret::default()
        };
        secret.metadata.name = Some("restored".into());
        secret.metadata.labels = Some(BTreeMap::from([(
            names::KEY_LABEL.to_owned(),
            short_id.clone(),
        )]));
        change(&mut secret);
        (short_id, secret)
    }

    fn refused(change: impl FnOnce(&mut Secret)) -> String {
        match Key::from_secret(secret(change).1) {
            Ok(_) => panic!("taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_restored_key_needs_no_more_than_type_label_and_identity() {
        let (short_id, secret) = secret(|_| ());
        let key = Key::from_secret(secret).unwrap();
        assert_eq!(key.short_id(), short_id);
        assert_eq!(key.state, None);
        assert_eq!(key.state(), KeyState::DecryptOnly);
    }

    #[test]
    fn what_is_written_on_a_key_secret_is_read_back() {
        let (_, mut restored) = secret(|_| ());
        let mut key = Key::from_secret(restored.clone()).unwrap();
        key.state = Some(KeyState::Active);
        key.sequence = Some(7);
        key.previous = Some(
            *Identity::generate(Suite::XWing)
                .unwrap()
                .recipient()
                .key_id(),
        );
        key.created_at = SealedAt::from_unix(1_795_287_600).unwrap();
        restored.metadata.annotations = Some(key.annotations());
        let read = Key::from_secret(restored).unwrap();
        assert!(read.marked_in_use && !key.marked_in_use);
        assert_eq!(
            (read.state, read.sequence, read.previous, read.created_at),
            (key.state, key.sequence, key.previous, key.created_at)
        );
    }

    #[test]
    fn a_planted_emptied_swapped_or_unreadable_key_is_refused_by_name() {
        let wrong_type = refused(|secret| secret.type_ = Some("Opaque".into()));
        assert!(
            wrong_type.contains("restored") && wrong_type.contains("Opaque"),
            "{wrong_type}"
        );
        let emptied = refused(|secret| secret.data = None);
        assert!(emptied.contains("data.identity"), "{emptied}");
        let unreadable = refused(|secret| {
            let data = secret.data.as_mut().unwrap();
            data.insert(
                names::SEALING_KEY_DATA.into(),
                ByteString(b"AGE-SECRET-KEY-PQ-1CANARY".to_vec()),
            );
        });
        assert!(
            !unreadable.contains("CANARY"),
            "key material in an error: {unreadable}"
        );
        let swapped = refused(|secret| {
            let labels = secret.metadata.labels.as_mut().unwrap();
            labels.insert(names::KEY_LABEL.into(), "aaaaaaaaaaaaa".into());
        });
        assert!(swapped.contains("aaaaaaaaaaaaa"), "{swapped}");
    }
}
