//! Where a value belongs.
use std::fmt;
use std::str::FromStr;

/// How narrowly a value is bound to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Namespace and name.
    Strict = 1,
    /// Namespace only.
    Namespace = 2,
    /// Neither.
    Cluster = 3,
}
impl FromStr for Scope { type Err = PlaceError; fn from_str(s: &str) -> Result<Self, PlaceError> { match s { "strict" => Ok(Self::Strict), "namespace" => Ok(Self::Namespace), "cluster" => Ok(Self::Cluster), _ => Err(PlaceError::Scope(s.to_owned())) } } }
impl fmt::Display for Scope { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(match self { Self::Strict => "strict", Self::Namespace => "namespace", Self::Cluster => "cluster" }) } }

/// Why a place was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Not a scope.
    #[error("{0:?} is not a scope: strict, namespace or cluster")]
    Scope(String),
    /// Not a namespace.
    #[error("{0:?} is not a namespace: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit")]
    Namespace(String),
    /// Not a name.
    #[error("{0:?} is not a name of a Secret: 1 to 253 of a-z, 0-9, '-' and '.', each part starting and ending with a letter or digit")]
    Name(String),
    /// Not a type.
    #[error("{0:?} is not a Secret type: 1 to 253 of A-Z, a-z, 0-9 and '._/-' (leave it out for Opaque)")]
    SecretType(String),
}

/// Namespace, name and type of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place { namespace: String, name: String, secret_type: String }
impl Place {
    /// Checks the grammar.
    pub fn new(namespace: &str, name: &str, secret_type: Option<&str>) -> Result<Self, PlaceError> {
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), secret_type: secret_type.unwrap_or("Opaque").to_owned() })
    }
    /// Namespace, may be empty.
    pub fn namespace(&self) -> &str { &self.namespace }
    /// Name, may be empty.
    pub fn name(&self) -> &str { &self.name }
    /// Type.
    pub fn secret_type(&self) -> &str { &self.secret_type }
}
