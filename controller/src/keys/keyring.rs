//! The private keys in memory, newest first, shared by everything that opens.

use std::sync::Arc;

use sealing::{Identity, KeyId, Suite};
use tokio::sync::watch;

use super::secret::Key;

/// All keys of the cluster at one moment.
#[derive(Default)]
pub struct Keyring {
    /// Newest first.
    keys: Vec<Arc<Key>>,
    version: u64,
}

/// The keyring as it is now; clones see the same.
#[derive(Clone)]
pub struct SharedKeyring(Arc<watch::Sender<Arc<Keyring>>>);

impl Keyring {
    /// Private keys in the order in which they are tried.
    pub fn identities(&self) -> Vec<&Identity> {
        self.keys.iter().map(|key| &key.identity).collect()
    }

    /// All keys, newest first.
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The Active key.
    pub fn active(&self) -> Option<&Arc<Key>> {
        self.keys
            .iter()
            .find(|key| key.state == Some(sealing::KeyState::Active))
    }

    /// Suite of a key of ours.
    pub fn suite(&self, id: &KeyId) -> Option<Suite> {
        self.keys
            .iter()
            .map(|key| key.identity.recipient())
            .find(|recipient| recipient.key_id() == id)
            .map(sealing::Recipient::suite)
    }

    /// Short ids of all keys, for messages.
    pub fn short_ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.short_id()).collect()
    }

    /// Changes whenever the set of keys that open changes.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl SharedKeyring {
    /// An empty keyring.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Arc::default())))
    }

    /// The keys at this moment.
    pub fn now(&self) -> Arc<Keyring> {
        self.0.borrow().clone()
    }

    /// Puts other keys in the place of those that are there. Those who wait are woken only when
    /// the set of keys that open changed.
    pub fn replace(&self, mut keys: Vec<Arc<Key>>) {
        keys.sort_by_key(|key| {
            let id = *key.identity.recipient().key_id();
            (std::cmp::Reverse(key.created_at), id)
        });
        let before = self.now();
        let same = before.short_ids() == keys.iter().map(|key| key.short_id()).collect::<Vec<_>>();
        let version = if same {
            before.version
        } else {
            before.version + 1
        };
        self.0.send_if_modified(|ring| {
            *ring = Arc::new(Keyring { keys, version });
            !same
        });
    }

    /// Resolves whenever the set of keys that open changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Keyring>> {
        self.0.subscribe()
    }
}

impl Default for SharedKeyring {
    fn default() -> Self {
        Self::new()
    }
}
