//! The status of a ManifestSync after a pass. Pure: the same pass twice makes the same status, and a status that is
//! the same is not written.

use std::time::Duration;

use crds::conditions::{self, Outcome};
use crds::reasons::Reason;
use crds::{FailingObject, HistoryEntry, ManifestSyncStatus, SourceStatus, Summary, SyncResult};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::drift::State;
use super::problem::Problem;

/// Problems that the status lists; the condition says how many there are.
const FAILING_LIMIT: usize = 20;
/// Passes that the status remembers.
const HISTORY_LIMIT: usize = 10;

/// What came of a pass.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the conditions read.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// The revision, when it got as far as that.
    pub source: Option<SourceStatus>,
    /// What came of the revision; `None` when none was attempted.
    pub result: Option<SyncResult>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Objects of the revision and, of these, SealedSecrets; `None` when it was not rendered.
    pub counts: Option<(usize, usize)>,
    /// Objects that were made or changed.
    pub applied: usize,
    /// Objects that were deleted.
    pub pruned: usize,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How its members stand, where that is known.
    pub drift: Option<State>,
}

impl Report {
    /// A report that only says something, without a revision.
    pub fn says(
        outcome: Outcome,
        reason: Reason,
        message: impl Into<String>,
        started: Timestamp,
    ) -> Self {
        Self {
            outcome,
            reason,
            message: message.into(),
            source: None,
            result: None,
            problems: Vec::new(),
            counts: None,
            applied: 0,
            pruned: 0,
            started,
            duration: Duration::ZERO,
            drift: None,
        }
    }
}

/// The status after a pass. `generation` and `reconcile_at` are those of the object that the pass has read.
pub fn after(
    previous: &ManifestSyncStatus,
    report: &Report,
    generation: Option<i64>,
    reconcile_at: Option<&str>,
    now: Timestamp,
) -> ManifestSyncStatus {
    let mut next = previous.clone();
    conditions::report(
        &mut next.conditions,
        report.outcome,
        report.reason,
        &report.message,
        generation,
        now,
    );
    next.observed_generation = generation;
    next.last_handled_reconcile_at = reconcile_at
        .map(str::to_owned)
        .or(next.last_handled_reconcile_at);
    next.failing = failing(&report.problems);

    if let Some(source) = &report.source {
        next.last_attempted_revision = Some(source.revision.clone());
        if report.result == Some(SyncResult::Succeeded) {
            next.last_applied_revision = Some(source.revision.clone());
        }
        // Who wrote it is known only where its files were read.
        let described = source.author.is_some()
            || next
                .source
                .as_ref()
                .is_none_or(|known| known.revision != source.revision);
        if described {
            next.source = Some(source.clone());
        }
    }
    if let Some((objects, sealed)) = report.counts {
        next.summary = Some(Summary {
            objects: count(objects),
            ready: None,
            drifted: next.summary.map_or(0, |summary| summary.drifted),
            sealed: count(sealed),
            failing: count(report.problems.len()),
        });
    } else if let Some(summary) = &mut next.summary {
        summary.failing = count(report.problems.len());
    }
    if let Some(state) = &report.drift {
        drift(&mut next, state, generation, now);
    }
    remember(&mut next.history, report);
    next
}

/// Writes how the members stand: the condition `Drifted`, and how many differ.
pub fn drift(
    status: &mut ManifestSyncStatus,
    state: &State,
    generation: Option<i64>,
    now: Timestamp,
) {
    let previous = conditions::find(&status.conditions, conditions::DRIFTED);
    let (drifted, reason, message) = state.condition(previous);
    conditions::set(
        &mut status.conditions,
        conditions::DRIFTED,
        drifted,
        reason,
        &message,
        generation,
        now,
    );
    if let Some(summary) = &mut status.summary {
        summary.drifted = count(state.open.len());
    }
}

