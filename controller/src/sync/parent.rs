//! The ManifestSync as the parent of its ApplySet (KEP-3659): which kinds and namespaces its members are of.
//!
//! The annotations are the only record of where members may be, so they grow *before* the first object of a new
//! kind or namespace is written, and shrink only after the last one is known to be gone. Whatever crashes in
//! between, no member is out of sight.

use std::collections::{BTreeMap, BTreeSet};

use crds::{ManifestSync, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::members::ApplySet;
use super::plan::Item;

/// Value of the tooling annotation: what manages the set, and by which version of its rules.
const TOOLING: &str = "waxwing/v0.1";

/// Where the members of a sync are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Their kinds, as `(group, kind)`.
    pub kinds: BTreeSet<(String, String)>,
    /// Their namespaces, the parent's own included.
    pub namespaces: BTreeSet<String>,
}

impl Extent {
    /// What the parent's annotations say.
    pub fn read(meta: &ObjectMeta) -> Self {
        let annotation = |name: &str| {
            meta.annotations
                .as_ref()
                .and_then(|all| all.get(name))
                .map_or("", String::as_str)
        };
        let list = |name: &str| {
            annotation(name)
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let kinds = list(names::APPLYSET_GROUP_KINDS_ANNOTATION)
            .into_iter()
            .map(|kind| match kind.split_once('.') {
                Some((kind, group)) => (group.to_owned(), kind.to_owned()),
                None => (String::new(), kind),
            })
            .collect();
        Self {
            kinds,
            namespaces: list(names::APPLYSET_NAMESPACES_ANNOTATION)
                .into_iter()
                .collect(),
        }
    }

    /// Where the objects of a revision are.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut extent = Self::default();
        for item in items {
            extent
                .kinds
                .insert((item.id.group.clone(), item.id.kind.clone()));
            extent.namespaces.extend(item.id.namespace.clone());
        }
        extent
    }

    /// Everything in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            kinds: self.kinds.union(&other.kinds).cloned().collect(),
            namespaces: self.namespaces.union(&other.namespaces).cloned().collect(),
        }
    }

    /// Label and annotations of the parent that say this.
    fn metadata(
        &self,
        set: &ApplySet,
        own_namespace: &str,
    ) -> (
        BTreeMap<&'static str, String>,
        BTreeMap<&'static str, String>,
    ) {
        let kinds: BTreeSet<String> = self
            .kinds
            .iter()
            .map(|(group, kind)| {
                if group.is_empty() {
                    kind.clone()
                } else {
                    format!("{kind}.{group}")
                }
            })
            .collect();
        let namespaces: Vec<&str> = self
            .namespaces
            .iter()
            .map(String::as_str)
            .filter(|namespace| *namespace != own_namespace)
            .collect();
        let labels = BTreeMap::from([(names::APPLYSET_ID_LABEL, set.id().to_owned())]);
        let annotations = BTreeMap::from([
            (names::APPLYSET_TOOLING_ANNOTATION, TOOLING.to_owned()),
            (
                names::APPLYSET_GROUP_KINDS_ANNOTATION,
                kinds.into_iter().collect::<Vec<_>>().join(","),
            ),
            (names::APPLYSET_NAMESPACES_ANNOTATION, namespaces.join(",")),
        ]);
        (labels, annotations)
    }
}

/// The parent in the cluster.
pub struct Parent {
    api: Api<ManifestSync>,
    name: String,
    namespace: String,
    set: ApplySet,
    /// What its metadata says, as last read or written.
    said: (BTreeMap<String, String>, BTreeMap<String, String>),
}

impl Parent {
    /// `meta` is the parent's metadata, freshly read.
    pub fn new(api: Api<ManifestSync>, meta: &ObjectMeta, set: ApplySet) -> Self {
        Self {
            api,
            name: meta.name.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            set,
            said: (
                meta.labels.clone().unwrap_or_default(),
                meta.annotations.clone().unwrap_or_default(),
            ),
        }
    }

    /// Makes the parent say where its members are. Writes only when it says something else.
    pub async fn say(&mut self, extent: &Extent) -> Result<(), kube::Error> {
        let (labels, annotations) = extent.metadata(&self.set, &self.namespace);
        let says = |said: &BTreeMap<String, String>, wanted: &BTreeMap<&'static str, String>| {
            wanted
                .iter()
                .all(|(key, value)| said.get(*key) == Some(value))
        };
        if says(&self.said.0, &labels) && says(&self.said.1, &annotations) {
            return Ok(());
        }
        let patch = json!({"metadata": {"labels": labels, "annotations": annotations}});
        let params = PatchParams {
            field_manager: Some(names::CONTROLLER_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let answer = self
            .api
            .patch_metadata(&self.name, &params, &Patch::Merge(&patch))
            .await?;
        self.said = (
            answer.metadata.labels.unwrap_or_default(),
            answer.metadata.annotations.unwrap_or_default(),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(kinds: &[(&str, &str)], namespaces: &[&str]) -> Extent {
        Extent {
            kinds: kinds
                .iter()
                .map(|(group, kind)| ((*group).to_owned(), (*kind).to_owned()))
                .collect(),
            namespaces: namespaces
                .iter()
                .map(|namespace| (*namespace).to_owned())
                .collect(),
        }
    }

    #[test]
    fn annotations_are_those_of_the_specification() {
        let set = ApplySet::of("team-a", "app");
        let all = extent(
            &[
                ("apps", "Deployment"),
                ("", "Secret"),
                ("waxwing.dev", "SealedSecret"),
            ],
            &["team-a", "prod", "dev"],
        );
        let (labels, annotations) = all.metadata(&set, "team-a");
        assert_eq!(labels["applyset.kubernetes.io/id"], set.id());
        assert_eq!(
            annotations["applyset.kubernetes.io/contains-group-kinds"],
            "Deployment.apps,SealedSecret.waxwing.dev,Secret"
        );
        assert_eq!(
            annotations["applyset.kubernetes.io/additional-namespaces"],
            "dev,prod"
        );
        assert_eq!(
            annotations["applyset.kubernetes.io/tooling"],
            "waxwing/v0.1"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = extent(
            &[
                ("apps", "Deployment"),
                ("", "Secret"),
                ("rbac.authorization.k8s.io", "Role"),
            ],
            &["prod"],
        );
        let (_, annotations) = all.metadata(&ApplySet::of("team-a", "app"), "team-a");
        let meta = ObjectMeta {
            annotations: Some(
                annotations
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            ),
            ..ObjectMeta::default()
        };
        assert_eq!(Extent::read(&meta), all);
        assert_eq!(Extent::read(&ObjectMeta::default()), Extent::default());
    }

    #[test]
    fn growing_forgets_nothing() {
        let old = extent(&[("", "ConfigMap")], &["a"]);
        let new = extent(&[("", "Secret")], &["b"]);
        assert_eq!(
            old.union(&new),
            extent(&[("", "ConfigMap"), ("", "Secret")], &["a", "b"])
        );
    }
}
