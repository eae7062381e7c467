//! Objects that `kubectl apply` made before a sync came: their fields become ours, once.
//!
//! Server-side apply alone never removes what another manager owns. Without this, a field that `kubectl apply` once
//! wrote and Git no longer names would stay for ever. So before our first apply to such an object, what `kubectl`
//! owns is made ours; the apply that follows drops what Git does not name, as `kubectl apply` itself would.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use super::members::ApplySet;

/// Field managers of `kubectl apply`, of the client and of the server side. People who edit by hand have others.
const KUBECTL: [&str; 2] = ["kubectl-client-side-apply", "kubectl"];

/// The JSON patch (RFC 6902) that makes `kubectl`'s fields ours; `None` where there is nothing to take over, or we
/// have applied the object before. It fails when the object has changed since `live` was read.
pub fn patch(live: &ObjectMeta, set: &ApplySet) -> Option<Value> {
    let entries = live.managed_fields.as_deref()?;
    if set.entries(live).next().is_some() || !entries.iter().any(is_kubectl) {
        return None;
    }
    let mut kept: Vec<ManagedFieldsEntry> = Vec::new();
    let mut ours: Vec<ManagedFieldsEntry> = Vec::new();
    for entry in entries {
        if !is_kubectl(entry) {
            kept.push(entry.clone());
            continue;
        }
        match ours
            .iter_mut()
            .find(|ours| ours.api_version == entry.api_version)
        {
            Some(ours) => unite(ours, entry),
            None => ours.push(ManagedFieldsEntry {
                manager: Some(set.manager().to_owned()),
                operation: Some("Apply".to_owned()),
                ..entry.clone()
            }),
        }
    }
    kept.extend(ours);
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": live.resource_version},
        {"op": "replace", "path": "/metadata/managedFields", "value": kept},
    ]))
}

fn is_kubectl(entry: &ManagedFieldsEntry) -> bool {
    entry
        .manager
        .as_deref()
        .is_some_and(|manager| KUBECTL.contains(&manager))
        && entry.subresource.as_deref().unwrap_or("").is_empty()
}

fn unite(into: &mut ManagedFieldsEntry, from: &ManagedFieldsEntry) {
    let Some(from) = &from.fields_v1 else { return };
    match &mut into.fields_v1 {
        Some(into) => merge(&mut into.0, &from.0),
        none => *none = Some(FieldsV1(from.0.clone())),
    }
}

fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        for (key, value) in from {
            match into.get_mut(key) {
                Some(present) => merge(present, value),
                None => {
                    into.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(entries: &Value) -> ObjectMeta {
        serde_json::from_value(
            json!({"name": "web", "resourceVersion": "7", "managedFields": entries}),
        )
        .unwrap()
    }

    #[test]
    fn what_kubectl_owns_becomes_ours_and_nothing_else() {
        let set = ApplySet::of("team-a", "app");
        let patch = patch(
            &live(&json!([
                {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:a": {}}}},
                {"manager": "kubectl", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:data": {"f:b": {}}}},
                {"manager": "kubectl", "operation": "Update", "subresource": "scale", "apiVersion": "v1", "fieldsV1": {"f:x": {}}},
                {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:c": {}}}},
            ])),
            &set,
        )
        .unwrap();
        assert_eq!(
            patch[0],
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"})
        );
        let entries = patch[1]["value"].as_array().unwrap();
        let owners: Vec<&Value> = entries.iter().map(|entry| &entry["manager"]).collect();
        assert_eq!(owners, ["kubectl", "kubectl-edit", set.manager()]);
        assert_eq!(entries[0]["subresource"], "scale", "not an apply");
        assert_eq!(
            entries[2]["fieldsV1"],
            json!({"f:data": {"f:a": {}, "f:b": {}}})
        );
        assert_eq!(entries[2]["operation"], "Apply");
    }

    #[test]
    fn it_is_done_once_and_only_where_kubectl_applied() {
        let set = ApplySet::of("team-a", "app");
        let kubectl = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:a": {}}});
        let ours = json!({"manager": set.manager(), "operation": "Apply", "fieldsV1": {"f:a": {}}});
        assert!(patch(&live(&json!([kubectl])), &set).is_some());
        assert!(
            patch(&live(&json!([kubectl, ours])), &set).is_none(),
            "we applied it before"
        );
        let edited =
            json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:a": {}}});
        assert!(patch(&live(&json!([edited])), &set).is_none());
        assert!(patch(&ObjectMeta::default(), &set).is_none());
    }
}
