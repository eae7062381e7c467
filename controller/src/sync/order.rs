//! In which order the objects of a revision are written, and, backwards, pruned.
//!
//! Stages follow what needs what: a namespace and a definition before what lies in them, rights before the
//! accounts that use them, Secrets and ConfigMaps before the workloads that read them, admission webhooks after
//! everything that they could refuse. Inside a stage, ranks keep apart what would otherwise fail or flap once.

/// The part of a pass in which an object is written. Everything of one stage stands before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `CustomResourceDefinition`s and Namespaces: waited for before the next stage.
    Definitions,
    /// Classes, quotas, service accounts, RBAC.
    Rules,
    /// Secrets, SealedSecrets, ConfigMaps.
    Inputs,
    /// Workloads and everything without a stage of its own.
    Everything,
    /// Admission webhooks and policies.
    Admission,
}

/// A stage and the rank inside it: objects of one step are written in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// Position inside the stage, from 0.
    pub rank: u8,
}

impl Step {
    /// The step of objects of this group and kind.
    pub fn of(group: &str, kind: &str) -> Self {
        let (stage, rank) = match (group, kind) {
            ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                (Stage::Definitions, 0)
            }
            // A class is named by what uses it (a claim, a pod, an ingress), whichever group defines it.
            (_, kind) if kind.ends_with("Class") => (Stage::Rules, 0),
            ("", "ResourceQuota" | "LimitRange") => (Stage::Rules, 1),
            ("", "ServiceAccount") => (Stage::Rules, 2),
            ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => (Stage::Rules, 3),
            // A binding is checked against the rules of its role, which must exist by then.
            ("rbac.authorization.k8s.io", _) => (Stage::Rules, 4),
            ("", "Secret" | "ConfigMap") | (crds::names::GROUP, "SealedSecret") => {
                (Stage::Inputs, 0)
            }
            ("admissionregistration.k8s.io", _) => (Stage::Admission, 0),
            ("", "PersistentVolume") => (Stage::Everything, 0),
            ("", "PersistentVolumeClaim")
            | ("policy" | "networking.k8s.io", "PodDisruptionBudget" | "NetworkPolicy") => {
                (Stage::Everything, 1)
            }
            // Before the pods: their environment lists the services that exist when they start.
            ("", "Service" | "Endpoints") | ("discovery.k8s.io", _) => (Stage::Everything, 2),
            ("", "Pod" | "ReplicationController") | ("apps" | "batch", _) => (Stage::Everything, 3),
            ("autoscaling", _) | ("networking.k8s.io", "Ingress") => (Stage::Everything, 4),
            // An aggregated API is answered by workloads of the ranks before it.
            ("apiregistration.k8s.io", _) => (Stage::Everything, 6),
            _ => (Stage::Everything, 5),
        };
        Self { stage, rank }
    }

    /// Whether objects of this kind run what reads Secrets and ConfigMaps, so that pruning waits for them to be
    /// gone before it takes what they read.
    pub fn runs_pods(group: &str, kind: &str) -> bool {
        matches!(
            (group, kind),
            ("", "Pod" | "ReplicationController") | ("apps" | "batch", _)
        )
    }
}

/// Whether objects of this kind hold more than themselves (all objects of a kind, all objects of a namespace,
/// data on disks), so that pruning keeps and names them instead of deleting them.
pub fn kept_by_default(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("apiextensions.k8s.io", "CustomResourceDefinition")
            | (
                "",
                "Namespace" | "PersistentVolume" | "PersistentVolumeClaim"
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(first: (&str, &str), second: (&str, &str)) {
        assert!(
            Step::of(first.0, first.1) < Step::of(second.0, second.1),
            "{first:?} before {second:?}"
        );
    }

    #[test]
    fn what_is_needed_comes_first() {
        before(("", "Namespace"), ("storage.k8s.io", "StorageClass"));
        before(
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("waxwing.dev", "SealedSecret"),
        );
        before(
            ("", "ServiceAccount"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
        );
        before(
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
        );
        before(
            ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
            ("", "Secret"),
        );
        before(("", "ConfigMap"), ("apps", "Deployment"));
        before(("waxwing.dev", "SealedSecret"), ("batch", "Job"));
        before(("", "Service"), ("apps", "StatefulSet"));
        before(
            ("apps", "Deployment"),
            ("apiregistration.k8s.io", "APIService"),
        );
        before(
            ("example.org", "Widget"),
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
            ),
        );
    }

    #[test]
    fn secrets_sealed_secrets_and_config_maps_share_a_step() {
        let secret = Step::of("", "Secret");
        assert_eq!(secret, Step::of("waxwing.dev", "SealedSecret"));
        assert_eq!(secret, Step::of("", "ConfigMap"));
    }

    #[test]
    fn a_kind_of_the_same_name_in_another_group_is_not_taken_for_a_builtin() {
        assert_eq!(
            Step::of("example.org", "Namespace").stage,
            Stage::Everything
        );
        assert_eq!(Step::of("example.org", "Secret").stage, Stage::Everything);
        assert!(!kept_by_default("example.org", "Namespace"));
    }

    #[test]
    fn definitions_and_data_are_kept() {
        assert!(kept_by_default("", "Namespace"));
        assert!(kept_by_default("", "PersistentVolumeClaim"));
        assert!(kept_by_default(
            "apiextensions.k8s.io",
            "CustomResourceDefinition"
        ));
        assert!(!kept_by_default("", "Secret"));
    }
}
