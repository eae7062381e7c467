//! What makes a JSON value a Kubernetes object.

use serde_json::Value;

use super::Reason;
use crate::ObjectId;

/// The identity of an object, or what is missing and the path of the key nearest to where it is missing.
pub(super) fn identity(value: &Value) -> Result<ObjectId, (Reason, Vec<&'static str>)> {
    if !value.is_object() {
        return Err((Reason::NotAMapping, Vec::new()));
    }
    let api_version = required(value, "apiVersion")?;
    let kind = required(value, "kind")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if version.is_empty()
        || version.contains('/')
        || (group.is_empty() && api_version.contains('/'))
    {
        return Err((Reason::ApiVersion, vec!["apiVersion"]));
    }
    let metadata = &value["metadata"];
    let name = match &metadata["name"] {
        Value::String(name) if !name.is_empty() => name.clone(),
        Value::Null | Value::String(_) => {
            let generates = metadata["generateName"]
                .as_str()
                .is_some_and(|prefix| !prefix.is_empty());
            let reason = if generates {
                Reason::GenerateName
            } else {
                Reason::Missing("metadata.name")
            };
            return Err((
                reason,
                vec!["metadata", if generates { "generateName" } else { "name" }],
            ));
        }
        _ => {
            return Err((
                Reason::NotText("metadata.name".to_owned()),
                vec!["metadata", "name"],
            ));
        }
    };
    let namespace = match &metadata["namespace"] {
        Value::Null => None,
        Value::String(namespace) => {
            Some(namespace.clone()).filter(|namespace| !namespace.is_empty())
        }
        _ => {
            return Err((
                Reason::NotText("metadata.namespace".to_owned()),
                vec!["metadata", "namespace"],
            ));
        }
    };
    Ok(ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        namespace,
        name,
    })
}

/// The first label or annotation that is not text: kubectl refuses the whole object for it.
pub(super) fn labels_that_are_not_text(value: &Value) -> Option<(Reason, Vec<&str>)> {
    ["labels", "annotations"].into_iter().find_map(|field| {
        let (key, _) = value["metadata"][field]
            .as_object()?
            .iter()
            .find(|(_, value)| !value.is_string() && !value.is_null())?;
        Some((
            Reason::NotText(format!("metadata.{field}[{key:?}]")),
            vec!["metadata", field, key.as_str()],
        ))
    })
}

/// Whether kubectl takes `value` for a list: it has `apiVersion`, `kind`, and `items` that are a list.
pub(super) fn list_items(value: &mut Value) -> Option<(String, String, Vec<Value>)> {
    let kind = value["kind"].as_str()?.to_owned();
    let api_version = value["apiVersion"].as_str()?.to_owned();
    match value.get_mut("items") {
        Some(Value::Array(items)) => Some((api_version, kind, std::mem::take(items))),
        Some(Value::Null) if kind.ends_with("List") => Some((api_version, kind, Vec::new())),
        _ => None,
    }
}

/// An item of a typed list (`SecretList`) may leave out what its list says: kubectl fills in both when it says neither.
pub(super) fn infer_type(item: &mut Value, list_api_version: &str, list_kind: &str) {
    let Some(item_kind) = list_kind
        .strip_suffix("List")
        .filter(|kind| !kind.is_empty())
    else {
        return;
    };
    let says = |field: &str| item[field].as_str().is_some_and(|text| !text.is_empty());
    if says("kind") || says("apiVersion") {
        return;
    }
    if let Value::Object(fields) = item {
        fields.insert("apiVersion".to_owned(), Value::from(list_api_version));
        fields.insert("kind".to_owned(), Value::from(item_kind));
    }
}

fn required<'a>(
    value: &'a Value,
    field: &'static str,
) -> Result<&'a str, (Reason, Vec<&'static str>)> {
    match &value[field] {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Null | Value::String(_) => Err((Reason::Missing(field), vec![field])),
        _ => Err((Reason::NotText(field.to_owned()), vec![field])),
    }
}
