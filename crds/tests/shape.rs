//! The API's shape: defaults, what is not built, what the sealing format gets to see.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;

use crds::{ManifestSync, ManifestSyncSpec, OwnershipMode, SealedSecret};
use serde_json::{Value, json};

/// A sync as a user writes it, with as little as possible.
fn smallest() -> Value {
    json!({"source": {"git": {"url": "https://git.example.com/shop.git"}}})
}

/// A sync that asks for everything that is not built.
fn greedy() -> Value {
    json!({
        "source": {"git": {
            "url": "git@git.example.com:shop.git",
            "ref": {"semver": ">=1"},
            "submodules": true,
            "verify": {"mode": "Head", "secretRef": {"name": "signers"}},
        }},
        "render": "Kustomize",
        "deletionPolicy": "WaitForTermination",
        "drift": {"mode": "Report", "ignore": [{"paths": ["/spec/replicas"]}]},
        "unsealPolicy": "Isolate",
        "plaintextSecrets": "Warn",
        "targetNamespace": "shop",
        "namePrefix": "a-",
        "nameSuffix": "-b",
        "commonMetadata": {"labels": {"team": "shop"}},
        "patches": [{"patch": "{}"}],
        "images": [{"name": "nginx", "newTag": "1"}],
        "components": ["components/x"],
        "substitute": {"A": "b"},
        "substituteFrom": [{"kind": "ConfigMap", "name": "c"}],
        "dependsOn": [{"name": "base"}],
        "wait": true,
        "healthChecks": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}],
        "healthCheckExprs": [{"apiVersion": "v1", "kind": "X", "current": "true"}],
        "restartOnChange": true,
        "force": true,
        "windows": [{"action": "Deny", "schedule": "0 0 * * 5", "duration": "48h"}],
    })
}

fn spec(value: Value) -> ManifestSyncSpec {
    serde_json::from_value(value).unwrap()
}

/// Paths of all fields below `properties` whose description satisfies a test.
fn documented(
    schema: &Value,
    path: &str,
    test: &dyn Fn(&Value) -> bool,
    found: &mut BTreeSet<String>,
) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, field) in properties {
        let path = format!("{path}.{name}");
        if test(field) {
            found.insert(path.clone());
        }
        documented(field, &path, test, found);
    }
}

