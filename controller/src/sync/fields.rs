//! Which fields of ours somebody took, and who: read from `managedFields` (KEP-555). Paths only, never values.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

use super::members::ApplySet;

/// Fields that a note names; what is beyond is counted.
const NAMED: usize = 8;

/// What was taken from us on one object, by who did it: `spec.replicas (kubectl-edit)`. Empty when nothing was.
///
/// `live` is the object as it is, `applied` as our apply makes it.
pub fn taken(live: &ObjectMeta, applied: &ObjectMeta, set: &ApplySet) -> Vec<String> {
    let ours = |meta: &ObjectMeta| {
        let mut paths = BTreeSet::new();
        for entry in set.entries(meta) {
            collect(entry, &mut paths);
        }
        paths
    };
    let (had, have) = (ours(applied), ours(live));
    let mut lost: Vec<&String> = had.difference(&have).collect();
    // A map that we own goes with the last field of ours in it: the field says more.
    let all = lost.clone();
    lost.retain(|path| {
        !all.iter()
            .any(|other| other.len() > path.len() && other.starts_with(&format!("{path}.")))
    });
    let more = lost.len().saturating_sub(NAMED);
    let mut named: Vec<String> = lost
        .into_iter()
        .take(NAMED)
        .map(|path| match writer(path, live, set) {
            Some(manager) => format!("{path} ({manager})"),
            None => path.clone(),
        })
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    named
}

/// Who wrote last, ourselves aside.
pub fn last_writer(meta: &ObjectMeta, set: &ApplySet) -> Option<String> {
    others(meta, set)
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}

/// Who owns a field now; where nobody does (it was removed), who wrote last.
fn writer(path: &str, live: &ObjectMeta, set: &ApplySet) -> Option<String> {
    let owner = others(live, set).find(|entry| {
        let mut paths = BTreeSet::new();
        collect(entry, &mut paths);
        paths.contains(path)
    });
    match owner {
        Some(entry) => entry.manager.clone(),
        None => last_writer(live, set),
    }
}

fn others<'a>(
    meta: &'a ObjectMeta,
    set: &ApplySet,
) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
    let ours = set.manager().to_owned();
    meta.managed_fields.iter().flatten().filter(move |entry| {
        entry.manager.as_deref() != Some(&ours)
            && entry.subresource.as_deref().unwrap_or("").is_empty()
    })
}

fn collect(entry: &ManagedFieldsEntry, paths: &mut BTreeSet<String>) {
    if let Some(fields) = &entry.fields_v1 {
        walk(&fields.0, "", paths);
    }
}

fn walk(node: &Value, path: &str, paths: &mut BTreeSet<String>) {
    for (key, child) in node.as_object().into_iter().flatten() {
        let path = match key.split_once(':') {
            Some(("f", field)) if path.is_empty() => field.to_owned(),
            Some(("f", field)) => format!("{path}.{field}"),
            // An element of a list, by its keys: `containers[name=web]`.
            Some(("k", keys)) => format!("{path}[{}]", element(keys)),
            // An element of a set: a value, and values are not shown.
            Some(("v", _)) => format!("{path}[…]"),
            Some(("i", index)) => format!("{path}[{index}]"),
            // "." marks the map itself.
            _ => continue,
        };
        paths.insert(path.clone());
        walk(child, &path, paths);
    }
}

fn element(keys: &str) -> String {
    let Ok(Value::Object(keys)) = serde_json::from_str(keys) else {
        return "…".to_owned();
    };
    let pairs: Vec<String> = keys
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        })
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(set: &ApplySet, ours: &Value, others: &[(&str, Value)]) -> ObjectMeta {
        let mut entries = vec![
            json!({"manager": set.manager(), "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": ours}),
            json!({"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                "time": "2026-01-09T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}),
        ];
        for (second, (manager, fields)) in others.iter().enumerate() {
            entries.push(
                json!({"manager": manager, "operation": "Update", "fieldsV1": fields,
                "time": format!("2026-01-01T00:00:0{second}Z")}),
            );
        }
        serde_json::from_value(json!({"name": "web", "managedFields": entries})).unwrap()
    }

    #[test]
    fn each_field_is_named_with_who_took_it() {
        let set = ApplySet::of("team-a", "app");
        let image = json!({"f:image": {}, ".": {}, "f:name": {}});
        let all = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": image}}}},
            "f:metadata": {"f:labels": {"f:tier": {}}}});
        let left = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:name": {}}}}}}});
        let applied = meta(&set, &all, &[]);
        let live = meta(
            &set,
            &left,
            &[
                (
                    "kubectl-edit",
                    json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}}),
                ),
                ("scaler", json!({"f:spec": {"f:replicas": {}}})),
            ],
        );
        assert_eq!(
            taken(&live, &applied, &set),
            [
                // Removed: nobody owns it now, so who wrote last is told.
                "metadata.labels.tier (scaler)",
                "spec.replicas (scaler)",
                "spec.template.spec.containers[name=web].image (kubectl-edit)"
            ]
        );
        assert!(taken(&applied, &applied, &set).is_empty());
    }

    #[test]
    fn values_of_sets_are_not_shown_and_long_lists_are_counted() {
        let set = ApplySet::of("team-a", "app");
        let mut many = serde_json::Map::new();
        for number in 0..20 {
            many.insert(format!("f:key-{number:02}"), json!({}));
        }
        let applied = meta(
            &set,
            &json!({"f:data": many, "f:finalizers": {"v:\"hunter2\"": {}}}),
            &[],
        );
        let live = meta(&set, &json!({"f:finalizers": {}}), &[]);
        let found = taken(&live, &applied, &set);
        assert_eq!(found.len(), NAMED + 1);
        assert!(found.last().unwrap().ends_with(" more"));
        assert!(!found.join(" ").contains("hunter2"));
    }
}
