//! The loop over all ManifestSyncs: when one is looked at, what is written about it, and when it is looked at again.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crds::conditions::Outcome;
use crds::reasons::Reason;
use crds::{ManifestSync, SyncResult, names};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::PatchParams;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::finalizer::{Error as FinalizerError, Event as Finalizer, finalizer};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::access::Account;
use super::delete::{NotYet, delete};
use super::discovery::Discovery;
use super::members::ApplySet;
use super::memory::{Due, Entry, Failed, Memory};
use super::pass::{Done, Pass, Passed};
use super::report::{population, report, report_drift};
use super::schedule::Periods;
use super::secrets::Secrets;
use super::status::Report;
use super::watches::Watches;
use super::{Shared, SyncContext, refuse};
use crate::watched;

type Guarded = DeserializeGuard<ManifestSync>;

/// How often the version of the keyring is looked at, in memory: a key that arrives late wakes what waits for it.
const KEYS_POLL: Duration = Duration::from_secs(1);
/// After an error of the Kubernetes API around a pass, such as a status that could not be written.
const API_RETRY: Duration = Duration::from_secs(5);
/// A storm of changes to one ManifestSync becomes one pass.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Runs until told to stop, then ends when the passes that are under way have come to a step's end.
pub async fn run(context: SyncContext, shutdown: CancellationToken) {
    let SyncContext {
        client,
        unsealer,
        source,
        settings,
        metrics,
    } = context;
    let reporter = Reporter {
        controller: names::CONTROLLER_MANAGER.to_owned(),
        instance: None,
    };
    let controller = Account::of(&client, &settings.controller).await;
    let (members, woken) = Watches::new(client.clone(), settings.watched.clone());
    let secrets = Secrets::new(client.clone(), members.waker());
    let shared = Arc::new(Shared {
        watches: members,
        secrets,
        controller,
        discovery: Discovery::new(client.clone()),
        memory: Memory::default(),
        recorder: Recorder::new(client.clone(), reporter),
        store: OnceLock::new(),
        client: client.clone(),
        unsealer,
        source,
        settings,
        metrics,
        shutdown: shutdown.clone(),
    });
    let watch = |api| watcher(api, watcher::Config::default()).default_backoff();
    let (store, writer) = reflector::store::<Guarded>();
    let watched = &shared.settings.watched;
    let syncs = watched
        .events(&client, "ManifestSyncs", watch, watched::gone)
        .map(Ok)
        .reflect(writer)
        .applied_objects();
    let config = Config::default()
        .concurrency(shared.settings.concurrency)
        .debounce(DEBOUNCE);
    let controller = Controller::for_stream(syncs, store.clone()).with_config(config);
    // Set once, here: nothing reads it before the controller runs.
    let _ = shared.store.set(store.clone());
    let waiting = waiting_for_key(shared.clone(), store.clone());
    controller
        .reconcile_on(waiting)
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, |_, _, _| Action::requeue(API_RETRY), shared.clone())
        .for_each(|result| {
            if let Err(error) = result
                && !matches!(error, kube::runtime::controller::Error::ObjectNotFound(_))
            {
                tracing::warn!(error = %said(&error), "a ManifestSync could not be reconciled; it is tried again");
            }
            population(&shared, &store);
            std::future::ready(())
        })
        .await;
}

/// Why a reconciliation is tried again although no pass failed.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error("the Kubernetes API: {0}")]
    Api(#[source] kube::Error),
    #[error(transparent)]
    Delete(NotYet),
    #[error("the finalizer: {0}")]
    Finalizer(String),
}

async fn reconcile(object: Arc<Guarded>, shared: Arc<Shared>) -> Result<Action, SyncError> {
    let sync = match &object.0 {
        Ok(sync) => sync,
        Err(invalid) => return unreadable(&shared, &invalid.metadata, &invalid.error).await,
    };
    let namespace = sync.namespace().unwrap_or_default();
    let api: Api<ManifestSync> = Api::namespaced(shared.client.clone(), &namespace);
    if sync.metadata.deletion_timestamp.is_none()
        && sync
            .finalizers()
            .iter()
            .any(|name| name == names::FINALIZER)
    {
        // The common case, and nothing to write: not even the object is copied.
        return look(&shared, sync).await;
    }
    let outcome = finalizer(
        &api,
        names::FINALIZER,
        Arc::new(sync.clone()),
        |event| async move {
            match event {
                Finalizer::Apply(_) => Ok(Action::await_change()),
                Finalizer::Cleanup(sync) => {
                    delete(&shared, &sync).await.map_err(SyncError::Delete)?;
                    let uid = sync.uid().unwrap_or_default();
                    let namespace = sync.namespace().unwrap_or_default();
                    shared.memory.forget(&uid);
                    shared.secrets.forget(&uid);
                    shared
                        .watches
                        .forget(&ApplySet::of(&namespace, &sync.name_any()));
                    Ok(Action::await_change())
                }
            }
        },
    )
    .await;
    outcome.map_err(|error| match error {
        FinalizerError::ApplyFailed(error) | FinalizerError::CleanupFailed(error) => error,
        FinalizerError::AddFinalizer(error) | FinalizerError::RemoveFinalizer(error) => {
            SyncError::Api(error)
        }
        other => SyncError::Finalizer(other.to_string()),
    })
}

