//! Why a SealedSecret does not become a Secret.

use std::time::Duration;

use crds::reasons::Reason;

/// Why a SealedSecret does not become a Secret: what, where, why, and what to do. Never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnsealError {
    /// What kind of failure this is.
    pub reason: Reason,
    /// What, where, why, and what to do.
    pub message: String,
    /// Entries that fail, each with its reason.
    pub failing: Vec<(String, String)>,
}

impl UnsealError {
    /// An error without failing entries.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            failing: Vec::new(),
        }
    }

    /// Whether only a change of the SealedSecret mends it (kstatus: `Stalled`). Such an object is
    /// looked at again when something changes and, at a slow pace, by time.
    pub const fn is_stalled(&self) -> bool {
        !self.is_waiting() && !matches!(self.reason, Reason::ApiUnavailable | Reason::WriteRefused)
    }

    /// How long to wait after `failures` failures in a row: doubling to a cap, for ever.
    pub fn retry_after(&self, failures: u32) -> Duration {
        let first = match self.reason {
            Reason::ApiUnavailable => Duration::from_secs(1),
            _ if self.is_waiting() => Duration::from_secs(5),
            _ => Duration::from_secs(30),
        };
        first.saturating_mul(1 << failures.min(10)).min(RETRY_CAP)
    }

    /// Mended from outside the SealedSecret: a key that arrives, a Secret that consents or goes.
    const fn is_waiting(&self) -> bool {
        matches!(
            self.reason,
            Reason::UnknownKey | Reason::NotOurs | Reason::ControlledByAnother
        )
    }
}

/// The longest wait between two tries: nothing is given up for ever.
const RETRY_CAP: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_cap_and_never_end() {
        let error = UnsealError::new(Reason::ApiUnavailable, "");
        assert_eq!(error.retry_after(0), Duration::from_secs(1));
        assert_eq!(error.retry_after(3), Duration::from_secs(8));
        assert_eq!(error.retry_after(u32::MAX), RETRY_CAP);
    }
}
