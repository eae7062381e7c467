//! What is refused whatever the ciphertext says (api.md, SealedSecret, "Refused"). Pure.

use crds::{SealedSecret, names, reasons::Reason};
use kube::ResourceExt as _;

use super::error::UnsealError;

/// What the controller's flags and configuration allow.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The controller's own namespace: no SealedSecret is opened there.
    pub own_namespace: String,
    /// Service-account-token and bootstrap-token Secrets may be made.
    pub allow_token_types: bool,
    /// Template annotations that make replicators copy the Secret elsewhere are allowed.
    pub allow_replicator_annotations: bool,
    /// Values sealed to a classical (X25519) key are opened.
    pub allow_classical: bool,
}

const TOKEN_TYPES: [&str; 2] = [
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];

/// Annotations by which reflector, kubernetes-replicator and kubed (config-syncer) copy a Secret
/// into other namespaces, where it was not sealed for.
const REPLICATOR_PREFIXES: [&str; 4] = [
    "reflector.v1.k8s.emberstack.com/",
    "replicator.v1.mittwald.de/",
    "kubed.appscode.com/",
    "config-syncer.appscode.com/",
];

const RESERVED_PREFIXES: [&str; 2] = [names::PREFIX, names::APPLYSET_PREFIX];

/// Checks the parts of a SealedSecret that no ciphertext binds.
///
/// # Errors
/// [`Reason::NotBuilt`], [`Reason::ForbiddenNamespace`], [`Reason::ForbiddenType`],
/// [`Reason::ForbiddenMetadata`], each naming the field and why.
pub fn refuse(sealed: &SealedSecret, policy: &Policy) -> Result<(), UnsealError> {
    let namespace = sealed.namespace().unwrap_or_default();
    if namespace == policy.own_namespace {
        return Err(UnsealError::new(
            Reason::ForbiddenNamespace,
            format!(
                "namespace {namespace} holds the controller's own keys: no SealedSecret is opened \
             there; move it to the namespace of the workload that needs it"
            ),
        ));
    }
    let not_built = sealed.spec.not_built_yet();
    if !not_built.is_empty() {
        return Err(UnsealError::new(
            Reason::NotBuilt,
            format!(
                "this version does not do {}: remove it, or upgrade the controller",
                not_built.join(", ")
            ),
        ));
    }
    let template = &sealed.spec.template;
    let secret_type = template.type_.as_deref().unwrap_or("Opaque");
    if secret_type.starts_with(names::RESERVED_TYPE_PREFIX) {
        return Err(UnsealError::new(
            Reason::ForbiddenType,
            format!("spec.template.type {secret_type:?} is reserved for the controller's own keys"),
        ));
    }
    if TOKEN_TYPES.contains(&secret_type) && !policy.allow_token_types {
        return Err(UnsealError::new(
            Reason::ForbiddenType,
            format!(
                "spec.template.type {secret_type:?} would make credentials of this cluster; an \
             administrator can allow it with allowTokenTypes: true in the controller's configuration"
            ),
        ));
    }
    let metadata = &template.metadata;
    let labels = metadata.labels.keys().map(|key| ("labels", key));
    let annotations = metadata.annotations.keys().map(|key| ("annotations", key));
    for (field, key) in labels.chain(annotations) {
        if RESERVED_PREFIXES
            .iter()
            .any(|prefix| key.starts_with(prefix))
        {
            return Err(UnsealError::new(
                Reason::ForbiddenMetadata,
                format!(
                    "spec.template.metadata.{field}[{key:?}] is reserved: remove it from the template"
                ),
            ));
        }
        if !policy.allow_replicator_annotations
            && REPLICATOR_PREFIXES
                .iter()
                .any(|prefix| key.starts_with(prefix))
        {
            return Err(UnsealError::new(
                Reason::ForbiddenMetadata,
                format!(
                    "spec.template.metadata.{field}[{key:?}] would have the Secret copied to where it \
                 was not sealed for; an administrator can allow it with \
                 allowReplicatorAnnotations: true in the controller's configuration"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(change: impl FnOnce(&mut SealedSecret)) -> SealedSecret {
        let mut sealed = SealedSecret::new("db", crds::SealedSecretSpec::default());
        sealed.metadata.namespace = Some("payments".into());
        change(&mut sealed);
        sealed
    }

    fn reason(policy: &Policy, change: impl FnOnce(&mut SealedSecret)) -> Option<Reason> {
        refuse(&sealed(change), policy)
            .err()
            .map(|error| error.reason)
    }

    #[test]
    fn the_controllers_namespace_and_types_are_refused() {
        let policy = Policy {
            own_namespace: "payments".into(),
            ..Policy::default()
        };
        assert_eq!(reason(&policy, |_| ()), Some(Reason::ForbiddenNamespace));
        let policy = Policy::default();
        assert_eq!(reason(&policy, |_| ()), None);
        let of_type = |text: &'static str| {
            move |s: &mut SealedSecret| s.spec.template.type_ = Some(text.into())
        };
        assert_eq!(
            reason(&policy, of_type("waxwing.dev/sealing-key")),
            Some(Reason::ForbiddenType)
        );
        for token in TOKEN_TYPES {
            assert_eq!(reason(&policy, of_type(token)), Some(Reason::ForbiddenType));
            let allowed = Policy {
                allow_token_types: true,
                ..Policy::default()
            };
            assert_eq!(reason(&allowed, of_type(token)), None);
        }
    }

    #[test]
    fn reserved_and_replicating_metadata_is_refused() {
        let policy = Policy::default();
        let labelled = |key: &'static str| {
            move |s: &mut SealedSecret| {
                s.spec
                    .template
                    .metadata
                    .labels
                    .insert(key.into(), "x".into());
            }
        };
        let annotated = |key: &'static str| {
            move |s: &mut SealedSecret| {
                s.spec
                    .template
                    .metadata
                    .annotations
                    .insert(key.into(), "x".into());
            }
        };
        assert_eq!(reason(&policy, labelled("app")), None);
        assert_eq!(
            reason(&policy, labelled("waxwing.dev/sealed")),
            Some(Reason::ForbiddenMetadata)
        );
        assert_eq!(
            reason(&policy, annotated("waxwing.dev/sealed-by")),
            Some(Reason::ForbiddenMetadata)
        );
        assert_eq!(
            reason(&policy, labelled("applyset.kubernetes.io/part-of")),
            Some(Reason::ForbiddenMetadata)
        );
        let reflector = "reflector.v1.k8s.emberstack.com/reflection-allowed";
        assert_eq!(
            reason(&policy, annotated(reflector)),
            Some(Reason::ForbiddenMetadata)
        );
        let allowed = Policy {
            allow_replicator_annotations: true,
            ..Policy::default()
        };
        assert_eq!(reason(&allowed, annotated(reflector)), None);
    }
}
