//! When a sync runs next: the poll interval with jitter, retries that double to a cap, and what may come before.

use std::time::Duration;

use crds::ManifestSyncSpec;

/// First wait after a failure when `spec.retryInterval` is not set.
pub const DEFAULT_RETRY: Duration = Duration::from_secs(10);
/// Deadline of every phase when `spec.timeout` is not set.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// A retry never waits longer than this (unless asked to): a cause that passed is noticed.
pub const RETRY_CAP: Duration = Duration::from_secs(600);
/// Shortest period between two passes that nobody asked for.
const SHORTEST: Duration = Duration::from_secs(1);

/// The periods of one sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Between two polls of the source.
    pub interval: Duration,
    /// Before the first retry.
    pub retry: Duration,
    /// Deadline of every phase of a pass.
    pub timeout: Duration,
}

impl Periods {
    /// The periods that a spec asks for, with the defaults for what it leaves open.
    pub fn of(spec: &ManifestSyncSpec) -> Self {
        Self {
            interval: Duration::from(spec.interval).max(SHORTEST),
            retry: spec
                .retry_interval
                .map_or(DEFAULT_RETRY, Duration::from)
                .max(SHORTEST),
            timeout: spec
                .timeout
                .map_or(DEFAULT_TIMEOUT, Duration::from)
                .max(SHORTEST),
        }
    }

    /// Until the next poll after a success: the interval, 5 % more or less, so that syncs made together drift
    /// apart. `random` is any number.
    pub fn next_poll(&self, random: u64) -> Duration {
        let spread = self.interval / 10;
        let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        let offset = if millis == 0 {
            0
        } else {
            random % (millis + 1)
        };
        (self.interval.saturating_sub(spread / 2) + Duration::from_millis(offset)).max(SHORTEST)
    }

    /// Until a revision that failed this many times in a row (1 for the first) is tried again: the retry interval,
    /// doubled each time, up to [`RETRY_CAP`]. The source is polled meanwhile as ever, so that a new commit never
    /// waits for the old one's retry.
    pub fn next_retry(&self, failures: u32) -> Duration {
        let cap = RETRY_CAP.max(self.retry);
        let doubled = self.retry.checked_mul(
            1_u32
                .checked_shl(failures.saturating_sub(1))
                .unwrap_or(u32::MAX),
        );
        doubled.map_or(cap, |delay| delay.min(cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(interval: u64, retry: u64) -> Periods {
        Periods {
            interval: Duration::from_secs(interval),
            retry: Duration::from_secs(retry),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    #[test]
    fn polls_are_spread_around_the_interval() {
        let minute = periods(60, 10);
        for random in [0, 1, 2_999, 6_000, u64::MAX] {
            let next = minute.next_poll(random);
            assert!(
                next >= Duration::from_secs(57) && next <= Duration::from_secs(63),
                "{next:?}"
            );
        }
        assert_ne!(minute.next_poll(1), minute.next_poll(4_000));
    }

    #[test]
    fn retries_double_up_to_the_cap() {
        let minute = periods(60, 10);
        let delays: Vec<u64> = (1..=8)
            .map(|failures| minute.next_retry(failures).as_secs())
            .collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(minute.next_retry(u32::MAX), RETRY_CAP);
        assert_eq!(
            periods(5, 3600).next_retry(3),
            Duration::from_secs(3600),
            "a longer wish is kept"
        );
    }
}
