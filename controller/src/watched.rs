//! Where the controller works: the whole cluster, or single namespaces (`--watch-namespace`); and one stream of watch
//! events over either.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};

/// The namespaces that the controller works in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// All of them, those of tomorrow included.
    #[default]
    Cluster,
    /// These and no other; never empty, never the controller's own.
    Namespaces(BTreeSet<String>),
}

impl Watched {
    /// Whether the controller works in this namespace.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }

    /// Whether that is the whole cluster, so that one request may ask about all namespaces.
    pub fn is_cluster(&self) -> bool {
        *self == Self::Cluster
    }

    /// Everything that happens to objects of one kind, as one watch would tell it: with several namespaces, several
    /// watches are merged into one listing and one stream. Errors are logged (`what` names the kind) and waited out,
    /// never passed on: the trouble of one namespace must not hold up the others.
    ///
    /// `watch` makes the watch of one `Api`, with its back-off; `gone` makes an object of nothing but metadata, to say
    /// that it was deleted while nobody looked.
    pub fn events<K, S>(
        &self,
        client: &Client,
        what: &'static str,
        watch: impl Fn(Api<K>) -> S,
        gone: fn(ObjectMeta) -> K,
    ) -> BoxStream<'static, Event<K>>
    where
        K: Resource<Scope = NamespaceResourceScope> + Send + 'static,
        K::DynamicType: Default,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    {
        match self {
            Self::Cluster => watch(Api::all(client.clone()))
                .filter_map(move |event| {
                    let event =
                        event.inspect_err(|error| tracing::warn!(%error, "watching {what}"));
                    std::future::ready(event.ok())
                })
                .boxed(),
            Self::Namespaces(namespaces) => {
                let sources = namespaces.iter().map(|namespace| {
                    let source = watch(Api::namespaced(client.clone(), namespace));
                    (namespace.clone(), source.boxed())
                });
                merged(what, sources, gone).boxed()
            }
        }
    }
}

/// `all namespaces`, or their names.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("all namespaces"),
            Self::Namespaces(namespaces) => {
                let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// What is left to say of a guarded object that was deleted while nobody looked.
pub fn gone<K>(metadata: ObjectMeta) -> DeserializeGuard<K> {
    let error = "it was deleted".to_owned();
    DeserializeGuard(Err(InvalidObject { error, metadata }))
}

fn merged<K, S>(
    what: &'static str,
    sources: impl Iterator<Item = (String, S)>,
    gone: fn(ObjectMeta) -> K,
) -> impl Stream<Item = Event<K>> + Send + 'static
where
    K: Resource + Send + 'static,
    S: Stream<Item = watcher::Result<Event<K>>> + Send + Unpin + 'static,
{
    let sources: Vec<(String, S)> = sources.collect();
    let names = sources.iter().map(|(namespace, _)| namespace.clone());
    let mut merge = Merge::new(names, gone);
    let all = sources
        .into_iter()
        .map(|(namespace, source)| source.map(move |event| (namespace.clone(), event)).boxed());
    stream::select_all(all).flat_map(move |(namespace, event)| {
        let events = match event {
            Ok(event) => merge.take(&namespace, event),
            Err(error) => {
                tracing::warn!(namespace, %error, "watching {what}");
                if is_forbidden(&error) {
                    merge.without(&namespace)
                } else {
                    Vec::new()
                }
            }
        };
        stream::iter(events)
    })
}

/// The API server answers and says no: waiting for that namespace may take as long as its administrator.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.is_forbidden(),
        _ => false,
    }
}

/// Several watches as one. Who reads a watch takes the end of a listing for "this is all there is", so the end is told
/// once, when all have been listed; what a single watch lists again later is told as changes.
struct Merge<K> {
    sources: BTreeMap<String, Source<K>>,
    gone: fn(ObjectMeta) -> K,
    begun: bool,
    /// The end of the common listing was told.
    listed: bool,
    /// What happened in one namespace while others were still being listed.
    held: Vec<Event<K>>,
}

struct Source<K> {
    /// Its first listing ended, or was refused.
    listed: bool,
    /// What its present listing has told so far. One that breaks off is forgotten.
    listing: Vec<K>,
    /// Names of the objects that were told and not deleted since.
    known: BTreeSet<String>,
}

impl<K: Resource> Merge<K> {
    fn new(namespaces: impl Iterator<Item = String>, gone: fn(ObjectMeta) -> K) -> Self {
        let source = |namespace| {
            let source = Source {
                listed: false,
                listing: Vec::new(),
                known: BTreeSet::new(),
            };
            (namespace, source)
        };
        Self {
            sources: namespaces.map(source).collect(),
            gone,
            begun: false,
            listed: false,
            held: Vec::new(),
        }
    }

    /// Takes an event of one watch; returns what follows for the whole.
    fn take(&mut self, namespace: &str, event: Event<K>) -> Vec<Event<K>> {
        let Some(source) = self.sources.get_mut(namespace) else {
            return Vec::new();
        };
        let told = match event {
            Event::Init => {
                source.listing.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                source.listing.push(object);
                Vec::new()
            }
            Event::InitDone => {
                let listing = mem::take(&mut source.listing);
                let names = listing.iter().map(ResourceExt::name_any).collect();
                let before = mem::replace(&mut source.known, names);
                if !source.listed && !self.listed {
                    source.listed = true;
                    let mut told = self.begin();
                    told.extend(listing.into_iter().map(Event::InitApply));
                    told.extend(self.end());
                    return told;
                }
                source.listed = true;
                let lost: Vec<String> = before.difference(&source.known).cloned().collect();
                let lost = lost.into_iter().map(|name| {
                    let meta = ObjectMeta {
                        namespace: Some(namespace.to_owned()),
                        name: Some(name),
                        ..ObjectMeta::default()
                    };
                    Event::Delete((self.gone)(meta))
                });
                listing.into_iter().map(Event::Apply).chain(lost).collect()
            }
            Event::Apply(object) => {
                source.known.insert(object.name_any());
                vec![Event::Apply(object)]
            }
            Event::Delete(object) => {
                source.known.remove(&object.name_any());
                vec![Event::Delete(object)]
            }
        };
        if self.listed {
            told
        } else {
            self.held.extend(told);
            Vec::new()
        }
    }

