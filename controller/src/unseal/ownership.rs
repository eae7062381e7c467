//! Whose Secret it is: may this SealedSecret write, may its end delete. Pure.
//!
//! There are no owner references: a garbage collector deletes the Secret when its SealedSecret is
//! replaced, foreground-deleted, or its CRD goes. What a Secret is to us stands on the Secret.

use crds::{Ownership, OwnershipMode, names, reasons::Reason};

use super::{error::UnsealError, facts::SecretFacts};

/// Whose word allows an existing Secret that is not ours to be taken over (`ownership.mode: Adopt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Only the Secret itself, by its annotation `waxwing.dev/adopt: allowed`.
    OfSecretOnly,
    /// Also a sync whose account may update that Secret (the caller asked the API server).
    SyncMayUpdate,
}

/// May a SealedSecret write the Secret of its name?
///
/// `existing` is what its metadata says now, `None` when there is no such Secret.
///
/// # Errors
/// [`Reason::NotOurs`] when the Secret is somebody else's, with the way to consent;
/// [`Reason::ControlledByAnother`] naming that object.
pub fn may_write(
    namespace: &str,
    name: &str,
    ownership: &Ownership,
    consent: Consent,
    existing: Option<&SecretFacts>,
) -> Result<(), UnsealError> {
    let Some(facts) = existing else {
        return Ok(());
    };
    if let Some(owner) = &facts.controller {
        return Err(UnsealError::new(
            Reason::ControlledByAnother,
            format!(
                "Secret {namespace}/{name} is controlled by {owner} (a controlling owner reference), \
                 which would fight over it: give the SealedSecret another name, or remove that owner"
            ),
        ));
    }
    if is_ours(facts) {
        return Ok(());
    }
    match ownership.mode {
        OwnershipMode::Adopt if facts.adopt_allowed || consent == Consent::SyncMayUpdate => Ok(()),
        OwnershipMode::Adopt => Err(UnsealError::new(
            Reason::NotOurs,
            format!(
                "Secret {namespace}/{name} exists, was not made by Waxwing and does not consent to \
                 being adopted; if it should be taken over: \
                 kubectl annotate secret {name} -n {namespace} {}={}",
                names::ADOPT_ANNOTATION,
                names::ADOPT_ALLOWED
            ),
        )),
        _ => Err(UnsealError::new(
            Reason::NotOurs,
            format!(
                "Secret {namespace}/{name} exists and was not made by Waxwing; nothing was written. \
                 To take it over, set spec.ownership.mode: Adopt and run \
                 kubectl annotate secret {name} -n {namespace} {}={}; or delete the Secret",
                names::ADOPT_ANNOTATION,
                names::ADOPT_ALLOWED
            ),
        )),
    }
}

/// Is this Secret one that a SealedSecret of its name made? Either our field manager owns fields
/// of it, or it carries both our marks (a restore from a backup keeps the marks and loses the
/// managed fields).
pub fn is_ours(facts: &SecretFacts) -> bool {
    facts.owned.is_some() || (facts.labelled && facts.sealed_by.is_some())
}

/// What becomes of a Secret whose SealedSecret has been gone for [`GRACE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orphaned {
    /// It goes too.
    Delete,
    /// Others keep keys in it: only our fields go.
    Release,
    /// It stays, for the reason given.
    Keep(&'static str),
}

/// How long no SealedSecret of the name may exist before its Secret goes: a replacement
/// (delete and create) takes less.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// Decides about a Secret without a SealedSecret. `crd_uid` is the UID of our CRD now, `None` when
/// it is gone or going.
pub fn when_orphaned(facts: &SecretFacts, crd_uid: Option<&str>) -> Orphaned {
    let Some(sealed_by) = facts.sealed_by.as_ref().filter(|_| facts.labelled) else {
        return Orphaned::Keep("it does not carry our marks");
    };
    // A copy of a Secret, made with kubectl, carries our marks too: what we wrote is known by the
    // field manager, which nobody copies by accident.
    if facts.owned.is_none() {
        return Orphaned::Keep("its fields are not ours (a copy?)");
    }
    if facts.controller.is_some() {
        return Orphaned::Keep("it has a controlling owner");
    }
    if crd_uid != Some(sealed_by.crd.as_str()) {
        return Orphaned::Keep("the SealedSecret CRD was removed or reinstalled since it was made");
    }
    match facts.ownership.as_deref() {
        Some("Owned" | "Adopt") => Orphaned::Delete,
        Some("AdoptMerge") => Orphaned::Release,
        _ => Orphaned::Keep("its SealedSecret asked for ownership.mode: Orphan"),
    }
}

