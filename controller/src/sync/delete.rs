//! The end of a ManifestSync: what becomes of its members. It never keeps the ManifestSync from going: what cannot
//! be deleted any more (the account, its rights or the namespace are gone) is left where it is, and an event says so.
//!
//! A ManifestSync also ends because its definition is being deleted: somebody uninstalls Waxwing. Nobody asked for the
//! applications to go then, so everything stays.

use std::collections::BTreeSet;

use crds::reasons::Reason;
use crds::{DeletionPolicy, ManifestSync, ManifestSyncSpec};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Api, Client, CustomResourceExt as _, ResourceExt as _};

use super::Shared;
use super::access::Account;
use super::answer::Answer;
use super::events::{Weight, publish};
use super::inventory::Lister;
use super::members::ApplySet;
use super::parent::Extent;
use super::plan::MemberKey;
use super::problem::Problem;
use super::prune::{choose, prune};
use super::refuse;
use super::schedule::Periods;
use super::ssa::Writer;

/// How long members whose deletion fails for a reason that may pass (an admission webhook that is down) keep their
/// ManifestSync from going.
const GIVE_UP: SignedDuration = SignedDuration::from_mins(15);

/// The API server did not answer: the deletion is tried again, the finalizer stays until then.
#[derive(Debug, thiserror::Error)]
#[error("the members of the ManifestSync could not be deleted yet: {0}")]
pub struct NotYet(pub String);

/// What a spec says about the members of a deleted sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delete,
    Stay,
}

/// Deals with the members of a sync that is being deleted.
pub async fn delete(shared: &Shared, sync: &ManifestSync) -> Result<(), NotYet> {
    let namespace = sync.namespace().unwrap_or_default();
    if fate(&sync.spec) == Fate::Stay {
        return Ok(());
    }
    let kept = match uninstalling(&shared.client).await {
        Ok(false) => None,
        Ok(true) => Some(
            "the CustomResourceDefinition of ManifestSyncs is being deleted (Waxwing is being uninstalled): everything \
             that this one applied stays in the cluster"
                .to_owned(),
        ),
        // What would go by mistake cannot be brought back: without an answer nothing goes.
        Err(NotYet(why)) if is_overdue(sync, Timestamp::now()) => Some(format!(
            "everything that this one applied is left in the cluster, because {why}. Delete by hand what nothing needs"
        )),
        Err(not_yet) => return Err(not_yet),
    };
    if let Some(note) = kept {
        let weight = Weight::Normal;
        publish(&shared.recorder, sync, weight, Reason::Orphaned, &note).await;
        tracing::info!(sync = %sync.name_any(), %namespace, "{note}");
        return Ok(());
    }
    let Some(account) = refuse::named(
        &sync.spec,
        &namespace,
        shared.settings.default_service_account.as_deref(),
    ) else {
        // Without an account nothing was ever applied.
        return Ok(());
    };
    let limit = Periods::of(&sync.spec).timeout;
    match tokio::time::timeout(limit, members(shared, sync, &account)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NotYet(format!(
            "deleting them did not end within {limit:?} (spec.timeout)"
        ))),
    }
}

async fn members(shared: &Shared, sync: &ManifestSync, account: &Account) -> Result<(), NotYet> {
    let set = ApplySet::of(&account.namespace, &sync.name_any());
    let Ok(client) = account.impersonate(&shared.client) else {
        return Ok(());
    };
    // What the watch has shown may lag behind the annotations that a pass has just written.
    let api: Api<ManifestSync> = Api::namespaced(shared.client.clone(), &account.namespace);
    let live = api
        .get_metadata_opt(&sync.name_any())
        .await
        .map_err(|error| NotYet(Answer::of(&error, false).message))?;
    let Some(live) = live else { return Ok(()) };
    let mut extent = Extent::read(&live.metadata);
    extent.namespaces.insert(account.namespace.clone());
    let kinds = shared
        .discovery
        .refresh()
        .await
        .map_err(|error| NotYet(Answer::of(&error, false).message))?;
    let lister = Lister {
        own: shared.client.clone(),
        account: client.clone(),
        only_namespaces: !shared.settings.watched.is_cluster(),
    };
    let inventory = lister.list(&extent, &kinds, &set).await;
    let name = sync.name_any();
    let choice = choose(
        inventory.members,
        &BTreeSet::new(),
        &set,
        (&account.namespace, &name),
    );
    let pruned = prune(choice.delete, &Writer::new(client, set), &shared.client).await;

    let transient: Vec<String> = pruned
        .problems
        .iter()
        .filter(|problem| problem.reason == Reason::ApiUnavailable)
        .map(ToString::to_string)
        .collect();
    if let Some(first) = transient.first()
        && !is_overdue(sync, Timestamp::now())
        && !is_going(shared, &account.namespace).await
    {
        return Err(NotYet(first.clone()));
    }
    let unknown: Vec<String> = inventory
        .unknown
        .into_iter()
        .map(|((_, kind), why)| format!("objects of kind {kind} ({why})"))
        .collect();
    if let Some(note) = orphans(&pruned.problems, &choice.keep, &unknown) {
        publish(
            &shared.recorder,
            sync,
            Weight::Warning,
            Reason::Orphaned,
            &note,
        )
        .await;
        tracing::warn!(sync = %sync.name_any(), namespace = %account.namespace, "{note}");
    }
    Ok(())
}

