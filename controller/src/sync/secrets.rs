//! The Secrets that say how a source is reached: watched by name, metadata only, and read again only when they changed
//! or the remote refused what was read. What was read is kept in memory until then, so that a poll of an unchanged
//! repository asks nothing of the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crds::ManifestSync;
use futures::StreamExt as _;
use futures::channel::mpsc;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::AbortHandle;

use super::source::Remote;

type Guarded = DeserializeGuard<ManifestSync>;
/// Namespace and name of a Secret.
pub type Name = (String, String);

/// How the sources of all syncs are reached.
pub struct Secrets(Arc<Shared>);

struct Shared {
    client: Client,
    state: Mutex<State>,
    wake: mpsc::UnboundedSender<ObjectRef<Guarded>>,
}

#[derive(Default)]
struct State {
    /// Secrets that are watched.
    watched: BTreeMap<Name, Watched>,
    /// By the uid of the sync.
    uses: BTreeMap<String, Uses>,
}

struct Watched {
    version: Version,
    task: AbortHandle,
}

struct Uses {
    sync: ObjectRef<Guarded>,
    names: BTreeSet<Name>,
    kept: Option<Kept>,
    /// One of its Secrets changed since it was last asked.
    news: bool,
}

struct Kept {
    generation: Option<i64>,
    versions: BTreeMap<Name, String>,
    remote: Arc<Remote>,
}

/// What a watch knows of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    /// Not listed yet, or not watched.
    Unknown,
    /// There is none of that name.
    Gone,
    /// Its resourceVersion.
    At(String),
}

impl Secrets {
    /// `wake` is told of syncs whose Secrets changed.
    pub fn new(client: Client, wake: mpsc::UnboundedSender<ObjectRef<Guarded>>) -> Self {
        Self(Arc::new(Shared {
            client,
            state: Mutex::default(),
            wake,
        }))
    }

    /// What was kept for a sync, if neither its spec nor one of its Secrets changed since. From now on these Secrets
    /// are watched for it.
    pub fn kept(
        &self,
        uid: &str,
        sync: ObjectRef<Guarded>,
        generation: Option<i64>,
        names: BTreeSet<Name>,
    ) -> Option<Arc<Remote>> {
        let mut state = self.0.lock();
        let uses = state.uses.entry(uid.to_owned()).or_insert_with(|| Uses {
            sync,
            names: BTreeSet::new(),
            kept: None,
            news: false,
        });
        uses.news = false;
        if uses.names != names {
            uses.names.clone_from(&names);
            uses.kept = None;
            state.drop_unused();
        }
        for name in names {
            state
                .watched
                .entry(name.clone())
                .or_insert_with(|| Watched {
                    version: Version::Unknown,
                    task: tokio::spawn(watch(Arc::downgrade(&self.0), self.0.client.clone(), name))
                        .abort_handle(),
                });
        }
        let kept = state.uses.get(uid)?.kept.as_ref()?;
        let same = kept.versions.iter().all(|(name, version)| {
            let known = state.watched.get(name).map(|watched| &watched.version);
            known == Some(&Version::At(version.clone()))
        });
        (kept.generation == generation && same).then(|| kept.remote.clone())
    }

    /// Keeps what was read from Secrets of these versions.
    pub fn keep(
        &self,
        uid: &str,
        generation: Option<i64>,
        versions: BTreeMap<Name, String>,
        remote: Arc<Remote>,
    ) {
        if let Some(uses) = self.0.lock().uses.get_mut(uid) {
            uses.kept = Some(Kept {
                generation,
                versions,
                remote,
            });
        }
    }

    /// The remote refused: what was kept is read again next time.
    pub fn refused(&self, uid: &str) {
        if let Some(uses) = self.0.lock().uses.get_mut(uid) {
            uses.kept = None;
        }
    }

    /// A sync is gone.
    pub fn forget(&self, uid: &str) {
        let mut state = self.0.lock();
        state.uses.remove(uid);
        state.drop_unused();
    }

    /// Whether a Secret of a sync changed since [`Secrets::kept`] was asked.
    pub fn has_news(&self, uid: &str) -> bool {
        self.0.lock().uses.get(uid).is_some_and(|uses| uses.news)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half-made behind this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, name: &Name, version: &Version) {
        for sync in self.lock().learn(name, version) {
            // Closed only when the process is going down.
            let _ = self.wake.unbounded_send(sync);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for watched in self.lock().watched.values() {
            watched.task.abort();
        }
    }
}

impl State {
    /// Takes in what a watch says; returns the syncs for which it is news.
    fn learn(&mut self, name: &Name, version: &Version) -> Vec<ObjectRef<Guarded>> {
        let Some(watched) = self.watched.get_mut(name) else {
            return Vec::new();
        };
        if std::mem::replace(&mut watched.version, version.clone()) == *version {
            return Vec::new();
        }
        let mut woken = Vec::new();
        for uses in self.uses.values_mut() {
            let read = uses
                .kept
                .as_ref()
                .and_then(|kept| kept.versions.get(name))
                .map(|version| Version::At(version.clone()));
            // Its first listing shows what was just read. A Secret that could not be used was not kept.
            let is_news = match (&read, version) {
                (_, Version::Unknown) => false,
                (Some(read), now) => read != now,
                (None, now) => *now != Version::Gone,
            };
            if uses.names.contains(name) && is_news {
                uses.news = true;
                woken.push(uses.sync.clone());
            }
        }
        woken
    }

