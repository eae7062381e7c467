//! The unsealing watch: SealedSecrets that arrive any way (the sync, kubectl, other tools), keys
//! that arrive late, Secrets that drift. Whatever changes, the next look converges.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crds::{SealedSecret, names, reasons::Reason};
use futures::{StreamExt as _, TryStreamExt as _, channel::mpsc};
use k8s_openapi::{
    api::core::v1::Secret,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::PartialObjectMeta,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        controller::{Action, Config, Controller},
        events::{Event, EventType, Recorder, Reporter},
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    error::UnsealError,
    index::Key,
    orphans::{CRD_NAME, Orphans, Suspect},
    ownership::Consent,
    settled, status,
    write::{Done, Unsealer, Written, api_error, key_of},
};
use crate::{
    backoff::Patience,
    metrics::{Kind, Outcome},
    watched::{self, Watched},
};

/// SealedSecrets looked at together. Each takes two or three requests; the API server is the limit.
const CONCURRENCY: u16 = 32;
/// Something was written and its watch event is on the way: look again if it does not come.
const ECHO: Duration = Duration::from_secs(5);

type Guarded = DeserializeGuard<SealedSecret>;

/// Watches until `shutdown`; calls `ready` once, when everything that exists is known and the
/// first looks begin. The keyring has to be filled before.
pub async fn run(
    unsealer: Unsealer,
    watched: Watched,
    ready: impl FnOnce(),
    shutdown: CancellationToken,
) {
    let client = unsealer.0.client.clone();
    let reporter = Reporter {
        controller: names::UNSEAL_MANAGER.into(),
        instance: None,
    };
    let (store, writer) = reflector::store::<Guarded>();
    let context = Arc::new(Context {
        unsealer: unsealer.clone(),
        recorder: Recorder::new(client.clone(), reporter),
        failures: Mutex::default(),
        sealed: store.clone(),
    });
    let (drifted, to_look_at) = mpsc::unbounded();
    let (suspect, suspects) = mpsc::unbounded();

    let crd = tokio::spawn(watch_crd(unsealer.clone()));
    let orphans = tokio::spawn(
        Orphans {
            unsealer: unsealer.clone(),
            sealed: store.clone(),
        }
        .run(suspects),
    );
    let (listed, all_listed) = tokio::sync::oneshot::channel();
    let secrets = tokio::spawn(watch_secrets(SecretWatch {
        unsealer: unsealer.clone(),
        watched: watched.clone(),
        sealed: store.clone(),
        listed: Some(listed),
        drifted,
        suspect: suspect.clone(),
    }));
    let background = [
        crd.abort_handle(),
        orphans.abort_handle(),
        secrets.abort_handle(),
    ];

    // Before all Secrets are known, every SealedSecret would look as if its Secret were missing.
    let known = tokio::select! {
        () = shutdown.cancelled() => false,
        listed = all_listed => listed.is_ok(),
    };
    if known {
        ready();
        let counted = context.clone();
        let watch = |api| {
            watcher(api, watcher::Config::default())
                .backoff(Patience::default())
                .modify(|guarded: &mut Guarded| {
                    if let Ok(sealed) = &mut guarded.0 {
                        settled::strip(sealed);
                    }
                })
        };
        let stream = watched
            .events(&client, "SealedSecrets", watch, watched::gone)
            .map(Ok)
            .inspect_ok(move |event| {
                let suspected = match event {
                    watcher::Event::Delete(gone) => {
                        let key = (gone.namespace().unwrap_or_default(), gone.name_any());
                        counted.failures().remove(&key);
                        counted.unsealer.done().remove(&key);
                        Suspect::Deleted(key)
                    }
                    watcher::Event::InitDone => Suspect::All,
                    _ => return,
                };
                // Closed only when the process is going down.
                let _ = suspect.unbounded_send(suspected);
            })
            .reflect(writer)
            .applied_objects();
        let new_keys = changes_of(unsealer.0.keyring.subscribe());
        Controller::for_stream(stream, store)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_on(to_look_at)
            .reconcile_all_on(new_keys)
            .graceful_shutdown_on(shutdown.clone().cancelled_owned())
            .run(reconcile, on_error, context)
            .for_each(|_| std::future::ready(()))
            .await;
    }
    for task in background {
        task.abort();
    }
}

