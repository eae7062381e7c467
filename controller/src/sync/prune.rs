//! Deletes what a sync made and its revision no longer has.
//!
//! The choice is pure: given what carries our label and what the revision has, what is deleted, in which order,
//! and what is kept. Only what is *ours* is ever chosen (see [`ApplySet::owns`]).

use std::collections::BTreeSet;
use std::time::Duration;

use crds::names;
use crds::reasons::Reason;
use futures::{StreamExt, stream};
use kube::Client;
use tokio::time::{Instant, sleep};

use super::inventory::{Inventory, Member};
use super::members::ApplySet;
use super::order::{Stage, Step, kept_by_default};
use super::plan::MemberKey;
use super::problem::Problem;
use super::review::PARALLEL;
use super::ssa::{self, Writer};

/// Longest wait until deleted workloads are gone, before the Secrets that they use are deleted.
const GONE_LIMIT: Duration = Duration::from_secs(60);

/// What is to be deleted, and what stays although the revision no longer has it.
#[derive(Default)]
pub struct Choice {
    /// Deleted in this order; what is of one step may go in parallel.
    pub delete: Vec<Member>,
    /// Kept, because deleting them would delete more than themselves.
    pub keep: Vec<MemberKey>,
}

/// Chooses among the objects that carry our label. `parent` is the ManifestSync itself, which never prunes itself.
pub fn choose(
    members: Vec<Member>,
    wanted: &BTreeSet<MemberKey>,
    set: &ApplySet,
    parent: (&str, &str),
) -> Choice {
    let mut choice = Choice::default();
    for member in members {
        let key = &member.key;
        let is_parent = key.group == names::GROUP
            && key.kind == "ManifestSync"
            && (key.namespace.as_str(), key.name.as_str()) == parent;
        if wanted.contains(key) || is_parent || set.owns(&member.meta).is_err() {
            continue;
        }
        if kept_by_default(&key.group, &key.kind) {
            choice.keep.push(key.clone());
        } else if member.meta.deletion_timestamp.is_none() {
            choice.delete.push(member);
        }
    }
    choice
        .delete
        .sort_by(|a, b| (step(b), &a.key).cmp(&(step(a), &b.key)));
    choice.keep.sort();
    choice
}

/// The members that would go, if the revision has none of them. `None` when it has one, when nothing would go, and
/// when not all could be looked at.
pub fn prunes_everything(
    inventory: &Inventory,
    wanted: &BTreeSet<MemberKey>,
    set: &ApplySet,
) -> Option<Vec<MemberKey>> {
    if !inventory.unknown.is_empty() || wanted.is_empty() {
        return None;
    }
    let mut goes = Vec::new();
    for member in &inventory.members {
        let key = &member.key;
        if set.owns(&member.meta).is_err() || kept_by_default(&key.group, &key.kind) {
            continue;
        }
        if wanted.contains(key) {
            return None;
        }
        if member.meta.deletion_timestamp.is_none() {
            goes.push(key.clone());
        }
    }
    (!goes.is_empty()).then_some(goes)
}

/// What pruning did.
#[derive(Default)]
pub struct Pruned {
    /// Objects that were deleted.
    pub deleted: usize,
    /// Objects that stay, although they should go: retried at the next pass.
    pub problems: Vec<Problem>,
}

