//! Bare object stores on disk, one per repository and credentials.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::hash::Kind;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;

use super::protocol::chain;
use super::url::Address;
use super::{Revision, SourceError, SourceLimits};

/// All object stores of this process.
pub(super) struct Stores {
    directory: TempDir,
    // Held as long as the process lives: says that the directory is in use.
    _lock: File,
    known: Mutex<Known>,
}

/// Names of directories are numbers, so that nothing about addresses or credentials is on disk.
#[derive(Default)]
struct Known {
    next: u64,
    by_source: BTreeMap<[u8; 32], Slot>,
}

struct Slot {
    store: Arc<Store>,
    used: Instant,
}

/// One object store.
pub(super) struct Store {
    path: PathBuf,
    hash: Kind,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Stores {
    /// Makes a directory of our own below `cache`, and removes those of processes that are gone.
    pub(super) fn open(cache: &Path) -> Result<Self, SourceError> {
        let fail = |error: io::Error| store_error(cache, &error);
        fs::create_dir_all(cache).map_err(fail)?;
        remove_leftovers(cache).map_err(fail)?;
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(cache)
            .map_err(fail)?;
        let lock = File::create(directory.path().join(LOCK)).map_err(fail)?;
        lock.try_lock().map_err(|error| fail(error.into()))?;
        Ok(Self {
            directory,
            _lock: lock,
            known: Mutex::default(),
        })
    }

    /// The store of a repository. Different credentials have different stores: what one may
    /// fetch, another may perhaps not.
    pub(super) fn of(
        &self,
        address: &Address,
        authorization: Option<&[u8]>,
        revision: &Revision,
    ) -> Arc<Store> {
        let hash = if revision.commit.len() == 64 {
            Kind::Sha256
        } else {
            Kind::Sha1
        };
        let mut digest = Sha256::new();
        digest.update(address.to_string());
        digest.update([0, hash.len_in_bytes().to_le_bytes()[0]]);
        digest.update([u8::from(authorization.is_some())]);
        digest.update(authorization.unwrap_or_default());
        let source: [u8; 32] = digest.finalize().into();

        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.by_source.get_mut(&source) {
            slot.used = now;
            return slot.store.clone();
        }
        known.by_source.retain(|_, slot| {
            let idle = now.duration_since(slot.used) > IDLE && Arc::strong_count(&slot.store) == 1;
            if idle {
                slot.store.discard();
            }
            !idle
        });
        known.next += 1;
        let store = Arc::new(Store {
            path: self.directory.path().join(format!("{}.git", known.next)),
            hash,
            lock: Arc::default(),
        });
        known.by_source.insert(
            source,
            Slot {
                store: store.clone(),
                used: now,
            },
        );
        store
    }
}

impl Store {
    /// Waits until nobody else uses the store.
    pub(super) async fn lock(&self) -> OwnedMutexGuard<()> {
        self.lock.clone().lock_owned().await
    }

    /// Opens the store, making it when it is not there. One with many packs is made anew: every
    /// fetch adds one, and nothing here collects garbage.
    pub(super) fn open(&self, bounds: &SourceLimits) -> Result<gix::Repository, SourceError> {
        if count_packs(&self.path) > MAX_PACKS {
            self.discard();
        }
        // `isolated`: no configuration of the system, the user or the environment.
        let options = gix::open::Options::isolated()
            .open_path_as_is(true)
            .config_overrides([
                format!("gitoxide.objects.allocLimit={}", bounds.object_bytes),
                "core.logAllRefUpdates=false".to_owned(),
            ]);
        let fail = |error: gix::Error| SourceError::Store {
            path: self.path.display().to_string(),
            why: chain(&error),
        };
        let repository = if self.path.join("HEAD").is_file() {
            gix::open_opts(&self.path, options).map_err(fail)?
        } else {
            self.discard();
            gix::ThreadSafeRepository::init_opts(
                &self.path,
                gix::create::Kind::Bare,
                gix::create::Options {
                    object_hash: Some(self.hash),
                    ..Default::default()
                },
                options,
            )
            .map_err(fail)?
            .to_thread_local()
        };
        Ok(repository)
    }

    /// Removes the store from disk. What cannot be removed is found by the next `open`.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove an object store");
        }
    }
}

/// Whether the store has a commit, and with it (packs arrive whole) its files.
pub(super) fn has_commit(repository: &gix::Repository, commit: ObjectId) -> bool {
    repository.has_object(commit)
}

/// The id of a revision's commit.
pub(super) fn object_id(commit: &str) -> Result<ObjectId, SourceError> {
    ObjectId::from_hex(commit.as_bytes()).map_err(|_| SourceError::ReferenceRefused {
        why: "the revision is not a whole commit id".to_owned(),
    })
}

const PREFIX: &str = "repositories-";
const LOCK: &str = "lock";
/// Packs after which a store is made anew.
const MAX_PACKS: usize = 20;
/// A store that no sync has read for this long goes when another is made.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

fn count_packs(store: &Path) -> usize {
    fs::read_dir(store.join("objects/pack")).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "pack"))
            .count()
    })
}

/// Removes what killed processes have left. The lock of a running one is held by it.
fn remove_leftovers(cache: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !entry.file_type()?.is_dir()
        {
            continue;
        }
        let in_use = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err());
        if !in_use && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove a stale object store");
        }
    }
    Ok(())
}

fn store_error(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Store {
        path: path.display().to_string(),
        why: error.to_string(),
    }
}
