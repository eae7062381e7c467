//! The status of a SealedSecret after a look at it. Pure; time is passed in.

use crds::{
    FailingEntry, KeyUse, SealedSecret, SealedSecretStatus, SecretStatus,
    conditions::{self, Outcome},
    reasons::Reason,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use serde_json::{Value, json};

use super::{error::UnsealError, settled};

/// What a write came to.
pub struct Applied {
    /// UID of the Secret.
    pub uid: String,
    /// Its resourceVersion afterwards.
    pub resource_version: String,
    /// Whether it is another than before.
    pub changed: bool,
    /// Which keys opened the values.
    pub keys: Vec<KeyUse>,
}

/// The status after the Secret was written or found to be right.
pub fn after_success(
    sealed: &SealedSecret,
    applied: &Applied,
    now: Timestamp,
) -> SealedSecretStatus {
    let mut status = before(sealed);
    let last_applied = status
        .secret
        .as_ref()
        .and_then(|secret| secret.last_applied_time.clone());
    status.keys.clone_from(&applied.keys);
    status.failing.clear();
    status.secret = Some(SecretStatus {
        uid: applied.uid.clone(),
        resource_version: applied.resource_version.clone(),
        last_applied_time: if applied.changed {
            Some(Time(now))
        } else {
            last_applied
        },
    });
    let entries = sealed.spec.encrypted_data.len();
    let message = format!("{entries} sealed values are in the Secret");
    conditions::report(
        &mut status.conditions,
        Outcome::Ready,
        Reason::Succeeded,
        &message,
        sealed.metadata.generation,
        now,
    );
    status
}

/// The status after a failure. What is known of the last good Secret stays: the Secret does too.
pub fn after_failure(
    sealed: &SealedSecret,
    error: &UnsealError,
    now: Timestamp,
) -> SealedSecretStatus {
    let mut status = before(sealed);
    status.failing = error
        .failing
        .iter()
        .map(|(entry, reason)| FailingEntry {
            entry: entry.clone(),
            reason: reason.clone(),
        })
        .collect();
    let outcome = if error.is_stalled() {
        Outcome::Stalled
    } else {
        Outcome::Retrying
    };
    conditions::report(
        &mut status.conditions,
        outcome,
        error.reason,
        &error.message,
        sealed.metadata.generation,
        now,
    );
    status
}

/// The merge patch that makes a status of it; `None` when it is what the object already says.
pub fn patch(sealed: &SealedSecret, status: &SealedSecretStatus) -> Option<Value> {
    if sealed.status.as_ref() == Some(status) {
        return None;
    }
    let mut wanted = serde_json::to_value(status).ok()?;
    // A merge patch removes what it names as null; what was empty is left out of the JSON.
    for field in [
        "conditions",
        "keys",
        "failing",
        "secret",
        "entries",
        "observedGeneration",
        "lastHandledReconcileAt",
    ] {
        if wanted.get(field).is_none() {
            wanted[field] = Value::Null;
        }
    }
    Some(json!({ "status": wanted }))
}

/// Whether the object was not ready before: what follows is a recovery worth an event.
pub fn was_failing(sealed: &SealedSecret) -> bool {
    let conditions = sealed
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    conditions::find(conditions.unwrap_or_default(), conditions::READY)
        .is_some_and(|ready| ready.status == "False")
}

fn before(sealed: &SealedSecret) -> SealedSecretStatus {
    let mut status = sealed.status.clone().unwrap_or_default();
    status.observed_generation = sealed.metadata.generation;
    status.entries = i64::try_from(sealed.spec.encrypted_data.len()).ok();
    status.last_handled_reconcile_at = settled::reconcile_at(sealed).cloned();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> SealedSecret {
        let mut sealed = SealedSecret::new("db", crds::SealedSecretSpec::default());
        sealed.metadata.generation = Some(2);
        sealed
    }

    fn applied(changed: bool) -> Applied {
        Applied {
            uid: "u".into(),
            resource_version: "5".into(),
            changed,
            keys: Vec::new(),
        }
    }

    #[test]
    fn success_after_failure_clears_what_failed_and_keeps_the_time_when_nothing_changed() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut object = sealed();
        object.status = Some(after_success(&object, &applied(true), at(1)));
        let mut error = UnsealError::new(Reason::UnknownKey, "no key");
        error.failing = vec![("A".into(), "unknown-key".into())];
        object.status = Some(after_failure(&object, &error, at(2)));
        assert!(was_failing(&object));
        assert_eq!(
            object.status.as_ref().unwrap().secret.as_ref().unwrap().uid,
            "u"
        );
        let status = after_success(&object, &applied(false), at(3));
        assert_eq!(
            status.secret.as_ref().unwrap().last_applied_time,
            Some(Time(at(1)))
        );
        let patch = patch(&object, &status).unwrap();
        assert_eq!(patch["status"]["failing"], Value::Null);
        object.status = Some(status.clone());
        assert_eq!(
            super::patch(&object, &status),
            None,
            "the same again is no write"
        );
    }
}