struct Context {
    unsealer: Unsealer,
    recorder: Recorder,
    /// Failures in a row of each SealedSecret.
    failures: Mutex<HashMap<Key, u32>>,
    sealed: Store<Guarded>,
}

impl Context {
    fn failures(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one look.
    fn looked(&self, key: &Key, outcome: Outcome) {
        let failing = {
            let mut failures = self.failures();
            if outcome == Outcome::Succeeded {
                failures.remove(key);
            } else {
                let count = failures.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
            }
            failures.len()
        };
        let metrics = &self.unsealer.0.metrics;
        metrics.reconciled(Kind::SealedSecret, outcome);
        metrics.population(Kind::SealedSecret, self.sealed.len(), failing);
    }

    async fn event(&self, sealed: &SealedSecret, type_: EventType, reason: Reason, note: String) {
        let event = Event {
            type_,
            reason: reason.as_str().into(),
            note: Some(note),
            action: "Unseal".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &sealed.object_ref(&())).await {
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

/// Each look is a task of its own: the controller's own future polls all of its looks whenever one
/// of them can go on, on one thread.
async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, UnsealError> {
    match tokio::spawn(look(guarded, context)).await {
        Ok(looked) => looked,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_cancelled) => Ok(Action::await_change()),
        },
    }
}

async fn look(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, UnsealError> {
    let cached = match &guarded.0 {
        Ok(sealed) => sealed,
        Err(invalid) => {
            tracing::error!(namespace = invalid.metadata.namespace, name = invalid.metadata.name, error = %invalid.error,
                "a SealedSecret does not fit its definition; it is left alone until it changes");
            return Ok(Action::await_change());
        }
    };
    let key = key_of(cached);
    // On its way out: its Secret stays until it is gone for the grace period.
    if cached.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let unsealer = &context.unsealer;
    if settled::is_settled(cached, unsealer.0.index.of(&key).as_ref()) {
        context.looked(&key, Outcome::Succeeded);
        return Ok(Action::await_change());
    }
    let _alone = unsealer.lock(&key).await;
    let known = unsealer.0.index.of(&key);
    let written = unsealer.done().get(&key) == Some(&Done::of(cached));
    if written
        && !settled::was_applied(cached)
        && known.is_some_and(|secret| settled::covers(cached, &secret))
    {
        // Somebody wrote this very spec a moment ago; its status is on the way to us.
        return Ok(Action::requeue(ECHO));
    }
    let fresh;
    let sealed = if settled::is_stripped(cached) {
        let api: Api<SealedSecret> = Api::namespaced(unsealer.0.client.clone(), &key.0);
        match api.get_opt(&key.1).await {
            Ok(Some(found)) => fresh = found,
            Ok(None) => return Ok(Action::await_change()),
            Err(error) => {
                return Err(api_error(
                    &format!("reading SealedSecret {}/{}", key.0, key.1),
                    &error,
                ));
            }
        }
        &fresh
    } else {
        cached
    };
    let outcome = match unsealer.open(sealed) {
        Ok(opened) => {
            unsealer
                .write_alone(opened, sealed, Consent::OfSecretOnly)
                .await
        }
        Err(error) => {
            unsealer.report_failure(sealed, &error).await;
            Err(error)
        }
    };
    match outcome {
        Ok(written) => {
            context.looked(&key, Outcome::Succeeded);
            tell_success(&context, sealed, &written).await;
            Ok(Action::await_change())
        }
        Err(error) => {
            context.looked(
                &key,
                if error.is_stalled() {
                    Outcome::Refused
                } else {
                    Outcome::Failed
                },
            );
            tell_failure(&context, sealed, &error).await;
            Err(error)
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that kube's Controller calls"
)]
fn on_error(guarded: Arc<Guarded>, error: &UnsealError, context: Arc<Context>) -> Action {
    let key = (guarded.namespace().unwrap_or_default(), guarded.name_any());
    let failures = context.failures().get(&key).copied().unwrap_or(1);
    Action::requeue(error.retry_after(failures - 1))
}

async fn tell_success(context: &Context, sealed: &SealedSecret, written: &Written) {
    let (namespace, name) = key_of(sealed);
    if !written.drifted.is_empty() {
        let fields = written.drifted.join(", ");
        context
            .unsealer
            .0
            .metrics
            .drift_repaired(Kind::SealedSecret);
        tracing::info!(
            namespace,
            name,
            fields,
            "restored a Secret that was changed"
        );
        let note =
            format!("the Secret was changed by someone else and has been restored: {fields}");
        context
            .event(sealed, EventType::Normal, Reason::DriftCorrected, note)
            .await;
    } else if written.changed {
        tracing::info!(namespace, name, "wrote a Secret");
    }
    if status::was_failing(sealed) {
        let note = "the Secret is what the SealedSecret says again".to_owned();
        context
            .event(sealed, EventType::Normal, Reason::Unsealed, note)
            .await;
    }
}

async fn tell_failure(context: &Context, sealed: &SealedSecret, error: &UnsealError) {
    let (namespace, name) = key_of(sealed);
    let ready = sealed
        .status
        .as_ref()
        .and_then(|status| crds::conditions::find(&status.conditions, crds::conditions::READY));
    // The same failure again is no news.
    if ready.is_some_and(|ready| ready.reason == error.reason.as_str() && ready.status == "False") {
        return;
    }
    tracing::warn!(namespace, name, reason = error.reason.as_str(), %error, "a SealedSecret is not unsealed");
    context
        .event(
            sealed,
            EventType::Warning,
            error.reason,
            error.message.clone(),
        )
        .await;
}

struct SecretWatch {
    unsealer: Unsealer,
    watched: Watched,
    sealed: Store<Guarded>,
    listed: Option<tokio::sync::oneshot::Sender<()>>,
    drifted: mpsc::UnboundedSender<ObjectRef<Guarded>>,
    suspect: mpsc::UnboundedSender<Suspect>,
}

/// Keeps the index of Secrets that carry our label; metadata only.
async fn watch_secrets(mut context: SecretWatch) {
    let label = format!("{}={}", names::SEALED_LABEL, names::SEALED_LABEL_VALUE);
    let config = watcher::Config::default().labels(&label);
    let watch = |api| watcher(api, config.clone()).backoff(Patience::default());
    let gone = |metadata| PartialObjectMeta::<Secret> {
        metadata,
        ..PartialObjectMeta::default()
    };
    let client = context.unsealer.0.client.clone();
    let mut events = context.watched.events(&client, "Secrets", watch, gone);
    while let Some(event) = events.next().await {
        let done = matches!(event, watcher::Event::InitDone);
        for key in context.unsealer.0.index.apply(&event) {
            let sealed = ObjectRef::new(&key.1).within(&key.0);
            // Before the first listing of SealedSecrets ended, nothing can be called an orphan:
            // its end looks at all of them.
            if context.listed.is_none() {
                let exists = context.sealed.get(&sealed).is_some();
                let _ = if exists {
                    context.drifted.unbounded_send(sealed).is_ok()
                } else {
                    context.suspect.unbounded_send(Suspect::Seen(key)).is_ok()
                };
            }
        }
        if done && let Some(listed) = context.listed.take() {
            let _ = listed.send(());
        }
    }
}

/// Keeps the UID of our CRD: Secrets record it, so that a reinstall deletes none of them.
async fn watch_crd(unsealer: Unsealer) {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(unsealer.0.client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={CRD_NAME}"));
    let mut events = watcher(api, config).backoff(Patience::default()).boxed();
    while let Some(event) = events.next().await {
        let uid = match event {
            Ok(watcher::Event::Apply(crd) | watcher::Event::InitApply(crd)) => {
                let stays = crd.metadata.deletion_timestamp.is_none();
                crd.metadata.uid.filter(|_| stays)
            }
            Ok(watcher::Event::Delete(_)) => None,
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "watching the SealedSecret CRD");
                continue;
            }
        };
        unsealer.0.crd_uid.send_replace(uid);
    }
}

/// One item for each change of the keyring from now on.
fn changes_of<T: Clone + Send + Sync + 'static>(
    receiver: tokio::sync::watch::Receiver<T>,
) -> impl futures::Stream<Item = ()> + Send + 'static {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
}