/// Whether the definition of ManifestSyncs is going, or gone. Asked of the API server, not of a watch: its definition
/// is marked before the first object is.
async fn uninstalling(client: &Client) -> Result<bool, NotYet> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    match api.get_metadata_opt(ManifestSync::crd_name()).await {
        Ok(found) => Ok(is_gone_or_going(
            found.as_ref().map(|found| &found.metadata),
        )),
        Err(error) => Err(NotYet(format!(
            "whether Waxwing is being uninstalled could not be read: {}",
            Answer::of(&error, false)
        ))),
    }
}

fn is_gone_or_going(found: Option<&ObjectMeta>) -> bool {
    found.is_none_or(|meta| meta.deletion_timestamp.is_some())
}

/// Whether deleting the members has been tried for long enough.
fn is_overdue(sync: &ManifestSync, now: Timestamp) -> bool {
    let since = sync.metadata.deletion_timestamp.as_ref();
    since.is_some_and(|since| now.duration_since(since.0) > GIVE_UP)
}

/// Whether a namespace is being deleted, or gone.
async fn is_going(shared: &Shared, namespace: &str) -> bool {
    let api: Api<Namespace> = Api::all(shared.client.clone());
    match api.get_metadata_opt(namespace).await {
        Ok(found) => is_gone_or_going(found.as_ref().map(|found| &found.metadata)),
        Err(_) => false,
    }
}

/// As the spec says. A paused sync deletes nothing: who paused it wanted its objects left alone.
fn fate(spec: &ManifestSyncSpec) -> Fate {
    let delete = match spec.deletion_policy {
        DeletionPolicy::MirrorPrune => spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    };
    if delete && !spec.suspend {
        Fate::Delete
    } else {
        Fate::Stay
    }
}

/// What stays although it was to go, in words.
fn orphans(problems: &[Problem], kept: &[MemberKey], unknown: &[String]) -> Option<String> {
    let mut left: Vec<String> = problems.iter().map(ToString::to_string).collect();
    left.extend(
        kept.iter()
            .map(|key| format!("{} (deleting it deletes more than itself)", key.display())),
    );
    left.extend(unknown.iter().cloned());
    (!left.is_empty()).then(|| {
        format!(
            "left in the cluster: {}. Delete by hand what nothing needs",
            left.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted;
    use super::*;

    fn spec(policy: &str, prune: bool, suspend: bool) -> ManifestSyncSpec {
        serde_json::from_value(
            json!({"source": {"git": {"url": "https://git.example/app.git"}},
            "deletionPolicy": policy, "prune": prune, "suspend": suspend}),
        )
        .unwrap()
    }

    #[test]
    fn the_spec_says_what_becomes_of_the_members() {
        assert_eq!(fate(&spec("MirrorPrune", true, false)), Fate::Delete);
        assert_eq!(fate(&spec("MirrorPrune", false, false)), Fate::Stay);
        assert_eq!(fate(&spec("Delete", false, false)), Fate::Delete);
        assert_eq!(fate(&spec("Orphan", true, false)), Fate::Stay);
        assert_eq!(fate(&spec("Delete", true, true)), Fate::Stay, "paused");
    }

    #[tokio::test]
    async fn members_go_only_when_the_definition_is_known_to_stay() {
        let asked = async |code: u16, metadata: serde_json::Value| {
            let (client, log) = scripted::client(move |_| {
                if code == 200 {
                    let body = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
                    (code, body)
                } else {
                    let reason = if code == 404 { "NotFound" } else { "Other" };
                    scripted::failure(code, reason, "no", &json!({}))
                }
            });
            let answer = uninstalling(&client).await.ok();
            assert!(
                log.all()[0]
                    .line
                    .ends_with("/customresourcedefinitions/manifestsyncs.waxwing.dev")
            );
            answer
        };
        assert_eq!(asked(200, json!({"name": "x"})).await, Some(false));
        let going = json!({"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(asked(200, going).await, Some(true));
        assert_eq!(asked(404, json!({})).await, Some(true), "gone");
        for code in [403, 500, 503] {
            assert_eq!(asked(code, json!({})).await, None, "{code} is no answer");
        }
    }

    #[test]
    fn nothing_is_terminating_for_ever() {
        let now = Timestamp::from_second(10_000).unwrap();
        let deleted = |second: i64| {
            let mut sync = ManifestSync::new("app", spec("Delete", true, false));
            sync.metadata.deletion_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                    Timestamp::from_second(second).unwrap(),
                ));
            sync
        };
        assert!(!is_overdue(&deleted(9_900), now));
        assert!(is_overdue(&deleted(9_000), now));
    }

    #[test]
    fn what_stays_is_named() {
        assert_eq!(orphans(&[], &[], &[]), None);
        let key = MemberKey {
            group: String::new(),
            kind: "Namespace".into(),
            namespace: String::new(),
            name: "prod".into(),
        };
        let note = orphans(
            &[Problem::live(Reason::PruneFailed, "Secret a/b", "no right")],
            &[key],
            &[],
        )
        .unwrap();
        assert!(
            note.contains("Secret a/b: no right") && note.contains("Namespace prod"),
            "{note}"
        );
    }
}
