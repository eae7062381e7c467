//! [`SealedSecret`]: sealed values, and the Secret that they become.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{SECRET_TYPE, is_default};

/// What is sealed, and what the Secret looks like that is made of it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "waxwing.dev",
    version = "v1alpha1",
    kind = "SealedSecret",
    namespaced,
    shortname = "wss",
    category = "waxwing",
    status = "SealedSecretStatus",
    derive = "PartialEq",
    doc = "SealedSecret holds the values of one Secret, each sealed to the public keys of the clusters that may open it, so that it can lie in Git. The controller opens it and writes the Secret of the same name in the same namespace. Make one with `waxwing seal`.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "True when the Secret is what this SealedSecret says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Keys",
        type_ = "string",
        json_path = ".status.keys[*].id",
        description = "Short id of the newest cluster key that opened it"
    ),
    printcolumn(
        name = "Entries",
        type_ = "integer",
        json_path = ".status.entries",
        description = "Number of sealed values"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// Data keys of sealing runs, each wrapped to the keys that may open it, by envelope id (8 characters, a local label).
    /// At most 64. Entries whose token begins with `wx1:self:` bring their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = ("self.all(id, id.matches('^[a-z2-7]{8}$'))", "an envelope id is 8 characters of a-z and 2-7"))]
    pub envelopes: BTreeMap<String, Envelope>,

    /// The sealed values by Secret key. At most 1024.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1024))]
    #[x_kube(validation = ("self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$'))", "a Secret key is 1 to 253 of A-Z a-z 0-9 . _ -"))]
    pub encrypted_data: BTreeMap<String, EncryptedEntry>,

    /// What the Secret looks like apart from the sealed values.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template: Template,

    /// Whose Secret it is, and what may be done to it.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = {"mode": "Owned"}))]
    pub ownership: Ownership,
}

/// The public facts of one sealing run and its data key, wrapped once per recipient.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Where the values were sealed for: `strict:<namespace>/<name>:<type>`, `namespace:<namespace>:<type>` or
    /// `cluster:<type>`. A claim that a reader without keys can check; opening uses the object's own place.
    #[schemars(length(max = 1024))]
    pub binding: String,

    /// When the values were sealed, `YYYY-MM-DDTHH:MM:SSZ`. Authenticated: changing it makes the values unopenable.
    #[schemars(length(max = 32))]
    pub sealed_at: String,

    /// The text of `template.data` is authenticated too: nobody but the sealer can change it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template_bound: bool,

    /// Commitment to the data key, 43 characters of base64url.
    #[schemars(length(max = 64))]
    pub commitment: String,

    /// The data key, wrapped to each recipient, by `<label>.<short key id>`. 1 to 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub recipients: BTreeMap<String, String>,
}

/// One sealed value.
// The rule stands on the object and is no pattern: the API server repeats a text that breaks its own rule or pattern, and a
// text that is not a token may be a plaintext that someone pasted here.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.value.startsWith('wx1:')", "value is not sealed: it begins with wx1:, as `waxwing seal` prints it"))]
pub struct EncryptedEntry {
    /// The token: `wx1:<envelope id>:<sealed value>` or `wx1:self:<envelope and sealed value>`.
    #[schemars(length(max = 1_500_000))]
    pub value: String,
}

/// What the Secret looks like apart from the sealed values.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Labels and annotations of the Secret. Names under `waxwing.dev/` and `applyset.kubernetes.io/` are refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: TemplateMetadata,

    /// Type of the Secret, `Opaque` when unset. It is part of what the values are bound to. Types under `waxwing.dev/` are refused.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_TYPE))]
    #[x_kube(validation = ("!self.startsWith('waxwing.dev/')", "Secret types under waxwing.dev/ are the controller's own"))]
    pub type_: Option<String>,

    /// Make the Secret immutable. Changing it later needs `ownership.recreate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,

    /// Further keys of the Secret, made from text and sealed values: `"postgres://app:{{ DB_PASSWORD | urlencode }}@db/app"`.
    /// Only values that were sealed with `--templatable` may be named. Encoders: json, base64, urlencode, quote, indent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1024))]
    pub data: BTreeMap<String, String>,
}

/// Labels and annotations of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub annotations: BTreeMap<String, String>,
}

