//! Is there anything to do for a SealedSecret? Judged from its status and the metadata of its
//! Secret alone: nothing is decrypted or asked for. Pure.

use std::collections::BTreeMap;

use crds::{SealedSecret, conditions, names};
use kube::ResourceExt as _;

use super::{facts::BriefFacts, fields::FieldSet, ownership};

/// The fields that are applied for a SealedSecret; told without opening it.
pub fn expected_fields(sealed: &SealedSecret) -> FieldSet {
    let spec = &sealed.spec;
    let mut fields = FieldSet::default();
    for key in spec.encrypted_data.keys().chain(spec.template.data.keys()) {
        fields.insert(&["data", key]);
    }
    for key in labels(sealed).keys() {
        fields.insert(&["metadata", "labels", key]);
    }
    for key in annotations(sealed, "").keys() {
        fields.insert(&["metadata", "annotations", key]);
    }
    if secret_type(sealed).is_some() {
        fields.insert(&["type"]);
    }
    if spec.template.immutable.is_some() {
        fields.insert(&["immutable"]);
    }
    fields
}

/// Labels of the Secret.
pub fn labels(sealed: &SealedSecret) -> BTreeMap<String, String> {
    let mut labels = if ownership::merges(&sealed.spec.ownership) {
        BTreeMap::new()
    } else {
        sealed.spec.template.metadata.labels.clone()
    };
    labels.insert(names::SEALED_LABEL.into(), names::SEALED_LABEL_VALUE.into());
    labels
}

/// Annotations of the Secret.
pub fn annotations(sealed: &SealedSecret, sealed_by: &str) -> BTreeMap<String, String> {
    let ownership = &sealed.spec.ownership;
    let mut annotations = if ownership::merges(ownership) {
        BTreeMap::new()
    } else {
        sealed.spec.template.metadata.annotations.clone()
    };
    annotations.insert(names::SEALED_BY_ANNOTATION.into(), sealed_by.into());
    annotations.insert(
        names::OWNERSHIP_ANNOTATION.into(),
        ownership::recorded(ownership).into(),
    );
    annotations
}

/// The type that is applied: always one, unless the Secret is somebody else's that we add to.
pub fn secret_type(sealed: &SealedSecret) -> Option<&str> {
    let template_type = sealed.spec.template.type_.as_deref();
    if ownership::merges(&sealed.spec.ownership) {
        template_type
    } else {
        Some(template_type.unwrap_or("Opaque"))
    }
}

/// Whether the Secret is all that the SealedSecret says. `secret` is what the watch knows of it.
pub fn is_settled(sealed: &SealedSecret, secret: Option<&BriefFacts>) -> bool {
    let Some(secret) = secret else {
        return false;
    };
    was_applied(sealed)
        && sealed
            .status
            .as_ref()
            .and_then(|status| status.secret.as_ref())
            .is_some_and(|applied| applied.uid == secret.uid)
        && covers(sealed, secret)
}

/// Whether our field manager still owns every field that we apply, and nobody added data.
pub fn covers(sealed: &SealedSecret, secret: &BriefFacts) -> bool {
    let foreign = secret.has_foreign_keys && !ownership::merges(&sealed.spec.ownership);
    !secret.deleting
        && !foreign
        && !secret.has_contested_keys
        && secret.owned == Some(expected_fields(sealed).digest())
}

/// Whether the status says that this very spec was applied.
pub fn was_applied(sealed: &SealedSecret) -> bool {
    let Some(status) = &sealed.status else {
        return false;
    };
    let ready = conditions::find(&status.conditions, conditions::READY);
    ready.is_some_and(|ready| ready.status == "True")
        && status.observed_generation == sealed.metadata.generation
        && status.secret.is_some()
        && status.last_handled_reconcile_at.as_ref() == reconcile_at(sealed)
}

/// The value of `waxwing.dev/reconcile-at`.
pub fn reconcile_at(sealed: &SealedSecret) -> Option<&String> {
    sealed.annotations().get(names::RECONCILE_AT_ANNOTATION)
}

/// Drops what only opening needs from an object that was applied: ciphertext is most of its size,
/// and thousands of them are kept. [`is_stripped`] tells that it has to be read again.
pub fn strip(sealed: &mut SealedSecret) {
    sealed.managed_fields_mut().clear();
    if was_applied(sealed) {
        sealed.spec.envelopes.clear();
        for entry in sealed.spec.encrypted_data.values_mut() {
            entry.value = String::new();
        }
        if let Some(status) = &mut sealed.status {
            status.rewraps = Vec::new();
        }
    }
}

