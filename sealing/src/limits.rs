//! What one object may hold. Counts are checked before anything else is looked at.

/// Recipients of one envelope.
pub const MAX_RECIPIENTS: usize = 64;
/// Envelopes of one object.
pub const MAX_ENVELOPES: usize = 64;
/// Entries of one object, and files that its template makes.
pub const MAX_ENTRIES: usize = 1024;
/// Bytes of all values of one Secret together: Kubernetes' own limit.
pub const MAX_VALUES_BYTES: usize = 1024 * 1024;
/// Bytes of a whole SealedSecret: what etcd takes, with room for its status.
pub const MAX_OBJECT_BYTES: usize = 1_200_000;
/// Bytes of a SealedSecret from which client-side `kubectl apply` fails (its annotation is limited
/// to 256 KiB): a reason to warn.
pub const LARGE_OBJECT_BYTES: usize = 250_000;
