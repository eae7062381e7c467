//! [`SealingKey`]: the public face of one key pair of the cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is published about a key.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "waxwing.dev",
    version = "v1alpha1",
    kind = "SealingKey",
    shortname = "sk",
    category = "waxwing",
    status = "SealingKeyStatus",
    derive = "PartialEq",
    doc = "SealingKey is the public half of one key pair of this cluster. Values are sealed to it. The controller writes it and restores it when it is edited; it holds nothing private. Exactly one key is Active.",
    printcolumn(
        name = "Fingerprint",
        type_ = "string",
        json_path = ".spec.fingerprint",
        description = "Fingerprint of the public key"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".spec.state",
        description = "Active, DecryptOnly, Retired or Compromised"
    ),
    printcolumn(
        name = "Values",
        type_ = "integer",
        json_path = ".status.entries",
        description = "Values in this cluster that depend on this key"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SealingKeySpec {
    /// The public key, an age recipient: `age1pq1…` (X-Wing) or `age1…` (X25519). Give it to `waxwing seal --recipient`.
    #[schemars(length(min = 1, max = 4096), regex(pattern = "^age1[0-9a-z]+$"))]
    pub public_key: String,

    /// Fingerprint of the public key: `SHA256:` and 43 characters. Compare it with `waxwing keys fingerprint`.
    #[schemars(length(max = 50), regex(pattern = "^SHA256:[A-Za-z0-9_-]{43}$"))]
    pub fingerprint: String,

    /// The key encapsulation of this key. `XWing` is hybrid: it holds if either ML-KEM-768 or X25519 does.
    pub suite: Suite,

    /// When the key was made.
    pub created_at: Time,

    /// What the key is used for. `Active` seals and opens, `DecryptOnly` opens, `Retired` has no private half in the cluster
    /// any more, `Compromised` opens what was sealed before the mark and refuses what was sealed later.
    pub state: KeyState,

    /// Public half of the cluster's signer, an `ssh-ed25519` line. Its fingerprint is what people pin.
    #[schemars(length(min = 1, max = 1024))]
    pub signer: String,

    /// The signer's statement about this key, followed by its SSH signature (namespace `waxwing`); `ssh-keygen -Y verify`
    /// can check it. The bytes are described in the project's documentation and frozen.
    #[schemars(length(min = 1, max = 8192))]
    pub attestation: String,
}

/// The key encapsulation of a key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Suite {
    /// MLKEM768-X25519, key strings `age1pq1…`.
    XWing,
    /// X25519, key strings `age1…`.
    X25519,
}

impl From<sealing::Suite> for Suite {
    fn from(suite: sealing::Suite) -> Self {
        match suite {
            sealing::Suite::XWing => Self::XWing,
            sealing::Suite::X25519 => Self::X25519,
        }
    }
}

/// What a key is used for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum KeyState {
    /// Seals and opens; exactly one.
    Active,
    /// Opens what was sealed to it.
    DecryptOnly,
    /// Its private half is gone from the cluster.
    Retired,
    /// Someone else may have the private half.
    Compromised,
}

impl From<sealing::KeyState> for KeyState {
    fn from(state: sealing::KeyState) -> Self {
        match state {
            sealing::KeyState::Active => Self::Active,
            sealing::KeyState::DecryptOnly => Self::DecryptOnly,
            sealing::KeyState::Retired => Self::Retired,
            sealing::KeyState::Compromised => Self::Compromised,
        }
    }
}

impl From<KeyState> for sealing::KeyState {
    fn from(state: KeyState) -> Self {
        match state {
            KeyState::Active => Self::Active,
            KeyState::DecryptOnly => Self::DecryptOnly,
            KeyState::Retired => Self::Retired,
            KeyState::Compromised => Self::Compromised,
        }
    }
}

/// What the controller sees of a key's use in this cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealingKeyStatus {
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Number of `SealedSecrets` in this cluster with a value that depends on this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_secrets: Option<i64>,

    /// Number of live values in this cluster that depend on this key. Values that exist only in Git history are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<i64>,

    /// The day on which the key last opened a value, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub last_used: Option<String>,

    /// The value of `waxwing.dev/reconcile-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
