//! Whether the members still are as they were applied, judged from metadata alone, and what is said about it.
//!
//! The test is field ownership: a foreign write of a value takes the field out of our managedFields entry, so an
//! entry that is as it was after our apply means that nobody changed anything of ours. Values are not read.

use std::collections::{BTreeMap, BTreeSet};

use crds::conditions::Status;
use crds::reasons::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::inventory::{Inventory, Member};
use super::live::Look;
use super::members::{ApplySet, Fingerprint};
use super::plan::MemberKey;

/// Objects that a condition or an event names; what is beyond is counted.
const NAMED: usize = 10;
/// How the note about kinds begins that are not watched.
const NOT_WATCHED: &str = "Looked for at each interval only, not watched";

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
    /// Somebody else took these fields of ours, each with who did it; empty while nobody has looked closer.
    Changed(Vec<String>),
    /// It is gone, or does not carry our label any more.
    Gone,
}

/// `Deployment.apps prod/web: spec.replicas (kubectl-edit)`, `ConfigMap prod/a (deleted)`.
impl std::fmt::Display for Drifted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = self.key.display();
        match &self.how {
            How::Changed(fields) if fields.is_empty() => write!(f, "{object} (changed)"),
            How::Changed(fields) => write!(f, "{object}: {}", fields.join(", ")),
            How::Gone => write!(f, "{object} (deleted)"),
        }
    }
}

/// The members that are not as `applied` says. Of what nobody sees nothing is claimed.
pub fn drifted<'a>(
    applied: impl IntoIterator<Item = (&'a MemberKey, &'a Fingerprint)>,
    look: impl Fn(&MemberKey) -> Look,
) -> Vec<Drifted> {
    let drifted = |key: &MemberKey, how| {
        Some(Drifted {
            key: key.clone(),
            how,
        })
    };
    applied
        .into_iter()
        .filter_map(|(key, fingerprint)| match look(key) {
            Look::Unknown => None,
            Look::Gone => drifted(key, How::Gone),
            Look::Is(owned) if owned == Some(*fingerprint) => None,
            Look::Is(_) => drifted(key, How::Changed(Vec::new())),
        })
        .collect()
}

/// What a listing says of the members of some kinds.
pub fn listed<'a>(
    inventory: &'a Inventory,
    kinds: &'a BTreeSet<(String, String)>,
    set: &'a ApplySet,
) -> impl Fn(&MemberKey) -> Look + 'a {
    let live: BTreeMap<&MemberKey, &Member> = inventory
        .members
        .iter()
        .map(|member| (&member.key, member))
        .collect();
    move |key| {
        let kind = (key.group.clone(), key.kind.clone());
        let unknown = inventory
            .unknown
            .iter()
            .any(|(unknown, _)| *unknown == kind);
        if unknown || !kinds.contains(&kind) {
            return Look::Unknown;
        }
        live.get(key)
            .map_or(Look::Gone, |member| Look::Is(set.fingerprint(&member.meta)))
    }
}

/// How the members of a sync stand, for its condition `Drifted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Put right just now.
    pub corrected: Vec<String>,
    /// Not as the revision says, each with why it stays so.
    pub open: Vec<(Reason, String)>,
    /// Kinds that are not watched, each with the reason.
    pub blind: BTreeMap<(String, String), String>,
    /// A revision was applied just now: what was told of earlier drift is over.
    pub fresh: bool,
}

impl State {
    /// Status, reason and message of the condition `Drifted`. `previous` is the condition as it stands: what was put
    /// right last stays told until there is something new to tell.
    pub fn condition(&self, previous: Option<&Condition>) -> (Status, Reason, String) {
        let note = self.note();
        if let Some((reason, _)) = self.open.first() {
            let open = self.open.iter().map(|(_, what)| what.as_str());
            return (Status::True, *reason, format!("{}{note}", listing(open)));
        }
        if !self.corrected.is_empty() {
            let message = format!("{}{note}", self.correction());
            return (Status::False, Reason::DriftCorrected, message);
        }
        if let Some(previous) = previous
            && !self.fresh
            && previous.status == Status::False.to_string()
            && previous.reason == Reason::DriftCorrected.as_str()
            && previous.message.ends_with(&note)
            && previous.message.contains(NOT_WATCHED) != note.is_empty()
        {
            let message = previous.message.clone();
            return (Status::False, Reason::DriftCorrected, message);
        }
        if note.is_empty() {
            let message = "every object is watched and is as the revision says".to_owned();
            return (Status::False, Reason::InSync, message);
        }
        let message = format!("no object differs from the revision{note}");
        (Status::False, Reason::PartlyWatched, message)
    }

    /// What there is to tell of it again: not what was done.
    #[must_use]
    pub fn lasting(&self) -> Self {
        Self {
            open: self.open.clone(),
            blind: self.blind.clone(),
            ..Self::default()
        }
    }