    /// One watch is refused: the others go on without it. What it lists once it may is told as changes.
    fn without(&mut self, namespace: &str) -> Vec<Event<K>> {
        let Some(source) = self.sources.get_mut(namespace) else {
            return Vec::new();
        };
        if mem::replace(&mut source.listed, true) || self.listed {
            return Vec::new();
        }
        let mut told = self.begin();
        told.extend(self.end());
        told
    }

    fn begin(&mut self) -> Vec<Event<K>> {
        if mem::replace(&mut self.begun, true) {
            Vec::new()
        } else {
            vec![Event::Init]
        }
    }

    /// Ends the common listing if it is over.
    fn end(&mut self) -> Vec<Event<K>> {
        if !self.sources.values().all(|source| source.listed) {
            return Vec::new();
        }
        self.listed = true;
        let mut told = vec![Event::InitDone];
        told.append(&mut self.held);
        told
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str) -> ConfigMap {
        bare(ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        })
    }

    fn bare(metadata: ObjectMeta) -> ConfigMap {
        ConfigMap {
            metadata,
            ..ConfigMap::default()
        }
    }

    fn merge() -> Merge<ConfigMap> {
        Merge::new(["a".to_owned(), "b".to_owned()].into_iter(), bare)
    }

    fn lists(merge: &mut Merge<ConfigMap>, namespace: &str, names: &[&str]) -> Vec<String> {
        let objects = names.iter().map(|name| Event::InitApply(object(name)));
        let all = [Event::Init].into_iter().chain(objects);
        all.chain([Event::InitDone])
            .flat_map(|event| said(merge.take(namespace, event)))
            .collect()
    }

    fn said(events: Vec<Event<ConfigMap>>) -> Vec<String> {
        let say = |event: Event<ConfigMap>| match event {
            Event::Init => "init".to_owned(),
            Event::InitApply(object) => format!("listed {}", object.name_any()),
            Event::InitDone => "done".to_owned(),
            Event::Apply(object) => format!("apply {}", object.name_any()),
            Event::Delete(object) => format!("delete {}", object.name_any()),
        };
        events.into_iter().map(say).collect()
    }

    #[test]
    fn the_end_is_told_when_all_have_been_listed_and_what_happened_meanwhile_after_it() {
        let mut merge = merge();
        assert_eq!(
            lists(&mut merge, "a", &["x", "y"]),
            ["init", "listed x", "listed y"]
        );
        assert!(
            merge.take("a", Event::Delete(object("x"))).is_empty(),
            "not before the listing ended"
        );
        assert_eq!(
            lists(&mut merge, "b", &["z"]),
            ["listed z", "done", "delete x"]
        );
        assert_eq!(
            said(merge.take("b", Event::Apply(object("w")))),
            ["apply w"]
        );
    }

    #[test]
    fn a_listing_that_breaks_off_leaves_nothing() {
        let mut merge = merge();
        merge.take("a", Event::Init);
        merge.take("a", Event::InitApply(object("ghost")));
        assert_eq!(lists(&mut merge, "a", &["x"]), ["init", "listed x"]);
    }

    #[test]
    fn what_one_lists_again_is_told_as_changes_and_deletions() {
        let mut merge = merge();
        lists(&mut merge, "a", &["x", "y"]);
        lists(&mut merge, "b", &["x"]);
        assert_eq!(
            lists(&mut merge, "a", &["y", "new"]),
            ["apply y", "apply new", "delete x"]
        );
        let again: Vec<Event<ConfigMap>> = [Event::Init, Event::InitDone]
            .into_iter()
            .flat_map(|event| merge.take("b", event))
            .collect();
        let [Event::Delete(gone)] = again.as_slice() else {
            panic!("{again:?}")
        };
        assert_eq!(
            gone.metadata.namespace.as_deref(),
            Some("b"),
            "not the one of the other namespace"
        );
    }

    #[test]
    fn a_namespace_that_is_refused_holds_up_nobody_and_joins_later() {
        let mut merge = merge();
        assert_eq!(said(merge.without("b")), ["init"]);
        assert_eq!(lists(&mut merge, "a", &["x"]), ["listed x", "done"]);
        assert!(merge.without("b").is_empty());
        assert_eq!(lists(&mut merge, "b", &["z"]), ["apply z"]);
    }

    #[test]
    fn a_refusal_may_be_what_ends_the_listing() {
        let mut merge = merge();
        assert_eq!(lists(&mut merge, "a", &["x"]), ["init", "listed x"]);
        assert_eq!(said(merge.without("b")), ["done"]);
    }

    #[test]
    fn nothing_outside_is_covered() {
        let some = Watched::Namespaces(["team-a".to_owned()].into());
        assert!(some.covers("team-a") && !some.covers("team-b") && !some.is_cluster());
        assert!(Watched::Cluster.covers("team-b") && Watched::Cluster.is_cluster());
        assert_eq!(some.to_string(), "team-a");
    }
}
