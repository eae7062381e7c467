//! What becomes of Secrets whose SealedSecret is gone, also when it went while we were away.

use std::collections::{HashMap, VecDeque};

use crds::{SealedSecret, names};
use futures::{StreamExt as _, channel::mpsc};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    facts::SecretFacts,
    index::Key,
    ownership::{GRACE, Orphaned, when_orphaned},
    write::Unsealer,
};

/// Name of the SealedSecret CRD.
pub(super) const CRD_NAME: &str = "sealedsecrets.waxwing.dev";

/// A reason to look.
pub(super) enum Suspect {
    /// Every Secret known may have lost its SealedSecret.
    All,
    /// The SealedSecret of this name was deleted just now.
    Deleted(Key),
    /// A Secret of this name was seen, and no SealedSecret.
    Seen(Key),
}

/// Looks after Secrets without a SealedSecret.
pub(super) struct Orphans {
    pub unsealer: Unsealer,
    pub sealed: Store<DeserializeGuard<SealedSecret>>,
}

impl Orphans {
    /// Looks at each suspect once the grace period is over; runs until the channel closes.
    pub async fn run(self, mut suspects: mpsc::UnboundedReceiver<Suspect>) {
        let mut waiting = Waiting::default();
        loop {
            let arrived = match waiting.next_due() {
                Some(due) => tokio::time::timeout_at(due, suspects.next()).await,
                None => Ok(suspects.next().await),
            };
            match arrived {
                Ok(Some(Suspect::Deleted(key))) => waiting.gone_now(key, Instant::now()),
                Ok(Some(Suspect::Seen(key))) => waiting.gone_at_least(key, Instant::now()),
                Ok(Some(Suspect::All)) => {
                    for key in self.unsealer.0.index.keys() {
                        if !self.has_sealed_secret(&key) {
                            waiting.gone_at_least(key, Instant::now());
                        }
                    }
                }
                Ok(None) => return,
                Err(_due) => {
                    for key in waiting.take_due(Instant::now()) {
                        self.look(key, &mut waiting).await;
                    }
                }
            }
        }
    }

    fn has_sealed_secret(&self, key: &Key) -> bool {
        let sealed = ObjectRef::new(&key.1).within(&key.0);
        self.sealed.get(&sealed).is_some()
    }

    async fn look(&self, key: Key, waiting: &mut Waiting) {
        if self.has_sealed_secret(&key) || self.unsealer.0.index.of(&key).is_none() {
            return;
        }
        if let Err(error) = self.settle(&key).await {
            tracing::warn!(namespace = key.0, secret = key.1, %error, "an orphaned Secret could not be judged");
            waiting.gone_now(key, Instant::now());
        }
    }

    async fn settle(&self, (namespace, name): &Key) -> Result<(), kube::Error> {
        let key = (namespace.clone(), name.clone());
        let _alone = self.unsealer.lock(&key).await;
        let client = self.unsealer.0.client.clone();
        // The cache may be late: the API server has the last word on whether it is gone.
        let sealed: Api<SealedSecret> = Api::namespaced(client.clone(), namespace);
        let crd: Api<CustomResourceDefinition> = Api::all(client);
        let crd = crd.get_metadata_opt(CRD_NAME).await?;
        let crd_uid = crd
            .filter(|crd| crd.metadata.deletion_timestamp.is_none())
            .and_then(|crd| crd.metadata.uid);
        if crd_uid.is_some() && sealed.get_metadata_opt(name).await?.is_some() {
            return Ok(());
        }
        let secrets = self.unsealer.secrets(namespace);
        let Some(secret) = secrets.get_metadata_opt(name).await? else {
            return Ok(());
        };
        let facts = SecretFacts::of(&secret);
        match when_orphaned(&facts, crd_uid.as_deref()) {
            Orphaned::Keep(why) => {
                tracing::info!(
                    namespace,
                    secret = name,
                    why,
                    "a Secret without a SealedSecret stays"
                );
                Ok(())
            }
            Orphaned::Delete => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(facts.uid),
                        resource_version: Some(facts.resource_version),
                    }),
                    ..DeleteParams::default()
                };
                match secrets.delete(name, &params).await {
                    Ok(_) => {
                        tracing::info!(
                            namespace,
                            secret = name,
                            "deleted a Secret: its SealedSecret is gone"
                        );
                        Ok(())
                    }
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Orphaned::Release => {
                // An apply that names nothing gives up all that was ours; other people's keys stay.
                let nothing = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": name, "namespace": namespace, "uid": facts.uid},
                });
                let params = PatchParams::apply(names::UNSEAL_MANAGER).force();
                secrets
                    .patch_metadata(name, &params, &Patch::Apply(&nothing))
                    .await?;
                tracing::info!(
                    namespace,
                    secret = name,
                    "gave up our keys in a Secret: its SealedSecret is gone"
                );
                Ok(())
            }
        }
    }
}

/// Since when there has been no SealedSecret of a name, and which name is due next.
#[derive(Default)]
struct Waiting {
    since: HashMap<Key, Instant>,
    /// Every wait is equally long, so first in is first due. An entry counts only while it is the
    /// last word on its key: a SealedSecret that came and went again begins a new grace period.
    queue: VecDeque<(Instant, Key)>,
}

impl Waiting {
    /// The SealedSecret went now: whatever was known before does not count any more.
    fn gone_now(&mut self, key: Key, now: Instant) {
        self.since.insert(key.clone(), now);
        self.queue.push_back((now, key));
    }

    /// There is none now; it may have gone before.
    fn gone_at_least(&mut self, key: Key, now: Instant) {
        if !self.since.contains_key(&key) {
            self.gone_now(key, now);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|(since, _)| *since + GRACE)
    }

    /// Those that have been without a SealedSecret for the whole grace period.
    fn take_due(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while self.next_due().is_some_and(|due| due <= now) {
            if let Some((since, key)) = self.queue.pop_front()
                && self.since.get(&key) == Some(&since)
            {
                self.since.remove(&key);
                due.push(key);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        ("n".into(), name.into())
    }

    #[test]
    fn the_grace_period_begins_anew_with_each_deletion() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        waiting.gone_now(key("a"), at(0));
        // Made again and deleted again.
        waiting.gone_now(key("a"), at(20));
        assert!(waiting.take_due(at(31)).is_empty());
        assert_eq!(waiting.take_due(at(50)), [key("a")]);
        assert!(waiting.take_due(at(500)).is_empty(), "judged once");
    }

    #[test]
    fn what_is_only_seen_again_does_not_put_it_off() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        waiting.gone_at_least(key("a"), at(0));
        waiting.gone_at_least(key("b"), at(10));
        waiting.gone_at_least(key("a"), at(29));
        assert_eq!(waiting.next_due(), Some(at(30)));
        assert_eq!(waiting.take_due(at(30)), [key("a")]);
        assert_eq!(waiting.take_due(at(40)), [key("b")]);
    }
}