/// Deletes the chosen objects as the account, workloads before what they read.
pub async fn prune(delete: Vec<Member>, writer: &Writer, own: &Client) -> Pruned {
    let mut pruned = Pruned::default();
    let mut rest = delete.into_iter().peekable();
    let mut running: Vec<Member> = Vec::new();
    while let Some(now) = rest.peek().map(step) {
        // What pods read goes only when the pods are gone.
        if now.stage <= Stage::Inputs && !running.is_empty() {
            let stay = gone(own, std::mem::take(&mut running)).await;
            if !stay.is_empty() {
                pruned.problems.extend(stay.into_iter().map(|member| {
                    Problem::live(
                        Reason::PruneFailed,
                        member.key.display(),
                        "it is being deleted and not gone yet (see its finalizers); what it may use stays until then",
                    )
                }));
                return pruned;
            }
        }
        let mut group = Vec::new();
        while let Some(member) = rest.next_if(|member| step(member) == now) {
            group.push(member);
        }
        let results: Vec<_> = stream::iter(group)
            .map(|member| async move {
                let namespace =
                    (!member.key.namespace.is_empty()).then_some(member.key.namespace.as_str());
                let uid = member.meta.uid.as_deref().unwrap_or_default();
                let foreground = Step::runs_pods(&member.key.group, &member.key.kind);
                let deleted = writer
                    .delete(&member.kind, namespace, &member.key.name, uid, foreground)
                    .await;
                (member, foreground, deleted)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (member, foreground, deleted) in results {
            match deleted {
                Ok(was_there) => {
                    pruned.deleted += usize::from(was_there);
                    if foreground && was_there {
                        running.push(member);
                    }
                }
                Err(answer) => pruned.problems.push(Problem::live(
                    if answer.is_transient() {
                        Reason::ApiUnavailable
                    } else {
                        Reason::PruneFailed
                    },
                    member.key.display(),
                    format!("the revision no longer has it and it could not be deleted: {answer}"),
                )),
            }
        }
    }
    pruned
}

/// Waits until these are gone. What is still there after [`GONE_LIMIT`] is given back.
async fn gone(client: &Client, members: Vec<Member>) -> Vec<Member> {
    let deadline = Instant::now() + GONE_LIMIT;
    let mut left = members;
    let mut pause = Duration::from_millis(50);
    loop {
        let mut still = Vec::new();
        for member in left {
            let namespace =
                (!member.key.namespace.is_empty()).then_some(member.key.namespace.as_str());
            let api = ssa::api(client.clone(), &member.kind.resource, namespace);
            match api.get_metadata_opt(&member.key.name).await {
                Ok(Some(live)) if live.metadata.uid == member.meta.uid => still.push(member),
                // Gone, or another object of that name, or not ours to see: then there is nothing to wait for.
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_forbidden() => {}
                Err(_) => still.push(member),
            }
        }
        if still.is_empty() || Instant::now() >= deadline {
            return still;
        }
        left = still;
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn step(member: &Member) -> Step {
    Step::of(&member.key.group, &member.key.kind)
}

#[cfg(test)]
mod tests {
    use kube::discovery::ApiResource;
    use serde_json::json;

    use super::super::discovery::Kind;
    use super::*;

    fn set() -> ApplySet {
        ApplySet::of("team-a", "app")
    }

    fn member(group: &str, kind: &str, name: &str, manager: &str) -> Member {
        Member {
            key: MemberKey {
                group: group.into(),
                kind: kind.into(),
                namespace: "prod".into(),
                name: name.into(),
            },
            kind: Kind {
                resource: ApiResource {
                    group: group.into(),
                    version: "v1".into(),
                    api_version: "v1".into(),
                    kind: kind.into(),
                    plural: "x".into(),
                },
                namespaced: true,
                verbs: Vec::new(),
            },
            meta: serde_json::from_value(json!({
                "name": name, "uid": name, "labels": {"applyset.kubernetes.io/part-of": set().id()},
                "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": {}}]
            }))
            .unwrap(),
        }
    }

    fn ours(group: &str, kind: &str, name: &str) -> Member {
        member(group, kind, name, set().manager())
    }

    fn names_of(choice: &Choice) -> Vec<&str> {
        choice
            .delete
            .iter()
            .map(|member| member.key.name.as_str())
            .collect()
    }

    #[test]
    fn what_the_revision_no_longer_has_is_deleted_workloads_first() {
        let members = vec![
            ours("", "Secret", "db"),
            ours("apps", "Deployment", "web"),
            ours("", "ServiceAccount", "web"),
            ours("", "ConfigMap", "kept"),
        ];
        let wanted = BTreeSet::from([members[3].key.clone()]);
        let choice = choose(members, &wanted, &set(), ("team-a", "app"));
        let order: Vec<&str> = choice
            .delete
            .iter()
            .map(|member| member.key.kind.as_str())
            .collect();
        assert_eq!(order, ["Deployment", "Secret", "ServiceAccount"]);
    }

    #[test]
    fn a_revision_that_has_nothing_of_what_there_is_would_prune_everything() {
        let inventory = |members| Inventory {
            members,
            unknown: Vec::new(),
        };
        let old = || {
            vec![
                ours("", "ConfigMap", "a"),
                ours("", "ConfigMap", "b"),
                ours("", "Namespace", "kept"),
                member("", "ConfigMap", "copy", "somebody"),
            ]
        };
        let wants = |name: &str| BTreeSet::from([ours("", "ConfigMap", name).key]);
        let goes = prunes_everything(&inventory(old()), &wants("new"), &set()).unwrap();
        let names: Vec<&str> = goes.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(
            prunes_everything(&inventory(old()), &wants("b"), &set()),
            None
        );
        assert!(
            prunes_everything(&inventory(old()), &wants("copy"), &set()).is_some(),
            "what is not ours does not count"
        );
        let mut partly = inventory(old());
        partly.unknown.push((
            ("example.org".into(), "Widget".into()),
            "its API does not answer".into(),
        ));
        assert_eq!(
            prunes_everything(&partly, &wants("new"), &set()),
            None,
            "nobody knows"
        );
        assert_eq!(
            prunes_everything(&inventory(old()), &BTreeSet::new(), &set()),
            None,
            "an empty revision is judged before it is planned"
        );
    }

    #[test]
    fn a_copied_label_never_gets_anything_deleted() {
        let copy = member(
            "discovery.k8s.io",
            "EndpointSlice",
            "web-1",
            "endpointslice-controller",
        );
        let mut controlled = ours("", "Pod", "web-2");
        controlled.meta.owner_references =
            serde_json::from_value(json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}])).unwrap();
        let choice = choose(
            vec![copy, controlled, ours("", "ConfigMap", "mine")],
            &BTreeSet::new(),
            &set(),
            ("team-a", "app"),
        );
        assert_eq!(names_of(&choice), ["mine"]);
    }

    #[test]
    fn definitions_namespaces_and_volumes_are_kept_and_named() {
        let members = vec![
            ours("", "Namespace", "prod"),
            ours("", "PersistentVolumeClaim", "disk"),
            ours("", "ConfigMap", "a"),
        ];
        let choice = choose(members, &BTreeSet::new(), &set(), ("team-a", "app"));
        assert_eq!(names_of(&choice), ["a"]);
        assert_eq!(
            choice
                .keep
                .iter()
                .map(|key| key.name.as_str())
                .collect::<Vec<_>>(),
            ["prod", "disk"]
        );
    }

    #[test]
    fn a_sync_never_prunes_itself_and_nothing_is_deleted_twice() {
        let mut itself = ours(names::GROUP, "ManifestSync", "app");
        itself.key.namespace = "team-a".into();
        let mut other = ours(names::GROUP, "ManifestSync", "other");
        other.key.namespace = "team-a".into();
        let mut going = ours("", "ConfigMap", "going");
        going.meta.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let choice = choose(
            vec![itself, other, going],
            &BTreeSet::new(),
            &set(),
            ("team-a", "app"),
        );
        assert_eq!(names_of(&choice), ["other"]);
    }
}
