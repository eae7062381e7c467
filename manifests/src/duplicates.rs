//! The same object twice in one rendering.

use std::collections::BTreeMap;

use crate::{Object, Problem};

/// The objects that stand twice, whatever version of the API they are written in: group, kind, namespace and name are compared. Run it
/// again after default namespaces are set: two objects of which only one names its namespace are different until then.
pub fn duplicates(objects: &[Object]) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for object in objects {
        let id = &object.id;
        let identity = (&id.group, &id.kind, &id.namespace, &id.name);
        match seen.get(&identity) {
            Some(&first) => {
                let second = object.location.clone();
                found.push(Problem::Duplicate {
                    object: Box::new(id.clone()),
                    first: Clone::clone(first),
                    second,
                });
            }
            None => {
                seen.insert(identity, &object.location);
            }
        }
    }
    found
}