/// Whose Secret it is, and what may be done to it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.merge) || !self.merge || self.mode == 'Adopt'", "merge is only for mode Adopt: an Owned or Orphan Secret holds nothing but what its SealedSecret says"))]
pub struct Ownership {
    /// `Owned`: the Secret is made by the controller and deleted 30 s after its SealedSecret is gone. `Adopt`: an existing
    /// Secret is taken over when it carries the annotation `waxwing.dev/adopt: allowed`. `Orphan`: the Secret is never deleted.
    #[serde(default)]
    pub mode: OwnershipMode,

    /// With `Adopt`: keys of the Secret that other people wrote stay, and the template's metadata is not applied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub merge: bool,

    /// Allow the Secret to be deleted and created anew where its type changes or it is immutable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recreate: bool,
}

/// Whose Secret it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum OwnershipMode {
    /// Made by the controller, and deleted when its `SealedSecret` is gone.
    #[default]
    Owned,
    /// An existing Secret, taken over with consent.
    Adopt,
    /// Never deleted by the controller.
    Orphan,
}

/// What the controller did and saw.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretStatus {
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The cluster keys that opened the values, and how many each; newest key first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub keys: Vec<KeyUse>,

    /// The Secret as the controller left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretStatus>,

    /// Data keys of this object, wrapped to a newer key of the cluster. `waxwing reseal` copies them into the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rewraps: Vec<Rewrap>,

    /// Number of sealed values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<i64>,

    /// Values that do not open, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failing: Vec<FailingEntry>,

    /// The value of `waxwing.dev/reconcile-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// A cluster key that opened values of this object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// Short key id, 13 characters; also the name of the label `waxwing.dev/key`.
    pub id: String,
    /// Number of values that this key opened.
    pub entries: i64,
    /// The key is the cluster's Active one.
    pub current: bool,
}

/// The Secret as the controller left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its uid.
    pub uid: String,
    /// Its resource version after the last look.
    pub resource_version: String,
    /// When the controller last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_time: Option<Time>,
}

/// A data key, wrapped to another key of this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rewrap {
    /// Commitment of the envelope or `self` token that it belongs to.
    pub commitment: String,
    /// Fingerprint of the key that it is wrapped to.
    pub key_id: String,
    /// The wrap, base64url.
    pub wrap: String,
}

/// A value that does not open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingEntry {
    /// Its key.
    pub entry: String,
    /// Why.
    pub reason: String,
}

impl SealedSecret {
    /// The text that the sealing format judges: the object's own namespace and name, its type, its template text, its
    /// envelopes and its tokens. Nothing is checked here; [`sealing::Sealed::parse`] does that.
    #[must_use]
    pub fn sealed_text(&self) -> sealing::SealedText {
        let Self { metadata, spec, .. } = self;
        sealing::SealedText {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            secret_type: spec.template.type_.clone(),
            template_data: spec.template.data.clone(),
            envelopes: spec
                .envelopes
                .iter()
                .map(|(id, envelope)| (id.clone(), envelope.into()))
                .collect(),
            entries: spec
                .encrypted_data
                .iter()
                .map(|(key, entry)| (key.clone(), entry.value.clone()))
                .collect(),
        }
    }
}

impl SealedSecretSpec {
    /// Paths of the fields that ask for something that the controller does not do yet. All of this kind is built.
    #[must_use]
    pub fn not_built_yet(&self) -> Vec<String> {
        Vec::new()
    }
}

impl From<&Envelope> for sealing::EnvelopeText {
    fn from(envelope: &Envelope) -> Self {
        Self {
            binding: envelope.binding.clone(),
            sealed_at: envelope.sealed_at.clone(),
            template_bound: envelope.template_bound,
            commitment: envelope.commitment.clone(),
            recipients: envelope.recipients.clone(),
        }
    }
}

impl From<&sealing::EnvelopeText> for Envelope {
    fn from(text: &sealing::EnvelopeText) -> Self {
        Self {
            binding: text.binding.clone(),
            sealed_at: text.sealed_at.clone(),
            template_bound: text.template_bound,
            commitment: text.commitment.clone(),
            recipients: text.recipients.clone(),
        }
    }
}
