//! Every name that Waxwing writes on objects or reads from them.

// The API.

/// API group of all three kinds.
pub const GROUP: &str = "waxwing.dev";
/// The one version served.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all three kinds.
pub const API_VERSION: &str = "waxwing.dev/v1alpha1";
/// Category: `kubectl get waxwing` lists all three kinds.
pub const CATEGORY: &str = "waxwing";
/// Everything that is ours on an object begins with this; templates and trees must not set such names on Secrets.
pub const PREFIX: &str = "waxwing.dev/";
/// Namespace of keys, signer and Lease unless the controller is told another one.
pub const DEFAULT_NAMESPACE: &str = "waxwing-system";

// On all three kinds.

/// Annotation: any new value means "reconcile now"; echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_AT_ANNOTATION: &str = "waxwing.dev/reconcile-at";
/// Finalizer of a `ManifestSync`: its members are dealt with before it goes.
pub const FINALIZER: &str = "waxwing.dev/finalizer";

// On Secrets that the controller makes.

/// Label, value [`SEALED_LABEL_VALUE`]: made by the controller from a `SealedSecret`.
pub const SEALED_LABEL: &str = "waxwing.dev/sealed";
/// The only value of [`SEALED_LABEL`].
pub const SEALED_LABEL_VALUE: &str = "true";
/// Annotation `<SealedSecret uid>/<CRD uid>`: from which `SealedSecret` of which installation.
pub const SEALED_BY_ANNOTATION: &str = "waxwing.dev/sealed-by";
/// Annotation on a Secret that is not ours, value [`ADOPT_ALLOWED`]: consent to be adopted.
pub const ADOPT_ANNOTATION: &str = "waxwing.dev/adopt";
/// The only value of [`ADOPT_ANNOTATION`] that means consent.
pub const ADOPT_ALLOWED: &str = "allowed";
/// How the SealedSecret that made a Secret wants it owned (`Owned`, `Adopt`, `AdoptMerge`, `Orphan`):
/// what decides about the Secret once that SealedSecret is gone.
pub const OWNERSHIP_ANNOTATION: &str = "waxwing.dev/ownership";

// On SealingKeys and on the Secrets that hold private halves.

/// Label of a key Secret: the short key id, 13 characters.
pub const KEY_LABEL: &str = "waxwing.dev/key";
/// Type of a Secret that holds a private sealing key.
pub const SEALING_KEY_TYPE: &str = "waxwing.dev/sealing-key";
/// Data key in a Secret of [`SEALING_KEY_TYPE`]: one identity line in age's form.
pub const SEALING_KEY_DATA: &str = "identity";
/// Type of the Secret that holds the cluster's signer.
pub const SIGNER_TYPE: &str = "waxwing.dev/signer";
/// Data key in a Secret of [`SIGNER_TYPE`]: a private key in OpenSSH's form.
pub const SIGNER_DATA: &str = "ssh-privatekey";
/// Secret types under this prefix are never written from a `SealedSecret`.
pub const RESERVED_TYPE_PREFIX: &str = "waxwing.dev/";
/// Annotation of a `SealingKey`: a key administrator asks for a rotation; the value is a time.
pub const ROTATE_ANNOTATION: &str = "waxwing.dev/rotate";
/// Annotation of a `SealingKey`: a key administrator asks for a state (`DecryptOnly`, `Retired`, `Compromised`). On a key
/// Secret: the state that the key is in, the source of truth.
pub const STATE_ANNOTATION: &str = "waxwing.dev/state";
/// Annotation of a `SealingKey` and of its Secret, kept by the controller: values in this cluster depend on the key.
pub const IN_USE_ANNOTATION: &str = "waxwing.dev/in-use";
/// Annotation of a key Secret: when it was last backed up.
pub const BACKED_UP_ANNOTATION: &str = "waxwing.dev/backed-up";
/// On a key Secret: the sequence number of the attestation of its present state.
pub const SEQUENCE_ANNOTATION: &str = "waxwing.dev/sequence";
/// On a key Secret: fingerprint of the key that was Active before this one.
pub const PREVIOUS_KEY_ANNOTATION: &str = "waxwing.dev/previous-key";
/// On a key Secret: when the key was made, `YYYY-MM-DDTHH:MM:SSZ`.
pub const CREATED_AT_ANNOTATION: &str = "waxwing.dev/created-at";

