//! Keeps keyring and SealingKeys true: makes the first key, watches key Secrets and SealingKeys,
//! publishes and restores.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crds::{
    SealingKey,
    conditions::{self, Outcome},
    names,
    reasons::Reason,
};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use sealing::{SealedAt, Signer};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    keyring::SharedKeyring,
    publish::{is_marked, is_true, projection},
    secret::Key,
    settle::settle,
    store::{KeyStore, StoreError},
};
use crate::backoff::Patience;

/// What the keys need to run.
pub struct KeysContext {
    /// The controller's own client.
    pub client: Client,
    /// Namespace of the key Secrets.
    pub namespace: String,
    /// Name of the cluster in its attestations; empty when not configured.
    pub cluster_name: String,
    /// Filled and kept up to date.
    pub keyring: SharedKeyring,
}

/// Changes often come in bursts (a restore of many keys): they are looked at together.
const QUIET: Duration = Duration::from_millis(100);
/// Between tries when the API server refuses; doubles up to a minute.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(60);

/// Runs until `shutdown`; calls `ready` once, when the keys that are there have been read and their
/// SealingKeys written (or the first try to write them failed).
pub async fn run(context: KeysContext, ready: impl FnOnce(), shutdown: CancellationToken) {
    let mut keys = Keys {
        store: KeyStore::new(context.client.clone(), &context.namespace),
        published: Api::all(context.client.clone()),
        context,
        held: BTreeMap::new(),
        refused: BTreeMap::new(),
        foreign: BTreeSet::new(),
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = keys.watch(ready) => {}
    }
}

struct Keys {
    context: KeysContext,
    store: KeyStore,
    published: Api<SealingKey>,
    /// By name of the Secret.
    held: BTreeMap<String, Arc<Key>>,
    /// Key Secrets that cannot be used, and why; said once for each cause.
    refused: BTreeMap<String, String>,
    /// SealingKeys that are not the projection of a key of ours.
    foreign: BTreeSet<String>,
}

enum Change {
    Secret(Box<watcher::Event<Secret>>),
    Published(Box<watcher::Event<SealingKey>>),
}

impl Keys {
    async fn watch(&mut self, ready: impl FnOnce()) {
        let signer = self.patiently("the signer", KeyStore::signer).await;
        self.patiently("the first key", make_first_key).await;
        let mut changes = self.changes();
        let mut ready = Some(ready);
        let mut listing: Vec<String> = Vec::new();
        // Keys are judged together: not before all that exist have been listed.
        let mut listed = false;
        let mut due = false;
        let mut retry = FIRST_RETRY;
        let mut wait = QUIET;
        loop {
            let change = if due {
                tokio::time::timeout(wait, changes.next()).await
            } else {
                Ok(changes.next().await)
            };
            match change {
                Ok(Some(Change::Secret(event))) => {
                    listed |= matches!(*event, watcher::Event::InitDone);
                    self.take_secret(*event, &mut listing);
                    (due, wait) = (listed, QUIET);
                }
                Ok(Some(Change::Published(event))) => {
                    due |= listed && self.is_news(&event);
                    wait = QUIET;
                }
                Ok(None) => return,
                Err(_quiet) => {
                    match self.settle_and_publish(&signer).await {
                        Ok(()) => (due, retry) = (false, FIRST_RETRY),
                        Err(error) => {
                            tracing::warn!(%error, "keys are not published yet; trying again");
                            wait = retry;
                            retry = (retry * 2).min(RETRY_CAP);
                        }
                    }
                    // Also after a failure: what can be opened is not kept waiting for a SealingKey.
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                }
            }
        }
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let config = watcher::Config::default()
            .labels(names::KEY_LABEL)
            .fields(&format!("type={}", names::SEALING_KEY_TYPE));
        let secrets = watcher(self.store.api(), config)
            .backoff(Patience::default())
            .map_ok(|event| Change::Secret(Box::new(event)));
        let published = watcher(self.published.clone(), watcher::Config::default())
            .backoff(Patience::default())
            .map_ok(|event| Change::Published(Box::new(event)));
        futures::stream::select(secrets, published)
            .filter_map(|change| async {
                change
                    .inspect_err(|error| tracing::warn!(%error, "watching keys"))
                    .ok()
            })
            .boxed()
    }

