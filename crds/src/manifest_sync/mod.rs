//! [`ManifestSync`]: a directory of a Git repository, kept true in the cluster.

pub use self::source::{GitRef, GitSource, LocalReference, Source, Verify, VerifyMode};
pub use self::status::{
    FailingObject, HistoryEntry, ManifestSyncStatus, SourceStatus, Summary, SyncResult,
};
pub use self::transform::{
    CommonMetadata, ComponentPath, Image, Patch, Substitution, SubstitutionKind, Target,
};

use std::collections::BTreeMap;

use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DURATION, LABEL, SUBDOMAIN, is_default};

mod not_built;
mod source;
mod status;
mod transform;

/// What is synced, from where, as whom and how.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "waxwing.dev",
    version = "v1alpha1",
    kind = "ManifestSync",
    namespaced,
    plural = "manifestsyncs",
    shortname = "msync",
    category = "waxwing",
    status = "ManifestSyncStatus",
    derive = "PartialEq",
    doc = "ManifestSync keeps the manifests of one directory of a Git repository true in the cluster: it applies them as a ServiceAccount of its own namespace, opens the SealedSecrets among them, prunes what Git no longer has, and repairs drift.",
    label("applyset.kubernetes.io/is-parent-type", "true"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "True when the cluster is what the last revision says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.lastAppliedRevision",
        description = "Revision that was applied last"
    ),
    printcolumn(
        name = "Objects",
        type_ = "integer",
        json_path = ".status.summary.objects",
        description = "Number of objects of that revision"
    ),
    printcolumn(
        name = "Drifted",
        type_ = "integer",
        json_path = ".status.summary.drifted",
        description = "Number of objects that differ from it"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSyncSpec {
    /// Where the manifests come from.
    pub source: Source,

    /// Directory of the manifests in the repository's tree, for example `clusters/prod`. The root when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = ("!self.split('/').exists(part, part == '..') && !self.startsWith('/')", "path is relative to the root of the repository and has no .."))]
    pub path: Option<String>,

    /// How the directory becomes objects. `Auto`: Kustomize when it holds a kustomization file, else `Plain`. `Plain`: every
    /// .yaml, .yml and .json file below it. `Kustomize` is not built yet.
    #[serde(default)]
    pub render: Render,

    /// How often the remote is asked for the ref, jittered. At least 1s.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "1m"))]
    #[x_kube(validation = ("duration(self) >= duration('1s')", "interval is at least 1s"))]
    pub interval: Duration,

    /// First wait after a failure; doubles up to ten minutes. At least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    #[x_kube(validation = ("duration(self) >= duration('1s')", "retryInterval is at least 1s"))]
    pub retry_interval: Option<Duration>,

    /// Deadline of every phase: fetching, planning, applying, pruning. At least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    #[x_kube(validation = ("duration(self) >= duration('1s')", "timeout is at least 1s"))]
    pub timeout: Option<Duration>,

    /// Delete objects of this sync that the revision no longer has.
    #[serde(default = "default_true")]
    pub prune: bool,

    /// What happens to the objects when the ManifestSync is deleted. `MirrorPrune`: `Delete` when prune is true, else
    /// `Orphan`. `WaitForTermination` is not built yet.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Let a revision without objects prune everything. Without it such a revision prunes nothing and is an error.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_empty: bool,

    /// Not built yet: what happens to objects that were changed by hand. Secrets made from SealedSecrets are always
    /// repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,

    /// What happens when a SealedSecret of the revision does not open. `Atomic`: nothing of the revision is written.
    /// `Isolate` is not built yet.
    #[serde(default)]
    pub unseal_policy: UnsealPolicy,

    /// What happens when the revision holds a plain Secret with data. `Refuse`: nothing of the revision is written. `Warn`
    /// and `Allow` are not built yet.
    #[serde(default)]
    pub plaintext_secrets: PlaintextPolicy,

    /// ServiceAccount in this namespace whose rights apply and prune. Required unless the controller has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub service_account_name: Option<String>,

    /// Not built yet: namespace of all namespaced objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub target_namespace: Option<String>,

    /// Not built yet: text before every object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub name_prefix: Option<String>,

    /// Not built yet: text after every object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub name_suffix: Option<String>,

    /// Not built yet: labels and annotations of every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,

    /// Not built yet: patches, as in Kustomize.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub patches: Vec<Patch>,

    /// Not built yet: image names, tags and digests, as in Kustomize.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub images: Vec<Image>,

    /// Not built yet: components, as in Kustomize.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub components: Vec<ComponentPath>,

    /// Not built yet: values for `${VAR}` in the manifests. Every name that occurs must have a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub substitute: BTreeMap<String, String>,

    /// Not built yet: ConfigMaps and Secrets of this namespace with values for `${VAR}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub substitute_from: Vec<Substitution>,

    /// Not built yet: ManifestSyncs that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub depends_on: Vec<Dependency>,

    /// Not built yet: ready only when everything that was applied is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,

    /// Not built yet: objects that must be ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub health_checks: Vec<HealthCheck>,

    /// Not built yet: CEL expressions that say when an object of a kind is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub health_check_exprs: Vec<HealthCheckExpr>,

    /// Not built yet: roll workloads that use a Secret or ConfigMap of this sync when its content changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_on_change: Option<bool>,

    /// Not built yet: delete and create objects where a changed field is immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,

    /// Pause syncing. SealedSecrets that are in the cluster are still opened.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspend: bool,

    /// Not built yet: times at which syncing is allowed or denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub windows: Vec<Window>,
}

/// How a directory becomes objects.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Render {
    /// Kustomize when a kustomization file is there, else plain.
    #[default]
    Auto,
    /// Every manifest below the directory.
    Plain,
    /// The directory's kustomization file.
    Kustomize,
}