// On any object in Git: per-object policy. Not built yet: an error of the plan that names file and key.

/// `Merge`, `IfNotPresent` or `Ignore`.
pub const APPLY_ANNOTATION: &str = "waxwing.dev/apply";
/// `disabled` or `confirm`.
pub const PRUNE_ANNOTATION: &str = "waxwing.dev/prune";
/// `enabled`: delete and create where a field is immutable.
pub const FORCE_ANNOTATION: &str = "waxwing.dev/force";
/// Order inside a stage, an integer.
pub const WAVE_ANNOTATION: &str = "waxwing.dev/wave";
/// `disabled`: do not roll this workload when a Secret or `ConfigMap` that it uses changes.
pub const RESTART_ON_CHANGE_ANNOTATION: &str = "waxwing.dev/restart-on-change";
/// On a pod template, written by the controller: keyed hash of the content that the workload uses.
pub const CONTENT_ANNOTATION: &str = "waxwing.dev/content";
/// Per-object annotations of ours, in the order of `docs/manifestsync.md`.
pub const OBJECT_ANNOTATIONS: [&str; 5] = [
    APPLY_ANNOTATION,
    PRUNE_ANNOTATION,
    FORCE_ANNOTATION,
    WAVE_ANNOTATION,
    RESTART_ON_CHANGE_ANNOTATION,
];
/// Per-object annotations of Argo CD and Flux that are read as aliases of ours.
pub const OBJECT_ANNOTATION_ALIASES: [&str; 7] = [
    "argocd.argoproj.io/sync-wave",
    "argocd.argoproj.io/hook",
    "argocd.argoproj.io/sync-options",
    "kustomize.toolkit.fluxcd.io/prune",
    "kustomize.toolkit.fluxcd.io/ssa",
    "kustomize.toolkit.fluxcd.io/force",
    "kustomize.toolkit.fluxcd.io/reconcile",
];

// Server-side apply.

/// Field manager of Secrets made from `SealedSecrets`.
pub const UNSEAL_MANAGER: &str = "waxwing-unseal";
/// Field manager of the controller's own objects: `SealingKeys`, key Secrets, status, finalizers.
pub const CONTROLLER_MANAGER: &str = "waxwing-controller";
/// Field managers of syncs: this, followed by the first 12 characters of the hash in the `ApplySet` id.
pub const SYNC_MANAGER_PREFIX: &str = "waxwing-sync:";
/// Longest `fieldManager` that an API server takes, in bytes.
pub const FIELD_MANAGER_LIMIT: usize = 128;

// Membership: KEP-3659, `ApplySet`.

/// Label of a member: the `ApplySet` that it belongs to.
pub const APPLYSET_PART_OF_LABEL: &str = "applyset.kubernetes.io/part-of";
/// Label of the parent: its `ApplySet` id.
pub const APPLYSET_ID_LABEL: &str = "applyset.kubernetes.io/id";
/// Annotation of the parent: `<tool>/<version>`.
pub const APPLYSET_TOOLING_ANNOTATION: &str = "applyset.kubernetes.io/tooling";
/// Annotation of the parent: `Kind.group`, comma-separated and sorted.
pub const APPLYSET_GROUP_KINDS_ANNOTATION: &str = "applyset.kubernetes.io/contains-group-kinds";
/// Annotation of the parent: namespaces of members other than its own, comma-separated and sorted.
pub const APPLYSET_NAMESPACES_ANNOTATION: &str = "applyset.kubernetes.io/additional-namespaces";
/// Label of a CRD whose objects may be parents.
pub const APPLYSET_PARENT_TYPE_LABEL: &str = "applyset.kubernetes.io/is-parent-type";
/// Names under this prefix are never taken from a template or a tree.
pub const APPLYSET_PREFIX: &str = "applyset.kubernetes.io/";

// Granting impersonation.

/// `ClusterRole` that `deploy/` ships unbound: bound in a namespace by a `RoleBinding`, it lets the controller
/// impersonate that namespace's `ServiceAccounts`.
pub const IMPERSONATE_CLUSTER_ROLE: &str = "waxwing-impersonate";
/// `ClusterRole` that `deploy/` ships unbound: may ask for rotations and key states.
pub const KEY_ADMIN_CLUSTER_ROLE: &str = "waxwing-key-admin";
