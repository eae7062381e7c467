//! What the controller did and saw.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the controller did and saw.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSyncStatus {
    /// `Ready`, `Reconciling` and `Stalled`, as kstatus reads them, and `Drifted`, `Healthy` and `SourceVerified`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Generation of the spec that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Revision of the last pass, whatever came of it: `<ref>@<algorithm>:<commit>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,

    /// Revision that was applied last, completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,

    /// The value of `waxwing.dev/reconcile-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The revision as Git describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,

    /// Counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,

    /// What is wrong, object by object; the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failing: Vec<FailingObject>,

    /// The last ten passes that did something, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<HistoryEntry>,
}

/// A revision as Git describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// `<ref>@<algorithm>:<commit>`.
    pub revision: String,
    /// Author of the commit, name and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// First line of the commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Fingerprint of the key whose signature was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
}

/// Counts of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects of the revision.
    pub objects: i64,
    /// Of these, ready ones. Unset while readiness is not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i64>,
    /// Of these, ones that differ from the revision.
    pub drifted: i64,
    /// Of these, `SealedSecrets`.
    pub sealed: i64,
    /// Of these, ones with an error.
    pub failing: i64,
}

/// An object with an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingObject {
    /// Kind, namespace and name: `Secret payments/db`. Unset where a file could not be read as objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// File and line: `apps/db.yaml:12:3 (document 1)`. Unset for an object that is not in the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Stable reason, as in conditions.
    pub reason: String,
    /// What, where, why, and what mends it.
    pub message: String,
}

/// A pass that did something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its revision.
    pub revision: String,
    /// When it began.
    pub started: Time,
    /// How long it took.
    pub duration: Duration,
    /// What came of it.
    pub result: SyncResult,
    /// Objects of the revision.
    pub objects: i64,
    /// Objects that were created or changed.
    pub applied: i64,
    /// Objects that were deleted.
    pub pruned: i64,
    /// Objects with an error.
    pub failing: i64,
}

/// What came of a pass.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SyncResult {
    /// The cluster is what the revision says.
    Succeeded,
    /// Some stages were written, one failed.
    PartiallyApplied,
    /// Nothing was written.
    Refused,
    /// Something outside the revision failed: the remote, the API server, time.
    Failed,
}