fn spec_schema(plural: &str) -> Value {
    let definitions = serde_json::to_value(crds::all()).unwrap();
    let definition = definitions
        .as_array()
        .unwrap()
        .iter()
        .find(|crd| crd["spec"]["names"]["plural"] == plural)
        .unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn what_the_smallest_sync_asks_for_is_built() {
    assert_eq!(spec(smallest()).not_built_yet(), Vec::<String>::new());
}

#[test]
fn everything_built_together_is_built() {
    let mut value = smallest();
    value["source"]["git"]["ref"] = json!({"branch": "main"});
    value["source"]["git"]["secretRef"] = json!({"name": "credentials"});
    for (field, setting) in [
        ("path", json!("clusters/prod")),
        ("render", json!("Plain")),
        ("interval", json!("30s")),
        ("retryInterval", json!("5s")),
        ("timeout", json!("1m")),
        ("prune", json!(false)),
        ("deletionPolicy", json!("Orphan")),
        ("allowEmpty", json!(true)),
        ("unsealPolicy", json!("Atomic")),
        ("plaintextSecrets", json!("Refuse")),
        ("serviceAccountName", json!("deployer")),
        ("suspend", json!(true)),
        // Asking for nothing is built.
        ("wait", json!(false)),
        ("force", json!(false)),
        ("restartOnChange", json!(false)),
        ("drift", json!({})),
    ] {
        value[field] = setting;
    }
    assert_eq!(spec(value).not_built_yet(), Vec::<String>::new());
}

#[test]
fn every_field_documented_as_not_built_is_named_and_no_other() {
    let named = spec(greedy()).not_built_yet();
    let mut marked = BTreeSet::new();
    let not_built = |field: &Value| {
        field["description"]
            .as_str()
            .is_some_and(|text| text.contains("not built yet") || text.contains("Not built yet"))
    };
    documented(
        &spec_schema("manifestsyncs"),
        "spec",
        &not_built,
        &mut marked,
    );
    assert!(
        marked.len() > 20,
        "the schema should mark many fields: {marked:?}"
    );
    for path in &marked {
        assert!(
            named.iter().any(|name| name.starts_with(path.as_str())),
            "{path} is documented as not built, but never named: {named:?}"
        );
    }
    for name in &named {
        let path = name.split(':').next().unwrap();
        assert!(
            marked.contains(path),
            "{name} is refused, but its field is not documented as not built"
        );
    }
}

#[test]
fn a_field_that_is_not_built_has_no_default() {
    let mut marked = BTreeSet::new();
    let wrong = |field: &Value| {
        let not_built = field["description"]
            .as_str()
            .is_some_and(|text| text.starts_with("Not built yet"));
        not_built && field.get("default").is_some()
    };
    for plural in ["manifestsyncs", "sealedsecrets", "sealingkeys"] {
        documented(&spec_schema(plural), "spec", &wrong, &mut marked);
    }
    assert_eq!(marked, BTreeSet::new());
}

#[test]
fn every_field_is_documented() {
    let mut bare = BTreeSet::new();
    let undocumented = |field: &Value| field["description"].as_str().is_none_or(str::is_empty);
    for plural in ["manifestsyncs", "sealedsecrets", "sealingkeys"] {
        documented(&spec_schema(plural), plural, &undocumented, &mut bare);
    }
    assert_eq!(bare, BTreeSet::new());
}

#[test]
fn the_types_and_the_schema_have_the_same_defaults() {
    let read = serde_json::to_value(spec(smallest())).unwrap();
    let schema = spec_schema("manifestsyncs");
    for field in [
        "render",
        "prune",
        "deletionPolicy",
        "unsealPolicy",
        "plaintextSecrets",
    ] {
        assert_eq!(
            read[field], schema["properties"][field]["default"],
            "{field}"
        );
    }
    let default_interval = &schema["properties"]["interval"]["default"];
    let mut explicit = smallest();
    explicit["interval"] = default_interval.clone();
    assert_eq!(spec(explicit).interval, spec(smallest()).interval);

    let sealed: SealedSecret = serde_json::from_value(json!({"apiVersion": crds::names::API_VERSION, "kind": "SealedSecret", "metadata": {}, "spec": {}})).unwrap();
    assert_eq!(sealed.spec.ownership.mode, OwnershipMode::Owned);
    assert_eq!(
        spec_schema("sealedsecrets")["properties"]["ownership"]["default"],
        json!({"mode": "Owned"})
    );
}

#[test]
fn ssh_is_told_apart_from_https_and_file() {
    for (url, ssh, file) in [
        ("https://git.example.com/shop.git", false, false),
        (
            "https://git.example.com:8443/~team/shop@v2.git",
            false,
            false,
        ),
        ("file:///srv/git/shop", false, true),
        ("ssh://git@git.example.com/shop.git", true, false),
        ("git@git.example.com:shop.git", true, false),
    ] {
        let mut value = smallest();
        value["source"]["git"]["url"] = json!(url);
        let git = spec(value).source.git;
        assert_eq!((git.is_ssh(), git.is_file()), (ssh, file), "{url}");
    }
}

#[test]
fn the_sealing_format_sees_the_objects_own_place_and_text() {
    let object: SealedSecret = serde_json::from_value(json!({
        "apiVersion": crds::names::API_VERSION,
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "payments"},
        "spec": {
            "template": {"type": "kubernetes.io/tls", "data": {"url": "x"}},
            "envelopes": {"k3v7q2mh": {"binding": "b", "sealedAt": "s", "templateBound": true, "commitment": "c", "recipients": {"prod.x": "w"}}},
            "encryptedData": {"password": {"value": "wx1:k3v7q2mh:e"}},
        },
    }))
    .unwrap();
    let text = object.sealed_text();
    assert_eq!(
        (text.namespace.as_str(), text.name.as_str()),
        ("payments", "db")
    );
    assert_eq!(text.secret_type.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(text.template_data["url"], "x");
    assert_eq!(text.entries["password"], "wx1:k3v7q2mh:e");
    let envelope = &text.envelopes["k3v7q2mh"];
    assert_eq!(
        (
            envelope.binding.as_str(),
            envelope.sealed_at.as_str(),
            envelope.commitment.as_str()
        ),
        ("b", "s", "c")
    );
    assert!(envelope.template_bound);
    assert_eq!(envelope.recipients["prod.x"], "w");
    assert_eq!(
        crds::Envelope::from(envelope),
        object.spec.envelopes["k3v7q2mh"],
        "and back without loss"
    );
}

#[test]
fn a_spec_is_written_as_briefly_as_it_was_read() {
    let object: SealedSecret = serde_json::from_value(json!({
        "apiVersion": crds::names::API_VERSION,
        "kind": "SealedSecret",
        "metadata": {"name": "db"},
        "spec": {"encryptedData": {"password": {"value": "wx1:self:e"}}},
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(&object.spec).unwrap(),
        json!({"encryptedData": {"password": {"value": "wx1:self:e"}}})
    );
}

#[test]
fn sync_definition_is_marked_as_an_applyset_parent_type() {
    let definitions = crds::all();
    for definition in &definitions {
        let labels = definition.metadata.labels.clone().unwrap_or_default();
        let marked = labels
            .get(crds::names::APPLYSET_PARENT_TYPE_LABEL)
            .map(String::as_str)
            == Some("true");
        assert_eq!(
            marked,
            definition.spec.names.kind == "ManifestSync",
            "{}",
            definition.spec.names.kind
        );
    }
    assert_eq!(
        <ManifestSync as kube::Resource>::group(&()),
        crds::names::GROUP
    );
    assert_eq!(
        <ManifestSync as kube::Resource>::version(&()),
        crds::names::VERSION
    );
}
