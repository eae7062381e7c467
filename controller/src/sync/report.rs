//! What is said about a pass: status, events, log lines, metrics. Nothing is said twice, and nothing when nothing
//! happened.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::conditions::{self, Outcome};
use crds::reasons::Reason;
use crds::{ManifestSync, ManifestSyncStatus, SyncResult, names};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Shared;
use super::drift::State;
use super::events::{Weight, publish};
use super::members::ApplySet;
use super::pass::Done;
use super::reconcile::reconcile_at;
use super::review::SyncNames;
use super::status::{self, Report};
use crate::metrics::{Kind, Outcome as Counted};

/// Writes the status if it says something new, and the events that belong to it.
pub async fn report(
    shared: &Shared,
    sync: &ManifestSync,
    done: &Done,
    failed_before: bool,
    told: Option<&str>,
) -> Result<(), kube::Error> {
    let report = &done.report;
    let api: Api<ManifestSync> =
        Api::namespaced(shared.client.clone(), &sync.namespace().unwrap_or_default());
    // What the watch has shown may lag behind our own last write.
    let live = match api.get_status(&sync.name_any()).await {
        Ok(live) => live,
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let previous = live.status.unwrap_or_default();
    let next = status::after(
        &previous,
        report,
        sync.metadata.generation,
        reconcile_at(sync),
        Timestamp::now(),
    );
    count(shared, report);
    if next != previous {
        write_status(shared, sync, &next).await?;
        tell(shared, sync, &previous, report, failed_before, told).await;
        if !done.kept.is_empty() && report.outcome == Outcome::Ready {
            publish(
                &shared.recorder,
                sync,
                Weight::Normal,
                report.reason,
                &report.message,
            )
            .await;
        }
    }
    if let Some(state) = &report.drift {
        tell_corrected(shared, sync, state).await;
    }
    Ok(())
}

/// Writes how the members stand, when that is not a part of what came of a pass, and the events that belong to it.
pub async fn report_drift(
    shared: &Shared,
    sync: &ManifestSync,
    state: &State,
    told: Option<&State>,
) -> Result<(), kube::Error> {
    let api: Api<ManifestSync> =
        Api::namespaced(shared.client.clone(), &sync.namespace().unwrap_or_default());
    let live = match api.get_status(&sync.name_any()).await {
        Ok(live) => live,
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let previous = live.status.unwrap_or_default();
    let mut next = previous.clone();
    let generation = sync.metadata.generation;
    status::drift(&mut next, state, generation, Timestamp::now());
    if next != previous {
        write_status(shared, sync, &next).await?;
    }
    tell_corrected(shared, sync, state).await;
    let known: BTreeSet<&str> = told
        .into_iter()
        .flat_map(|told| &told.open)
        .map(|(_, what)| what.as_str())
        .collect();
    for (reason, what) in &state.open {
        if !known.contains(what.as_str()) {
            let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
            tracing::warn!(%namespace, %name, %reason, "{what}");
            publish(&shared.recorder, sync, Weight::Warning, *reason, what).await;
        }
    }
    Ok(())
}

async fn tell_corrected(shared: &Shared, sync: &ManifestSync, state: &State) {
    if state.corrected.is_empty() {
        return;
    }
    for _ in &state.corrected {
        shared.metrics.drift_repaired(Kind::ManifestSync);
    }
    let note = state.correction();
    let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
    tracing::info!(%namespace, %name, "{note}");
    let reason = Reason::DriftCorrected;
    publish(&shared.recorder, sync, Weight::Normal, reason, &note).await;
}

/// Events: when it begins to fail, when the cause changes, when it recovers, and when pruning newly keeps something.
async fn tell(
    shared: &Shared,
    sync: &ManifestSync,
    previous: &ManifestSyncStatus,
    report: &Report,
    failed_before: bool,
    told: Option<&str>,
) {
    let before = conditions::find(&previous.conditions, conditions::READY);
    let failed_before = failed_before
        || !previous.failing.is_empty()
        || before.is_some_and(|ready| {
            ready.status == "False" && ready.reason != Reason::Suspended.as_str()
        });
    let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
    match report.outcome {
        Outcome::Retrying | Outcome::Stalled => {
            tracing::warn!(%namespace, %name, reason = %report.reason, "{}", report.message);
            let known = told == Some(&report.message)
                || before.is_some_and(|ready| ready.message == report.message);
            if !known {
                publish(
                    &shared.recorder,
                    sync,
                    Weight::Warning,
                    report.reason,
                    &report.message,
                )
                .await;
            }
        }
        Outcome::Ready if failed_before => {
            tracing::info!(%namespace, %name, "{}", report.message);
            publish(
                &shared.recorder,
                sync,
                Weight::Normal,
                report.reason,
                &report.message,
            )
            .await;
        }
        _ => tracing::info!(%namespace, %name, reason = %report.reason, "{}", report.message),
    }
}

fn count(shared: &Shared, report: &Report) {
    let counted = match report.result {
        Some(SyncResult::Succeeded) => Counted::Succeeded,
        Some(SyncResult::Refused) => Counted::Refused,
        Some(_) => Counted::Failed,
        None if report.outcome == Outcome::Retrying => Counted::Failed,
        None => return,
    };
    shared.metrics.sync_pass(counted, report.duration);
    shared.metrics.reconciled(Kind::ManifestSync, counted);
}

async fn write_status(
    shared: &Shared,
    sync: &ManifestSync,
    status: &ManifestSyncStatus,
) -> Result<(), kube::Error> {
    let api: Api<ManifestSync> =
        Api::namespaced(shared.client.clone(), &sync.namespace().unwrap_or_default());
    let name = sync.name_any();
    let body = json!({"apiVersion": names::API_VERSION, "kind": "ManifestSync", "metadata": {"name": name}, "status": status});
    let params = PatchParams::apply(names::CONTROLLER_MANAGER).force();
    match api.patch_status(&name, &params, &Patch::Apply(&body)).await {
        Ok(_) => Ok(()),
        // Deleted meanwhile: there is nobody to tell.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

impl Shared {
    /// Says that a revision is being applied. That it could not be said stops nothing.
    pub(super) async fn progress(&self, sync: &ManifestSync, message: &str) {
        let api: Api<ManifestSync> =
            Api::namespaced(self.client.clone(), &sync.namespace().unwrap_or_default());
        let previous = match api.get_status(&sync.name_any()).await {
            Ok(live) => live.status.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, "the status could not be read");
                return;
            }
        };
        let next = status::progressing(
            &previous,
            message,
            sync.metadata.generation,
            Timestamp::now(),
        );
        if let Err(error) = write_status(self, sync, &next).await {
            tracing::debug!(%error, "the status could not be written");
        }
    }

    /// Names of ManifestSyncs by their field manager, for saying whose an object is.
    pub(super) fn sync_names(&self) -> SyncNames {
        let store = self.store.get().cloned();
        Arc::new(move |manager| {
            let syncs = store.as_ref()?.state();
            syncs.iter().find_map(|sync| {
                let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
                (ApplySet::of(&namespace, &name).manager() == manager)
                    .then(|| format!("{namespace}/{name}"))
            })
        })
    }
}

/// Counts all syncs and those that are not ready.
pub fn population(shared: &Shared, store: &Store<DeserializeGuard<ManifestSync>>) {
    let syncs = store.state();
    let failing = syncs
        .iter()
        .filter(|sync| {
            let conditions = sync
                .0
                .as_ref()
                .ok()
                .and_then(|sync| sync.status.as_ref())
                .map(|status| status.conditions.as_slice());
            let ready =
                conditions.and_then(|conditions| conditions::find(conditions, conditions::READY));
            ready.is_none_or(|ready| ready.status == "False")
        })
        .count();
    shared
        .metrics
        .population(Kind::ManifestSync, syncs.len(), failing);
}
