//! The Secrets that hold the keys and the signer, in the controller's namespace: made, read,
//! annotated. Nothing here decides anything.

use std::collections::BTreeMap;

use bytes::Bytes;
use crds::names;
use http::{Request, header};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
    client::Body,
};
use sealing::{Identity, KeyState, SealedAt, Signer, Suite};
use serde_json::json;

use super::secret::{self, Key};
use crate::secret_body::SecretBody;

/// Name of the Secret that holds the cluster's signer.
pub const SIGNER_SECRET: &str = "waxwing-signer";

/// Why keys or signer could not be read or made. Never holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The API server refused or did not answer.
    #[error("{doing}: {source}")]
    Api {
        /// What was being done, on which object.
        doing: String,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// A key could not be made (no randomness).
    #[error("making a key: {0}")]
    Key(#[from] sealing::KeyError),
    /// What the signer's Secret holds is no signer.
    #[error(
        "Secret {namespace}/{SIGNER_SECRET} holds no signer ({why}): restore it from a backup; if it is lost, \
         delete it and restart the controller: it makes a new one, and everybody must pin it again"
    )]
    Signer {
        /// The controller's namespace.
        namespace: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The key Secrets of one namespace.
#[derive(Clone)]
pub struct KeyStore {
    client: Client,
    namespace: String,
}

impl KeyStore {
    /// A store in the controller's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The namespace of the keys.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Access to the key Secrets, for their watch.
    pub fn api(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Whether any key Secret exists, readable or not: a broken key is no reason to make another.
    ///
    /// # Errors
    /// [`StoreError::Api`].
    pub async fn has_keys(&self) -> Result<bool, StoreError> {
        let labelled = ListParams::default().labels(names::KEY_LABEL).limit(1);
        let list = self.api().list_metadata(&labelled).await;
        let list = list.map_err(self.api_error("listing the key Secrets"))?;
        Ok(!list.items.is_empty())
    }

    /// The cluster's signer; made when there is none.
    ///
    /// # Errors
    /// [`StoreError`]; never replaces a signer that is there.
    pub async fn signer(&self) -> Result<Signer, StoreError> {
        loop {
            let found = self.api().get_opt(SIGNER_SECRET).await;
            if let Some(mut found) = found.map_err(self.api_error("reading the signer"))? {
                let signer = self.parse_signer(&found);
                secret::wipe(&mut found);
                return signer;
            }
            let signer = Signer::generate().map_err(|why| self.signer_error(&why))?;
            let line = signer.to_openssh();
            let annotations =
                BTreeMap::from([(names::SEQUENCE_ANNOTATION.to_owned(), "0".to_owned())]);
            let created = self
                .create(&SecretBody {
                    namespace: &self.namespace,
                    name: SIGNER_SECRET,
                    uid: None,
                    resource_version: None,
                    labels: &BTreeMap::new(),
                    annotations: &annotations,
                    secret_type: Some(names::SIGNER_TYPE),
                    immutable: None,
                    data: &[(names::SIGNER_DATA, line.as_bytes())],
                })
                .await;
            match created {
                Ok(()) => {
                    tracing::info!(
                        fingerprint = signer.public().fingerprint(),
                        "made the cluster's signer"
                    );
                    return Ok(signer);
                }
                // Another replica was quicker: its signer counts.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(source) => return Err(self.api_error("creating the signer")(source)),
            }
        }
    }

    /// Makes the cluster's first key, Active.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_first_key(&self, now: SealedAt) -> Result<(), StoreError> {
        let sequence = self.next_sequence().await?;
        let identity = Identity::generate(Suite::XWing)?;
        let key = Key {
            secret_name: format!("waxwing-key-{}", identity.recipient().key_id().short()),
            identity,
            created_at: now,
            state: Some(KeyState::Active),
            sequence: Some(sequence),
            previous: None,
            backed_up: None,
            marked_in_use: true,
        };
        let line = key.identity.to_line();
        self.create(&SecretBody {
            namespace: &self.namespace,
            name: &key.secret_name,
            uid: None,
            resource_version: None,
            labels: &key.labels(),
            annotations: &key.annotations(),
            secret_type: Some(names::SEALING_KEY_TYPE),
            immutable: None,
            data: &[(names::SEALING_KEY_DATA, line.as_bytes())],
        })
        .await
        .map_err(self.api_error("creating the first key"))?;
        tracing::info!(
            key = key.short_id(),
            fingerprint = key.identity.recipient().key_id().fingerprint(),
            "made the cluster's first key"
        );
        Ok(())
    }

    /// Records state and sequence number on a key's Secret.
    ///
    /// # Errors
    /// [`StoreError::Api`].
    pub async fn record(&self, key: &Key) -> Result<(), StoreError> {
        let patch = json!({"metadata": {"annotations": key.annotations()}});
        self.api()
            .patch_metadata(
                &key.secret_name,
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await
            .map_err(self.api_error(&format!("annotating key Secret {}", key.secret_name)))?;
        Ok(())
    }

    /// The next sequence number of the signer's attestations: counted on the signer's own Secret,
    /// so that no number is ever given twice, whatever becomes of the keys.
    ///
    /// # Errors
    /// [`StoreError::Api`].
    pub async fn next_sequence(&self) -> Result<u64, StoreError> {
        loop {
            let meta = self.api().get_metadata(SIGNER_SECRET).await;
            let meta = meta.map_err(self.api_error("reading the signer"))?.metadata;
            let last: u64 = meta
                .annotations
                .as_ref()
                .and_then(|all| all.get(names::SEQUENCE_ANNOTATION))
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let next = last + 1;
            let patch = json!({"metadata": {
                // A merge patch that names the version is refused when somebody else counted meanwhile.
                "resourceVersion": meta.resource_version,
                "annotations": {names::SEQUENCE_ANNOTATION: next.to_string()},
            }});
            let patched = self
                .api()
                .patch_metadata(
                    SIGNER_SECRET,
                    &PatchParams::default(),
                    &Patch::Merge(&patch),
                )
                .await;
            match patched {
                Ok(_) => return Ok(next),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(source) => return Err(self.api_error("counting attestations")(source)),
            }
        }
    }

    fn parse_signer(&self, found: &Secret) -> Result<Signer, StoreError> {
        if found.type_.as_deref() != Some(names::SIGNER_TYPE) {
            return Err(self.signer_error(&format!("it is not of type {}", names::SIGNER_TYPE)));
        }
        let data = found
            .data
            .as_ref()
            .and_then(|data| data.get(names::SIGNER_DATA));
        let text = data.and_then(|data| std::str::from_utf8(&data.0).ok());
        let text =
            text.ok_or_else(|| self.signer_error(&format!("no data.{}", names::SIGNER_DATA)))?;
        Signer::from_openssh(text).map_err(|why| self.signer_error(&why))
    }

    async fn create(&self, body: &SecretBody<'_>) -> Result<(), kube::Error> {
        let request = Request::post(format!(
            "/api/v1/namespaces/{}/secrets?fieldManager={}",
            self.namespace,
            names::CONTROLLER_MANAGER
        ))
        .header(header::ACCEPT, crate::secret_body::METADATA_ONLY)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(Bytes::from_owner(body.to_json())))
        .map_err(kube::Error::HttpError)?;
        crate::secret_body::answered(self.client.send(request).await?).await?;
        Ok(())
    }

    fn signer_error(&self, why: &dyn std::fmt::Display) -> StoreError {
        StoreError::Signer {
            namespace: self.namespace.clone(),
            why: why.to_string(),
        }
    }

    fn api_error(&self, doing: &str) -> impl Fn(kube::Error) -> StoreError + use<> {
        let doing = format!("{doing} in namespace {}", self.namespace);
        move |source| StoreError::Api {
            doing: doing.clone(),
            source: Box::new(source),
        }
    }
}
