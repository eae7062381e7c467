//! The custom resources of Waxwing: their types, and the YAML generated from them.
//!
//! | kind | scope | short name | for whom |
//! |---|---|---|---|
//! | [`SealedSecret`] | namespaced | `wss` | developers: sealed values, and the Secret that they become |
//! | [`SealingKey`] | cluster | `sk` | everyone: the public half of a key pair, written by the controller |
//! | [`ManifestSync`] | namespaced | `msync` | operators: a directory of a Git repository, kept true in the cluster |
//!
//! This crate is the only place that knows the API group, the names of labels, annotations and finalizers
//! ([`names`]), the reasons of conditions ([`reasons`]) and how conditions change ([`conditions`]). It does no I/O
//! and reads no clock: time is passed in.
//!
//! The API's shape is complete from the start. A field whose function does not exist yet has no default, and
//! [`ManifestSyncSpec::not_built_yet`] and [`SealedSecretSpec::not_built_yet`] name it, so that the controller
//! refuses it instead of ignoring it.
#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column names its own type; the lint reads them as one list"
)]

pub use self::manifest_sync::{
    CommonMetadata, ComponentPath, DeletionPolicy, Dependency, Drift, DriftIgnore, DriftMode,
    FailingObject, GitRef, GitSource, HealthCheck, HealthCheckExpr, HistoryEntry, Image,
    LocalReference, ManifestSync, ManifestSyncSpec, ManifestSyncStatus, Patch, PlaintextPolicy,
    Render, Source, SourceStatus, Substitution, SubstitutionKind, Summary, SyncResult, Target,
    UnsealPolicy, Verify, VerifyMode, Window, WindowAction,
};
pub use self::sealed_secret::{
    EncryptedEntry, Envelope, FailingEntry, KeyUse, Ownership, OwnershipMode, Rewrap, SealedSecret,
    SealedSecretSpec, SealedSecretStatus, SecretStatus, Template, TemplateMetadata,
};
pub use self::sealing_key::{KeyState, SealingKey, SealingKeySpec, SealingKeyStatus, Suite};
pub use self::yaml::{all, yaml};

pub mod conditions;
mod manifest_sync;
pub mod names;
pub mod reasons;
mod schema;
mod sealed_secret;
mod sealing_key;
mod yaml;
