//! What is said about a pass in the end.

use std::sync::Arc;

use crds::conditions::Outcome;
use crds::reasons::Reason;
use crds::{SourceStatus, SyncResult};

use super::prune::Pruning;
use super::{Attempt, Done, Pass, Passed, Stop};
use crate::sync::apply::Applied;
use crate::sync::drift::State;
use crate::sync::memory::{Entry, Standing};
use crate::sync::parent::Extent;
use crate::sync::plan::MemberKey;
use crate::sync::problem::Problem;
use crate::sync::status::{Report, summarise};

impl Done {
    /// A result that only says something.
    pub fn says(report: Report) -> Self {
        Self::new(report, None)
    }

    fn new(report: Report, commit: Option<String>) -> Self {
        Self {
            report,
            commit,
            standing: None,
            kept: Vec::new(),
            retry_after: None,
        }
    }
}

impl Pass<'_> {
    /// What stands is as it was applied. Where a failure of the source was told, it is over.
    pub(super) fn unchanged(&self, entry: &Entry) -> Passed {
        let (Some(_), Some(standing)) = (&entry.failed, &entry.standing) else {
            return Passed::Unchanged;
        };
        let report = Report {
            started: self.started,
            duration: self.began.elapsed(),
            ..standing.report.clone()
        };
        let done = Done::new(report, Some(standing.commit.clone()));
        Passed::Done(Box::new(Done {
            standing: Some(standing.clone()),
            ..done
        }))
    }

    /// It ended before its end.
    pub(super) fn stopped(&self, attempt: Option<Attempt>, stop: Stop) -> Passed {
        let (commit, label, source, counts) = match attempt {
            Some(attempt) => (
                Some(attempt.revision.commit),
                attempt.revision.label,
                Some(attempt.source),
                attempt.counts,
            ),
            None => (None, "the revision".to_owned(), None, None),
        };
        let is_attempt = source.is_some();
        let said = |outcome, reason, message, result: SyncResult, problems, applied| Report {
            source,
            counts,
            result: is_attempt.then_some(result),
            problems,
            applied,
            ..self.report(outcome, reason, message)
        };
        let mut retry_after = None;
        let report = match stop {
            Stop::Source(error) => {
                retry_after = error.retry_after();
                let outcome = if error.is_terminal() {
                    Outcome::Stalled
                } else {
                    Outcome::Retrying
                };
                let reason = error.reason();
                said(
                    outcome,
                    reason,
                    error.to_string(),
                    SyncResult::Failed,
                    Vec::new(),
                    0,
                )
            }
            Stop::Problems(problems) if !is_attempt => {
                let reason = problems
                    .first()
                    .map_or(Reason::SourceUnavailable, |problem| problem.reason);
                let message = problems
                    .iter()
                    .map(Problem::to_string)
                    .collect::<Vec<_>>()
                    .join("; ");
                said(
                    Outcome::Retrying,
                    reason,
                    message,
                    SyncResult::Failed,
                    Vec::new(),
                    0,
                )
            }
            Stop::Problems(problems) => {
                let (reason, message) = summarise(&problems, &label, false);
                let result = match reason {
                    Reason::ApiUnavailable | Reason::TimedOut => SyncResult::Failed,
                    _ => SyncResult::Refused,
                };
                said(Outcome::Retrying, reason, message, result, problems, 0)
            }
            Stop::Partly(applied) => {
                let (reason, message) = summarise(&applied.problems, &label, applied.wrote);
                let result = if applied.wrote {
                    SyncResult::PartiallyApplied
                } else {
                    SyncResult::Refused
                };
                let Applied {
                    changed, problems, ..
                } = applied;
                said(
                    Outcome::Retrying,
                    reason,
                    message,
                    result,
                    problems,
                    changed,
                )
            }
        };
        Passed::Done(Box::new(Done {
            retry_after,
            ..Done::new(report, commit)
        }))
    }

    /// Everything was applied.
    pub(super) fn done(
        &self,
        attempt: &Attempt,
        applied: Applied,
        pruning: Pruning,
        extent: Extent,
    ) -> Done {
        let commit = attempt.revision.commit.clone();
        let restores = self.restores(attempt);
        let corrected: Vec<String> = if restores {
            applied.restored.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        };
        // Whether every kind may be watched is known when the first listings have ended.
        let is_told = !corrected.is_empty() || self.shared.watches.is_listed(&self.set);
        let drift = is_told.then(|| State {
            corrected,
            open: Vec::new(),
            blind: self.shared.watches.blind(&self.set),
            fresh: !restores,
        });
        let mut report = self.completed(
            &attempt.revision.label,
            &attempt.source,
            attempt.counts.unwrap_or_default(),
            applied.changed,
            &pruning,
        );
        if report.outcome == Outcome::Ready {
            report.drift = drift;
        }
        let standing = (report.outcome == Outcome::Ready).then(|| {
            Arc::new(Standing {
                commit: commit.clone(),
                objects: applied.standing,
                extent,
                report: Report {
                    applied: 0,
                    pruned: 0,
                    drift: None,
                    ..report.clone()
                },
            })
        });
        Done {
            standing,
            kept: pruning.kept,
            ..Done::new(report, Some(commit))
        }
    }

    fn completed(
        &self,
        label: &str,
        source: &SourceStatus,
        counts: (usize, usize),
        changed: usize,
        pruning: &Pruning,
    ) -> Report {
        let (objects, sealed) = counts;
        let mut message =
            format!("{label} is applied: {objects} objects, {sealed} of them SealedSecrets");
        if !pruning.kept.is_empty() {
            let names: Vec<String> = pruning.kept.iter().map(MemberKey::display).collect();
            let names = names.join(", ");
            message = format!(
                "{message}. Kept although the revision no longer has it, because deleting it deletes more than itself: {names}; \
                 delete it by hand when nothing needs it"
            );
        }
        for note in &pruning.notes {
            message = format!("{message}. {note}");
        }
        let (outcome, reason, result) = match pruning.pruned.problems.first() {
            None => (Outcome::Ready, Reason::Succeeded, SyncResult::Succeeded),
            Some(first) => {
                message = format!("{message}. Pruning is not done: {first}");
                (
                    Outcome::Retrying,
                    Reason::PruneFailed,
                    SyncResult::PartiallyApplied,
                )
            }
        };
        Report {
            source: Some(source.clone()),
            result: Some(result),
            problems: pruning.pruned.problems.clone(),
            counts: Some(counts),
            applied: changed,
            pruned: pruning.pruned.deleted,
            ..self.report(outcome, reason, message)
        }
    }

    fn report(&self, outcome: Outcome, reason: Reason, message: impl Into<String>) -> Report {
        Report {
            duration: self.began.elapsed(),
            ..Report::says(outcome, reason, message, self.started)
        }
    }
}
