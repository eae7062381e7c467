//! Which fields of a Secret a field manager owns, as `metadata.managedFields` tells it (KEP-555).
//!
//! Drift is judged from this alone: a foreign write of a value takes the field out of our entry,
//! so nothing of the Secret's data has to be read, kept or compared.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A set of leaf fields, each written as its path: `["data", "DB_PASSWORD"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeSet<Vec<String>>);

/// A fixed-size stand-in for a [`FieldSet`]: what is kept in memory for each of many Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDigest([u8; 16]);

impl FieldSet {
    /// The leaf fields of one `managedFields` entry; empty when it has none.
    pub fn of_entry(entry: &ManagedFieldsEntry) -> Self {
        let mut set = Self::default();
        if let Some(fields) = &entry.fields_v1 {
            set.collect(&fields.0, &mut Vec::new());
        }
        set
    }

    /// What `manager` owns by server-side apply on the main resource.
    pub fn applied_by(manager: &str, entries: &[ManagedFieldsEntry]) -> Option<Self> {
        entries
            .iter()
            .find(|entry| is_apply_of(entry, manager))
            .map(Self::of_entry)
    }

    /// The keys that anyone but `manager` put into the Secret: what others added to a Secret that is
    /// ours, each with the manager that wrote it. A key applied as `stringData` counts even where
    /// `manager` owns the same key of `data`: the API server keeps the claim on `stringData` and
    /// lets our own stand, although the value is theirs.
    pub fn foreign_data_keys(
        manager: &str,
        entries: &[ManagedFieldsEntry],
    ) -> Vec<(String, String)> {
        let ours = Self::applied_by(manager, entries).unwrap_or_default();
        let mut foreign = BTreeSet::new();
        for entry in entries.iter().filter(|entry| !is_apply_of(entry, manager)) {
            for path in Self::of_entry(entry).0 {
                if let [root, key] = path.as_slice()
                    && (root == STRING_DATA || (root == "data" && !ours.0.contains(&path)))
                {
                    foreign.insert((key.clone(), entry.manager.clone().unwrap_or_default()));
                }
            }
        }
        foreign.into_iter().collect()
    }

    /// The entries, by index, that claim keys of `stringData`, with those keys.
    pub fn string_data_claims(entries: &[ManagedFieldsEntry]) -> Vec<(usize, Vec<String>)> {
        let claims = entries.iter().enumerate().map(|(index, entry)| {
            let paths = Self::of_entry(entry).0.into_iter();
            let keys = paths.filter_map(|path| match path.as_slice() {
                [root, key] if root == STRING_DATA => Some(key.clone()),
                _ => None,
            });
            (index, keys.collect::<Vec<String>>())
        });
        claims.filter(|(_, keys)| !keys.is_empty()).collect()
    }

    /// Whether the set has this key of `data`.
    pub fn has_data_key(&self, key: &str) -> bool {
        self.0.contains(&vec!["data".to_owned(), key.to_owned()])
    }

    /// Adds one leaf field.
    pub fn insert(&mut self, path: &[&str]) {
        self.0
            .insert(path.iter().map(|part| (*part).to_owned()).collect());
    }

    /// Fields of `self` that `other` lacks, written as `data.DB_PASSWORD`.
    pub fn missing_from(&self, other: &Self) -> Vec<String> {
        self.0
            .difference(&other.0)
            .map(|path| path.join("."))
            .collect()
    }

    /// SHA-256 of the sorted paths, truncated to 16 bytes.
    pub fn digest(&self) -> FieldDigest {
        let mut hash = Sha256::new();
        for path in &self.0 {
            for part in path {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            hash.update([0xff; 8]);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        FieldDigest(short)
    }

    fn collect(&mut self, node: &Value, path: &mut Vec<String>) {
        let Some(children) = node.as_object() else {
            return;
        };
        for (key, child) in children {
            // Only `f:` members are fields; "." marks the map itself, which nobody can drift.
            let Some(field) = key.strip_prefix("f:") else {
                continue;
            };
            path.push(field.to_owned());
            let has_fields = child
                .as_object()
                .is_some_and(|map| map.keys().any(|key| key.starts_with("f:")));
            if has_fields {
                self.collect(child, path);
            } else {
                self.0.insert(path.clone());
            }
            path.pop();
        }
    }
}

/// What `kubectl apply --server-side` of a Secret with `stringData` leaves in `managedFields`.
pub const STRING_DATA: &str = "stringData";

fn is_apply_of(entry: &ManagedFieldsEntry, manager: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn ours() -> ManagedFieldsEntry {
        entry(
            "us",
            "Apply",
            json!({"f:data": {".": {}, "f:a": {}, "f:b.c": {}}, "f:type": {},
                   "f:metadata": {"f:labels": {"f:waxwing.dev/sealed": {}}}}),
        )
    }

    #[test]
    fn an_entry_is_flattened_to_leaf_fields() {
        let set = FieldSet::applied_by("us", &[ours()]).unwrap();
        let mut expected = FieldSet::default();
        expected.insert(&["data", "a"]);
        expected.insert(&["data", "b.c"]);
        expected.insert(&["type"]);
        expected.insert(&["metadata", "labels", "waxwing.dev/sealed"]);
        assert_eq!(set, expected);
        assert_eq!(set.digest(), expected.digest());
    }

    #[test]
    fn a_value_written_by_somebody_else_is_missing() {
        let mut expected = FieldSet::default();
        expected.insert(&["data", "a"]);
        expected.insert(&["data", "gone"]);
        let set = FieldSet::applied_by("us", &[ours()]).unwrap();
        assert_eq!(expected.missing_from(&set), ["data.gone"]);
        assert_ne!(set.digest(), expected.digest());
    }

    #[test]
    fn an_update_under_our_name_is_not_ours() {
        let update = entry("us", "Update", json!({"f:data": {"f:a": {}}}));
        assert!(FieldSet::applied_by("us", &[update]).is_none());
    }

    #[test]
    fn keys_added_by_others_are_foreign_and_shared_keys_are_not() {
        let other = entry(
            "kubectl-edit",
            "Update",
            json!({"f:data": {"f:a": {}, "f:added": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}),
        );
        assert_eq!(
            FieldSet::foreign_data_keys("us", &[ours(), other]),
            [("added".to_owned(), "kubectl-edit".to_owned())]
        );
    }

    #[test]
    fn a_claim_on_string_data_is_foreign_even_where_the_key_is_ours() {
        let other = entry(
            "kubectl",
            "Apply",
            json!({"f:stringData": {"f:a": {}, "f:x": {}}}),
        );
        let entries = [ours(), other];
        let kubectl = |key: &str| (key.to_owned(), "kubectl".to_owned());
        assert_eq!(
            FieldSet::foreign_data_keys("us", &entries),
            [kubectl("a"), kubectl("x")]
        );
        assert_eq!(
            FieldSet::string_data_claims(&entries),
            [(1, vec!["a".to_owned(), "x".to_owned()])]
        );
        assert!(FieldSet::of_entry(&entries[0]).has_data_key("a"));
    }

    #[test]
    fn paths_cannot_run_together_in_the_digest() {
        let mut joined = FieldSet::default();
        joined.insert(&["data", "ab"]);
        let mut split = FieldSet::default();
        split.insert(&["data", "a", "b"]);
        assert_ne!(joined.digest(), split.digest());
    }
}
