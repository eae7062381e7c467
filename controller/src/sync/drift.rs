//! Whether the members still are as they were applied, judged from metadata alone.
//!
//! The test is field ownership: a foreign write of a value takes the field out of our managedFields entry, so an
//! entry that is as it was after our apply means that nobody changed anything of ours. Values are not read.

use std::collections::BTreeMap;

use super::inventory::{Inventory, Member};
use super::members::{ApplySet, Fingerprint};
use super::plan::MemberKey;

/// A member that is not as it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Which one.
    pub key: MemberKey,
    /// What happened to it.
    pub how: How,
}

/// What happened to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Somebody else took fields of ours; the field manager that wrote last, when it says who it is.
    Changed(Option<String>),
    /// It is gone, or does not carry our label any more.
    Gone,
}

impl std::fmt::Display for Drifted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = self.key.display();
        match &self.how {
            How::Changed(Some(manager)) => write!(f, "{object} (changed by {manager})"),
            How::Changed(None) => write!(f, "{object} (changed)"),
            How::Gone => write!(f, "{object} (deleted)"),
        }
    }
}

/// The members that are not as `applied` says. Of a kind that could not be listed nothing is claimed.
pub fn drifted(
    applied: &BTreeMap<MemberKey, Fingerprint>,
    inventory: &Inventory,
    set: &ApplySet,
) -> Vec<Drifted> {
    let live: BTreeMap<&MemberKey, &Member> = inventory
        .members
        .iter()
        .map(|member| (&member.key, member))
        .collect();
    let unknown = |key: &MemberKey| {
        inventory
            .unknown
            .iter()
            .any(|((group, kind), _)| *group == key.group && *kind == key.kind)
    };
    applied
        .iter()
        .filter(|(key, _)| !unknown(key))
        .filter_map(|(key, fingerprint)| match live.get(key) {
            None => Some(Drifted {
                key: key.clone(),
                how: How::Gone,
            }),
            Some(member) if set.fingerprint(&member.meta) != Some(*fingerprint) => Some(Drifted {
                key: key.clone(),
                how: How::Changed(last_writer(member, set)),
            }),
            Some(_) => None,
        })
        .collect()
}

/// Who wrote last, ourselves aside.
fn last_writer(member: &Member, set: &ApplySet) -> Option<String> {
    member
        .meta
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| {
            entry.manager.as_deref() != Some(set.manager())
                && entry.subresource.as_deref().unwrap_or("").is_empty()
        })
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}

#[cfg(test)]
mod tests {
    use kube::discovery::ApiResource;
    use serde_json::json;

    use super::super::discovery::Kind;
    use super::*;

    fn member(name: &str, fields: &serde_json::Value, set: &ApplySet) -> Member {
        Member {
            key: key(name),
            kind: Kind {
                resource: ApiResource { group: String::new(), version: "v1".into(), api_version: "v1".into(), kind: "ConfigMap".into(), plural: "configmaps".into() },
                namespaced: true,
                verbs: Vec::new(),
            },
            meta: serde_json::from_value(json!({"name": name, "managedFields": [
                {"manager": set.manager(), "operation": "Apply", "fieldsV1": fields, "time": "2026-01-01T00:00:00Z"},
                {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {}, "time": "2026-01-03T00:00:00Z", "subresource": "status"},
                {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {}, "time": "2026-01-02T00:00:00Z"}]}))
            .unwrap(),
        }
    }

    fn key(name: &str) -> MemberKey {
        MemberKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "prod".into(),
            name: name.into(),
        }
    }

    #[test]
    fn what_is_gone_or_was_taken_from_us_has_drifted_and_nothing_else() {
        let set = ApplySet::of("team-a", "app");
        let whole = json!({"f:data": {"f:a": {}}});
        let fingerprint = set.fingerprint(&member("same", &whole, &set).meta).unwrap();
        let applied =
            BTreeMap::from([key("same"), key("taken"), key("gone")].map(|key| (key, fingerprint)));
        let inventory = Inventory {
            members: vec![
                member("same", &whole, &set),
                member("taken", &json!({}), &set),
            ],
            unknown: Vec::new(),
        };
        let found: Vec<String> = drifted(&applied, &inventory, &set)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "ConfigMap prod/gone (deleted)",
                "ConfigMap prod/taken (changed by kubectl-edit)"
            ]
        );
    }

    #[test]
    fn a_kind_that_could_not_be_listed_has_not_drifted() {
        let set = ApplySet::of("team-a", "app");
        let fingerprint = set
            .fingerprint(&member("a", &json!({}), &set).meta)
            .unwrap();
        let applied = BTreeMap::from([(key("a"), fingerprint)]);
        let inventory = Inventory {
            members: Vec::new(),
            unknown: vec![(
                (String::new(), "ConfigMap".into()),
                "its API does not answer".into(),
            )],
        };
        assert_eq!(drifted(&applied, &inventory, &set), []);
    }
}
