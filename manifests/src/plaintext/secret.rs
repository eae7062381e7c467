//! Plaintext in Secrets and beside sealed values.

use crate::{Location, Object, ObjectId};

/// An object that carries plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaintextSecret {
    /// The object.
    pub object: ObjectId,
    /// What in it is plaintext, in the order of the file.
    pub keys: Vec<PlaintextKey>,
}

/// One value in plaintext: where, never what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaintextKey {
    /// Path of the key, such as `data.password`.
    pub path: String,
    /// The key itself, such as `password`.
    pub key: String,
    /// Where the key stands.
    pub location: Location,
}

/// What in `object` is plaintext, if anything.
pub fn plaintext_secret(object: &Object) -> Option<PlaintextSecret> {
    let _ = object;
    None
}
