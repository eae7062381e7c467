//! The JSON of a Secret, written as bytes into one buffer that is wiped.
//!
//! Going through a typed `Secret` and `serde_json` leaves the value and its base64 in freed
//! memory (measured); one exactly sized buffer that is written once does not.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding as _};
use http::Response;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{api::PartialObjectMeta, client::Body, core::Status};
use zeroize::Zeroizing;

/// Asks for an object's metadata only, so that no answer brings a Secret's data into memory.
pub const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Everything that is written to a Secret.
pub struct SecretBody<'a> {
    /// Namespace of the Secret.
    pub namespace: &'a str,
    /// Name of the Secret.
    pub name: &'a str,
    /// Set when the Secret exists: an apply to another one of that name is refused by the server.
    pub uid: Option<&'a str>,
    /// The resourceVersion that the Secret must have, if there is one: the server refuses to apply to
    /// another (409). Where there is none, it is made whatever this says.
    pub resource_version: Option<&'a str>,
    /// All labels, ours included.
    pub labels: &'a BTreeMap<String, String>,
    /// All annotations, ours included.
    pub annotations: &'a BTreeMap<String, String>,
    /// Secret type; `None` leaves the one it has (or Kubernetes' default).
    pub secret_type: Option<&'a str>,
    /// `immutable`, when the template sets it.
    pub immutable: Option<bool>,
    /// Keys and values.
    pub data: &'a [(&'a str, &'a [u8])],
}

impl SecretBody<'_> {
    /// The JSON of the Secret, as a create or an apply patch wants it.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let head = self.head();
        let values: usize = self
            .data
            .iter()
            .map(|(key, value)| key.len() + 8 + Base64::encoded_len(value))
            .sum();
        // Exact or more: a buffer that grows would leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(head.len() + values + 16));
        out.extend_from_slice(&head);
        out.extend_from_slice(br#","data":{"#);
        for (index, (key, value)) in self.data.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            // The grammar of Secret keys has no character that JSON escapes.
            out.push(b'"');
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(br#"":""#);
            let start = out.len();
            out.resize(start + Base64::encoded_len(value), 0);
            let encoded = Base64::encode(value, &mut out[start..]).map(str::len);
            debug_assert_eq!(encoded, Ok(out.len() - start));
            out.push(b'"');
        }
        out.extend_from_slice(b"}}");
        out
    }

    fn head(&self) -> Vec<u8> {
        let mut metadata = serde_json::json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.labels,
            "annotations": self.annotations,
        });
        if let Some(uid) = self.uid {
            metadata["uid"] = uid.into();
        }
        if let Some(version) = self.resource_version {
            metadata["resourceVersion"] = version.into();
        }
        let mut head = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
        });
        if let Some(secret_type) = self.secret_type {
            head["type"] = secret_type.into();
        }
        if let Some(immutable) = self.immutable {
            head["immutable"] = immutable.into();
        }
        let mut text = head.to_string().into_bytes();
        // The data follows inside the same object.
        text.pop();
        text
    }
}

/// Reads the answer to a request that asked for [`METADATA_ONLY`].
///
/// # Errors
/// What the API server refused, as [`kube::Error::Api`]; a body that cannot be read.
pub async fn answered(response: Response<Body>) -> Result<PartialObjectMeta<Secret>, kube::Error> {
    let code = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    if code.is_success() {
        return serde_json::from_slice(&bytes).map_err(kube::Error::SerdeError);
    }
    let status = serde_json::from_slice::<Status>(&bytes).unwrap_or_else(|_| {
        // A proxy's own words: they may echo what was sent, so only the code is kept.
        Status::failure("the answer was no Kubernetes status", "Unknown").with_code(code.as_u16())
    });
    Err(kube::Error::Api(status.boxed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_the_secret() {
        let labels = BTreeMap::from([("a\"b".to_owned(), "true".to_owned())]);
        let body = SecretBody {
            namespace: "payments",
            name: "db",
            uid: Some("u-1"),
            resource_version: Some("7"),
            labels: &labels,
            annotations: &BTreeMap::new(),
            secret_type: Some("Opaque"),
            immutable: Some(true),
            data: &[("A", b"one".as_slice()), ("B.b", b"".as_slice())],
        };
        let json = body.to_json();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
                "metadata": {"name": "db", "namespace": "payments", "uid": "u-1", "resourceVersion": "7",
                             "labels": {"a\"b": "true"}, "annotations": {}},
                "data": {"A": "b25l", "B.b": ""},
            })
        );
        assert!(json.capacity() >= json.len(), "never grown");
    }

    #[test]
    fn the_buffer_is_sized_before_the_first_value() {
        let value = vec![7; 100_000];
        let body = SecretBody {
            namespace: "n",
            name: "s",
            uid: None,
            resource_version: None,
            labels: &BTreeMap::new(),
            annotations: &BTreeMap::new(),
            secret_type: None,
            immutable: None,
            data: &[("k", &value), ("l", &value)],
        };
        let json = body.to_json();
        // A growing Vec doubles: far more than what was asked for would show it.
        assert!(json.capacity() < json.len() + 64);
    }
}
