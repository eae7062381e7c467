//! Two managers that fight over an object: who loses ours again and again after it was put right. Such an object is
//! left alone for longer and longer, and reported, instead of being written in a loop. Pure; time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::plan::MemberKey;

/// A correction that comes later than this after the one before begins a new count.
const CALM: Duration = Duration::from_secs(120);
/// Corrections that follow each other before an object is left alone: people change their minds, too.
const FREE: u32 = 4;
/// How long it is left alone first; doubled each time.
const FIRST: Duration = Duration::from_secs(15);
/// The longest.
const LONGEST: Duration = Duration::from_secs(600);

/// The corrections of one sync's members that came close together.
#[derive(Clone, Debug, Default)]
pub struct Quarrels(BTreeMap<MemberKey, Quarrel>);

#[derive(Clone, Debug)]
struct Quarrel {
    times: u32,
    last: Instant,
    /// What was put right last, in words.
    what: String,
}

impl Quarrels {
    /// An object was put right.
    pub fn corrected(&mut self, key: &MemberKey, what: String, now: Instant) {
        let quarrel = self.0.entry(key.clone()).or_insert_with(|| Quarrel {
            times: 0,
            last: now,
            what: String::new(),
        });
        if now >= quarrel.last + pause(quarrel.times) + CALM {
            quarrel.times = 0;
        }
        quarrel.times = quarrel.times.saturating_add(1);
        quarrel.last = now;
        quarrel.what = what;
    }

    /// Until when an object is left alone; `None` when it is not.
    pub fn held(&self, key: &MemberKey, now: Instant) -> Option<Instant> {
        let quarrel = self.0.get(key)?;
        let until = quarrel.last + pause(quarrel.times);
        (until > now).then_some(until)
    }

    /// What was put right last on an object.
    pub fn what(&self, key: &MemberKey) -> Option<&str> {
        self.0.get(key).map(|quarrel| quarrel.what.as_str())
    }

    /// Forgets what has been calm.
    pub fn settle(&mut self, now: Instant) {
        self.0
            .retain(|_, quarrel| now < quarrel.last + pause(quarrel.times) + CALM);
    }
}

/// How long an object is left alone after so many corrections in a row.
fn pause(times: u32) -> Duration {
    match times.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => FIRST.saturating_mul(1 << beyond.min(10)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MemberKey {
        MemberKey {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "prod".into(),
            name: "web".into(),
        }
    }

    #[test]
    fn a_few_corrections_are_free_then_the_object_rests_longer_and_longer() {
        let mut now = Instant::now();
        let mut quarrels = Quarrels::default();
        for _ in 0..3 {
            quarrels.corrected(&key(), "spec.replicas (hpa)".into(), now);
            assert_eq!(quarrels.held(&key(), now), None);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            quarrels.corrected(&key(), "spec.replicas (hpa)".into(), now);
            let until = quarrels.held(&key(), now).unwrap();
            waits.push((until - now).as_secs());
            now = until;
            assert_eq!(quarrels.held(&key(), now), None, "tried again after that");
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(quarrels.what(&key()), Some("spec.replicas (hpa)"));
    }

    #[test]
    fn after_a_calm_time_the_count_begins_anew() {
        let now = Instant::now();
        let mut quarrels = Quarrels::default();
        for _ in 0..4 {
            quarrels.corrected(&key(), String::new(), now);
        }
        let later = now + FIRST + CALM;
        quarrels.corrected(&key(), String::new(), later);
        assert_eq!(quarrels.held(&key(), later), None);
        quarrels.settle(later + CALM);
        assert!(quarrels.what(&key()).is_none());
    }
}