/// The status while a revision is being applied.
pub fn progressing(
    previous: &ManifestSyncStatus,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> ManifestSyncStatus {
    let mut next = previous.clone();
    conditions::report(
        &mut next.conditions,
        Outcome::Progressing,
        Reason::Progressing,
        message,
        generation,
        now,
    );
    next.observed_generation = generation;
    next
}

/// Reason and message of the condition for what is wrong.
pub fn summarise(problems: &[Problem], revision: &str, wrote: bool) -> (Reason, String) {
    let Some(first) = problems.first() else {
        return (Reason::Succeeded, String::new());
    };
    let reason = if wrote {
        Reason::PartiallyApplied
    } else if let [only] = problems
        && only.object.is_none()
        && only.file.is_none()
    {
        // One cause for everything: it is the headline.
        only.reason
    } else if problems
        .iter()
        .all(|problem| problem.reason == Reason::ApiUnavailable)
    {
        Reason::ApiUnavailable
    } else {
        Reason::PlanRefused
    };
    let fate = if wrote {
        "was applied in part; what failed is tried again, nothing was pruned"
    } else {
        "was not applied, nothing was written"
    };
    let more = match problems.len() {
        1 => String::new(),
        count => format!(" (and {} more, see status.failing)", count - 1),
    };
    (reason, format!("{revision} {fate}. {first}{more}"))
}

fn failing(problems: &[Problem]) -> Vec<FailingObject> {
    problems
        .iter()
        .take(FAILING_LIMIT)
        .map(Problem::failing)
        .collect()
}

/// Adds the pass if it did something, or something else came of it than of the one before.
fn remember(history: &mut Vec<HistoryEntry>, report: &Report) {
    let (Some(source), Some(result)) = (&report.source, report.result) else {
        return;
    };
    let did_something = report.applied > 0 || report.pruned > 0;
    let is_news = history
        .first()
        .is_none_or(|last| last.revision != source.revision || last.result != result);
    if !did_something && !is_news {
        return;
    }
    let millis = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX);
    history.insert(
        0,
        HistoryEntry {
            revision: source.revision.clone(),
            started: Time(report.started),
            duration: Duration::from_millis(millis).into(),
            result,
            objects: count(report.counts.map_or(0, |(objects, _)| objects)),
            applied: count(report.applied),
            pruned: count(report.pruned),
            failing: count(report.problems.len()),
        },
    );
    history.truncate(HISTORY_LIMIT);
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn report(revision: &str, result: SyncResult, applied: usize) -> Report {
        let (outcome, reason) = match result {
            SyncResult::Succeeded => (Outcome::Ready, Reason::Succeeded),
            _ => (Outcome::Retrying, Reason::PlanRefused),
        };
        Report {
            source: Some(SourceStatus {
                revision: revision.into(),
                author: Some("A".into()),
                ..SourceStatus::default()
            }),
            result: Some(result),
            counts: Some((3, 1)),
            applied,
            ..Report::says(outcome, reason, format!("{revision}: {result:?}"), at(1))
        }
    }

    #[test]
    fn the_same_pass_again_is_no_change() {
        let first = after(
            &ManifestSyncStatus::default(),
            &report("main@sha1:a", SyncResult::Succeeded, 3),
            Some(1),
            None,
            at(2),
        );
        let again = after(
            &first,
            &report("main@sha1:a", SyncResult::Succeeded, 0),
            Some(1),
            None,
            at(60),
        );
        assert_eq!(first, again);
    }

    #[test]
    fn a_failure_keeps_what_was_applied_and_says_what_was_attempted() {
        let good = after(
            &ManifestSyncStatus::default(),
            &report("main@sha1:a", SyncResult::Succeeded, 3),
            Some(1),
            None,
            at(2),
        );
        let mut bad = report("main@sha1:b", SyncResult::Refused, 0);
        bad.problems = vec![Problem::general(Reason::PlaintextSecret, "x"); 30];
        let next = after(&good, &bad, Some(1), Some("now"), at(3));
        assert_eq!(next.last_applied_revision.as_deref(), Some("main@sha1:a"));
        assert_eq!(next.last_attempted_revision.as_deref(), Some("main@sha1:b"));
        assert_eq!(next.last_handled_reconcile_at.as_deref(), Some("now"));
        assert_eq!(next.failing.len(), FAILING_LIMIT);
        assert_eq!(next.summary.unwrap().failing, 30);
        assert_eq!(
            next.history
                .iter()
                .map(|entry| entry.result)
                .collect::<Vec<_>>(),
            [SyncResult::Refused, SyncResult::Succeeded]
        );
        let recovered = after(
            &next,
            &report("main@sha1:c", SyncResult::Succeeded, 1),
            Some(1),
            None,
            at(4),
        );
        assert!(recovered.failing.is_empty());
        assert_eq!(
            recovered.last_handled_reconcile_at.as_deref(),
            Some("now"),
            "an echo is kept"
        );
    }

    #[test]
    fn the_history_is_bounded_and_newest_first() {
        let mut status = ManifestSyncStatus::default();
        for number in 0..25 {
            status = after(
                &status,
                &report(&format!("main@sha1:{number}"), SyncResult::Succeeded, 1),
                Some(1),
                None,
                at(number),
            );
        }
        assert_eq!(status.history.len(), HISTORY_LIMIT);
        assert_eq!(status.history[0].revision, "main@sha1:24");
    }

    #[test]
    fn one_cause_for_everything_is_the_headline() {
        let one = [Problem::general(Reason::ImpersonationDenied, "no opt-in")];
        assert_eq!(summarise(&one, "r", false).0, Reason::ImpersonationDenied);
        let of_object = [Problem::live(Reason::AccessDenied, "ConfigMap a/b", "no")];
        assert_eq!(summarise(&of_object, "r", false).0, Reason::PlanRefused);
        let (reason, message) =
            summarise(&[of_object[0].clone(), one[0].clone()], "main@sha1:a", true);
        assert_eq!(reason, Reason::PartiallyApplied);
        assert!(
            message.contains("ConfigMap a/b: no") && message.contains("1 more"),
            "{message}"
        );
    }
}
