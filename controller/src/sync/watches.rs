//! Watches on the members of all syncs: one for each kind that a sync names, metadata only, with the controller's own
//! rights. Started when the first sync names a kind, stopped with the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crds::{ManifestSync, names};
use futures::StreamExt as _;
use futures::channel::mpsc;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::AbortHandle;

use super::answer::{Answer, AnswerKind};
use super::discovery::{Kind, Kinds, Lookup};
use super::drift::{Drifted, drifted};
use super::live::{Change, Live, Scope};
use super::members::{ApplySet, Fingerprint};
use super::memory::Standing;
use super::parent::Extent;
use super::plan::MemberKey;
use crate::watched::Watched;

/// A watch that was refused is tried again when its sync looks for drift and this has passed: somebody may have
/// granted the right, or the kind may be there now.
const RETRY: Duration = Duration::from_secs(60);

type Guarded = DeserializeGuard<ManifestSync>;
type Meta = PartialObjectMeta<DynamicObject>;

/// All watches. Cheap to clone.
#[derive(Clone)]
pub struct Watches(Arc<Shared>);

struct Shared {
    client: Client,
    watched: Watched,
    live: Mutex<Live>,
    running: Mutex<BTreeMap<Scope, Running>>,
    /// Who has an ApplySet, by its id.
    syncs: Mutex<BTreeMap<String, ObjectRef<Guarded>>>,
    wake: mpsc::UnboundedSender<ObjectRef<Guarded>>,
}

struct Running {
    task: AbortHandle,
    since: Instant,
    kind: Kind,
}

impl Watches {
    /// No watches yet; and the syncs whose members something happened to, as it happens.
    pub fn new(
        client: Client,
        watched: Watched,
    ) -> (Self, mpsc::UnboundedReceiver<ObjectRef<Guarded>>) {
        let (wake, woken) = mpsc::unbounded();
        let shared = Shared {
            client,
            watched,
            live: Mutex::default(),
            running: Mutex::default(),
            syncs: Mutex::default(),
            wake,
        };
        (Self(Arc::new(shared)), woken)
    }

    /// Wakes syncs for other reasons.
    pub fn waker(&self) -> mpsc::UnboundedSender<ObjectRef<Guarded>> {
        self.0.wake.clone()
    }

    /// A sync has members in this extent from now on, and nowhere else.
    pub fn want(&self, sync: ObjectRef<Guarded>, set: &ApplySet, extent: &Extent, kinds: &Kinds) {
        let mut scopes = BTreeMap::new();
        let mut blind = Vec::new();
        for (group, kind) in &extent.kinds {
            let scope = |namespace| Scope {
                group: group.clone(),
                kind: kind.clone(),
                namespace,
            };
            match kinds.of_any_version(group, kind) {
                Lookup::Served(found) if found.can("watch") => {
                    for namespace in self.0.namespaces(&found, extent) {
                        scopes.insert(scope(namespace), Some(found.clone()));
                    }
                }
                Lookup::Served(_) => blind.push((scope(None), "it cannot be watched")),
                Lookup::Unavailable => blind.push((scope(None), "its API does not answer")),
                // Of the revision itself, or gone with its definition: the next pass knows.
                Lookup::Missing => {}
            }
        }
        scopes.extend(blind.iter().map(|(scope, _)| (scope.clone(), None)));
        lock(&self.0.syncs).insert(set.id().to_owned(), sync);
        let turn = {
            let mut live = lock(&self.0.live);
            let turn = live.want(set, scopes.keys().cloned().collect());
            for (scope, why) in blind {
                live.blind(&scope, why.to_owned());
            }
            turn
        };
        self.stop(turn.stop);
        for scope in turn.start {
            if let Some(Some(kind)) = scopes.get(&scope) {
                self.start(scope, kind.clone());
            }
        }
    }

    /// A sync is gone.
    pub fn forget(&self, set: &ApplySet) {
        lock(&self.0.syncs).remove(set.id());
        let stop = lock(&self.0.live).forget(set);
        self.stop(stop);
    }

    /// Records what an apply answered, so that its own event is no news.
    pub fn learn(&self, set: &ApplySet, key: &MemberKey, owned: Fingerprint) {
        lock(&self.0.live).learn(set, key, owned);
    }

    /// Whether anything happened to members of this sync since [`Watches::drifted`] was asked.
    pub fn has_news(&self, set: &ApplySet) -> bool {
        lock(&self.0.live).has_news(set)
    }

    /// Whether everything that a sync names has been listed, or cannot be.
    pub fn is_listed(&self, set: &ApplySet) -> bool {
        lock(&self.0.live).is_listed(set)
    }

