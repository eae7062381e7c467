//! Which kinds the cluster serves, and where it does not know.
//!
//! An aggregated API whose server is down is listed as stale and empty. That is not the same as a kind that does
//! not exist: nothing of such a group is called missing, and nothing of it is pruned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use kube::core::discovery::v2::{APIGroupDiscovery, APIGroupDiscoveryList};
use kube::discovery::ApiResource;
use manifests::ObjectId;
use tokio::sync::Mutex;

/// How long a list of kinds is used without asking again; a kind that it lacks is asked for at once.
const FRESH: Duration = Duration::from_secs(600);

/// A kind as the cluster serves it, or as a definition in the revision says that it will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Group, version, kind, plural.
    pub resource: ApiResource,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// What can be done with its objects: `get`, `list`, `patch`, …
    pub verbs: Vec<String>,
}

impl Kind {
    /// `deployments.apps`, `secrets`: as `kubectl` takes it.
    pub fn plural(&self) -> String {
        if self.resource.group.is_empty() {
            self.resource.plural.clone()
        } else {
            format!("{}.{}", self.resource.plural, self.resource.group)
        }
    }

    /// Whether its objects hold secret values, so that nothing of them but metadata may be asked for.
    pub fn is_secret(&self) -> bool {
        self.resource.group.is_empty() && self.resource.kind == "Secret"
    }

    /// Whether what the API server says about its objects may quote a secret value: a Secret, or a SealedSecret into which
    /// somebody pasted plaintext.
    pub fn may_quote_values(&self) -> bool {
        self.is_secret()
            || (self.resource.group == crds::names::GROUP && self.resource.kind == "SealedSecret")
    }

    /// Whether the verb is served.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|served| served == verb)
    }
}

/// What is known about a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The cluster serves it.
    Served(Kind),
    /// Its group does not answer, so nobody can say.
    Unavailable,
    /// The cluster does not have it.
    Missing,
}

/// All kinds of a cluster at one time.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    served: BTreeMap<(String, String, String), Kind>,
    /// Group versions that are listed but did not answer.
    stale: BTreeSet<(String, String)>,
    /// Versions of each group, the preferred one first.
    versions: BTreeMap<String, Vec<String>>,
}

impl Kinds {
    /// Reads the documents of aggregated discovery (`/api` and `/apis`, apidiscovery.k8s.io/v2).
    pub fn read(documents: impl IntoIterator<Item = APIGroupDiscoveryList>) -> Self {
        let mut kinds = Self::default();
        for group in documents.into_iter().flat_map(|document| document.items) {
            kinds.add(group);
        }
        kinds
    }

    /// What is known about the kind of an object.
    pub fn of(&self, id: &ObjectId) -> Lookup {
        let key = (id.group.clone(), id.version.clone(), id.kind.clone());
        if let Some(kind) = self.served.get(&key) {
            return Lookup::Served(kind.clone());
        }
        if self.stale.contains(&(id.group.clone(), id.version.clone())) {
            Lookup::Unavailable
        } else {
            Lookup::Missing
        }
    }

    /// What is known about a kind in any version, the group's preferred one first.
    pub fn of_any_version(&self, group: &str, kind: &str) -> Lookup {
        let versions = self
            .versions
            .get(group)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for version in versions {
            let key = (group.to_owned(), version.clone(), kind.to_owned());
            if let Some(kind) = self.served.get(&key) {
                return Lookup::Served(kind.clone());
            }
        }
        if versions
            .iter()
            .any(|version| self.stale.contains(&(group.to_owned(), version.clone())))
        {
            Lookup::Unavailable
        } else {
            Lookup::Missing
        }
    }

    fn add(&mut self, group: APIGroupDiscovery) {
        let name = group
            .metadata
            .and_then(|meta| meta.name)
            .unwrap_or_default();
        for version in group.versions {
            let Some(version_name) = version.version else {
                continue;
            };
            if version.freshness.as_deref() == Some("Stale") {
                self.stale.insert((name.clone(), version_name.clone()));
            }
            let api_version = if name.is_empty() {
                version_name.clone()
            } else {
                format!("{name}/{version_name}")
            };
            for resource in version.resources {
                let Some(kind) = resource.response_kind.and_then(|kind| kind.kind) else {
                    continue;
                };
                let Some(plural) = resource.resource else {
                    continue;
                };
                let entry = Kind {
                    resource: ApiResource {
                        group: name.clone(),
                        version: version_name.clone(),
                        api_version: api_version.clone(),
                        kind: kind.clone(),
                        plural,
                    },
                    namespaced: resource.scope.as_deref() == Some("Namespaced"),
                    verbs: resource.verbs,
                };
                // Some kinds are served under several plurals (`bindings`); the first that can be read is the one.
                let key = (name.clone(), version_name.clone(), kind);
                let better = self
                    .served
                    .get(&key)
                    .is_none_or(|known| !known.can("get") && entry.can("get"));
                if better {
                    self.served.insert(key, entry);
                }
            }
            self.versions
                .entry(name.clone())
                .or_default()
                .push(version_name);
        }
    }
}