    fn drop_unused(&mut self) {
        let uses = &self.uses;
        self.watched.retain(|name, watched| {
            let is_used = uses.values().any(|uses| uses.names.contains(name));
            if !is_used {
                watched.task.abort();
            }
            is_used
        });
    }
}

/// Follows one Secret. Where that is refused it stays unknown, and is read each time.
async fn watch(shared: Weak<Shared>, client: Client, name: Name) {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client, &name.0);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.1));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = Version::Gone;
    while let Some(event) = events.next().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let at = |meta: &kube::api::ObjectMeta| {
            meta.resource_version
                .clone()
                .map_or(Version::Unknown, Version::At)
        };
        match event {
            Ok(Event::Init) => listed = Version::Gone,
            Ok(Event::InitApply(secret)) => listed = at(&secret.metadata),
            Ok(Event::InitDone) => shared.learn(&name, &listed),
            Ok(Event::Apply(secret)) => shared.learn(&name, &at(&secret.metadata)),
            Ok(Event::Delete(_)) => shared.learn(&name, &Version::Gone),
            Err(error) => {
                tracing::debug!(namespace = name.0, secret = name.1, %error, "watching a Secret");
                let (watcher::Error::InitialListFailed(kube::Error::Api(status))
                | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = &error
                else {
                    continue;
                };
                if status.is_forbidden() {
                    shared.learn(&name, &Version::Unknown);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::scripted;
    use super::super::source::Reference;
    use super::*;

    fn name() -> Name {
        ("team-a".into(), "git".into())
    }

    fn remote() -> Arc<Remote> {
        Arc::new(Remote {
            url: "https://git.example/app.git".into(),
            reference: Reference::DefaultBranch,
            credentials: None,
            ca: None,
            proxy: None,
            timeout: Duration::from_secs(1),
        })
    }

    /// Secrets whose watches stand still: what they know is told by the test.
    fn secrets() -> (Secrets, mpsc::UnboundedReceiver<ObjectRef<Guarded>>) {
        let (client, _) = scripted::client(|_| scripted::failure(500, "X", "x", &().into()));
        let (wake, woken) = mpsc::unbounded();
        (Secrets::new(client, wake), woken)
    }

    fn kept(secrets: &Secrets, generation: i64) -> bool {
        let sync = ObjectRef::new("app").within("team-a");
        secrets
            .kept("uid", sync, Some(generation), [name()].into())
            .is_some()
    }

    fn keep(secrets: &Secrets, version: &str) {
        let versions = [(name(), version.to_owned())].into();
        secrets.keep("uid", Some(1), versions, remote());
    }

    #[tokio::test]
    async fn what_was_read_is_used_again_only_while_the_watch_says_that_nothing_changed() {
        let (secrets, mut woken) = secrets();
        assert!(!kept(&secrets, 1));
        keep(&secrets, "7");
        assert!(!kept(&secrets, 1), "nobody knows whether it changed");
        secrets.0.learn(&name(), &Version::At("7".into()));
        assert!(woken.try_recv().is_err(), "what was just read is no news");
        assert!(kept(&secrets, 1));
        assert!(!kept(&secrets, 2), "another spec");
        secrets.0.learn(&name(), &Version::At("8".into()));
        assert!(secrets.has_news("uid") && woken.try_recv().is_ok());
        assert!(!kept(&secrets, 1));
        assert!(!secrets.has_news("uid"), "told once");
        keep(&secrets, "8");
        assert!(kept(&secrets, 1));
        secrets.0.learn(&name(), &Version::Gone);
        assert!(!kept(&secrets, 1), "a deleted Secret is not used");
    }

    #[tokio::test]
    async fn what_the_remote_refused_is_read_again() {
        let (secrets, _woken) = secrets();
        kept(&secrets, 1);
        keep(&secrets, "7");
        secrets.0.learn(&name(), &Version::At("7".into()));
        assert!(kept(&secrets, 1));
        secrets.refused("uid");
        assert!(!kept(&secrets, 1));
    }

    #[tokio::test]
    async fn a_secret_that_comes_late_wakes_its_sync_and_the_last_user_ends_the_watch() {
        let (secrets, mut woken) = secrets();
        assert!(!kept(&secrets, 1));
        secrets.0.learn(&name(), &Version::Gone);
        assert!(woken.try_recv().is_err());
        secrets.0.learn(&name(), &Version::At("1".into()));
        assert!(woken.try_recv().is_ok());
        secrets.forget("uid");
        assert!(secrets.0.lock().watched.is_empty());
    }
}
