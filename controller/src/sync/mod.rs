//! One ManifestSync: everything of one revision.
//!
//! ```text
//! reconcile ── due? ──> pass ── source ──> render ──> plan ──> review ──> apply ──> prune ──> status
//!     │      (memory,     │    (source/)  (manifests) (pure)  (access,   (order,   (members)  (pure)
//!     │       schedule)   │                                    ssa, unseal) unseal)
//!     └── delete
//!
//! watches ── live ──> reconcile ── drift ──> pass/drift ── render ──> plan ──> review ──> apply    (what drifted only)
//! secrets (of the source, by name) ──> reconcile
//! ```
//!
//! What decides is pure and tested without a cluster: `plan`, `order`, `members`, `live`, `drift`, `fields`,
//! `quarrel`, `takeover`, `prune::choose`, `schedule`, `memory`, `status`, `refuse`. What talks to the API server is a
//! thin shell: `review`, `ssa`, `apply`, `inventory`, `parent`, `pass`, `watches`, `secrets`.
//!
//! Three rules hold everywhere here. Nothing of a revision is written while anything is wrong with it. Nothing is
//! deleted that is not ours (`members`). What the account of a sync may not do, is not done for it with the
//! controller's own rights; the Secret of a SealedSecret is written only after the API server has accepted that
//! SealedSecret from the account.

pub mod source;

mod access;
pub(crate) mod answer;
mod apply;
mod delete;
mod discovery;
mod drift;
mod events;
mod fields;
mod inventory;
mod live;
mod members;
mod memory;
mod order;
mod parent;
mod pass;
mod plan;
mod problem;
mod prune;
mod quarrel;
mod reconcile;
mod refuse;
mod report;
mod review;
mod schedule;
#[cfg(test)]
mod scripted;
mod secrets;
mod ssa;
mod status;
mod takeover;
mod watches;

pub use self::access::Account;
pub use self::reconcile::run;

use std::sync::OnceLock;

use crds::ManifestSync;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use tokio_util::sync::CancellationToken;

use self::discovery::Discovery;
use self::memory::Memory;
use self::secrets::Secrets;
use self::source::GitSource;
use self::watches::Watches;
use crate::metrics::Metrics;
use crate::unseal::Unsealer;
use crate::watched::Watched;

/// What the sync is made of.
pub struct SyncContext {
    /// The controller's own client.
    pub client: Client,
    /// Opens SealedSecrets and writes their Secrets.
    pub unsealer: Unsealer,
    /// Reads Git repositories.
    pub source: GitSource,
    /// What the operator said.
    pub settings: SyncSettings,
    /// Where passes are counted.
    pub metrics: Metrics,
}

/// What the operator said about syncing.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// The controller's own ServiceAccount: no sync writes SealedSecrets into its namespace, and opt-in commands
    /// name it. Where the API server knows the controller by another name, that one is used.
    pub controller: Account,
    /// The account of syncs that name none, in the namespace of each.
    pub default_service_account: Option<String>,
    /// Only ManifestSyncs of these namespaces, and objects in them.
    pub watched: Watched,
    /// Passes at a time.
    pub concurrency: u16,
    /// Limits of reading and rendering a revision.
    pub limits: manifests::Limits,
}

/// Everything that reconciling needs.
struct Shared {
    client: Client,
    unsealer: Unsealer,
    source: GitSource,
    settings: SyncSettings,
    metrics: Metrics,
    discovery: Discovery,
    memory: Memory,
    /// Watches on the members.
    watches: Watches,
    /// How the sources are reached.
    secrets: Secrets,
    recorder: Recorder,
    /// The controller's own account, which opt-in commands name.
    controller: Account,
    store: OnceLock<Store<DeserializeGuard<ManifestSync>>>,
    shutdown: CancellationToken,
}
