//! Writing the Secret of an opened SealedSecret, and the status that says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use crds::{OwnershipMode, SealedSecret, names, reasons::Reason};
use http::{Request, header};
use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    client::Body,
};
use tokio::sync::watch;

use super::{
    error::UnsealError,
    facts::{SealedBy, SecretFacts},
    index::{Key, SecretIndex},
    open::{self, Unsealed},
    ownership::{self, Consent},
    refuse::Policy,
    settled,
    status::{self, Applied},
};
use crate::{
    keys::SharedKeyring,
    metrics::Metrics,
    secret_body::{METADATA_ONLY, SecretBody, answered},
};

/// Opens SealedSecrets and writes their Secrets; shared by the unsealing watch and the sync.
#[derive(Clone)]
pub struct Unsealer(pub(super) Arc<Shared>);

/// What an [`Unsealer`] is made of.
pub struct UnsealerSetup {
    /// The controller's own client.
    pub client: Client,
    /// The private keys.
    pub keyring: SharedKeyring,
    /// What is allowed.
    pub policy: Policy,
    /// Where openings and writes are counted.
    pub metrics: Metrics,
}

pub(super) struct Shared {
    pub client: Client,
    pub keyring: SharedKeyring,
    pub policy: Policy,
    pub metrics: Metrics,
    /// Secrets that carry our label.
    pub index: SecretIndex,
    /// UID of the SealedSecret CRD; `None` when there is none or it is going.
    pub crd_uid: watch::Sender<Option<String>>,
    /// One writer at a time for each name: the sync and the watch may come together.
    locks: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    /// What was written last for each SealedSecret, until its status comes back by the watch.
    pub done: Mutex<HashMap<Key, Done>>,
}

/// The very spec that was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    uid: Option<String>,
    generation: Option<i64>,
    reconcile_at: Option<String>,
}

impl Done {
    pub fn of(sealed: &SealedSecret) -> Self {
        Self {
            uid: sealed.uid(),
            generation: sealed.metadata.generation,
            reconcile_at: settled::reconcile_at(sealed).cloned(),
        }
    }
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// False when the Secret was already exactly what the SealedSecret says.
    pub changed: bool,
    /// What had been changed by others, as field paths (`data.DB_PASSWORD`); empty when the Secret
    /// is new or the SealedSecret itself changed.
    pub drifted: Vec<String>,
}

/// A resourceVersion that no object has: etcd gives out later ones. An apply that carries it creates
/// a Secret, or is refused (409) when there is one of that name, whoever made it. Without it, an
/// apply would add our fields to a stranger's Secret: what conflicts with nothing needs no force.
const OF_NO_OBJECT: &str = "1";
/// Somebody else may write between our look and our write: look again, this often.
const TRIES: usize = 5;

impl Unsealer {
    /// An unsealer that knows no Secrets yet; [`super::run`] feeds it.
    pub fn new(setup: UnsealerSetup) -> Self {
        Self(Arc::new(Shared {
            client: setup.client,
            keyring: setup.keyring,
            policy: setup.policy,
            metrics: setup.metrics,
            index: SecretIndex::default(),
            crd_uid: watch::Sender::new(None),
            locks: Mutex::default(),
            done: Mutex::default(),
        }))
    }

    /// Changes whenever the set of keys that open changes.
    pub fn keys_version(&self) -> u64 {
        self.0.keyring.now().version()
    }

    /// Judges and opens a SealedSecret in memory. No I/O, nothing is written.
    ///
    /// # Errors
    /// What is wrong with the SealedSecret, naming each failing entry.
    pub fn open(&self, sealed: &SealedSecret) -> Result<Unsealed, UnsealError> {
        let began = Instant::now();
        let unsealed = open::open(sealed, &self.0.keyring.now(), &self.0.policy)?;
        self.0
            .metrics
            .unsealed(unsealed.data.len() as u64, began.elapsed());
        Ok(unsealed)
    }

    /// Would the Secret be ours to write? Reads metadata only.
    ///
    /// # Errors
    /// [`Reason::NotOurs`], [`Reason::ControlledByAnother`], [`Reason::ApiUnavailable`].
    pub async fn check(&self, sealed: &SealedSecret, consent: Consent) -> Result<(), UnsealError> {
        let (namespace, name) = key_of(sealed);
        let facts = self.facts(&namespace, &name).await?;
        ownership::may_write(
            &namespace,
            &name,
            &sealed.spec.ownership,
            consent,
            facts.as_ref(),
        )
    }

