//! A Secret of a manifest, taken apart: its values, and what remains of it as a template.

use base64ct::{Base64, Encoding};
use crds::{Template, TemplateMetadata, names};
use manifests::{Location, Object};
use sealing::{EntryKey, Plaintext};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::values::{Values, trimmed};
use crate::{
    error::{Code, CommandError},
    session::Session,
};

/// The annotation in which client-side `kubectl apply` keeps the whole object, values included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields that only a live object has; a manifest that was copied out of a cluster carries them along.
const SERVER_SIDE: [&str; 6] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
];

/// Annotations that make other controllers copy a Secret; ours refuses to write them unless it is told otherwise.
const REPLICATORS: [&str; 3] = [
    "reflector.v1.k8s.emberstack.com/",
    "kubed.appscode.com/",
    "replicator.v1.mittwald.de/",
];

/// The parts of a Secret.
pub struct Parts {
    /// `data` decoded, with `stringData` over it.
    pub values: Values,
    /// Labels, annotations, type and `immutable`.
    pub template: Template,
}

/// Whether this is a core Secret.
pub fn is_secret(object: &Object) -> bool {
    object.id.kind == "Secret" && object.id.group.is_empty()
}

/// Whether it carries any value.
pub fn has_values(object: &Object) -> bool {
    ["data", "stringData"]
        .iter()
        .any(|field| match object.value.get(*field) {
            None | Some(Value::Null) => false,
            Some(Value::Object(map)) => !map.is_empty(),
            Some(_) => true,
        })
}

/// Takes it apart as the API server would read it.
pub fn take_apart(
    object: &Object,
    trim: bool,
    session: &mut Session,
) -> Result<Parts, CommandError> {
    let mut values = Values::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        for (key, value) in mapping(object, &[field])?.into_iter().flatten() {
            let at = object.location_of(&[field, key]);
            let entry = EntryKey::new(key).map_err(|error| bad(&at, object, &error.to_string()))?;
            let bytes = match value {
                Value::Null => Zeroizing::default(),
                Value::String(text) if encoded => decode(text).ok_or_else(|| {
                    bad(&at, object, &format!("data.{key} is not base64"))
                        .hint("put text that is not encoded under stringData")
                })?,
                Value::String(text) => Zeroizing::new(text.as_bytes().to_vec()),
                _ => {
                    return Err(bad(&at, object, &format!("{field}.{key} is not a string"))
                        .hint("put quotes around it: Kubernetes takes only strings here"));
                }
            };
            values.insert(
                entry,
                Plaintext::new(if trim { trimmed(bytes) } else { bytes }),
            );
        }
    }
    let secret_type = match object.value.get("type") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            return Err(bad(
                &object.location_of(&["type"]),
                object,
                "type is not a string",
            ));
        }
    };
    let immutable = match object.value.get("immutable") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(immutable)) => Some(*immutable),
        Some(_) => {
            return Err(bad(
                &object.location_of(&["immutable"]),
                object,
                "immutable is not true or false",
            ));
        }
    };
    let metadata = TemplateMetadata {
        labels: strings(object, "labels")?,
        annotations: strings(object, "annotations")?,
    };
    look_at_metadata(object, &metadata, session);
    Ok(Parts {
        values,
        template: Template {
            metadata,
            type_: secret_type,
            immutable,
            ..Template::default()
        },
    })
}

/// An error about an object of a manifest, with its place.
pub fn bad(at: &Location, object: &Object, why: &str) -> CommandError {
    CommandError::new(Code::BadSecret, format!("{at}: {}: {why}", object.id))
}

/// Wipes every string of a value that we own.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mapping<'a>(
    object: &'a Object,
    path: &[&str],
) -> Result<Option<&'a Map<String, Value>>, CommandError> {
    let mut value = &object.value;
    for name in path {
        match value.get(*name) {
            None | Some(Value::Null) => return Ok(None),
            Some(inner) => value = inner,
        }
    }
    match value {
        Value::Object(map) => Ok(Some(map)),
        _ => Err(bad(
            &object.location_of(path),
            object,
            &format!("{} is not a mapping", path.join(".")),
        )),
    }
}

/// Labels or annotations of the Secret that its template keeps: what speaks about the object in Git stays behind on
/// the `SealedSecret`, and what the controller refuses on a Secret does not go there.
fn strings(
    object: &Object,
    field: &str,
) -> Result<std::collections::BTreeMap<String, String>, CommandError> {
    let mut kept = std::collections::BTreeMap::new();
    for (name, value) in mapping(object, &["metadata", field])?.into_iter().flatten() {
        let Value::String(text) = value else {
            let at = object.location_of(&["metadata", field, name]);
            return Err(bad(
                &at,
                object,
                &format!("the value of {name} under metadata.{field} is not a string"),
            ));
        };
        let about_git = name.starts_with(names::PREFIX)
            || name.starts_with(names::APPLYSET_PREFIX)
            || names::OBJECT_ANNOTATION_ALIASES.contains(&name.as_str());
        if !about_git && name != LAST_APPLIED {
            kept.insert(name.clone(), text.clone());
        }
    }
    Ok(kept)
}

fn look_at_metadata(object: &Object, template: &TemplateMetadata, session: &mut Session) {
    let Some(metadata) = object.value.get("metadata").and_then(Value::as_object) else {
        return;
    };
    let live: Vec<&str> = SERVER_SIDE
        .into_iter()
        .filter(|field| metadata.get(*field).is_some_and(|value| !value.is_null()))
        .collect();
    if !live.is_empty() {
        session.output.warn(&format!(
            "{}: {}: metadata was copied from a live object ({}); remove it, or applying fails",
            object.location,
            object.id,
            live.join(", ")
        ));
    }
    if metadata
        .get("ownerReferences")
        .is_some_and(|value| !value.is_null())
    {
        session.output.warn(&format!(
            "{}: {}: metadata.ownerReferences stays on the SealedSecret, which would be deleted with that owner",
            object.location, object.id
        ));
    }
    if let Some(name) = template
        .annotations
        .keys()
        .find(|name| REPLICATORS.iter().any(|prefix| name.starts_with(prefix)))
    {
        session.output.warn(&format!(
            "{}: {}: the controller writes the annotation {name} only when its configuration sets allowReplicatorAnnotations",
            object.location, object.id
        ));
    }
}

/// Standard base64 with padding; line breaks inside are allowed, as the API server allows them.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    plain.extend(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    let mut decoded = Zeroizing::new(vec![0; plain.len() / 4 * 3 + 3]);
    let length = Base64::decode(plain.as_slice(), &mut decoded).ok()?.len();
    decoded.truncate(length);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_the_api_server_reads_it() {
        assert_eq!(
            decode("aHVudGVy\nMg==\n").as_deref().map(Vec::as_slice),
            Some(b"hunter2".as_slice())
        );
        assert_eq!(
            decode("").as_deref().map(Vec::as_slice),
            Some(b"".as_slice())
        );
        assert!(decode("hunter2").is_none());
        assert!(decode("aHVudGVyMg").is_none());
    }

    #[test]
    fn wiping_reaches_every_string() {
        let mut value =
            serde_json::json!({ "a": "secret", "b": ["secret", { "c": "secret" }], "d": 1 });
        wipe(&mut value);
        assert_eq!(
            value,
            serde_json::json!({ "a": "", "b": ["", { "c": "" }], "d": 1 })
        );
    }
}