    /// What was put right, in words.
    pub fn correction(&self) -> String {
        let corrected = listing(self.corrected.iter().map(String::as_str));
        format!("put right what was changed outside Git: {corrected}")
    }

    fn note(&self) -> String {
        if self.blind.is_empty() {
            return String::new();
        }
        let kinds = self.blind.iter().map(|((group, kind), why)| {
            let dot = if group.is_empty() { "" } else { "." };
            format!("{kind}{dot}{group} ({why})")
        });
        let kinds: Vec<String> = kinds.collect();
        format!(
            ". {NOT_WATCHED}: {}; to have a kind watched, give the controller's account the \
             rights list and watch on it, as deploy/rbac/watch.yaml does",
            listing(kinds.iter().map(String::as_str))
        )
    }
}

fn listing<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = items.collect();
    let more = all.len().saturating_sub(NAMED);
    let named = all[..all.len() - more].join("; ");
    if more > 0 {
        format!("{named}; and {more} more")
    } else {
        named
    }
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
                resource: ApiResource {
                    group: String::new(),
                    version: "v1".into(),
                    api_version: "v1".into(),
                    kind: "ConfigMap".into(),
                    plural: "configmaps".into(),
                },
                namespaced: true,
                verbs: Vec::new(),
            },
            meta: serde_json::from_value(json!({"name": name, "managedFields": [
                {"manager": set.manager(), "operation": "Apply", "fieldsV1": fields}]}))
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

    fn maps() -> BTreeSet<(String, String)> {
        [(String::new(), "ConfigMap".to_owned())].into()
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
        let found: Vec<String> = drifted(&applied, listed(&inventory, &maps(), &set))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "ConfigMap prod/gone (deleted)",
                "ConfigMap prod/taken (changed)"
            ]
        );
    }

    #[test]
    fn a_kind_that_could_not_be_listed_or_was_not_asked_for_has_not_drifted() {
        let set = ApplySet::of("team-a", "app");
        let fingerprint = set
            .fingerprint(&member("a", &json!({}), &set).meta)
            .unwrap();
        let applied = BTreeMap::from([(key("a"), fingerprint)]);
        let mut inventory = Inventory {
            members: Vec::new(),
            unknown: vec![(
                (String::new(), "ConfigMap".into()),
                "its API does not answer".into(),
            )],
        };
        assert_eq!(drifted(&applied, listed(&inventory, &maps(), &set)), []);
        inventory.unknown.clear();
        let none = BTreeSet::new();
        assert_eq!(drifted(&applied, listed(&inventory, &none, &set)), []);
    }

    fn condition(state: &State, previous: Option<&Condition>) -> (String, Reason, String) {
        let (status, reason, message) = state.condition(previous);
        (status.to_string(), reason, message)
    }

    fn standing(said: &(String, Reason, String)) -> Condition {
        serde_json::from_value(json!({"type": "Drifted", "status": said.0, "reason": said.1.as_str(), "message": said.2,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}))
        .unwrap()
    }

    #[test]
    fn what_was_put_right_stays_told_until_there_is_something_new() {
        let corrected = State {
            corrected: vec!["ConfigMap prod/a: data.x (kubectl-edit)".into()],
            ..State::default()
        };
        let said = condition(&corrected, None);
        assert_eq!((said.0.as_str(), said.1), ("False", Reason::DriftCorrected));
        assert!(said.2.contains("data.x (kubectl-edit)"), "{}", said.2);
        let calm = State::default();
        assert_eq!(condition(&calm, Some(&standing(&said))), said);
        assert_eq!(condition(&calm, None).1, Reason::InSync);
        let fresh = State {
            fresh: true,
            ..State::default()
        };
        assert_eq!(condition(&fresh, Some(&standing(&said))).1, Reason::InSync);
        let open = State {
            open: vec![(Reason::Contended, "x".into())],
            ..State::default()
        };
        let open = condition(&open, Some(&standing(&said)));
        assert_eq!((open.0.as_str(), open.1), ("True", Reason::Contended));
        assert_eq!(condition(&calm, Some(&standing(&open))).1, Reason::InSync);
    }

    #[test]
    fn a_kind_that_is_not_watched_is_named_with_what_mends_it() {
        let blind = State {
            blind: [(("example.org".into(), "Widget".into()), "forbidden".into())].into(),
            ..State::default()
        };
        let said = condition(&blind, None);
        assert_eq!(said.1, Reason::PartlyWatched);
        for part in ["Widget.example.org (forbidden)", "deploy/rbac/watch.yaml"] {
            assert!(said.2.contains(part), "{}", said.2);
        }
        let corrected = State {
            corrected: vec!["x".into()],
            ..blind.clone()
        };
        let corrected = condition(&corrected, None);
        assert_eq!(condition(&blind, Some(&standing(&corrected))), corrected);
        assert_eq!(
            condition(&State::default(), Some(&standing(&corrected))).1,
            Reason::InSync,
            "watched by now"
        );
    }
}
