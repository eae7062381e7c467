//! Who leads: decided from what the Lease says and how long it has said so. Pure.
//!
//! Like client-go's leader election: expiry is judged by the local monotonic clock from the moment
//! at which the record was last seen to change, never from the times written in it, so that clocks
//! that differ between nodes cannot make two leaders.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};

/// Times of the election.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// A lease that was not renewed for this long may be taken.
    pub lease: Duration,
    /// A leader that could not renew for this long stops leading (and exits).
    pub renew: Duration,
    /// Between two looks.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            renew: Duration::from_secs(7),
            retry: Duration::from_secs(2),
        }
    }
}

/// What to do after a look at the Lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Write this record: in the place of the one that was looked at, or as the first one.
    Take(Box<LeaseSpec>),
    /// Somebody else leads.
    Wait {
        /// Who.
        leader: String,
    },
}

/// One candidate's view of the Lease.
pub struct Election {
    identity: String,
    times: Times,
    /// The record that was seen last, and since when it has been that one.
    seen: Option<(Option<String>, Instant)>,
}

impl Election {
    /// A candidate. `identity` has to be unique to this process.
    pub fn new(identity: String, times: Times) -> Self {
        Self {
            identity,
            times,
            seen: None,
        }
    }

    /// Judges the Lease as it was just read (`None`: there is none).
    pub fn judge(&mut self, lease: Option<&Lease>, now: Instant, wall: Timestamp) -> Step {
        let Some(lease) = lease else {
            return Step::Take(Box::new(self.record(None, wall)));
        };
        let version = lease.metadata.resource_version.clone();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                self.seen = Some((version, now));
                now
            }
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let ours = holder == self.identity;
        let free = holder.is_empty() || now.duration_since(since) >= self.duration_of(&spec);
        if ours || free {
            Step::Take(Box::new(self.record(Some(&spec), wall)))
        } else {
            Step::Wait { leader: holder }
        }
    }

    /// The record that gives the Lease up: the next candidate need not wait.
    pub fn released(&self, lease: &Lease) -> Option<LeaseSpec> {
        let spec = lease.spec.clone()?;
        (spec.holder_identity.as_deref() == Some(&self.identity)).then(|| LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            ..spec
        })
    }

    fn record(&self, before: Option<&LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let held =
            before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.times.lease.as_secs()).ok(),
            acquire_time: if held {
                before.and_then(|spec| spec.acquire_time.clone())
            } else {
                Some(MicroTime(wall))
            },
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if held || before.is_none() {
                transitions
            } else {
                transitions + 1
            }),
            ..LeaseSpec::default()
        }
    }

    /// How long the holder asked for; ours when it says nothing.
    fn duration_of(&self, spec: &LeaseSpec) -> Duration {
        spec.lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(self.times.lease, Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(10),
                lease_transitions: Some(4),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        lease.metadata.resource_version = Some(version.into());
        lease
    }

    fn candidate() -> Election {
        Election::new("me".into(), Times::default())
    }

    fn taken(step: &Step) -> &LeaseSpec {
        match step {
            Step::Take(spec) => spec,
            Step::Wait { leader } => panic!("waits for {leader}"),
        }
    }

    #[test]
    fn the_first_candidate_takes_it() {
        let step = candidate().judge(None, Instant::now(), Timestamp::now());
        assert_eq!(taken(&step).holder_identity.as_deref(), Some("me"));
        assert_eq!(taken(&step).lease_transitions, Some(0));
    }

    #[test]
    fn a_lease_is_taken_only_when_it_stood_still_for_its_whole_duration() {
        let (mut me, start) = (candidate(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let wait = Step::Wait {
            leader: "other".into(),
        };
        assert_eq!(
            me.judge(Some(&lease("other", "1")), at(0), Timestamp::now()),
            wait
        );
        assert_eq!(
            me.judge(Some(&lease("other", "1")), at(9), Timestamp::now()),
            wait
        );
        // Renewed: the time begins anew, whatever the holder's clock wrote.
        assert_eq!(
            me.judge(Some(&lease("other", "2")), at(9), Timestamp::now()),
            wait
        );
        assert_eq!(
            me.judge(Some(&lease("other", "2")), at(18), Timestamp::now()),
            wait
        );
        let step = me.judge(Some(&lease("other", "2")), at(19), Timestamp::now());
        assert_eq!(taken(&step).lease_transitions, Some(5));
    }

    #[test]
    fn our_own_is_renewed_and_a_released_one_taken_at_once() {
        let mut me = candidate();
        let step = me.judge(Some(&lease("me", "1")), Instant::now(), Timestamp::now());
        assert_eq!(
            taken(&step).lease_transitions,
            Some(4),
            "renewing is no transition"
        );
        let released = me.released(&lease("me", "1")).unwrap();
        assert_eq!(released.holder_identity.as_deref(), Some(""));
        assert!(me.released(&lease("other", "1")).is_none());
        let step = me.judge(Some(&lease("", "2")), Instant::now(), Timestamp::now());
        assert_eq!(taken(&step).lease_transitions, Some(5));
    }
}