/// What happens to the objects of a deleted `ManifestSync`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum DeletionPolicy {
    /// As `prune` says.
    #[default]
    MirrorPrune,
    /// They are deleted.
    Delete,
    /// They are deleted, and the `ManifestSync` stays until they are gone.
    WaitForTermination,
    /// They stay.
    Orphan,
}

/// What happens when a `SealedSecret` of a revision does not open.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum UnsealPolicy {
    /// Nothing of the revision is written.
    #[default]
    Atomic,
    /// It and what needs it are held; the rest goes on.
    Isolate,
}

/// What happens when a revision holds a plain Secret with data.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PlaintextPolicy {
    /// Nothing of the revision is written.
    #[default]
    Refuse,
    /// It is applied, and a condition names it.
    Warn,
    /// It is applied.
    Allow,
}

/// What happens to objects that were changed by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Not built yet: correct, only report, or ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftMode>,
    /// Not built yet: single fields that others may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub ignore: Vec<DriftIgnore>,
}

/// Not built yet: what happens to objects that were changed by hand.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum DriftMode {
    /// They are corrected.
    Correct,
    /// The condition `Drifted` names them.
    Report,
    /// Nothing.
    Ignore,
}

/// Fields that others may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftIgnore {
    /// JSON pointers (RFC 6901), for example `/spec/replicas`.
    #[schemars(length(min = 1, max = 64))]
    pub paths: Vec<String>,
    /// Objects for which they are ignored; all when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

/// A `ManifestSync` that must be ready first.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; this one when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// CEL expression that says when it is ready, in place of the condition Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub ready_expr: Option<String>,
}

/// An object that must be ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Its apiVersion.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; this one when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// CEL expressions that say when an object of a kind is ready.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpr {
    /// The kind's apiVersion.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// True when the object is ready.
    #[schemars(length(max = 4096))]
    pub current: String,
    /// True while it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub in_progress: Option<String>,
    /// True when it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub failed: Option<String>,
}

/// A time at which syncing is allowed or denied.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Allowed or denied.
    pub action: WindowAction,
    /// When it begins: five cron fields.
    #[schemars(length(min = 1, max = 256))]
    pub schedule: String,
    /// How long it lasts.
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub duration: Duration,
    /// Time zone of the schedule, for example `Europe/Berlin`; UTC when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
}

/// What a [`Window`] does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum WindowAction {
    /// Syncing is allowed only inside.
    Allow,
    /// Syncing is denied inside.
    Deny,
}

/// Poll period when the spec says none.
fn default_interval() -> Duration {
    Duration::from(std::time::Duration::from_secs(60))
}

/// `true`, for serde.
fn default_true() -> bool {
    true
}
