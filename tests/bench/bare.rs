//! The yardstick: the same two writes for each object and nothing else. Bodies are made beforehand, nothing is read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use crds::names;
use futures::future::try_join_all;
use http::{Request, header};
use http_body_util::BodyExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::json;

use crate::ground::{Ground, KEYS, finished, name, value};

/// What the controller asks for, too: metadata instead of the whole object.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

struct Prepared {
    path: String,
    content_type: &'static str,
    body: Bytes,
}

/// Makes the writes of `count` objects over `connections`; returns how long it took.
pub async fn run(
    ground: &Ground,
    client: &Client,
    count: usize,
    connections: usize,
) -> Result<Duration> {
    let namespace = &ground.world.namespace;
    let pairs: Arc<Vec<[Prepared; 2]>> = Arc::new(
        (0..count)
            .map(|index| prepare(namespace, &name(index)))
            .collect(),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let mut audit = ground.audit()?;
    let began = Timestamp::now();
    let workers = (0..connections).map(|_| {
        let (pairs, next, client) = (pairs.clone(), next.clone(), client.clone());
        tokio::spawn(async move {
            while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                for write in pair {
                    send(&client, write).await?;
                }
            }
            anyhow::Ok(())
        })
    });
    for worker in try_join_all(workers).await? {
        worker?;
    }
    finished(&audit.news()?, began, count).context("the audit log tells of every write")
}

async fn send(client: &Client, write: &Prepared) -> Result<()> {
    let request = Request::patch(&write.path)
        .header(header::ACCEPT, METADATA_ONLY)
        .header(header::CONTENT_TYPE, write.content_type)
        .body(Body::from(write.body.clone()))?;
    let response = client.send(request).await?;
    let code = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !code.is_success() {
        bail!("{code}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

/// What the controller writes for an object, to the byte but for uids and times.
fn prepare(namespace: &str, name: &str) -> [Prepared; 2] {
    let data: serde_json::Map<String, serde_json::Value> = KEYS
        .iter()
        .map(|key| {
            let value = Base64::encode_string(value(name, key).as_bytes());
            ((*key).to_owned(), value.into())
        })
        .collect();
    let uid = "6e1b1a5e-6f0c-4b53-9d0a-3a6e1d0e5c11";
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names::SEALED_LABEL: names::SEALED_LABEL_VALUE},
            "annotations": {
                names::OWNERSHIP_ANNOTATION: "Owned",
                names::SEALED_BY_ANNOTATION: format!("{uid}/{uid}"),
            },
        },
        "type": "Opaque",
        "data": data,
    });
    let status = json!({"status": {
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "3 sealed values are in the Secret",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "observedGeneration": 1,
        "entries": 3,
        "keys": [{"id": "abcdefghijklm", "entries": 3, "current": true}],
        "secret": {"uid": uid, "resourceVersion": "12345", "lastAppliedTime": "2026-01-01T00:00:00Z"},
        "failing": null,
        "lastHandledReconcileAt": null,
    }});
    [
        Prepared {
            path: format!(
                "/api/v1/namespaces/{namespace}/secrets/{name}?fieldManager={}&force=false&fieldValidation=Strict",
                names::UNSEAL_MANAGER
            ),
            content_type: "application/apply-patch+yaml",
            body: secret.to_string().into(),
        },
        Prepared {
            path: format!(
                "/apis/{}/namespaces/{namespace}/sealedsecrets/{name}/status?fieldManager={}",
                names::API_VERSION,
                names::CONTROLLER_MANAGER
            ),
            content_type: "application/merge-patch+json",
            body: status.to_string().into(),
        },
    ]
}
