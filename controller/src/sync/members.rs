//! Which objects belong to a sync: Kubernetes' ApplySet (KEP-3659), plus field ownership.
//!
//! A label says which sync an object claims to belong to. That alone proves nothing, because controllers copy
//! labels from one object to another. An object is *ours* only if it has the label **and** our field manager
//! applied it **and** no other owner controls it.

use base64ct::{Base64UrlUnpadded, Encoding};
use crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use sha2::{Digest, Sha256};

/// The ApplySet of one ManifestSync: the label of its members and the field manager that writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplySet {
    id: String,
    manager: String,
}

/// Why an object that carries our label is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It does not carry the label of this sync.
    Label,
    /// Our field manager never applied it: somebody copied the label.
    FieldManager,
    /// Another object controls it (`Kind/name`), and would make it again.
    ControlledBy(String),
}

/// A digest of the fields that our field manager owns on an object. It changes when somebody else takes a field
/// from us, and only then or when we apply something else; it says nothing about values. Cut to 16 bytes: one is kept
/// for each object, and nobody gains anything by forging one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl ApplySet {
    /// The ApplySet of the ManifestSync `namespace/name`. The id is the one that KEP-3659 specifies for a parent
    /// of this name, namespace, kind and group.
    pub fn of(namespace: &str, name: &str) -> Self {
        let parent = format!("{name}.{namespace}.ManifestSync.{}", names::GROUP);
        Self::of_hash(&Base64UrlUnpadded::encode_string(&Sha256::digest(
            parent.as_bytes(),
        )))
    }

    /// The ApplySet with this id; `None` for text that is not the id of one.
    pub fn with_id(id: &str) -> Option<Self> {
        let hash = id.strip_prefix("applyset-")?.strip_suffix("-v1")?;
        (hash.len() == 43 && hash.is_ascii()).then(|| Self::of_hash(hash))
    }

    fn of_hash(hash: &str) -> Self {
        let manager = format!(
            "{}{}",
            names::SYNC_MANAGER_PREFIX,
            hash.chars().take(12).collect::<String>()
        );
        Self {
            id: format!("applyset-{hash}-v1"),
            manager,
        }
    }

    /// Value of the label `applyset.kubernetes.io/part-of` on members and of `…/id` on the parent.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Field manager of every apply of this sync.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// Label selector of the members.
    pub fn selector(&self) -> String {
        format!("{}={}", names::APPLYSET_PART_OF_LABEL, self.id)
    }

    /// Whether the object with this metadata is ours to change and to prune.
    pub fn owns(&self, meta: &ObjectMeta) -> Result<(), NotOurs> {
        let label = meta
            .labels
            .as_ref()
            .and_then(|labels| labels.get(names::APPLYSET_PART_OF_LABEL));
        if label != Some(&self.id) {
            return Err(NotOurs::Label);
        }
        if self.entries(meta).next().is_none() {
            return Err(NotOurs::FieldManager);
        }
        let controller = meta
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true));
        match controller {
            Some(owner) => Err(NotOurs::ControlledBy(format!(
                "{}/{}",
                owner.kind, owner.name
            ))),
            None => Ok(()),
        }
    }

    /// What our field manager owns on the object, or `None` when it owns nothing.
    pub fn fingerprint(&self, meta: &ObjectMeta) -> Option<Fingerprint> {
        let mut entries: Vec<String> = self
            .entries(meta)
            .map(|entry| {
                let fields = entry.fields_v1.as_ref().map(|fields| fields.0.to_string());
                format!(
                    "{}\n{}",
                    entry.api_version.as_deref().unwrap_or(""),
                    fields.unwrap_or_default()
                )
            })
            .collect();
        if entries.is_empty() {
            return None;
        }
        entries.sort();
        let mut hash = Sha256::new();
        for entry in entries {
            hash.update(entry.as_bytes());
            hash.update([0]);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Some(Fingerprint(short))
    }

    /// What our field manager applied, as `managedFields` has it: one entry for each version of the API.
    pub fn entries<'a>(
        &'a self,
        meta: &'a ObjectMeta,
    ) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
        meta.managed_fields.iter().flatten().filter(|entry| {
            entry.manager.as_deref() == Some(&self.manager)
                && entry.operation.as_deref() == Some("Apply")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn member(set: &ApplySet) -> ObjectMeta {
        meta(json!({
            "name": "web",
            "labels": {"applyset.kubernetes.io/part-of": set.id()},
            "managedFields": [
                {"manager": set.manager(), "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:c": {}}}}
            ]
        }))
    }

    /// The value was computed apart from this code: `printf app.team-a.ManifestSync.waxwing.dev | sha256sum`,
    /// then base64url without padding.
    #[test]
    fn the_id_is_the_one_of_the_specification() {
        let set = ApplySet::of("team-a", "app");
        assert_eq!(set.id(), EXPECTED_ID);
        assert_eq!(
            set.manager(),
            format!("waxwing-sync:{}", &EXPECTED_ID["applyset-".len()..][..12])
        );
        assert!(set.id().len() <= 63, "a label value");
        assert_eq!(ApplySet::with_id(set.id()), Some(set));
        assert_eq!(ApplySet::with_id("applyset-x-v1"), None);
        assert_eq!(ApplySet::with_id("somebody's"), None);
    }

    const EXPECTED_ID: &str = "applyset-yMTN8qkZq5lt2EanzvkvmjECWn3ruZZzIlw68URA1x8-v1";

    #[test]
    fn label_manager_and_no_other_controller_make_it_ours() {
        let set = ApplySet::of("team-a", "app");
        assert_eq!(set.owns(&member(&set)), Ok(()));
    }

    #[test]
    fn a_copied_label_is_not_ours() {
        let set = ApplySet::of("team-a", "app");
        let mut copy = member(&set);
        copy.managed_fields.as_mut().unwrap()[0].manager = Some("endpointslice-controller".into());
        assert_eq!(set.owns(&copy), Err(NotOurs::FieldManager));
        // The name alone is not enough either: an Update under our name is nobody's apply.
        let mut update = member(&set);
        update.managed_fields.as_mut().unwrap()[0].operation = Some("Update".into());
        assert_eq!(set.owns(&update), Err(NotOurs::FieldManager));
    }

    #[test]
    fn what_another_object_controls_is_not_ours() {
        let set = ApplySet::of("team-a", "app");
        let mut owned = member(&set);
        owned.owner_references = serde_json::from_value(json!([
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true}
        ]))
        .unwrap();
        assert_eq!(
            set.owns(&owned),
            Err(NotOurs::ControlledBy("ReplicaSet/web-1".into()))
        );
        owned.owner_references.as_mut().unwrap()[0].controller = None;
        assert_eq!(
            set.owns(&owned),
            Ok(()),
            "a plain owner does not make the object"
        );
    }

    #[test]
    fn another_sync_of_the_same_name_elsewhere_is_another_set() {
        let set = ApplySet::of("team-a", "app");
        let other = ApplySet::of("team-b", "app");
        assert_eq!(other.owns(&member(&set)), Err(NotOurs::Label));
        assert_ne!(set.manager(), other.manager());
    }

    #[test]
    fn the_fingerprint_changes_when_a_field_is_taken_from_us_and_not_otherwise() {
        let set = ApplySet::of("team-a", "app");
        let before = set.fingerprint(&member(&set)).unwrap();
        let mut touched = member(&set);
        touched.resource_version = Some("99".into());
        touched.managed_fields.as_mut().unwrap().remove(1);
        assert_eq!(
            set.fingerprint(&touched),
            Some(before),
            "other people's fields are not ours"
        );
        let mut taken = member(&set);
        taken.managed_fields.as_mut().unwrap()[0].fields_v1 =
            Some(serde_json::from_value(json!({"f:data": {"f:b": {}}})).unwrap());
        assert_ne!(set.fingerprint(&taken), Some(before));
        assert_eq!(set.fingerprint(&ObjectMeta::default()), None);
    }
}