/// What is recorded on the Secret (`waxwing.dev/ownership`) for the day its SealedSecret is gone.
pub fn recorded(ownership: &Ownership) -> &'static str {
    match (ownership.mode, merges(ownership)) {
        (OwnershipMode::Adopt, true) => "AdoptMerge",
        (OwnershipMode::Adopt, false) => "Adopt",
        (OwnershipMode::Orphan, _) => "Orphan",
        (OwnershipMode::Owned, _) => "Owned",
    }
}

/// Whether other people's keys in the Secret survive.
pub fn merges(ownership: &Ownership) -> bool {
    ownership.mode == OwnershipMode::Adopt && ownership.merge
}

#[cfg(test)]
mod tests {
    use super::{super::facts::SealedBy, *};
    use crate::unseal::fields::FieldSet;

    fn facts() -> SecretFacts {
        SecretFacts {
            uid: "u".into(),
            resource_version: "1".into(),
            labelled: true,
            sealed_by: SealedBy::parse("s/crd-1"),
            ownership: Some("Owned".into()),
            adopt_allowed: false,
            controller: None,
            deleting: false,
            owned: Some(FieldSet::default()),
            foreign_keys: Vec::new(),
            string_data_claims: Vec::new(),
        }
    }

    fn stranger() -> SecretFacts {
        SecretFacts {
            labelled: false,
            sealed_by: None,
            ownership: None,
            owned: None,
            ..facts()
        }
    }

    fn ownership(mode: OwnershipMode) -> Ownership {
        Ownership {
            mode,
            ..Ownership::default()
        }
    }

    #[test]
    fn a_strangers_secret_is_never_written_without_its_consent() {
        for mode in [OwnershipMode::Owned, OwnershipMode::Orphan] {
            for consent in [Consent::OfSecretOnly, Consent::SyncMayUpdate] {
                let consenting = SecretFacts {
                    adopt_allowed: true,
                    ..stranger()
                };
                let error = may_write("n", "s", &ownership(mode), consent, Some(&consenting));
                assert_eq!(error.unwrap_err().reason, Reason::NotOurs);
            }
        }
        let adopt = ownership(OwnershipMode::Adopt);
        let refused = may_write("n", "s", &adopt, Consent::OfSecretOnly, Some(&stranger()));
        assert!(
            refused
                .unwrap_err()
                .message
                .contains("waxwing.dev/adopt=allowed")
        );
        let by_sync = may_write("n", "s", &adopt, Consent::SyncMayUpdate, Some(&stranger()));
        assert_eq!(by_sync, Ok(()));
    }

    #[test]
    fn a_controlling_owner_is_named_and_wins_over_consent() {
        let owned = SecretFacts {
            controller: Some("Certificate web".into()),
            adopt_allowed: true,
            ..facts()
        };
        let adopt = ownership(OwnershipMode::Adopt);
        let error = may_write("n", "s", &adopt, Consent::SyncMayUpdate, Some(&owned)).unwrap_err();
        assert!(error.message.contains("Certificate web"));
    }

    #[test]
    fn marks_alone_are_enough_to_write_but_not_to_delete() {
        let restored = SecretFacts {
            owned: None,
            ..facts()
        };
        let owned = ownership(OwnershipMode::Owned);
        assert_eq!(
            may_write("n", "s", &owned, Consent::OfSecretOnly, Some(&restored)),
            Ok(())
        );
        assert!(matches!(
            when_orphaned(&restored, Some("crd-1")),
            Orphaned::Keep(_)
        ));
    }

    #[test]
    fn a_reinstalled_or_removed_crd_deletes_nothing() {
        assert_eq!(when_orphaned(&facts(), Some("crd-1")), Orphaned::Delete);
        assert!(matches!(
            when_orphaned(&facts(), Some("crd-2")),
            Orphaned::Keep(_)
        ));
        assert!(matches!(when_orphaned(&facts(), None), Orphaned::Keep(_)));
    }

    #[test]
    fn orphans_stay_and_merged_ones_are_only_released() {
        let with = |ownership: &str| SecretFacts {
            ownership: Some(ownership.into()),
            ..facts()
        };
        assert!(matches!(
            when_orphaned(&with("Orphan"), Some("crd-1")),
            Orphaned::Keep(_)
        ));
        assert_eq!(
            when_orphaned(&with("AdoptMerge"), Some("crd-1")),
            Orphaned::Release
        );
        let unlabelled = SecretFacts {
            labelled: false,
            ..facts()
        };
        assert!(matches!(
            when_orphaned(&unlabelled, Some("crd-1")),
            Orphaned::Keep(_)
        ));
    }
}
