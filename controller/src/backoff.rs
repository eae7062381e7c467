//! How long a watch waits before it is tried again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// From half a second, doubling, to [`CAP`]. kube's own goes to 30 s: too long for somebody who
/// reinstalls the definitions and waits for the first SealedSecret.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    tries: u32,
}

/// The longest wait. One request each 5 s is nothing to an API server, also right after a restart.
const CAP: Duration = Duration::from_secs(5);

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(500) * 2_u32.pow(self.tries.min(8));
        self.tries += 1;
        Some(wait.min(CAP))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_cap_and_begin_anew_after_a_success() {
        let mut patience = Patience::default();
        let waits: Vec<u128> = patience
            .by_ref()
            .take(6)
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        patience.reset();
        assert_eq!(patience.next(), Some(Duration::from_millis(500)));
    }
}
