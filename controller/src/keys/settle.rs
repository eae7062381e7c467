//! Exactly one key is Active: what has to change for that to be true. Pure.

use std::sync::Arc;

use sealing::{KeyId, KeyState};

use super::secret::Key;

/// A state that a key is to be given, with a new attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Short id of the key.
    pub key: String,
    /// Its state from now on.
    pub state: KeyState,
    /// The key that was Active before it, for a key that becomes Active.
    pub previous: Option<KeyId>,
}

/// Which keys need another state. A key without one (restored by hand, arrived late) opens and
/// does not seal, unless nothing else is Active: then the newest becomes it.
pub fn settle(keys: &[Arc<Key>]) -> Vec<Change> {
    let mut newest_first: Vec<&Arc<Key>> = keys.iter().collect();
    newest_first.sort_by_key(|key| std::cmp::Reverse(key.created_at));
    let may_seal = |key: &Key| {
        matches!(
            key.state,
            None | Some(KeyState::Active | KeyState::DecryptOnly)
        )
    };
    let active = newest_first
        .iter()
        .find(|key| key.state == Some(KeyState::Active))
        .or_else(|| newest_first.iter().find(|key| may_seal(key)))
        .map(|key| key.short_id());
    let mut changes = Vec::new();
    for key in &newest_first {
        let id = key.short_id();
        let wanted = if Some(&id) == active.as_ref() {
            KeyState::Active
        } else {
            match key.state {
                None | Some(KeyState::Active) => KeyState::DecryptOnly,
                Some(state) => state,
            }
        };
        if key.state != Some(wanted) || key.sequence.is_none() {
            changes.push(Change {
                key: id,
                state: wanted,
                previous: key.previous,
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use sealing::{Identity, SealedAt, Suite};

    use super::*;

    fn key(created: u64, state: Option<KeyState>, sequence: Option<u64>) -> Arc<Key> {
        Arc::new(Key {
            identity: Identity::generate(Suite::X25519).unwrap(),
            secret_name: String::new(),
            created_at: SealedAt::from_unix(created).unwrap(),
            state,
            sequence,
            previous: None,
            backed_up: None,
            marked_in_use: false,
        })
    }

    fn states(keys: &[Arc<Key>]) -> Vec<(String, KeyState)> {
        settle(keys)
            .into_iter()
            .map(|change| (change.key, change.state))
            .collect()
    }

    #[test]
    fn a_settled_ring_needs_nothing() {
        let keys = [
            key(2, Some(KeyState::Active), Some(2)),
            key(1, Some(KeyState::DecryptOnly), Some(1)),
        ];
        assert_eq!(settle(&keys), []);
    }

    #[test]
    fn a_key_that_arrives_beside_an_active_one_only_opens() {
        let keys = [key(1, Some(KeyState::Active), Some(1)), key(9, None, None)];
        assert_eq!(states(&keys), [(keys[1].short_id(), KeyState::DecryptOnly)]);
    }

    #[test]
    fn the_newest_seals_when_nothing_is_active() {
        let keys = [key(1, None, None), key(2, None, None)];
        assert_eq!(
            states(&keys),
            [
                (keys[1].short_id(), KeyState::Active),
                (keys[0].short_id(), KeyState::DecryptOnly)
            ]
        );
    }

    #[test]
    fn of_two_active_ones_the_newer_stays() {
        let keys = [
            key(1, Some(KeyState::Active), Some(1)),
            key(2, Some(KeyState::Active), Some(2)),
        ];
        assert_eq!(states(&keys), [(keys[0].short_id(), KeyState::DecryptOnly)]);
    }

    #[test]
    fn a_compromised_key_never_becomes_active() {
        assert_eq!(settle(&[key(1, Some(KeyState::Compromised), Some(3))]), []);
    }
}
