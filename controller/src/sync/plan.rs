//! From the objects of a revision to what would be written, and everything that is wrong with it. No I/O.
//!
//! All problems of a revision are found, not the first: what a person has to mend, they can mend in one commit.

use std::collections::BTreeMap;

use crds::names;
use crds::reasons::Reason;
use kube::discovery::ApiResource;
use manifests::{Location, Object, ObjectId, plaintext_secret};
use serde_json::{Map, Value};

use super::discovery::{Kind, Kinds, Lookup};
use super::members::ApplySet;
use super::order::Step;
use super::problem::Problem;
use crate::watched::Watched;

/// What a plan is made against.
pub struct Ground<'a> {
    /// Namespace of the ManifestSync: where namespaced objects go that name no namespace.
    pub namespace: &'a str,
    /// The controller's own namespace, which no sync writes SealedSecrets into.
    pub controller_namespace: &'a str,
    /// The namespaces that objects may be in.
    pub watched: &'a Watched,
    /// Whose members the objects become.
    pub set: &'a ApplySet,
    /// The kinds of the cluster.
    pub kinds: &'a Kinds,
}

/// Everything a revision asks for, in the order of writing, and everything that is wrong with it.
pub struct Plan {
    /// The objects, sorted by step.
    pub items: Vec<Item>,
    /// What is wrong. Nothing is written while there is anything here.
    pub problems: Vec<Problem>,
}

/// One object as it will be applied.
#[derive(Clone)]
pub struct Item {
    /// Its identity, with the namespace that it will have.
    pub id: ObjectId,
    /// Where it stands in Git.
    pub location: Location,
    /// What is applied: as in Git, with namespace and membership label.
    pub body: Value,
    /// Its kind.
    pub kind: Kind,
    /// Its kind comes into being by a definition of this very revision.
    pub kind_is_brought: bool,
    /// When it is written.
    pub step: Step,
}

/// Group, kind, namespace and name: what tells objects apart whatever version they are written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl MemberKey {
    /// As people name it: `Deployment.apps prod/web`.
    pub fn display(&self) -> String {
        let id = ObjectId {
            group: self.group.clone(),
            version: String::new(),
            kind: self.kind.clone(),
            namespace: (!self.namespace.is_empty()).then(|| self.namespace.clone()),
            name: self.name.clone(),
        };
        id.to_string()
    }
}

impl Item {
    /// What tells it apart.
    pub fn key(&self) -> MemberKey {
        MemberKey {
            group: self.id.group.clone(),
            kind: self.id.kind.clone(),
            namespace: self.id.namespace.clone().unwrap_or_default(),
            name: self.id.name.clone(),
        }
    }

    /// Whether it is a SealedSecret.
    pub fn is_sealed(&self) -> bool {
        self.id.group == names::GROUP && self.id.kind == "SealedSecret"
    }

    /// A problem with it.
    pub fn problem(&self, reason: Reason, message: impl Into<String>) -> Problem {
        Problem::of(reason, &self.id, &self.location, message)
    }
}

/// Plans a revision.
pub fn plan(objects: Vec<Object>, ground: &Ground<'_>) -> Plan {
    let brought = brought_kinds(&objects);
    let mut problems = Vec::new();
    let (mut placed, mut targets) = (Vec::new(), Vec::new());
    for mut object in objects {
        match target(&object, ground.kinds, &brought) {
            Ok(target) => {
                placed.push(place(object, &target.0, ground));
                targets.push(target);
            }
            Err(problem) => {
                // What is plaintext is said even where the rest of the object makes no sense.
                problems.extend(plaintext(&object));
                problems.push(problem);
                object.wipe();
            }
        }
    }

    problems.extend(
        manifests::duplicates(&placed)
            .into_iter()
            .map(Problem::from),
    );
    problems.extend(claimed_twice(&placed));
    for object in &placed {
        problems.extend(plaintext(object));
        problems.extend(forbidden(object, ground));
    }

    let mut items = Vec::with_capacity(placed.len());
    for (mut object, (kind, kind_is_brought)) in placed.into_iter().zip(targets) {
        // Refused, and so not even dry-run: plaintext goes no further than here.
        if plaintext_secret(&object).is_some() {
            object.wipe();
            continue;
        }
        let step = Step::of(&object.id.group, &object.id.kind);
        let Object {
            id,
            location,
            mut value,
            ..
        } = object;
        if let Err(field) = label(&mut value, names::APPLYSET_PART_OF_LABEL, ground.set.id()) {
            problems.push(Problem::of(
                Reason::RenderFailed,
                &id,
                &location,
                format!("{field} is not a map; write it as `key: value` lines"),
            ));
            continue;
        }
        items.push(Item {
            id,
            location,
            body: value,
            kind,
            kind_is_brought,
            step,
        });
    }
    items.sort_by(|a, b| (a.step, &a.id).cmp(&(b.step, &b.id)));
    Plan { items, problems }
}

