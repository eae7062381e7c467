//! What is known of a Secret from its metadata alone. Its data is never asked for.

use crds::names;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;

use super::fields::{FieldDigest, FieldSet};

/// `waxwing.dev/sealed-by`: which SealedSecret, of which installation of our CRD, made a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBy {
    /// UID of the SealedSecret.
    pub sealed_secret: String,
    /// UID of the CRD that held it. Another one means that our CRDs were reinstalled since.
    pub crd: String,
}

impl SealedBy {
    /// Parses `<SealedSecret uid>/<CRD uid>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (sealed_secret, crd) = text.split_once('/')?;
        let whole = !sealed_secret.is_empty() && !crd.is_empty() && !crd.contains('/');
        whole.then(|| Self {
            sealed_secret: sealed_secret.to_owned(),
            crd: crd.to_owned(),
        })
    }

    /// The annotation's text.
    pub fn text(&self) -> String {
        format!("{}/{}", self.sealed_secret, self.crd)
    }
}

/// What the metadata of one Secret says.
#[derive(Clone, Debug)]
pub struct SecretFacts {
    /// UID, the precondition of every delete.
    pub uid: String,
    /// resourceVersion at which this was seen.
    pub resource_version: String,
    /// Carries our label.
    pub labelled: bool,
    /// Carries our annotation, well formed.
    pub sealed_by: Option<SealedBy>,
    /// How the SealedSecret that made it wanted it owned, as recorded on the Secret.
    pub ownership: Option<String>,
    /// Its own consent to being taken over.
    pub adopt_allowed: bool,
    /// Kind and name of a controlling owner.
    pub controller: Option<String>,
    /// Being deleted.
    pub deleting: bool,
    /// The fields that our field manager owns; `None`: it owns nothing here.
    pub owned: Option<FieldSet>,
    /// Data keys that others added, each with its field manager.
    pub foreign_keys: Vec<(String, String)>,
    /// Entries of the managed fields that claim keys of `stringData`, with those keys.
    pub string_data_claims: Vec<(usize, Vec<String>)>,
}

impl SecretFacts {
    /// Reads the facts off the metadata.
    pub fn of(secret: &PartialObjectMeta<Secret>) -> Self {
        let meta = &secret.metadata;
        let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name));
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            labelled: meta
                .labels
                .as_ref()
                .and_then(|all| all.get(names::SEALED_LABEL))
                .is_some_and(|value| value == "true"),
            sealed_by: annotation(names::SEALED_BY_ANNOTATION)
                .and_then(|text| SealedBy::parse(text)),
            ownership: annotation(names::OWNERSHIP_ANNOTATION).cloned(),
            adopt_allowed: annotation(names::ADOPT_ANNOTATION)
                .is_some_and(|value| value == "allowed"),
            controller: meta.owner_references.as_deref().and_then(|owners| {
                owners
                    .iter()
                    .find(|owner| owner.controller == Some(true))
                    .map(|owner| format!("{} {}", owner.kind, owner.name))
            }),
            deleting: meta.deletion_timestamp.is_some(),
            owned: FieldSet::applied_by(names::UNSEAL_MANAGER, entries),
            foreign_keys: FieldSet::foreign_data_keys(names::UNSEAL_MANAGER, entries),
            string_data_claims: FieldSet::string_data_claims(entries),
        }
    }

    /// Keys of ours that somebody else wrote as `stringData`, by index of the claiming entry.
    pub fn contested_keys(&self) -> Vec<(usize, String)> {
        let ours = |key: &String| {
            self.owned
                .as_ref()
                .is_some_and(|owned| owned.has_data_key(key))
        };
        let claims = self.string_data_claims.iter();
        claims
            .flat_map(|(entry, keys)| keys.iter().map(move |key| (*entry, key)))
            .filter(|(_, key)| ours(key))
            .map(|(entry, key)| (entry, key.clone()))
            .collect()
    }

    /// The few bytes kept for each of many Secrets.
    pub fn brief(&self) -> BriefFacts {
        BriefFacts {
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
            owned: self.owned.as_ref().map(FieldSet::digest),
            has_foreign_keys: !self.foreign_keys.is_empty(),
            has_contested_keys: !self.contested_keys().is_empty(),
            deleting: self.deleting,
        }
    }
}

/// [`SecretFacts`] reduced to what tells whether anything has to be looked at (about 0.3 KiB,
/// where the metadata with its managed fields would take 6 KiB).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BriefFacts {
    /// UID of the Secret.
    pub uid: String,
    /// resourceVersion at which this was seen.
    pub resource_version: String,
    /// Digest of the fields that our field manager owns.
    pub owned: Option<FieldDigest>,
    /// Somebody added data keys.
    pub has_foreign_keys: bool,
    /// Somebody claims keys that are ours, as `stringData`.
    pub has_contested_keys: bool,
    /// Being deleted.
    pub deleting: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_by_is_two_uids() {
        let both = SealedBy::parse("a/b").unwrap();
        assert_eq!((both.sealed_secret.as_str(), both.crd.as_str()), ("a", "b"));
        assert_eq!(both.text(), "a/b");
        for wrong in ["", "a", "/", "a/", "/b", "a/b/c"] {
            assert!(SealedBy::parse(wrong).is_none(), "{wrong}");
        }
    }
}