    fn take_secret(&mut self, event: watcher::Event<Secret>, listing: &mut Vec<String>) {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(secret) => {
                listing.push(secret.metadata.name.clone().unwrap_or_default());
                self.take_key(secret);
            }
            watcher::Event::Apply(secret) => self.take_key(secret),
            watcher::Event::Delete(mut secret) => {
                super::secret::wipe(&mut secret);
                let name = secret.metadata.name.unwrap_or_default();
                self.refused.remove(&name);
                if let Some(key) = self.held.remove(&name) {
                    tracing::warn!(
                        key = key.short_id(),
                        secret = name,
                        "a key Secret was deleted: values sealed to it cannot be opened any more; \
                         Secrets that were made from them stay"
                    );
                }
            }
            watcher::Event::InitDone => {
                self.held.retain(|name, _| listing.contains(name));
                self.refused.retain(|name, _| listing.contains(name));
            }
        }
        self.context
            .keyring
            .replace(self.held.values().cloned().collect());
    }

    fn take_key(&mut self, secret: Secret) {
        let name = secret.metadata.name.clone().unwrap_or_default();
        match Key::from_secret(secret) {
            Ok(key) => {
                self.refused.remove(&name);
                if !self.held.contains_key(&name) {
                    tracing::info!(
                        key = key.short_id(),
                        secret = name,
                        "a key is in the keyring"
                    );
                }
                self.held.insert(name, Arc::new(key));
            }
            Err(error) => {
                let why = error.to_string();
                if self.refused.insert(name.clone(), why.clone()) != Some(why) {
                    tracing::error!(%error, "a key Secret is not used");
                }
                self.held.remove(&name);
            }
        }
    }

    /// Whether a SealingKey is other than what we published.
    fn is_news(&mut self, event: &watcher::Event<SealingKey>) -> bool {
        match event {
            watcher::Event::Delete(_) | watcher::Event::InitDone => true,
            watcher::Event::Apply(key) | watcher::Event::InitApply(key) => {
                let name = key.metadata.name.clone().unwrap_or_default();
                let ours = self.held.values().any(|held| held.short_id() == name);
                if !ours && self.foreign.insert(name.clone()) {
                    tracing::warn!(
                        sealing_key = name,
                        "this SealingKey is not of a key of this controller: nobody should seal to it; \
                         if it is not another controller's: kubectl delete sealingkey {name}"
                    );
                }
                // Its own status is not a reason to publish again.
                ours && (written_by_others(key) || !is_marked(key))
            }
            watcher::Event::Init => false,
        }
    }

    async fn settle_and_publish(&mut self, signer: &Signer) -> Result<(), StoreError> {
        let held: Vec<Arc<Key>> = self.held.values().cloned().collect();
        for change in settle(&held) {
            let Some(key) = held.iter().find(|key| key.short_id() == change.key) else {
                continue;
            };
            let sequence = self.store.next_sequence().await?;
            let changed = Key {
                identity: sealing::Identity::parse(&key.identity.to_line())?,
                secret_name: key.secret_name.clone(),
                created_at: key.created_at,
                state: Some(change.state),
                sequence: Some(sequence),
                previous: change.previous,
                backed_up: key.backed_up.clone(),
                marked_in_use: true,
            };
            self.store.record(&changed).await?;
            tracing::info!(key = change.key, state = %change.state, sequence, "a key has a new state");
            self.held
                .insert(changed.secret_name.clone(), Arc::new(changed));
        }
        // Restored by hand, or somebody took the mark off. The watch tells when it is there.
        for key in self.held.values().filter(|key| !key.marked_in_use) {
            self.store.record(key).await?;
        }
        self.context
            .keyring
            .replace(self.held.values().cloned().collect());
        for key in self.held.values() {
            self.publish(key, signer).await?;
        }
        Ok(())
    }

    async fn publish(&self, key: &Key, signer: &Signer) -> Result<(), StoreError> {
        let wanted = projection(key, signer, &self.context.cluster_name).map_err(|error| {
            StoreError::Signer {
                namespace: self.context.namespace.clone(),
                why: error.to_string(),
            }
        })?;
        let Some(wanted) = wanted else {
            return Ok(());
        };
        let name = key.short_id();
        let api_error = |doing: &str| {
            let doing = format!("{doing} SealingKey {name}");
            move |source| StoreError::Api {
                doing,
                source: Box::new(source),
            }
        };
        let found = self
            .published
            .get_opt(&name)
            .await
            .map_err(api_error("reading"))?;
        let true_already = found.as_ref().is_some_and(|found| is_true(found, &wanted));
        let settled = found
            .as_ref()
            .and_then(|found| found.status.as_ref())
            .is_some_and(|status| {
                status.observed_generation == found.as_ref().and_then(|f| f.metadata.generation)
            });
        if true_already && settled {
            return Ok(());
        }
        let mut found = found;
        if !true_already {
            if found.is_some() {
                tracing::warn!(sealing_key = name, "restoring a SealingKey that was edited");
            }
            let params = PatchParams::apply(names::CONTROLLER_MANAGER).force();
            let patched = self
                .published
                .patch(&name, &params, &Patch::Apply(&wanted))
                .await;
            found = Some(patched.map_err(api_error("publishing"))?);
        }
        let Some(found) = found else {
            return Ok(());
        };
        let generation = found.metadata.generation;
        let mut conditions = found
            .status
            .map(|status| status.conditions)
            .unwrap_or_default();
        conditions::report(
            &mut conditions,
            Outcome::Ready,
            Reason::Succeeded,
            "published by the controller",
            generation,
            Timestamp::now(),
        );
        let status =
            json!({"status": {"observedGeneration": generation, "conditions": conditions}});
        self.published
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .map_err(api_error("writing the status of"))?;
        Ok(())
    }

    /// Tries until it works: without keys nothing else is worth doing, and RBAC or the API server
    /// may come later.
    async fn patiently<'a, T, F>(
        &'a self,
        what: &str,
        mut attempt: impl FnMut(&'a KeyStore) -> F,
    ) -> T
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = FIRST_RETRY;
        loop {
            match attempt(&self.store).await {
                Ok(done) => return done,
                Err(error) => tracing::error!(%error, "{what} is not there yet; trying again"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_CAP);
        }
    }
}

async fn make_first_key(store: &KeyStore) -> Result<(), StoreError> {
    if store.has_keys().await? {
        return Ok(());
    }
    store.make_first_key(now()).await
}

fn now() -> SealedAt {
    let seconds = Timestamp::now().as_second();
    u64::try_from(seconds)
        .ok()
        .and_then(|seconds| SealedAt::from_unix(seconds).ok())
        .unwrap_or(SealedAt::EPOCH)
}

/// Whether anyone but the controller owns a field of the spec.
fn written_by_others(key: &SealingKey) -> bool {
    key.meta().managed_fields.iter().flatten().any(|entry| {
        let ours = entry.manager.as_deref() == Some(names::CONTROLLER_MANAGER)
            && entry.operation.as_deref() == Some("Apply");
        let spec = entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.get("f:spec").is_some());
        spec && !ours
    })
}