/// Looks at a sync if it is due, or something happened to its members or to the Secrets of its source.
async fn look(shared: &Shared, sync: &ManifestSync) -> Result<Action, SyncError> {
    let uid = sync.uid().unwrap_or_default();
    let namespace = sync.namespace().unwrap_or_default();
    let set = ApplySet::of(&namespace, &sync.name_any());
    let mut entry = shared.memory.recall(&uid);
    let reconcile_at = reconcile_at(sync);
    let now = Instant::now();
    let keys_version = shared.unsealer.keys_version();
    let due = entry.due(sync.metadata.generation, reconcile_at, keys_version, now);
    let asked = match due {
        Due::Now { asked } => Some(asked),
        _ if shared.secrets.has_news(&uid) && !sync.spec.suspend => Some(false),
        Due::After(_) | Due::OnChange => None,
    };
    let drift_is_due = entry.drift_at.is_some_and(|at| at <= now);
    if asked.is_none() && !drift_is_due && !shared.watches.has_news(&set) {
        return Ok(again(&entry));
    }
    let account = refuse::account(
        &sync.spec,
        &namespace,
        shared.settings.default_service_account.as_deref(),
    );
    let account = match account {
        Ok(account) if !sync.spec.suspend => account,
        not_now => {
            if asked.is_none() {
                return Ok(again(&entry));
            }
            let done = match not_now {
                Err((reason, message)) => said_only(Outcome::Stalled, reason, message),
                Ok(_) => said_only(
                    Outcome::Suspended,
                    Reason::Suspended,
                    "spec.suspend is set: nothing is synced until it is removed".to_owned(),
                ),
            };
            tell(shared, sync, &mut entry, &done).await?;
            handled(&mut entry, sync);
            (entry.failed, entry.next, entry.drift_at) = (None, None, None);
            shared.memory.remember(&uid, entry);
            return Ok(Action::await_change());
        }
    };

    let periods = Periods::of(&sync.spec);
    let pass = Pass::new(shared, sync, account);
    let mut complete = false;
    if let Some(asked) = asked {
        let passed = pass.run(&entry, asked).await;
        if let Passed::Done(done) = &passed {
            complete = done.standing.is_some() && done.report.drift.is_some();
            let failed_before = entry.failed.is_some();
            learn(&mut entry, done, &periods, keys_version);
            tell_of(shared, sync, &mut entry, done, failed_before).await?;
        }
        // Only what was reported is remembered as handled: a status that could not be written is made anew.
        handled(&mut entry, sync);
        entry.next = next(&entry, &passed, &periods, Instant::now());
    }
    // After a pass that applied everything there is nothing to look for.
    if !complete && let Some(looked) = pass.look(&mut entry, asked.is_some()).await {
        if let Some(Passed::Done(done)) = &looked.failed {
            learn(&mut entry, done, &periods, keys_version);
            tell_of(shared, sync, &mut entry, done, false).await?;
            if let Some(failed) = &entry.failed {
                entry.next = Some(
                    entry
                        .next
                        .map_or(failed.retry_at, |next| next.min(failed.retry_at)),
                );
            }
        }
        // Until the first listings have ended nobody knows what is not watched.
        let is_told = shared.watches.is_listed(&set);
        let news = entry.drift_told.as_ref() != Some(&looked.state.lasting());
        if !looked.state.corrected.is_empty() || (is_told && news) {
            report_drift(shared, sync, &looked.state, entry.drift_told.as_ref())
                .await
                .map_err(SyncError::Api)?;
            entry.drift_told = Some(looked.state.lasting());
        }
    }
    let action = again(&entry);
    shared.memory.remember(&uid, entry);
    Ok(action)
}

/// Looked at again at the next poll, or when drift that was left alone is due.
fn again(entry: &Entry) -> Action {
    let next = [entry.next, entry.drift_at].into_iter().flatten().min();
    next.map_or_else(Action::await_change, |next| {
        Action::requeue(next.saturating_duration_since(Instant::now()))
    })
}

fn handled(entry: &mut Entry, sync: &ManifestSync) {
    entry.generation = sync.metadata.generation;
    entry.reconcile_at = reconcile_at(sync).map(str::to_owned);
}

async fn tell(
    shared: &Shared,
    sync: &ManifestSync,
    entry: &mut Entry,
    done: &Done,
) -> Result<(), SyncError> {
    let failed_before = entry.failed.is_some();
    tell_of(shared, sync, entry, done, failed_before).await
}

