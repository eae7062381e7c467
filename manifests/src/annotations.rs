//! Annotations in Git that ask for a policy on one object.
//!
//! Each is listed here with whether it is built. One that is not is a problem of the rendering, never ignored: a repository that says
//! `prune: disabled` must not lose the object because nobody read it.

use serde_json::Value;

use crate::{Object, Problem};

/// Prefix of the annotations that are the product's own.
pub const OWN_PREFIX: &str = "waxwing.dev/";

/// The annotation in which `kubectl apply` keeps a copy of the whole object, values included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What an annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Policy {
    /// How the object is applied: merged, only if absent, not at all.
    Apply,
    /// Whether it is replaced when a field cannot be changed.
    Force,
    /// That it runs as a hook of a sync.
    Hook,
    /// Several things in one text.
    Options,
    /// Whether it is removed when it leaves Git.
    Prune,
    /// Whether a workload rolls when what it uses changes.
    RestartOnChange,
    /// In which wave it is applied.
    Wave,
}

/// Every policy annotation: the product's own, and those of other tools that repositories already carry.
pub const POLICIES: &[(&str, Policy)] = &[
    ("waxwing.dev/apply", Policy::Apply),
    ("waxwing.dev/force", Policy::Force),
    ("waxwing.dev/prune", Policy::Prune),
    ("waxwing.dev/restart-on-change", Policy::RestartOnChange),
    ("waxwing.dev/wave", Policy::Wave),
    ("argocd.argoproj.io/hook", Policy::Hook),
    ("argocd.argoproj.io/sync-options", Policy::Options),
    ("argocd.argoproj.io/sync-wave", Policy::Wave),
    ("kustomize.toolkit.fluxcd.io/force", Policy::Force),
    ("kustomize.toolkit.fluxcd.io/prune", Policy::Prune),
    ("kustomize.toolkit.fluxcd.io/reconcile", Policy::Apply),
    ("kustomize.toolkit.fluxcd.io/ssa", Policy::Apply),
];

/// The policies that the sync carries out.
pub const BUILT: &[Policy] = &[];

/// Own annotations that are no policy of a sync: they may stand in Git and mean something elsewhere.
const OTHERS: &[&str] = &[
    "adopt",
    "backed-up",
    "content",
    "in-use",
    "reconcile-at",
    "rotate",
    "sealed-by",
    "state",
];

/// The annotations of `object` that ask for what is not built, and own annotations that nothing knows.
pub fn problems(object: &Object) -> Vec<Problem> {
    let Some(annotations) = object.value["metadata"]["annotations"].as_object() else {
        return Vec::new();
    };
    let keys = annotations
        .iter()
        .filter(|(_, value)| !matches!(value, Value::Null))
        .map(|(key, _)| key);
    let problem = |key: &String| {
        let (id, location) = (
            Box::new(object.id.clone()),
            object.location_of(&["metadata", "annotations", key]),
        );
        match POLICIES.iter().find(|(known, _)| known == key) {
            Some((_, policy)) if BUILT.contains(policy) => None,
            Some(_) => Some(Problem::AnnotationNotBuilt {
                object: id,
                key: key.clone(),
                location,
            }),
            None => {
                let own = key.strip_prefix(OWN_PREFIX)?;
                (!OTHERS.contains(&own)).then(|| Problem::AnnotationUnknown {
                    object: id,
                    key: key.clone(),
                    location,
                })
            }
        }
    };
    keys.filter_map(problem).collect()
}
