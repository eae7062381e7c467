//! The binding: where an envelope claims to belong, in words that need no key.

use std::fmt;

use crate::place::{Place, Scope, is_name, is_namespace, is_secret_type};

/// A claim. What counts is the header, which is built from the object's own place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) scope: Scope,
    /// Empty for cluster scope.
    pub(crate) namespace: String,
    /// Empty for namespace and cluster scope.
    pub(crate) name: String,
    pub(crate) secret_type: String,
}

impl Binding {
    /// What an envelope of this scope binds of a place.
    pub(crate) fn of(scope: Scope, place: &Place) -> Self {
        let (namespace, name) = match scope {
            Scope::Strict => (place.namespace(), place.name()),
            Scope::Namespace => (place.namespace(), ""),
            Scope::Cluster => ("", ""),
        };
        Self {
            scope,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            secret_type: place.secret_type().to_owned(),
        }
    }

    /// The facts of a binding when they are what this scope binds: names that it does not bind are
    /// empty, the others are not.
    pub(crate) fn new(
        scope: Scope,
        namespace: &str,
        name: &str,
        secret_type: &str,
    ) -> Option<Self> {
        let fits = match scope {
            Scope::Strict => is_namespace(namespace) && is_name(name),
            Scope::Namespace => is_namespace(namespace) && name.is_empty(),
            Scope::Cluster => namespace.is_empty() && name.is_empty(),
        };
        (fits && is_secret_type(secret_type)).then(|| Self {
            scope,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            secret_type: secret_type.to_owned(),
        })
    }

    /// Reads `strict:<namespace>/<name>:<type>`, `namespace:<namespace>:<type>` or `cluster:<type>`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scope, rest) = text.split_once(':')?;
        match scope.parse().ok()? {
            Scope::Strict => {
                let (names, secret_type) = rest.split_once(':')?;
                let (namespace, name) = names.split_once('/')?;
                Self::new(Scope::Strict, namespace, name, secret_type)
            }
            Scope::Namespace => {
                let (namespace, secret_type) = rest.split_once(':')?;
                Self::new(Scope::Namespace, namespace, "", secret_type)
            }
            Scope::Cluster => Self::new(Scope::Cluster, "", "", rest),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            namespace,
            name,
            secret_type,
        } = self;
        match scope {
            Scope::Strict => write!(f, "{scope}:{namespace}/{name}:{secret_type}"),
            Scope::Namespace => write!(f, "{scope}:{namespace}:{secret_type}"),
            Scope::Cluster => write!(f, "{scope}:{secret_type}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_have_one_spelling() {
        for text in [
            "strict:payments/db-credentials:Opaque",
            "strict:a/b.c:kubernetes.io/tls",
            "namespace:payments:Opaque",
            "cluster:kubernetes.io/dockerconfigjson",
        ] {
            assert_eq!(
                Binding::parse(text).map(|b| b.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in [
            "",
            "strict",
            "strict:",
            "strict:a/b",
            "strict:a/b:",
            "strict:/b:Opaque",
            "strict:a/:Opaque",
            "strict:a:Opaque",
            "Strict:a/b:Opaque",
            "strict:A/b:Opaque",
            "strict:a/b:Opaque:",
            "strict:a/b/c:Opaque",
            " strict:a/b:Opaque",
            "strict:a/b:Opaque\n",
            "namespace::Opaque",
            "namespace:a/b:Opaque",
            "cluster:",
            "cluster:a:Opaque",
            "other:a/b:Opaque",
        ] {
            assert_eq!(Binding::parse(text), None, "{text:?}");
        }
    }
}