/// Keeps the kinds of the cluster; shared by all syncs.
pub struct Discovery {
    client: Client,
    known: Mutex<Option<(Instant, Arc<Kinds>)>>,
}

impl Discovery {
    /// Nothing is asked before the first use.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::new(None),
        }
    }

    /// The kinds as last read, read again when they are old.
    pub async fn kinds(&self) -> Result<Arc<Kinds>, kube::Error> {
        let mut known = self.known.lock().await;
        if let Some((read, kinds)) = known.as_ref()
            && read.elapsed() < FRESH
        {
            return Ok(kinds.clone());
        }
        self.read(&mut known).await
    }

    /// The kinds as they are now.
    pub async fn refresh(&self) -> Result<Arc<Kinds>, kube::Error> {
        let mut known = self.known.lock().await;
        self.read(&mut known).await
    }

    async fn read(
        &self,
        known: &mut Option<(Instant, Arc<Kinds>)>,
    ) -> Result<Arc<Kinds>, kube::Error> {
        let apis = self.client.list_api_groups_aggregated().await?;
        let core = self.client.list_core_api_versions_aggregated().await?;
        let kinds = Arc::new(Kinds::read([apis, core]));
        *known = Some((Instant::now(), kinds.clone()));
        Ok(kinds)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A cluster with the kinds that tests use, and an aggregated API that is down.
    pub fn cluster() -> Kinds {
        let verbs = json!(["create", "delete", "get", "list", "patch", "watch"]);
        let resource = |plural: &str, kind: &str, scope: &str| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs});
        let group = |name: &str, version: &str, resources: serde_json::Value| json!({"metadata": {"name": name}, "versions": [{"version": version, "resources": resources, "freshness": "Current"}]});
        let documents = json!({"items": [
            group("", "v1", json!([
                resource("namespaces", "Namespace", "Cluster"),
                resource("secrets", "Secret", "Namespaced"),
                resource("configmaps", "ConfigMap", "Namespaced"),
            ])),
            group("apps", "v1", json!([resource("deployments", "Deployment", "Namespaced")])),
            group("apiextensions.k8s.io", "v1", json!([resource("customresourcedefinitions", "CustomResourceDefinition", "Cluster")])),
            {"metadata": {"name": "waxwing.dev"}, "versions": [{"version": "v1alpha1", "freshness": "Current", "resources": [
                resource("sealedsecrets", "SealedSecret", "Namespaced"),
                resource("manifestsyncs", "ManifestSync", "Namespaced"),
                resource("sealingkeys", "SealingKey", "Cluster"),
            ]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "resources": [], "freshness": "Stale"}]},
        ]});
        Kinds::read([serde_json::from_value(documents).unwrap()])
    }

    fn id(group: &str, version: &str, kind: &str) -> ObjectId {
        ObjectId {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            namespace: None,
            name: "x".into(),
        }
    }

    #[test]
    fn a_group_that_does_not_answer_is_not_a_missing_kind() {
        let kinds = cluster();
        assert_eq!(
            kinds.of(&id("metrics.k8s.io", "v1beta1", "PodMetrics")),
            Lookup::Unavailable
        );
        assert_eq!(
            kinds.of(&id("example.org", "v1", "Widget")),
            Lookup::Missing
        );
        assert_eq!(
            kinds.of_any_version("metrics.k8s.io", "PodMetrics"),
            Lookup::Unavailable
        );
        assert_eq!(
            kinds.of_any_version("example.org", "Widget"),
            Lookup::Missing
        );
    }

    #[test]
    fn kinds_know_their_scope_and_plural() {
        let Lookup::Served(deployment) = cluster().of(&id("apps", "v1", "Deployment")) else {
            panic!("served")
        };
        assert!(deployment.namespaced);
        assert_eq!(deployment.plural(), "deployments.apps");
        assert_eq!(deployment.resource.api_version, "apps/v1");
        let Lookup::Served(namespace) = cluster().of(&id("", "v1", "Namespace")) else {
            panic!("served")
        };
        assert!(!namespace.namespaced);
        assert_eq!(namespace.plural(), "namespaces");
        assert_eq!(
            cluster().of(&id("apps", "v1beta1", "Deployment")),
            Lookup::Missing,
            "versions are told apart"
        );
    }
}
