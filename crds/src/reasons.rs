//! The reasons of conditions, of failing objects and of events: stable names, one meaning each.
//!
//! `docs/troubleshooting.md` says for each of them what it means and what to type; a test keeps that page complete.

use std::fmt;

/// Declares the reasons once: the variant is the text.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A reason. Its text is the variant's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The text, CamelCase, as conditions and events carry it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    // All kinds.

    /// The object is what its spec says.
    Succeeded,
    /// The work has begun.
    Progressing,
    /// Someone set `spec.suspend`.
    Suspended,
    /// The spec asks for something that this version does not do; the message names each field.
    NotBuilt,
    /// The Kubernetes API did not answer, or answered with an error that passes.
    ApiUnavailable,

    // Opening SealedSecrets, in the order of the format's classes.

    /// A count of the format is exceeded: recipients, envelopes or entries.
    LimitExceeded,
    /// The sealed text is not what the format allows.
    Malformed,
    /// The values were sealed for another place: another namespace, name or type.
    Misplaced,
    /// The values were sealed to keys that this cluster does not have (yet).
    UnknownKey,
    /// The values do not open with the key that they name.
    CannotBeUnsealed,
    /// Values are sealed to a classical (X25519) key, and the controller's `minimumSuite` is hybrid.
    ClassicalKey,

    // Writing Secrets.

    /// The Secret type is not allowed: one of the controller's own, or a token type without the operator's consent.
    ForbiddenType,
    /// A label or annotation of the template is not allowed.
    ForbiddenMetadata,
    /// `SealedSecrets` in the controller's own namespace are refused, and objects of a sync outside of the namespaces that the
    /// controller works in.
    ForbiddenNamespace,
    /// A Secret of that name exists, is not ours, and nobody consented to its adoption.
    NotOurs,
    /// A Secret of that name is controlled by another object.
    ControlledByAnother,
    /// The change needs the Secret to be created anew, and `ownership.recreate` does not allow it.
    RecreateNeeded,
    /// The API server refused the Secret, or the controller lacks a right.
    WriteRefused,

    // Reading the source.

    /// The URL is of a kind that this controller does not fetch.
    SourceRefused,
    /// The remote did not answer, or not in time.
    SourceUnavailable,
    /// The remote refused the credentials, or needs some.
    SourceUnauthorized,
    /// The Secret with the credentials is missing or incomplete.
    SourceCredentials,
    /// The remote does not have the branch, tag, name or commit.
    RefNotFound,
    /// The revision does not have the directory.
    PathNotFound,
    /// The revision is larger than the controller's limits.
    SourceTooLarge,

    // Planning a revision. `PlanRefused` stands on the condition, the others on its failing objects.

    /// The revision has problems and nothing of it was written; `status.failing` lists them.
    PlanRefused,
    /// A file cannot be read as Kubernetes reads it, or asks for something that is not built.
    RenderFailed,
    /// Two objects of the revision have the same identity.
    DuplicateObject,
    /// A plain Secret with data lies in Git.
    PlaintextSecret,
    /// A `SealedSecret` of the revision does not open.
    UnsealFailed,
    /// The cluster does not have the kind, and the revision does not bring its definition.
    UnknownKind,
    /// The `ServiceAccount` may not do that.
    AccessDenied,
    /// Another `ManifestSync` applies the object.
    Conflict,
    /// The API server refused the object.
    ObjectRefused,
    /// The revision has no objects, and `allowEmpty` is not set.
    EmptyRevision,

    // As whom.

    /// The sync names no `ServiceAccount`, and the controller has no default.
    ServiceAccountRequired,
    /// The `ServiceAccount` does not exist.
    ServiceAccountMissing,
    /// The controller may not impersonate service accounts of that namespace.
    ImpersonationDenied,

    // Applying, pruning, deleting.

    /// A stage failed after earlier ones were written.
    PartiallyApplied,
    /// Objects that Git no longer has could not be deleted.
    PruneFailed,
    /// A phase did not end within its deadline.
    TimedOut,
    /// Objects stay because they can no longer be deleted: the namespace, the account or its rights are gone.
    Orphaned,

    // Drift and events.

    /// No object of a sync differs from its revision, and every kind is watched.
    InSync,
    /// No object of a sync is known to differ, but some kinds cannot be watched and are looked at at the interval.
    PartlyWatched,
    /// Something that the controller keeps was changed by someone else and has been restored.
    DriftCorrected,
    /// Another manager changes an object again each time after it was restored.
    Contended,
    /// A Secret was written.
    Unsealed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<sealing::Class> for Reason {
    fn from(class: sealing::Class) -> Self {
        match class {
            sealing::Class::Limit => Self::LimitExceeded,
            sealing::Class::Malformed => Self::Malformed,
            sealing::Class::Misplaced => Self::Misplaced,
            sealing::Class::UnknownKey => Self::UnknownKey,
            sealing::Class::CannotBeUnsealed => Self::CannotBeUnsealed,
        }
    }
}