    /// Writes the Secret, then the status of its SealedSecret (`applied`: as the API server
    /// answered, with uid and generation).
    ///
    /// The caller holds [`Unsealer::lock`].
    ///
    /// # Errors
    /// Why the Secret could not be written; the status says it too.
    pub(crate) async fn write_alone(
        &self,
        unsealed: Unsealed,
        applied: &SealedSecret,
        consent: Consent,
    ) -> Result<Written, UnsealError> {
        let outcome = self.write_secret(&unsealed, applied, consent).await;
        // The plaintext is not needed any more, and a status write may take long.
        let keys = unsealed.keys.clone();
        drop(unsealed);
        match outcome {
            Ok((facts, written)) => {
                if written.changed {
                    self.0.metrics.secrets_written.inc();
                }
                let applied_now = Applied {
                    uid: facts.uid,
                    resource_version: facts.resource_version,
                    changed: written.changed,
                    keys,
                };
                let status = status::after_success(applied, &applied_now, Timestamp::now());
                self.write_status(applied, &status).await?;
                self.done().insert(key_of(applied), Done::of(applied));
                Ok(written)
            }
            Err(error) => {
                self.report_failure(applied, &error).await;
                Err(error)
            }
        }
    }

    /// Records a failure in the status; a failure to do so is logged and left to the next try.
    pub(super) async fn report_failure(&self, sealed: &SealedSecret, error: &UnsealError) {
        let status = status::after_failure(sealed, error, Timestamp::now());
        if let Err(error) = self.write_status(sealed, &status).await {
            tracing::warn!(%error, "the status of a SealedSecret could not be written");
        }
    }

    /// One writer at a time for each name. A sync holds it from before the SealedSecret is applied, so that the
    /// unsealing watch comes after its Secret is written.
    pub(crate) async fn lock(&self, key: &Key) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() > 1024 {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            locks.entry(key.clone()).or_default().clone()
        };
        lock.lock_owned().await
    }

    pub(super) fn done(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Done>> {
        self.0.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.0.client.clone(), namespace)
    }

    async fn facts(&self, namespace: &str, name: &str) -> Result<Option<SecretFacts>, UnsealError> {
        match self.secrets(namespace).get_metadata_opt(name).await {
            Ok(found) => Ok(found.as_ref().map(SecretFacts::of)),
            Err(error) => Err(api_error(
                &format!("reading the metadata of Secret {namespace}/{name}"),
                &error,
            )),
        }
    }

    async fn write_secret(
        &self,
        unsealed: &Unsealed,
        sealed: &SealedSecret,
        consent: Consent,
    ) -> Result<(SecretFacts, Written), UnsealError> {
        let (namespace, name) = (unsealed.namespace(), unsealed.name());
        let same_spec_as_before = settled::was_applied(sealed);
        let key = (namespace.to_owned(), name.to_owned());
        let mut probably_absent = self.probably_absent(sealed, &key);
        let mut last_refusal = None;
        for _ in 0..TRIES {
            let before = if std::mem::take(&mut probably_absent) {
                None
            } else {
                self.facts(namespace, name).await?
            };
            ownership::may_write(
                namespace,
                name,
                &sealed.spec.ownership,
                consent,
                before.as_ref(),
            )?;
            let after = match self.apply(unsealed, sealed, before.as_ref()).await? {
                Ok(after) => after,
                Err(again) => {
                    last_refusal = Some(again);
                    continue;
                }
            };
            let Some(after) = self.remove_foreign_keys(sealed, after).await? else {
                continue;
            };
            let written = Written {
                changed: before.as_ref().map(|facts| &facts.resource_version)
                    != Some(&after.resource_version),
                drifted: if same_spec_as_before {
                    drift(sealed, before.as_ref())
                } else {
                    Vec::new()
                },
            };
            self.0.index.learn(key, after.brief());
            return Ok((after, written));
        }
        Err(UnsealError::new(
            Reason::ApiUnavailable,
            format!(
                "Secret {namespace}/{name} changed {TRIES} times while it was being written{}; trying again later",
                last_refusal
                    .map(|why| format!(" ({why})"))
                    .unwrap_or_default()
            ),
        ))
    }

    /// Whether there is most likely no Secret of that name: the watch knows every one that carries
    /// our label. The write itself makes sure of it, so the look before it can be spared.
    fn probably_absent(&self, sealed: &SealedSecret, key: &Key) -> bool {
        // Where somebody else's Secret is expected, it is not sent the values to find that out.
        let adopts = sealed.spec.ownership.mode == OwnershipMode::Adopt;
        !adopts && !status::was_failing(sealed) && self.0.index.of(key).is_none()
    }

    /// One apply to exactly the Secret that was looked at, or to none; the inner error says that it
    /// is another by now and is to be looked at again.
    async fn apply(
        &self,
        unsealed: &Unsealed,
        sealed: &SealedSecret,
        before: Option<&SecretFacts>,
    ) -> Result<Result<SecretFacts, String>, UnsealError> {
        let (namespace, name) = (unsealed.namespace(), unsealed.name());
        let crd = self.0.crd_uid.borrow().clone().ok_or_else(|| {
            UnsealError::new(
                Reason::ApiUnavailable,
                "the SealedSecret CRD is gone or not read yet; trying again",
            )
        })?;
        let sealed_by = SealedBy {
            sealed_secret: sealed.uid().unwrap_or_default(),
            crd,
        };
        let data: Vec<(&str, &[u8])> = unsealed
            .data
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose()))
            .collect();
        let body = SecretBody {
            namespace,
            name,
            uid: before.map(|facts| facts.uid.as_str()),
            resource_version: Some(before.map_or(OF_NO_OBJECT, |facts| &facts.resource_version)),
            labels: &settled::labels(sealed),
            annotations: &settled::annotations(sealed, &sealed_by.text()),
            secret_type: settled::secret_type(sealed),
            immutable: sealed.spec.template.immutable,
            data: &data,
        };
        // By force only from the Secret that was looked at; a new one has nobody's fields.
        let force = before.is_some();
        let request = Request::patch(format!(
            "/api/v1/namespaces/{namespace}/secrets/{name}?fieldManager={}&force={force}&fieldValidation=Strict",
            names::UNSEAL_MANAGER
        ))
        .header(header::ACCEPT, METADATA_ONLY)
        .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
        .body(Body::from(Bytes::from_owner(body.to_json())));
        let request = request
            .map_err(|error| api_error("building a request", &kube::Error::HttpError(error)))?;
        let answer = match self.0.client.send(request).await {
            Ok(response) => answered(response).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(secret) => Ok(Ok(SecretFacts::of(&secret))),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Err("it was created or replaced by somebody else".into()))
            }
            Err(kube::Error::Api(status))
                if status.code == 422 && before.is_some() && cannot_change(&status) =>
            {
                self.recreate(sealed, before).await
            }
            Err(error) => Err(api_error(
                &format!("writing Secret {namespace}/{name}"),
                &error,
            )),
        }
    }

    async fn recreate(
        &self,
        sealed: &SealedSecret,
        before: Option<&SecretFacts>,
    ) -> Result<Result<SecretFacts, String>, UnsealError> {
        let (namespace, name) = key_of(sealed);
        if !sealed.spec.ownership.recreate {
            return Err(UnsealError::new(
                Reason::RecreateNeeded,
                format!(
                    "Secret {namespace}/{name} is immutable or of another type than the SealedSecret says, and \
                     Kubernetes lets neither be changed; nothing was written. Set spec.ownership.recreate: true \
                     to have it deleted and created anew, or: kubectl delete secret {name} -n {namespace}"
                ),
            ));
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: before.map(|facts| facts.uid.clone()),
                resource_version: before.map(|facts| facts.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        match self.secrets(&namespace).delete(&name, &params).await {
            Ok(_) => Ok(Err("it is being created anew".into())),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Ok(Err("it was replaced by somebody else".into()))
            }
            Err(error) => Err(api_error(
                &format!("deleting Secret {namespace}/{name} to create it anew"),
                &error,
            )),
        }
    }

    async fn write_status(
        &self,
        sealed: &SealedSecret,
        status: &crds::SealedSecretStatus,
    ) -> Result<(), UnsealError> {
        let Some(patch) = status::patch(sealed, status) else {
            return Ok(());
        };
        let (namespace, name) = key_of(sealed);
        let request = kube::core::Request::new(format!(
            "/apis/{}/namespaces/{namespace}/sealedsecrets",
            names::API_VERSION
        ));
        let params = PatchParams {
            field_manager: Some(names::CONTROLLER_MANAGER.into()),
            ..PatchParams::default()
        };
        let doing = format!("writing the status of SealedSecret {namespace}/{name}");
        let mut request = request
            .patch_subresource("status", &name, &params, &Patch::Merge(&patch))
            .map_err(|error| api_error(&doing, &kube::Error::BuildRequest(error)))?;
        // The whole object would come back: its metadata is enough.
        let accept = http::HeaderValue::from_static(METADATA_ONLY);
        request.headers_mut().insert(header::ACCEPT, accept);
        match self.0.client.request_text(request).await {
            Ok(_) => Ok(()),
            // Deleted meanwhile: nobody reads it.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(api_error(&doing, &error)),
        }
    }
}

