//! How conditions change: the rules of Kubernetes' API conventions and of kstatus, as pure functions.
//!
//! kstatus reads an object as *current* when `observedGeneration` is the object's generation, `Ready` is `True`, and neither
//! `Reconciling` nor `Stalled` is `True`. The latter two are "abnormal-true": they are absent while there is nothing to say.
//! [`report`] writes all three at once so that they cannot contradict each other:
//!
//! | outcome | `Ready` | `Reconciling` | `Stalled` | kstatus |
//! |---|---|---|---|---|
//! | [`Outcome::Ready`] | True | absent | absent | Current |
//! | [`Outcome::Progressing`] | Unknown | True | absent | `InProgress` |
//! | [`Outcome::Retrying`] | False | True | absent | `InProgress` |
//! | [`Outcome::Stalled`] | False | absent | True | Failed |
//! | [`Outcome::Suspended`] | False | absent | absent | `InProgress` |

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::reasons::Reason;

/// The object is what its spec says.
pub const READY: &str = "Ready";
/// The controller is at work on it, or will try again.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will change until someone changes the object or what it names.
pub const STALLED: &str = "Stalled";
/// Objects of a sync differ from its revision.
pub const DRIFTED: &str = "Drifted";
/// Objects of a sync are ready.
pub const HEALTHY: &str = "Healthy";
/// The revision of a sync carries a signature of a known signer.
pub const SOURCE_VERIFIED: &str = "SourceVerified";

/// Longest message, in bytes; what is longer is cut and says so. The whole list of problems is in `status.failing`.
pub const MESSAGE_LIMIT: usize = 4096;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Does not hold.
    False,
    /// Holds.
    True,
    /// Not known.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::False => "False",
            Self::True => "True",
            Self::Unknown => "Unknown",
        })
    }
}

/// What came of looking at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what its spec says.
    Ready,
    /// The work has begun.
    Progressing,
    /// It failed, and the controller tries again by itself.
    Retrying,
    /// It failed, and nothing changes until someone changes something.
    Stalled,
    /// Someone paused it.
    Suspended,
}

/// Writes `Ready`, `Reconciling` and `Stalled` for an outcome. Returns whether anything changed that is worth a write.
pub fn report(
    conditions: &mut Vec<Condition>,
    outcome: Outcome,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let (ready, abnormal) = match outcome {
        Outcome::Ready => (Status::True, None),
        Outcome::Progressing => (Status::Unknown, Some(RECONCILING)),
        Outcome::Retrying => (Status::False, Some(RECONCILING)),
        Outcome::Stalled => (Status::False, Some(STALLED)),
        Outcome::Suspended => (Status::False, None),
    };
    let mut changed = set(conditions, READY, ready, reason, message, generation, now);
    for type_ in [RECONCILING, STALLED] {
        changed |= if abnormal == Some(type_) {
            set(
                conditions,
                type_,
                Status::True,
                reason,
                message,
                generation,
                now,
            )
        } else {
            remove(conditions, type_)
        };
    }
    changed
}

/// Writes one condition. `lastTransitionTime` moves only when the status does; `observedGeneration` is written always.
/// Returns whether anything changed.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: Status,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let mut next = Condition {
        type_: type_.to_owned(),
        status: status.to_string(),
        reason: reason.to_string(),
        message: clipped(message),
        observed_generation: generation,
        last_transition_time: Time(now),
    };
    match conditions
        .iter_mut()
        .find(|condition| condition.type_ == type_)
    {
        None => conditions.push(next),
        Some(present) => {
            if present.status == next.status {
                next.last_transition_time = present.last_transition_time.clone();
            }
            if *present == next {
                return false;
            }
            *present = next;
        }
    }
    true
}

/// Removes a condition. Returns whether it was there.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| condition.type_ != type_);
    conditions.len() != before
}

/// A condition by its type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// The message, cut at a character boundary where it is too long for a condition.
fn clipped(message: &str) -> String {
    if message.len() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    // Room for the note, so that the result keeps the limit.
    let mut end = MESSAGE_LIMIT - 48;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} … ({} more bytes)", &message[..end], message.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(conditions: &[Condition]) -> Vec<(&str, &str)> {
        conditions
            .iter()
            .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
            .collect()
    }

    #[test]
    fn outcomes_never_contradict_each_other() {
        let mut conditions = Vec::new();
        report(
            &mut conditions,
            Outcome::Progressing,
            Reason::Progressing,
            "at work",
            Some(1),
            at(1),
        );
        assert_eq!(
            types(&conditions),
            [(READY, "Unknown"), (RECONCILING, "True")]
        );
        report(
            &mut conditions,
            Outcome::Retrying,
            Reason::SourceUnavailable,
            "no route",
            Some(1),
            at(2),
        );
        assert_eq!(
            types(&conditions),
            [(READY, "False"), (RECONCILING, "True")]
        );
        report(
            &mut conditions,
            Outcome::Stalled,
            Reason::NotBuilt,
            "spec.wait",
            Some(1),
            at(3),
        );
        assert_eq!(types(&conditions), [(READY, "False"), (STALLED, "True")]);
        report(
            &mut conditions,
            Outcome::Suspended,
            Reason::Suspended,
            "",
            Some(1),
            at(4),
        );
        assert_eq!(types(&conditions), [(READY, "False")]);
        report(
            &mut conditions,
            Outcome::Ready,
            Reason::Succeeded,
            "applied",
            Some(1),
            at(5),
        );
        assert_eq!(types(&conditions), [(READY, "True")]);
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        assert!(set(
            &mut conditions,
            READY,
            Status::False,
            Reason::PlanRefused,
            "a",
            Some(1),
            at(10)
        ));
        assert!(set(
            &mut conditions,
            READY,
            Status::False,
            Reason::PlanRefused,
            "b",
            Some(2),
            at(20)
        ));
        assert_eq!(conditions[0].last_transition_time, Time(at(10)));
        assert_eq!(conditions[0].observed_generation, Some(2));
        assert_eq!(conditions[0].message, "b");
        assert!(set(
            &mut conditions,
            READY,
            Status::True,
            Reason::Succeeded,
            "b",
            Some(2),
            at(30)
        ));
        assert_eq!(conditions[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn the_same_again_is_no_change() {
        let mut conditions = Vec::new();
        assert!(report(
            &mut conditions,
            Outcome::Stalled,
            Reason::NotBuilt,
            "spec.wait",
            Some(1),
            at(1)
        ));
        assert!(!report(
            &mut conditions,
            Outcome::Stalled,
            Reason::NotBuilt,
            "spec.wait",
            Some(1),
            at(2)
        ));
        assert!(report(
            &mut conditions,
            Outcome::Stalled,
            Reason::NotBuilt,
            "spec.wait",
            Some(2),
            at(2)
        ));
    }

    #[test]
    fn long_messages_are_cut_at_a_character_and_say_so() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            READY,
            Status::False,
            Reason::PlanRefused,
            &"é".repeat(MESSAGE_LIMIT),
            None,
            at(1),
        );
        let message = &conditions[0].message;
        assert!(message.len() <= MESSAGE_LIMIT, "{}", message.len());
        assert!(message.ends_with(" more bytes)"), "{message}");
    }
}
