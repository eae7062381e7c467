//! Manifests as people write them, and what an administrator sets up for a tenant.

use serde_json::{Value, json};

use super::{IMPERSONATION_ROLE, World};
use crate::controller::NAMESPACE;

impl World {
    /// The manifest of a plain Secret in the scenario's namespace, as a person would write it before sealing.
    pub fn secret(&self, name: &str, data: &[(&str, &str)]) -> String {
        let entries: Vec<String> = data
            .iter()
            .map(|(key, value)| format!("  {key}: \"{value}\"\n"))
            .collect();
        let entries = entries.concat();
        format!(
            "{}type: Opaque\nstringData:\n{entries}",
            self.head("v1", "Secret", name)
        )
    }

    /// The manifest of a `ConfigMap` with one entry.
    pub fn config_map(&self, name: &str, key: &str, value: &str) -> String {
        format!(
            "{}data:\n  {key}: \"{value}\"\n",
            self.head("v1", "ConfigMap", name)
        )
    }

    /// The manifest of a Deployment that takes its environment from a Secret.
    pub fn deployment(&self, name: &str, secret: &str) -> String {
        let head = self.head("apps/v1", "Deployment", name);
        format!(
            "{head}spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      containers:
        - name: app
          image: registry.example/app:1
          envFrom:
            - secretRef:
                name: {secret}
"
        )
    }

    fn head(&self, api_version: &str, kind: &str, name: &str) -> String {
        let namespace = &self.namespace;
        format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        )
    }
}

/// What an administrator gives a tenant: an account, its rights in its namespace, and the `RoleBinding` by which the
/// namespace lets the controller act as its accounts.
pub(super) fn tenant(namespace: &str, account: &str, controller: &str) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io";
    let version = format!("{rbac}/v1");
    let at = |name: &str| json!({"name": name, "namespace": namespace});
    let subject = |name: &str, space: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": space});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at(account)}),
        json!({"apiVersion": version, "kind": "Role", "metadata": at(account),
               "rules": [{"apiGroups": ["", "apps", "waxwing.dev", "batch"], "resources": ["*"], "verbs": ["*"]}]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": at(account),
               "roleRef": {"apiGroup": rbac, "kind": "Role", "name": account},
               "subjects": [subject(account, namespace)]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": at("waxwing"),
               "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": IMPERSONATION_ROLE},
               "subjects": [subject(controller, NAMESPACE)]}),
    ]
}