/// The kind of an object: as served, or as a definition of the revision brings it (`true`).
fn target(
    object: &Object,
    kinds: &Kinds,
    brought: &BTreeMap<(String, String, String), Kind>,
) -> Result<(Kind, bool), Problem> {
    let id = &object.id;
    let problem = |reason, message: String| Err(Problem::of(reason, id, &object.location, message));
    let api_version = id.api_version();
    let kind = match kinds.of(id) {
        Lookup::Served(kind) => kind,
        lookup => {
            let key = (id.group.clone(), id.version.clone(), id.kind.clone());
            if let Some(kind) = brought.get(&key) {
                return Ok((kind.clone(), true));
            }
            return if lookup == Lookup::Unavailable {
                problem(
                    Reason::ApiUnavailable,
                    format!(
                        "the API {api_version} is registered but does not answer, so nobody can say whether it has the \
                         kind {}; see `kubectl get apiservice {}.{}`. Tried again by itself",
                        id.kind, id.version, id.group
                    ),
                )
            } else {
                problem(
                    Reason::UnknownKind,
                    format!(
                        "the cluster has no kind {} in {api_version}, and no CustomResourceDefinition of this revision \
                         brings it; add the definition to the path, install it, or correct apiVersion and kind (see \
                         `kubectl api-resources`)",
                        id.kind
                    ),
                )
            };
        }
    };
    if kind.can("patch") {
        Ok((kind, false))
    } else {
        problem(
            Reason::ObjectRefused,
            format!(
                "objects of kind {} in {api_version} cannot be patched, only asked or created, so they cannot be kept true; remove it from the path",
                id.kind
            ),
        )
    }
}

/// Kinds that the definitions of the revision bring, by group, version and kind.
fn brought_kinds(objects: &[Object]) -> BTreeMap<(String, String, String), Kind> {
    let mut kinds = BTreeMap::new();
    for object in objects {
        if object.id.group != "apiextensions.k8s.io" || object.id.kind != "CustomResourceDefinition"
        {
            continue;
        }
        let spec = &object.value["spec"];
        let (Some(group), Some(kind), Some(plural)) = (
            spec["group"].as_str(),
            spec["names"]["kind"].as_str(),
            spec["names"]["plural"].as_str(),
        ) else {
            continue;
        };
        for version in spec["versions"].as_array().into_iter().flatten() {
            let (Some(name), Some(true)) = (version["name"].as_str(), version["served"].as_bool())
            else {
                continue;
            };
            let brought = Kind {
                resource: ApiResource {
                    group: group.to_owned(),
                    version: name.to_owned(),
                    api_version: format!("{group}/{name}"),
                    kind: kind.to_owned(),
                    plural: plural.to_owned(),
                },
                namespaced: spec["scope"].as_str() == Some("Namespaced"),
                verbs: ["create", "delete", "get", "list", "patch", "watch"]
                    .map(str::to_owned)
                    .to_vec(),
            };
            kinds.insert(
                (group.to_owned(), name.to_owned(), kind.to_owned()),
                brought,
            );
        }
    }
    kinds
}

/// Gives the object the namespace that it will have. As `kubectl` does, a namespace on a cluster-scoped object is
/// dropped.
fn place(mut object: Object, kind: &Kind, ground: &Ground<'_>) -> Object {
    let namespace = kind.namespaced.then(|| {
        object
            .id
            .namespace
            .clone()
            .unwrap_or_else(|| ground.namespace.to_owned())
    });
    if let Some(metadata) = object
        .value
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        match &namespace {
            Some(namespace) => {
                metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
            }
            None => {
                metadata.shift_remove("namespace");
            }
        }
    }
    object.id.namespace = namespace;
    object
}

/// Plaintext that a revision must not carry.
fn plaintext(object: &Object) -> Option<Problem> {
    let found = plaintext_secret(object)?;
    let file = &object.location.file;
    let keys: Vec<String> = found
        .keys
        .iter()
        .map(|key| format!("{}.{} (line {})", key.field, key.key, key.location.line))
        .collect();
    Some(Problem::of(
        Reason::PlaintextSecret,
        &object.id,
        &object.location,
        format!(
            "{} in plaintext: {}. Seal it: `waxwing seal -f {file} --in-place`, and commit the result; then change the \
             real values, because Git's history keeps the old ones",
            if keys.len() == 1 {
                "a value".to_owned()
            } else {
                format!("{} values", keys.len())
            },
            keys.join(", ")
        ),
    ))
}

