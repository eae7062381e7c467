//! What is known of the members of all syncs by watching them: for each object whose it is and a fingerprint of what
//! our field manager owns on it. Pure: fed with events, asked by reconciliations.
//!
//! An event that changes what is known is *news* for the sync whose member it is about. News only say when to look;
//! what has drifted is told by comparing what was applied with what is known here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::members::{ApplySet, Fingerprint};
use super::plan::MemberKey;

/// What one watch sees: a kind, in the whole cluster or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Its namespace; `None` for everything.
    pub namespace: Option<String>,
}

/// How well a scope is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The first listing has not ended.
    Listing,
    /// Everything is known, up to the delay of a watch.
    Live,
    /// It cannot be watched, for this reason.
    Blind(String),
}

/// What is known of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its kind is not seen (yet).
    Unknown,
    /// There is no such object with a label of a sync.
    Gone,
    /// What our field manager owns on it; `None` when that is nothing, or it carries the label of another sync.
    Is(Option<Fingerprint>),
}

/// What happened to an object, by the watch of its scope.
pub enum Change<'a> {
    /// A listing begins.
    Begin,
    /// One object of the listing.
    Listed(&'a ObjectMeta),
    /// The listing is complete: what was not in it is gone.
    End,
    /// An object came or changed.
    Changed(&'a ObjectMeta),
    /// An object is gone, or lost its label.
    Gone(&'a ObjectMeta),
}

/// Scopes whose watch is to be started and stopped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Nobody watches these yet.
    pub start: Vec<Scope>,
    /// No sync names these any more.
    pub stop: Vec<Scope>,
}

/// Everything that is known.
#[derive(Default)]
pub struct Live {
    scopes: BTreeMap<Scope, Seen>,
    /// What each sync names, by the id of its `ApplySet`.
    wants: HashMap<Arc<str>, Wants>,
}

#[derive(Default)]
struct Wants {
    scopes: BTreeSet<Scope>,
    /// Something happened since it was last asked.
    news: bool,
}

struct Seen {
    sight: Sight,
    /// By `namespace/name`, about 0.2 KiB each.
    objects: HashMap<Box<str>, Known>,
    /// What the present listing has told so far.
    listing: HashSet<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// Value of its label.
    set: Arc<str>,
    owned: Option<Fingerprint>,
}

impl Live {
    /// A sync names these scopes from now on, and no others.
    pub fn want(&mut self, set: &ApplySet, scopes: BTreeSet<Scope>) -> Turn {
        let start: Vec<Scope> = scopes
            .iter()
            .filter(|scope| !self.scopes.contains_key(*scope))
            .cloned()
            .collect();
        for scope in &start {
            self.scopes.insert(scope.clone(), Seen::nothing());
        }
        self.wants.entry(set.id().into()).or_default().scopes = scopes;
        Turn {
            start,
            stop: self.unwanted(),
        }
    }

    /// A sync is gone.
    pub fn forget(&mut self, set: &ApplySet) -> Vec<Scope> {
        self.wants.remove(set.id());
        self.unwanted()
    }

    /// A scope cannot be watched. Nothing is known about it any more. Returns the ids of the syncs that name it.
    pub fn blind(&mut self, scope: &Scope, why: String) -> BTreeSet<Arc<str>> {
        let Some(seen) = self.scopes.get_mut(scope) else {
            return BTreeSet::new();
        };
        *seen = Seen {
            sight: Sight::Blind(why),
            ..Seen::nothing()
        };
        let concerned = self.wanting(scope);
        self.news(concerned)
    }

    /// The watch of a scope is tried again.
    pub fn retry(&mut self, scope: &Scope) {
        if let Some(seen) = self.scopes.get_mut(scope) {
            *seen = Seen::nothing();
        }
    }

    /// The scopes of a sync that cannot be watched, each with the reason.
    pub fn blind_scopes(&self, set: &ApplySet) -> Vec<(Scope, String)> {
        let wants = self.wants.get(set.id());
        let scopes = wants.into_iter().flat_map(|wants| &wants.scopes);
        scopes
            .filter_map(|scope| match &self.scopes.get(scope)?.sight {
                Sight::Blind(why) => Some((scope.clone(), why.clone())),
                Sight::Listing | Sight::Live => None,
            })
            .collect()
    }

    /// What is known of a member.
    pub fn look(&self, set: &ApplySet, key: &MemberKey) -> Look {
        let Some(seen) = self.scope_of(key).and_then(|scope| self.scopes.get(&scope)) else {
            return Look::Unknown;
        };
        if seen.sight != Sight::Live {
            return Look::Unknown;
        }
        match seen.objects.get(&*short(&key.namespace, &key.name)) {
            None => Look::Gone,
            Some(known) if *known.set == *set.id() => Look::Is(known.owned),
            Some(_) => Look::Is(None),
        }
    }

    /// Records what a write answered, so that its own event is no news.
    pub fn learn(&mut self, set: &ApplySet, key: &MemberKey, owned: Fingerprint) {
        let Some(seen) = self
            .scope_of(key)
            .and_then(|scope| self.scopes.get_mut(&scope))
        else {
            return;
        };
        let set = self
            .wants
            .get_key_value(set.id())
            .map_or_else(|| set.id().into(), |(id, _)| id.clone());
        let known = Known {
            set,
            owned: Some(owned),
        };
        seen.objects.insert(short(&key.namespace, &key.name), known);
    }

    /// Whether something happened to members of a sync since this was asked last.
    pub fn take_news(&mut self, set: &ApplySet) -> bool {
        self.wants
            .get_mut(set.id())
            .is_some_and(|wants| mem::take(&mut wants.news))
    }

    /// Whether something happened to members of a sync.
    pub fn has_news(&self, set: &ApplySet) -> bool {
        self.wants.get(set.id()).is_some_and(|wants| wants.news)
    }

    /// Whether everything that a sync names has been listed, or cannot be.
    pub fn is_listed(&self, set: &ApplySet) -> bool {
        let wants = self.wants.get(set.id());
        let mut scopes = wants.into_iter().flat_map(|wants| &wants.scopes);
        scopes.all(|scope| {
            self.scopes
                .get(scope)
                .is_some_and(|seen| seen.sight != Sight::Listing)
        })
    }

    /// Takes in what a watch tells; returns the ids of the syncs that have news.
    pub fn take(&mut self, scope: &Scope, change: &Change<'_>) -> BTreeSet<Arc<str>> {
        let Some(seen) = self.scopes.get_mut(scope) else {
            return BTreeSet::new();
        };
        let mut concerned: BTreeSet<Arc<str>> = BTreeSet::new();
        match change {
            Change::Begin => seen.listing.clear(),
            Change::Listed(meta) | Change::Changed(meta) => {
                let name = short_of(meta);
                if matches!(change, Change::Listed(_)) {
                    seen.listing.insert(name.clone());
                }
                if let Some(known) = known(meta, &self.wants) {
                    let before = seen.objects.insert(name, known.clone());
                    if before.as_ref() != Some(&known) {
                        concerned.extend(before.map(|before| before.set));
                        concerned.insert(known.set);
                    }
                }
            }
            Change::Gone(meta) => {
                let before = seen.objects.remove(&short_of(meta));
                concerned.extend(before.map(|before| before.set));
            }
            Change::End => {
                let listing = mem::take(&mut seen.listing);
                let gone = seen.objects.extract_if(|name, _| !listing.contains(name));
                concerned.extend(gone.map(|(_, known)| known.set));
                if seen.sight != Sight::Live {
                    seen.sight = Sight::Live;
                    concerned.extend(self.wanting(scope));
                }
            }
        }
        self.news(concerned)
    }

    fn news(&mut self, concerned: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut woken = BTreeSet::new();
        for set in concerned {
            if let Some(wants) = self.wants.get_mut(&set) {
                wants.news = true;
                woken.insert(set);
            }
        }
        woken
    }

    fn wanting(&self, scope: &Scope) -> BTreeSet<Arc<str>> {
        let wants = self.wants.iter();
        wants
            .filter(|(_, wants)| wants.scopes.contains(scope))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn scope_of(&self, key: &MemberKey) -> Option<Scope> {
        let scope = |namespace| Scope {
            group: key.group.clone(),
            kind: key.kind.clone(),
            namespace,
        };
        let everywhere = scope(None);
        if self.scopes.contains_key(&everywhere) {
            return Some(everywhere);
        }
        let here = scope(Some(key.namespace.clone()));
        self.scopes.contains_key(&here).then_some(here)
    }

    fn unwanted(&mut self) -> Vec<Scope> {
        let wanted = |scope: &Scope| {
            self.wants
                .values()
                .any(|wants| wants.scopes.contains(scope))
        };
        let unwanted: Vec<Scope> = self
            .scopes
            .keys()
            .filter(|scope| !wanted(scope))
            .cloned()
            .collect();
        for scope in &unwanted {
            self.scopes.remove(scope);
        }
        unwanted
    }
}

impl Seen {
    fn nothing() -> Self {
        Self {
            sight: Sight::Listing,
            objects: HashMap::new(),
            listing: HashSet::new(),
        }
    }
}

/// Reduces an object to what is kept of it. `None` for one without the label of a sync.
fn known(meta: &ObjectMeta, wants: &HashMap<Arc<str>, Wants>) -> Option<Known> {
    let label = meta.labels.as_ref()?.get(names::APPLYSET_PART_OF_LABEL)?;
    let set = ApplySet::with_id(label)?;
    let id = wants
        .get_key_value(label.as_str())
        .map_or_else(|| label.as_str().into(), |(id, _)| id.clone());
    Some(Known {
        owned: set.fingerprint(meta),
        set: id,
    })
}

fn short(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into_boxed_str()
}

fn short_of(meta: &ObjectMeta) -> Box<str> {
    short(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set() -> ApplySet {
        ApplySet::of("team-a", "app")
    }

    fn maps() -> Scope {
        Scope {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: None,
        }
    }

    fn key(name: &str) -> MemberKey {
        MemberKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "prod".into(),
            name: name.into(),
        }
    }

    fn meta(name: &str, set: &ApplySet, field: &str) -> ObjectMeta {
        serde_json::from_value(json!({"name": name, "namespace": "prod",
            "labels": {"applyset.kubernetes.io/part-of": set.id()},
            "managedFields": [{"manager": set.manager(), "operation": "Apply", "apiVersion": "v1",
                "fieldsV1": {"f:data": {field: {}}}}]}))
        .unwrap()
    }

    /// A live watch of ConfigMaps that has listed `a` and `b`.
    fn live() -> Live {
        let mut live = Live::default();
        live.want(&set(), [maps()].into());
        live.take(&maps(), &Change::Begin);
        live.take(&maps(), &Change::Listed(&meta("a", &set(), "f:x")));
        live.take(&maps(), &Change::Listed(&meta("b", &set(), "f:x")));
        live.take(&maps(), &Change::End);
        live
    }

    #[test]
    fn nothing_is_known_before_the_first_listing_ended_and_its_end_is_news() {
        let mut fresh = Live::default();
        fresh.want(&set(), [maps()].into());
        fresh.take(&maps(), &Change::Begin);
        assert_eq!(
            fresh.look(&set(), &key("a")),
            Look::Unknown,
            "not gone: not listed yet"
        );
        assert!(!fresh.is_listed(&set()));
        let mut live = live();
        assert!(live.is_listed(&set()));
        assert!(live.has_news(&set()) && live.take_news(&set()));
        assert!(!live.take_news(&set()), "told once");
        assert_eq!(live.look(&set(), &key("c")), Look::Gone);
        assert!(matches!(live.look(&set(), &key("a")), Look::Is(Some(_))));
    }

    #[test]
    fn only_what_changes_our_fields_is_news() {
        let mut live = live();
        live.take_news(&set());
        let mut touched = meta("a", &set(), "f:x");
        touched.resource_version = Some("99".into());
        assert!(live.take(&maps(), &Change::Changed(&touched)).is_empty());
        let taken = meta("a", &set(), "f:other");
        assert_eq!(live.take(&maps(), &Change::Changed(&taken)).len(), 1);
        assert!(live.take_news(&set()));
        assert_eq!(live.take(&maps(), &Change::Gone(&taken)).len(), 1);
        assert_eq!(live.look(&set(), &key("a")), Look::Gone);
    }

    #[test]
    fn our_own_write_is_no_news() {
        let mut live = live();
        let written = meta("new", &set(), "f:y");
        live.learn(&set(), &key("new"), set().fingerprint(&written).unwrap());
        assert!(live.take(&maps(), &Change::Changed(&written)).is_empty());
    }

    #[test]
    fn what_went_while_the_watch_was_away_is_noticed_when_it_lists_again() {
        let mut live = live();
        live.take_news(&set());
        live.take(&maps(), &Change::Begin);
        live.take(&maps(), &Change::Listed(&meta("b", &set(), "f:x")));
        assert!(matches!(live.look(&set(), &key("a")), Look::Is(Some(_))));
        assert!(!live.has_news(&set()));
        live.take(&maps(), &Change::End);
        assert!(live.take_news(&set()));
        assert_eq!(live.look(&set(), &key("a")), Look::Gone);
        live.take(&maps(), &Change::Begin);
        live.take(&maps(), &Change::Listed(&meta("b", &set(), "f:x")));
        assert!(
            live.take(&maps(), &Change::End).is_empty(),
            "the same again is no news"
        );
    }

    #[test]
    fn an_object_that_another_sync_labelled_is_not_what_we_applied() {
        let mut live = live();
        let other = ApplySet::of("team-b", "other");
        live.want(&other, [maps()].into());
        live.take_news(&set());
        let woken = live.take(&maps(), &Change::Changed(&meta("a", &other, "f:x")));
        assert_eq!(woken.len(), 2, "news for both");
        assert_eq!(live.look(&set(), &key("a")), Look::Is(None));
    }

    #[test]
    fn a_watch_ends_with_the_last_sync_that_names_its_kind() {
        let mut live = live();
        let other = ApplySet::of("team-b", "other");
        assert_eq!(live.want(&other, [maps()].into()), Turn::default());
        assert_eq!(live.forget(&set()), []);
        let none = live.want(&other, BTreeSet::new());
        assert_eq!(none.stop, [maps()]);
        assert_eq!(live.look(&other, &key("a")), Look::Unknown);
        assert_eq!(live.want(&other, [maps()].into()).start, [maps()]);
    }

    #[test]
    fn what_may_not_be_watched_is_unknown_and_named() {
        let mut live = live();
        assert_eq!(live.blind(&maps(), "forbidden".into()).len(), 1);
        assert_eq!(live.look(&set(), &key("a")), Look::Unknown);
        assert_eq!(
            live.blind_scopes(&set()),
            [(maps(), "forbidden".to_owned())]
        );
        live.retry(&maps());
        assert!(live.blind_scopes(&set()).is_empty());
    }

    #[test]
    fn single_namespaces_are_scopes_of_their_own() {
        let here = Scope {
            namespace: Some("prod".into()),
            ..maps()
        };
        let mut live = Live::default();
        live.want(&set(), [here.clone()].into());
        live.take(&here, &Change::End);
        assert_eq!(live.look(&set(), &key("a")), Look::Gone);
        let elsewhere = MemberKey {
            namespace: "dev".into(),
            ..key("a")
        };
        assert_eq!(live.look(&set(), &elsewhere), Look::Unknown);
    }
}