pub(super) fn key_of(sealed: &SealedSecret) -> Key {
    (sealed.namespace().unwrap_or_default(), sealed.name_any())
}

/// What the API server answered about a Secret, in words that are safe to show.
pub(super) fn api_error(doing: &str, error: &kube::Error) -> UnsealError {
    let answer = crate::sync::answer::Answer::of(error, true);
    let reason = if answer.is_transient() {
        Reason::ApiUnavailable
    } else {
        Reason::WriteRefused
    };
    UnsealError::new(reason, format!("{doing}: {answer}"))
}

/// Whether the API server refused because of what Kubernetes never changes in a Secret.
fn cannot_change(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .map(|cause| cause.field.as_str())
        .any(|field| matches!(field, "type" | "data" | "immutable"))
        && status.message.contains("immutable")
}

/// What others had changed in a Secret, by its fields.
fn drift(sealed: &SealedSecret, before: Option<&SecretFacts>) -> Vec<String> {
    let Some(before) = before else {
        return vec!["the whole Secret (it was deleted)".to_owned()];
    };
    let mut fields = match &before.owned {
        Some(owned) => settled::expected_fields(sealed).missing_from(owned),
        None => vec!["all fields (it was replaced)".to_owned()],
    };
    if !ownership::merges(&sealed.spec.ownership) {
        let added = before.foreign_keys.iter();
        fields.extend(added.map(|(key, manager)| format!("data.{key} (added by {manager})")));
    }
    fields
}
