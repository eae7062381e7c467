//! `deploy/` as a reader of its security would check it: nothing forgotten, nothing more than is said.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kube::CustomResourceExt;
use serde::Deserialize;
use serde_json::{Value, json};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn documents(file: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| {
            Value::deserialize(document)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}

/// Files that the kustomization lists, relative to `deploy/`.
fn listed() -> BTreeSet<String> {
    let kustomization = documents(&deploy().join("kustomization.yaml")).remove(0);
    kustomization["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap().to_owned())
        .collect()
}

/// Every object that `kubectl apply -k deploy` applies.
fn objects() -> Vec<Value> {
    listed()
        .iter()
        .flat_map(|file| documents(&deploy().join(file)))
        .collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects()
        .into_iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn named(kind: &str, name: &str) -> Value {
    of_kind(kind)
        .into_iter()
        .find(|object| object["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|items| items.iter().map(|item| item.as_str().unwrap()).collect())
        .unwrap_or_default()
}

fn rules(role: &Value) -> Vec<Value> {
    role["rules"].as_array().cloned().unwrap_or_default()
}

#[test]
fn every_manifest_is_listed_and_every_listed_file_exists() {
    let mut found = BTreeSet::new();
    for directory in ["", "crds", "rbac"] {
        for entry in fs::read_dir(deploy().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.insert(
                    path.strip_prefix(deploy())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.remove("kustomization.yaml");
    assert_eq!(listed(), found);
}

#[test]
fn everything_namespaced_lies_in_the_controllers_namespace() {
    let cluster_scoped = [
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
    ];
    for object in objects() {
        let kind = object["kind"].as_str().unwrap();
        let expected = if cluster_scoped.contains(&kind) {
            Value::Null
        } else {
            json!(crds::names::DEFAULT_NAMESPACE)
        };
        assert_eq!(
            object["metadata"]["namespace"], expected,
            "{kind} {}",
            object["metadata"]["name"]
        );
    }
}

// https://kubernetes.io/docs/concepts/security/pod-security-standards/, profile "restricted".
#[test]
fn the_pod_keeps_the_restricted_standard() {
    let namespace = named("Namespace", crds::names::DEFAULT_NAMESPACE);
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );

    let pod = named("Deployment", "waxwing-controller")["spec"]["template"]["spec"].clone();
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_ne!(pod[host], json!(true), "{host}");
    }
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_ne!(pod["securityContext"]["runAsUser"], 0);
    for volume in pod["volumes"].as_array().unwrap() {
        let kinds: Vec<&String> = volume
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "name")
            .collect();
        assert!(
            kinds
                .iter()
                .all(|kind| ["configMap", "emptyDir", "projected", "secret"]
                    .contains(&kind.as_str())),
            "{volume}"
        );
    }
    let containers = pod["containers"].as_array().unwrap();
    assert_eq!(
        (containers.len(), &pod["initContainers"]),
        (1, &Value::Null)
    );
    let context = &containers[0]["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(context["runAsNonRoot"], true);
    assert_ne!(context["privileged"], true);
    // More than the standard asks for.
    assert_eq!(context["readOnlyRootFilesystem"], true);
    // Guaranteed.
    assert_eq!(
        containers[0]["resources"]["requests"],
        containers[0]["resources"]["limits"]
    );
    assert!(
        containers[0]["resources"]["limits"]["memory"].is_string()
            && containers[0]["resources"]["limits"]["cpu"].is_string()
    );
}

#[test]
fn names_inside_the_manifests_agree() {
    let deployment = named("Deployment", "waxwing-controller");
    let template = &deployment["spec"]["template"];
    let pod = &template["spec"];
    let account = pod["serviceAccountName"].as_str().unwrap();
    named("ServiceAccount", account);
    for binding in of_kind("ClusterRoleBinding")
        .into_iter()
        .chain(of_kind("RoleBinding"))
    {
        named(
            binding["roleRef"]["kind"].as_str().unwrap(),
            binding["roleRef"]["name"].as_str().unwrap(),
        );
        for subject in binding["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|subject| subject["kind"] == "ServiceAccount")
        {
            assert_eq!(
                (&subject["name"], &subject["namespace"]),
                (&json!(account), &json!(crds::names::DEFAULT_NAMESPACE))
            );
        }
    }
    let config = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|volume| volume["name"] == "config")
        .unwrap();
    let config = named("ConfigMap", config["configMap"]["name"].as_str().unwrap());
    assert!(config["data"]["config.yaml"].is_string());
    let port = pod["containers"][0]["ports"][0]["name"].clone();
    assert_eq!(
        named("Service", "waxwing-controller")["spec"]["ports"][0]["targetPort"],
        port
    );
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &named("Service", "waxwing-controller")["spec"]["selector"],
    ] {
        assert_eq!(*selector, template["metadata"]["labels"]);
    }
}

#[test]
fn no_rule_has_a_wildcard_and_none_gives_what_others_could_climb_on() {
    for role in of_kind("ClusterRole").into_iter().chain(of_kind("Role")) {
        for rule in rules(&role) {
            for part in ["apiGroups", "resources", "verbs"] {
                assert!(
                    !strings(&rule[part]).contains(&"*"),
                    "{} {rule}",
                    role["metadata"]["name"]
                );
            }
            for verb in strings(&rule["verbs"]) {
                assert!(
                    !["escalate", "bind"].contains(&verb),
                    "{} {rule}",
                    role["metadata"]["name"]
                );
            }
        }
    }
}

#[test]
fn impersonation_and_key_administration_are_granted_to_nobody() {
    let bound: Vec<Value> = of_kind("ClusterRoleBinding")
        .into_iter()
        .chain(of_kind("RoleBinding"))
        .map(|binding| binding["roleRef"]["name"].clone())
        .collect();
    for role in of_kind("ClusterRole").into_iter().chain(of_kind("Role")) {
        let impersonates = rules(&role)
            .iter()
            .any(|rule| strings(&rule["verbs"]).contains(&"impersonate"));
        assert_eq!(
            impersonates,
            role["metadata"]["name"] == crds::names::IMPERSONATE_CLUSTER_ROLE,
            "{}",
            role["metadata"]["name"]
        );
    }
    assert_eq!(
        rules(&named("ClusterRole", crds::names::IMPERSONATE_CLUSTER_ROLE)),
        [json!({"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]})]
    );
    for role in [
        crds::names::IMPERSONATE_CLUSTER_ROLE,
        crds::names::KEY_ADMIN_CLUSTER_ROLE,
    ] {
        named("ClusterRole", role);
        assert!(!bound.contains(&json!(role)), "{role} is bound");
    }
}

#[test]
fn the_controller_cannot_change_what_was_sealed_and_writes_nothing_but_its_own_kinds() {
    let mut written = BTreeSet::new();
    for role in [
        named("ClusterRole", "waxwing-controller"),
        named("ClusterRole", "waxwing-watch"),
    ] {
        for rule in rules(&role) {
            let writes = strings(&rule["verbs"])
                .iter()
                .any(|verb| !["get", "list", "watch"].contains(verb));
            if writes {
                written.extend(strings(&rule["resources"]).into_iter().map(str::to_owned));
            }
        }
    }
    let expected = [
        "events",
        "localsubjectaccessreviews",
        "manifestsyncs",
        "manifestsyncs/status",
        "sealedsecrets/status",
        "sealingkeys",
        "sealingkeys/status",
        "secrets",
        "subjectaccessreviews",
    ];
    assert_eq!(written, expected.map(str::to_owned).into());
}

#[test]
fn rights_on_definitions_are_for_ours_alone() {
    let rules = rules(&named("ClusterRole", "waxwing-controller"));
    let rule = rules
        .into_iter()
        .find(|rule| strings(&rule["resources"]).contains(&"customresourcedefinitions"))
        .unwrap();
    let ours: BTreeSet<&str> = [
        crds::SealedSecret::crd_name(),
        crds::ManifestSync::crd_name(),
        crds::SealingKey::crd_name(),
    ]
    .into();
    assert_eq!(
        strings(&rule["resourceNames"])
            .into_iter()
            .collect::<BTreeSet<_>>(),
        ours
    );
}