/// What no sync may write, whatever its account may.
fn forbidden(object: &Object, ground: &Ground<'_>) -> Vec<Problem> {
    let id = &object.id;
    let mut found = Vec::new();
    let mut refuse = |reason, location: &Location, message: String| {
        found.push(Problem::of(reason, id, location, message));
    };
    let metadata = |field: &str| object.value["metadata"][field].as_object();
    let set = |field| metadata(field).into_iter().flat_map(Map::keys);

    if let Some(namespace) = &id.namespace
        && !ground.watched.covers(namespace)
    {
        refuse(
            Reason::ForbiddenNamespace,
            &object.location,
            format!(
                "namespace {namespace} is outside of those that this controller works in ({}); give it one of them, or have \
                 {namespace} added with --watch-namespace",
                ground.watched
            ),
        );
    }
    match (id.group.as_str(), id.kind.as_str()) {
        (names::GROUP, "SealedSecret") if id.namespace.as_deref() == Some(ground.controller_namespace) => refuse(
            Reason::ForbiddenNamespace,
            &object.location,
            format!("SealedSecrets in {} are refused: the controller's own keys lie there; give it another namespace", ground.controller_namespace),
        ),
        (names::GROUP, "SealingKey") => refuse(
            Reason::ObjectRefused,
            &object.location,
            "SealingKeys are written by the controller from its keys and restored when edited; remove it from the path".to_owned(),
        ),
        ("", "Secret") => {
            let secret_type = object.value["type"].as_str().unwrap_or_default();
            if secret_type.starts_with(names::RESERVED_TYPE_PREFIX) {
                refuse(
                    Reason::ForbiddenType,
                    &object.location_of(&["type"]),
                    format!("type {secret_type} is the controller's own; remove the Secret from the path"),
                );
            }
            for field in ["labels", "annotations"] {
                for key in set(field).filter(|key| key.starts_with(names::PREFIX) && *key != names::ADOPT_ANNOTATION) {
                    refuse(
                        Reason::ForbiddenMetadata,
                        &object.location_of(&["metadata", field, key]),
                        format!("metadata.{field} {key} is written by the controller only; remove it"),
                    );
                }
            }
        }
        _ => {}
    }
    for field in ["labels", "annotations"] {
        for key in set(field).filter(|key| key.starts_with(names::APPLYSET_PREFIX)) {
            // A definition says of itself whether its objects may be parents.
            if key == names::APPLYSET_PARENT_TYPE_LABEL {
                continue;
            }
            refuse(
                Reason::ForbiddenMetadata,
                &object.location_of(&["metadata", field, key]),
                format!(
                    "metadata.{field} {key} says which sync an object belongs to and is written by the controller only; remove it"
                ),
            );
        }
    }
    if id.name.is_empty() {
        refuse(
            Reason::RenderFailed,
            &object.location,
            "it has no metadata.name; objects in Git need one (generateName would make a new object at each pass)".to_owned(),
        );
    }
    found
}

/// Secrets that a SealedSecret of the same revision writes too.
fn claimed_twice(objects: &[Object]) -> Vec<Problem> {
    let sealed: BTreeMap<(Option<&str>, &str), &Location> = objects
        .iter()
        .filter(|object| object.id.group == names::GROUP && object.id.kind == "SealedSecret")
        .map(|object| {
            (
                (object.id.namespace.as_deref(), object.id.name.as_str()),
                &object.location,
            )
        })
        .collect();
    objects
        .iter()
        .filter(|object| object.id.group.is_empty() && object.id.kind == "Secret")
        .filter_map(|object| {
            let other = sealed.get(&(object.id.namespace.as_deref(), object.id.name.as_str()))?;
            let message = format!(
                "the SealedSecret at {other} becomes this very Secret; remove one of the two"
            );
            Some(Problem::of(
                Reason::DuplicateObject,
                &object.id,
                &object.location,
                message,
            ))
        })
        .collect()
}

/// Sets a label. `Err` names the field that is in the way.
fn label(value: &mut Value, key: &str, to: &str) -> Result<(), &'static str> {
    let metadata = value
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .ok_or("metadata")?;
    let labels = metadata
        .entry("labels")
        .or_insert_with(|| Value::Object(Map::new()));
    if labels.is_null() {
        *labels = Value::Object(Map::new());
    }
    let labels = labels.as_object_mut().ok_or("metadata.labels")?;
    labels.insert(key.to_owned(), Value::String(to.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests;
