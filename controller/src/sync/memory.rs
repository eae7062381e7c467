//! What is remembered about each sync between two passes, and what follows from it: whether a pass is due, and how
//! much of one. Nothing here is needed to be right, only to be cheap: a controller that has just started knows
//! nothing, makes a whole pass, and finds that nothing differs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crds::reasons::Reason;

use super::drift::State;
use super::members::Fingerprint;
use super::parent::Extent;
use super::plan::MemberKey;
use super::quarrel::Quarrels;
use super::status::Report;

/// What is remembered about one sync.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Generation of the spec that was looked at last.
    pub generation: Option<i64>,
    /// Value of `waxwing.dev/reconcile-at` that was looked at last.
    pub reconcile_at: Option<String>,
    /// When it is looked at again although nobody asks; `None`: only when something changes.
    pub next: Option<Instant>,
    /// The last attempt, if it failed.
    pub failed: Option<Failed>,
    /// What the last complete pass left in the cluster.
    pub standing: Option<Arc<Standing>>,
    /// The failure that was told last, so that it is told once.
    pub told: Option<String>,
    /// When drift is looked at again although nothing happened: an object that was left alone is due.
    pub drift_at: Option<Instant>,
    /// How often correcting drift failed in a row.
    pub drift_failures: u32,
    /// How drift was told last.
    pub drift_told: Option<State>,
    /// Objects that somebody else changes again and again.
    pub quarrels: Quarrels,
}

/// A failed attempt.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Why, in one word.
    pub reason: Reason,
    /// The commit, when it got as far as that.
    pub commit: Option<String>,
    /// How many in a row, from 1.
    pub times: u32,
    /// When the same is tried again.
    pub retry_at: Instant,
    /// Version of the keyring then, if a new key may help.
    pub waits_for_key: Option<u64>,
}

/// A revision that stands in the cluster.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its commit.
    pub commit: String,
    /// Its objects as they were applied.
    pub objects: BTreeMap<MemberKey, Fingerprint>,
    /// Their kinds and namespaces.
    pub extent: Extent,
    /// What was said about it, to be said again when an outage of its source is over.
    pub report: Report,
}

/// Whether a look at a sync is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Now. `asked`: the spec or the annotation is new, so nothing remembered may shorten the pass.
    Now {
        /// Somebody asked.
        asked: bool,
    },
    /// After this time.
    After(Duration),
    /// When something changes.
    OnChange,
}

/// How much of a pass a revision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// All of it.
    Pass,
    /// None: it was applied. Whether it still stands is a matter of drift.
    Stands,
    /// It failed, and its retry is not due.
    Nothing,
}

impl Entry {
    /// Whether a look is due. `generation` and `reconcile_at` are the object's now.
    pub fn due(
        &self,
        generation: Option<i64>,
        reconcile_at: Option<&str>,
        keys_version: u64,
        now: Instant,
    ) -> Due {
        if self.generation.is_none()
            || self.generation != generation
            || self.reconcile_at.as_deref() != reconcile_at
        {
            return Due::Now { asked: true };
        }
        if self.has_new_key(keys_version) {
            return Due::Now { asked: false };
        }
        match self.next {
            None => Due::OnChange,
            Some(next) if next <= now => Due::Now { asked: false },
            Some(next) => Due::After(next - now),
        }
    }

    /// How much of a pass the commit needs that the source has now.
    pub fn need(&self, commit: &str, keys_version: u64, now: Instant) -> Need {
        // Where the source itself failed, no commit was attempted, and what stands may still be what is wanted.
        if let Some(failed) = self
            .failed
            .as_ref()
            .filter(|failed| failed.commit.is_some())
        {
            let same = failed.commit.as_deref() == Some(commit);
            return if same && now < failed.retry_at && !self.has_new_key(keys_version) {
                Need::Nothing
            } else {
                Need::Pass
            };
        }
        match &self.standing {
            Some(standing) if standing.commit == commit => Need::Stands,
            _ => Need::Pass,
        }
    }

    fn has_new_key(&self, keys_version: u64) -> bool {
        self.failed
            .as_ref()
            .and_then(|failed| failed.waits_for_key)
            .is_some_and(|version| version != keys_version)
    }
}

/// Entries by the uid of their ManifestSync.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<String, Entry>>);