    /// The members that are not as they were applied, as far as they are watched.
    pub fn drifted(&self, set: &ApplySet, standing: &Standing) -> Vec<Drifted> {
        let mut live = lock(&self.0.live);
        live.take_news(set);
        drifted(&standing.objects, |key| live.look(set, key))
    }

    /// What of a sync is not watched: kinds, each with the reason. Watches that were refused long enough ago are
    /// tried again.
    pub fn blind(&self, set: &ApplySet) -> BTreeMap<(String, String), String> {
        let mut retried = Vec::new();
        let blind = {
            let mut live = lock(&self.0.live);
            let running = lock(&self.0.running);
            let blind = live.blind_scopes(set);
            for (scope, _) in &blind {
                if let Some(was) = running.get(scope)
                    && was.since.elapsed() > RETRY
                {
                    live.retry(scope);
                    retried.push((scope.clone(), was.kind.clone()));
                }
            }
            blind
        };
        for (scope, kind) in retried {
            self.start(scope, kind);
        }
        blind
            .into_iter()
            .map(|(scope, why)| ((scope.group, scope.kind), why))
            .collect()
    }

    fn start(&self, scope: Scope, kind: Kind) {
        let work = watch(
            Arc::downgrade(&self.0),
            self.0.client.clone(),
            scope.clone(),
            kind.clone(),
        );
        let running = Running {
            task: tokio::spawn(work).abort_handle(),
            since: Instant::now(),
            kind,
        };
        if let Some(old) = lock(&self.0.running).insert(scope, running) {
            old.task.abort();
        }
    }

    fn stop(&self, scopes: Vec<Scope>) {
        let mut running = lock(&self.0.running);
        for scope in scopes {
            if let Some(running) = running.remove(&scope) {
                running.task.abort();
            }
        }
    }
}

impl Shared {
    /// Where a kind is to be watched.
    fn namespaces(&self, kind: &Kind, extent: &Extent) -> BTreeSet<Option<String>> {
        match &self.watched {
            Watched::Namespaces(_) if kind.namespaced => {
                let ours = extent.namespaces.iter();
                ours.filter(|namespace| self.watched.covers(namespace))
                    .map(|namespace| Some(namespace.clone()))
                    .collect()
            }
            _ => [None].into(),
        }
    }

    fn take(&self, scope: &Scope, change: &Change<'_>) {
        let woken = lock(&self.live).take(scope, change);
        self.wake(woken);
    }

    fn wake(&self, woken: BTreeSet<Arc<str>>) {
        let syncs = lock(&self.syncs);
        for set in woken {
            if let Some(sync) = syncs.get(&*set) {
                // Closed only when the process is going down.
                let _ = self.wake.unbounded_send(sync.clone());
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for running in lock(&self.running).values() {
            running.task.abort();
        }
    }
}

/// Feeds what is known of one scope until it is told to stop, or cannot be watched.
async fn watch(shared: Weak<Shared>, client: Client, scope: Scope, kind: Kind) {
    let api: Api<Meta> = match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
        None => Api::all_with(client, &kind.resource),
    };
    let config = watcher::Config::default().labels(names::APPLYSET_PART_OF_LABEL);
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match event {
            Ok(event) => shared.take(&scope, &change(&event)),
            Err(error) => {
                let Some(answer) = refused(&error) else {
                    tracing::debug!(kind = kind.plural(), %error, "watching");
                    continue;
                };
                tracing::info!(
                    kind = kind.plural(),
                    "not watched, so drift is looked for at the interval: {answer}"
                );
                let woken = lock(&shared.live).blind(&scope, answer.message);
                shared.wake(woken);
                return;
            }
        }
    }
}

fn change(event: &Event<Meta>) -> Change<'_> {
    match event {
        Event::Init => Change::Begin,
        Event::InitApply(object) => Change::Listed(&object.metadata),
        Event::InitDone => Change::End,
        Event::Apply(object) => Change::Changed(&object.metadata),
        Event::Delete(object) => Change::Gone(&object.metadata),
    }
}

/// An answer that trying again at once does not change: the right is missing, or the kind is.
fn refused(error: &watcher::Error) -> Option<Answer> {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return None;
    };
    let answer = Answer::of(error, true);
    let unsupported = matches!(error, kube::Error::Api(status) if status.code == 405);
    let is_refusal = matches!(
        answer.kind,
        AnswerKind::Forbidden | AnswerKind::NotFound { .. }
    );
    (is_refusal || unsupported).then_some(answer)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half-made: every change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
