//! Where a value belongs: scope, namespace, name and Secret type.

use std::fmt;
use std::str::FromStr;

use crate::text::shown;

/// The type of a Secret that names none.
const DEFAULT_TYPE: &str = "Opaque";

/// How narrowly a value is bound to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// To namespace, name and type: the default.
    Strict,
    /// To namespace and type: the object may be renamed.
    Namespace,
    /// To the type only: the object may be moved anywhere.
    Cluster,
}

impl Scope {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Strict => 1,
            Self::Namespace => 2,
            Self::Cluster => 3,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Strict, Self::Namespace, Self::Cluster]
            .into_iter()
            .find(|scope| scope.number() == number)
    }
}

impl FromStr for Scope {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text {
            "strict" => Ok(Self::Strict),
            "namespace" => Ok(Self::Namespace),
            "cluster" => Ok(Self::Cluster),
            _ => Err(PlaceError::Scope(shown(text))),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
        })
    }
}

/// Why a place was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Not a name that a Secret can have.
    #[error(
        "{0:?} is not a name that a Secret can have: 1 to 253 of a-z, 0-9, `-` and `.`, where each part between dots starts and ends with a letter or digit"
    )]
    Name(String),
    /// Not a name that a namespace can have.
    #[error(
        "{0:?} is not a name that a namespace can have: 1 to 63 of a-z, 0-9 and `-`, starting and ending with a letter or digit"
    )]
    Namespace(String),
    /// Not a scope.
    #[error("{0:?} is not a scope: use strict, namespace or cluster")]
    Scope(String),
    /// Not a Secret type.
    #[error(
        "{0:?} is not a Secret type: 1 to 253 of A-Z, a-z, 0-9, `.`, `_`, `/` and `-`; leave it out for Opaque"
    )]
    SecretType(String),
}

/// Namespace, name and type of an object, each of the grammar that Kubernetes has for it.
///
/// Namespace and name may be empty (a manifest without a namespace); what a scope needs is checked
/// when something is sealed with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    namespace: String,
    name: String,
    secret_type: String,
}

impl Place {
    /// Checks the grammar of each; the type is `Opaque` when there is none.
    pub fn new(namespace: &str, name: &str, secret_type: Option<&str>) -> Result<Self, PlaceError> {
        let secret_type = secret_type.unwrap_or(DEFAULT_TYPE);
        if !namespace.is_empty() && !is_namespace(namespace) {
            return Err(PlaceError::Namespace(shown(namespace)));
        }
        if !name.is_empty() && !is_name(name) {
            return Err(PlaceError::Name(shown(name)));
        }
        if !is_secret_type(secret_type) {
            return Err(PlaceError::SecretType(shown(secret_type)));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            secret_type: secret_type.to_owned(),
        })
    }

    /// The namespace; may be empty.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type; never empty.
    pub fn secret_type(&self) -> &str {
        &self.secret_type
    }
}

/// RFC 1123 label.
pub(crate) fn is_namespace(text: &str) -> bool {
    is_dns_part(text) && text.len() <= 63
}

/// RFC 1123 subdomain.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_part)
}

pub(crate) fn is_secret_type(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(
            |b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-'),
        )
}

fn is_dns_part(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_the_grammar_of_kubernetes() {
        for (namespace, name, secret_type) in [
            ("payments", "db-credentials", None),
            ("", "", None),
            ("0", "a.b-c.0", Some("kubernetes.io/tls")),
            (&"n".repeat(63), &"x".repeat(253), Some(&*"T".repeat(253))),
        ] {
            assert!(
                Place::new(namespace, name, secret_type).is_ok(),
                "{namespace} {name} {secret_type:?}"
            );
        }
        for namespace in [
            "A",
            "-a",
            "a-",
            "a.b",
            "a_b",
            "é",
            " ",
            "a\n",
            &"n".repeat(64),
        ] {
            assert_eq!(
                Place::new(namespace, "n", None),
                Err(PlaceError::Namespace(namespace.to_owned()))
            );
        }
        for name in [
            "A",
            "-a",
            "a-",
            "a..b",
            ".a",
            "a.",
            "a_b",
            "a/b",
            "é",
            &"x".repeat(254),
        ] {
            assert_eq!(
                Place::new("n", name, None),
                Err(PlaceError::Name(name.to_owned()))
            );
        }
        for secret_type in ["", "a b", "a:b", "é", &"T".repeat(254)] {
            assert_eq!(
                Place::new("n", "n", Some(secret_type)),
                Err(PlaceError::SecretType(secret_type.to_owned()))
            );
        }
        assert_eq!(Place::new("n", "n", None).unwrap().secret_type(), "Opaque");
    }
}
