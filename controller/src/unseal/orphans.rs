//! What becomes of Secrets whose SealedSecret is gone, also when it went while we were away.

use std::{collections::VecDeque, time::Duration};

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
    /// This one may have.
    One(Key),
}

/// Looks after Secrets without a SealedSecret.
pub(super) struct Orphans {
    pub unsealer: Unsealer,
    pub sealed: Store<DeserializeGuard<SealedSecret>>,
}

impl Orphans {
    /// Looks at each suspect once the grace period is over; runs until the channel closes.
    pub async fn run(self, mut suspects: mpsc::UnboundedReceiver<Suspect>) {
        // Every wait is equally long, so first in is first due.
        let mut waiting: VecDeque<(Instant, Suspect)> = VecDeque::new();
        loop {
            let due = waiting.front().map(|(due, _)| *due);
            let arrived = match due {
                Some(due) => tokio::time::timeout_at(due, suspects.next()).await,
                None => Ok(suspects.next().await),
            };
            match arrived {
                Ok(Some(suspect)) => waiting.push_back((Instant::now() + GRACE, suspect)),
                Ok(None) => return,
                Err(_due) => {
                    let again = match waiting.pop_front() {
                        Some((_, Suspect::One(key))) => self.look(vec![key]).await,
                        Some((_, Suspect::All)) => self.look(self.unsealer.0.index.keys()).await,
                        None => Vec::new(),
                    };
                    for key in again {
                        waiting.push_back((Instant::now() + RETRY, Suspect::One(key)));
                    }
                }
            }
        }
    }

    /// Looks at each; returns those that could not be judged.
    async fn look(&self, keys: Vec<Key>) -> Vec<Key> {
        let mut again = Vec::new();
        for key in keys {
            let sealed = ObjectRef::new(&key.1).within(&key.0);
            if self.sealed.get(&sealed).is_some() || self.unsealer.0.index.of(&key).is_none() {
                continue;
            }
            if let Err(error) = self.settle(&key).await {
                tracing::warn!(namespace = key.0, secret = key.1, %error, "an orphaned Secret could not be judged");
                again.push(key);
            }
        }
        again
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

/// Until a Secret that could not be judged is looked at again.
const RETRY: Duration = Duration::from_secs(30);