async fn tell_of(
    shared: &Shared,
    sync: &ManifestSync,
    entry: &mut Entry,
    done: &Done,
    failed_before: bool,
) -> Result<(), SyncError> {
    report(shared, sync, done, failed_before, entry.told.as_deref())
        .await
        .map_err(SyncError::Api)?;
    let fails = matches!(done.report.outcome, Outcome::Retrying | Outcome::Stalled);
    entry.told = fails.then(|| done.report.message.clone());
    if let Some(state) = &done.report.drift {
        entry.drift_told = Some(state.lasting());
    }
    Ok(())
}

fn said_only(outcome: Outcome, reason: Reason, message: String) -> Done {
    Done::says(Report::says(outcome, reason, message, Timestamp::now()))
}

/// What a pass teaches for the next one.
fn learn(entry: &mut Entry, done: &Done, periods: &Periods, keys_version: u64) {
    match done.report.outcome {
        Outcome::Ready => {
            entry.failed = None;
            entry.standing.clone_from(&done.standing);
        }
        Outcome::Retrying => {
            let times = entry
                .failed
                .as_ref()
                .filter(|failed| failed.commit == done.commit)
                .map_or(0, |failed| failed.times)
                + 1;
            let wait = periods
                .next_retry(times)
                .max(done.retry_after.unwrap_or_default());
            let waits = done
                .report
                .problems
                .iter()
                .any(|problem| problem.waits_for_key);
            entry.failed = Some(Failed {
                reason: done.report.reason,
                commit: done.commit.clone(),
                times,
                retry_at: Instant::now() + wait,
                waits_for_key: waits.then_some(keys_version),
            });
            if done.report.result == Some(SyncResult::PartiallyApplied) {
                // What stands now is neither the old revision nor the new one.
                entry.standing = None;
            }
        }
        _ => entry.failed = None,
    }
}

/// When it is looked at again: at the next poll of the source, or at the retry when that comes before.
fn next(entry: &Entry, passed: &Passed, periods: &Periods, now: Instant) -> Option<Instant> {
    if let Passed::Done(done) = passed
        && matches!(done.report.outcome, Outcome::Stalled | Outcome::Suspended)
    {
        return None;
    }
    let poll = now + periods.next_poll(random());
    Some(match &entry.failed {
        Some(failed) => failed.retry_at.clamp(now, poll),
        None => poll,
    })
}

/// An object that is not a ManifestSync of this version. It must neither stop the others nor stay for ever.
async fn unreadable(
    shared: &Shared,
    meta: &kube::api::ObjectMeta,
    error: &str,
) -> Result<Action, SyncError> {
    let (namespace, name) = (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    );
    tracing::warn!(%namespace, %name, %error, "a ManifestSync does not fit its own definition and is left alone");
    let position = meta
        .finalizers
        .iter()
        .flatten()
        .position(|finalizer| finalizer == names::FINALIZER);
    if meta.deletion_timestamp.is_some()
        && let Some(position) = position
    {
        // Its members stay: what cannot be read does not say what is to become of them.
        let ours = format!("/metadata/finalizers/{position}");
        let patch = json!([{"op": "test", "path": ours, "value": names::FINALIZER}, {"op": "remove", "path": ours}]);
        let patch = serde_json::from_value(patch)
            .map_err(|error| SyncError::Finalizer(error.to_string()))?;
        let api: Api<ManifestSync> = Api::namespaced(shared.client.clone(), &namespace);
        api.patch_metadata(
            &name,
            &PatchParams::default(),
            &kube::api::Patch::<()>::Json(patch),
        )
        .await
        .map_err(SyncError::Api)?;
    }
    Ok(Action::await_change())
}

/// Those that failed for want of a key, each time the keyring changes.
fn waiting_for_key(
    shared: Arc<Shared>,
    store: Store<Guarded>,
) -> impl Stream<Item = ObjectRef<Guarded>> {
    let versions = stream::unfold((shared, None), |(shared, seen)| async move {
        loop {
            tokio::time::sleep(KEYS_POLL).await;
            let version = shared.unsealer.keys_version();
            if seen != Some(version) {
                return Some(((shared.clone(), version), (shared, Some(version))));
            }
        }
    });
    versions.flat_map(move |(shared, version)| {
        let waiting: Vec<ObjectRef<Guarded>> = store
            .state()
            .iter()
            .filter(|sync| {
                shared
                    .memory
                    .waits_for_key(&sync.uid().unwrap_or_default(), version)
            })
            .map(|sync| ObjectRef::from_obj(sync.as_ref()))
            .collect();
        stream::iter(waiting)
    })
}

/// The request to look now, if there is one.
pub(super) fn reconcile_at(sync: &ManifestSync) -> Option<&str> {
    sync.annotations()
        .get(names::RECONCILE_AT_ANNOTATION)
        .map(String::as_str)
}

/// Any number: spreads polls, protects nothing.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