/// Whether [`strip`] took the ciphertext. (A token is never empty.)
pub fn is_stripped(sealed: &SealedSecret) -> bool {
    sealed
        .spec
        .encrypted_data
        .values()
        .all(|entry| entry.value.is_empty())
}

#[cfg(test)]
mod tests {
    use crds::{
        EncryptedEntry, OwnershipMode, SealedSecretSpec, SealedSecretStatus, SecretStatus,
        conditions::Outcome, reasons::Reason,
    };
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn sealed() -> SealedSecret {
        let mut spec = SealedSecretSpec::default();
        spec.encrypted_data.insert(
            "A".into(),
            EncryptedEntry {
                value: "wx1:self:x".into(),
            },
        );
        spec.template.data.insert("url".into(), "{{ A }}".into());
        let mut sealed = SealedSecret::new("db", spec);
        sealed.metadata.namespace = Some("payments".into());
        sealed.metadata.generation = Some(3);
        let mut status = SealedSecretStatus {
            observed_generation: Some(3),
            secret: Some(SecretStatus {
                uid: "u".into(),
                resource_version: "7".into(),
                ..SecretStatus::default()
            }),
            ..SealedSecretStatus::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        conditions::report(
            &mut status.conditions,
            Outcome::Ready,
            Reason::Succeeded,
            "",
            Some(3),
            now,
        );
        sealed.status = Some(status);
        sealed
    }

    fn secret(sealed: &SealedSecret) -> BriefFacts {
        BriefFacts {
            uid: "u".into(),
            resource_version: "9".into(),
            owned: Some(expected_fields(sealed).digest()),
            has_foreign_keys: false,
            has_contested_keys: false,
            deleting: false,
        }
    }

    #[test]
    fn what_was_applied_and_is_still_ours_is_settled() {
        let sealed = sealed();
        assert!(is_settled(&sealed, Some(&secret(&sealed))));
    }

    #[test]
    fn every_kind_of_drift_unsettles() {
        let sealed = sealed();
        let good = secret(&sealed);
        let mut fewer = FieldSet::default();
        fewer.insert(&["data", "A"]);
        let drifted = [
            None,
            Some(BriefFacts {
                uid: "other".into(),
                ..good.clone()
            }),
            Some(BriefFacts {
                owned: None,
                ..good.clone()
            }),
            Some(BriefFacts {
                owned: Some(fewer.digest()),
                ..good.clone()
            }),
            Some(BriefFacts {
                has_foreign_keys: true,
                ..good.clone()
            }),
            Some(BriefFacts {
                has_contested_keys: true,
                ..good.clone()
            }),
            Some(BriefFacts {
                deleting: true,
                ..good.clone()
            }),
        ];
        for facts in drifted {
            assert!(!is_settled(&sealed, facts.as_ref()), "{facts:?}");
        }
    }

    #[test]
    fn a_new_spec_a_request_or_a_failure_unsettles() {
        let good = secret(&sealed());
        let mut newer = sealed();
        newer.metadata.generation = Some(4);
        let mut asked = sealed();
        asked
            .annotations_mut()
            .insert(names::RECONCILE_AT_ANNOTATION.into(), "now".into());
        let mut failed = sealed();
        let conditions = &mut failed.status.as_mut().unwrap().conditions;
        conditions::report(
            conditions,
            Outcome::Stalled,
            Reason::Malformed,
            "",
            Some(3),
            Timestamp::UNIX_EPOCH,
        );
        for sealed in [newer, asked, failed] {
            assert!(!is_settled(&sealed, Some(&good)));
        }
    }

    #[test]
    fn foreign_keys_are_welcome_where_we_merge() {
        let mut merged = sealed();
        merged.spec.ownership.mode = OwnershipMode::Adopt;
        merged.spec.ownership.merge = true;
        let facts = BriefFacts {
            has_foreign_keys: true,
            ..secret(&merged)
        };
        assert!(is_settled(&merged, Some(&facts)));
    }

    #[test]
    fn stripping_keeps_what_the_judgement_needs() {
        let mut stripped = sealed();
        strip(&mut stripped);
        assert!(is_stripped(&stripped));
        assert!(is_settled(&stripped, Some(&secret(&sealed()))));
        let mut waiting = sealed();
        waiting.status = None;
        strip(&mut waiting);
        assert!(
            !is_stripped(&waiting),
            "what is still to be opened keeps its ciphertext"
        );
    }
}
