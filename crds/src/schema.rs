//! Pieces of schema that several kinds share.

use serde::Serialize;

/// Pattern of a duration: Go's form without sign, as `metav1.Duration`, bounded so that it cannot overflow.
pub(crate) const DURATION: &str = r"^([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$";
/// Pattern of a Secret's type.
pub(crate) const SECRET_TYPE: &str = r"^[A-Za-z0-9._/-]+$";
/// Pattern of an RFC 1123 subdomain: names of most objects.
pub(crate) const SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Pattern of an RFC 1123 label: names of namespaces.
pub(crate) const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Whether a value is its type's default, for fields that are not written then.
pub(crate) fn is_default<T: Default + PartialEq + Serialize>(value: &T) -> bool {
    *value == T::default()
}