impl Memory {
    /// What is remembered; nothing, for a sync never seen.
    pub fn recall(&self, uid: &str) -> Entry {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Remembers.
    pub fn remember(&self, uid: &str, entry: Entry) {
        self.lock().insert(uid.to_owned(), entry);
    }

    /// Forgets.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Whether a sync waits for a key that this keyring may have.
    pub fn waits_for_key(&self, uid: &str, keys_version: u64) -> bool {
        self.lock()
            .get(uid)
            .is_some_and(|entry| entry.has_new_key(keys_version))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crds::conditions::Outcome;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn standing(commit: &str) -> Standing {
        Standing {
            commit: commit.into(),
            objects: BTreeMap::new(),
            extent: Extent::default(),
            report: Report::says(
                Outcome::Ready,
                Reason::Succeeded,
                "applied",
                Timestamp::UNIX_EPOCH,
            ),
        }
    }

    fn failed(commit: &str, retry_at: Instant, waits_for_key: Option<u64>) -> Failed {
        Failed {
            reason: Reason::PlanRefused,
            commit: Some(commit.into()),
            times: 1,
            retry_at,
            waits_for_key,
        }
    }

    #[test]
    fn a_new_spec_or_annotation_is_looked_at_now() {
        let now = Instant::now();
        let entry = Entry {
            generation: Some(1),
            next: Some(now + MINUTE),
            ..Entry::default()
        };
        assert_eq!(
            Entry::default().due(Some(1), None, 0, now),
            Due::Now { asked: true }
        );
        assert_eq!(entry.due(Some(2), None, 0, now), Due::Now { asked: true });
        assert_eq!(
            entry.due(Some(1), Some("x"), 0, now),
            Due::Now { asked: true }
        );
        assert_eq!(entry.due(Some(1), None, 0, now), Due::After(MINUTE));
        assert_eq!(
            entry.due(Some(1), None, 0, now + MINUTE),
            Due::Now { asked: false }
        );
        let stalled = Entry {
            generation: Some(1),
            ..Entry::default()
        };
        assert_eq!(stalled.due(Some(1), None, 0, now), Due::OnChange);
    }

    #[test]
    fn a_standing_revision_is_only_checked_for_drift() {
        let now = Instant::now();
        let entry = Entry {
            standing: Some(Arc::new(standing("a"))),
            ..Entry::default()
        };
        assert_eq!(entry.need("a", 0, now), Need::Stands);
        assert_eq!(entry.need("b", 0, now), Need::Pass);
        assert_eq!(Entry::default().need("a", 0, now), Need::Pass);
    }

    #[test]
    fn a_failed_revision_waits_for_its_retry_and_a_new_commit_does_not() {
        let now = Instant::now();
        let entry = Entry {
            standing: Some(Arc::new(standing("a"))),
            failed: Some(failed("b", now + MINUTE, None)),
            ..Entry::default()
        };
        assert_eq!(entry.need("b", 0, now), Need::Nothing);
        assert_eq!(entry.need("b", 0, now + MINUTE), Need::Pass);
        assert_eq!(entry.need("c", 0, now), Need::Pass);
        assert_eq!(
            entry.need("a", 0, now),
            Need::Pass,
            "back to the last good one is a change too"
        );
    }

    #[test]
    fn an_outage_of_the_source_does_not_make_everything_be_applied_again() {
        let now = Instant::now();
        let outage = Some(Failed {
            reason: Reason::SourceUnavailable,
            commit: None,
            times: 3,
            retry_at: now + MINUTE,
            waits_for_key: None,
        });
        let entry = Entry {
            standing: Some(Arc::new(standing("a"))),
            failed: outage,
            ..Entry::default()
        };
        assert_eq!(entry.need("a", 0, now), Need::Stands);
        assert_eq!(entry.need("b", 0, now), Need::Pass);
    }

    #[test]
    fn a_new_key_wakes_what_waits_for_one_and_nothing_else() {
        let now = Instant::now();
        let entry = Entry {
            generation: Some(1),
            next: Some(now + MINUTE),
            failed: Some(failed("b", now + MINUTE, Some(7))),
            ..Entry::default()
        };
        assert_eq!(entry.due(Some(1), None, 8, now), Due::Now { asked: false });
        assert_eq!(entry.need("b", 8, now), Need::Pass);
        assert_eq!(entry.due(Some(1), None, 7, now), Due::After(MINUTE));
        assert_eq!(entry.need("b", 7, now), Need::Nothing);
        let other = Entry {
            failed: Some(failed("b", now + MINUTE, None)),
            ..entry
        };
        assert_eq!(other.need("b", 8, now), Need::Nothing);
    }
}
