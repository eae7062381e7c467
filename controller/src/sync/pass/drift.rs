//! Between two revisions: members that somebody changed or deleted are put right from the revision that stands,
//! without asking the remote. What the revision that stands does not explain is left to a whole pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crds::SourceStatus;
use crds::reasons::Reason;
use kube::ResourceExt as _;

use super::{Attempt, Haste, Pass, Passed, Stop};
use crate::sync::drift::{Drifted, State, drifted, listed};
use crate::sync::memory::{Entry, Standing};
use crate::sync::parent::Extent;
use crate::sync::plan::MemberKey;
use crate::sync::problem::Problem;
use crate::sync::source::Revision;

/// What looking for drift came to.
pub struct Looked {
    /// How the members stand now.
    pub state: State,
    /// Correcting failed, and nothing else is known to be wrong: to be reported like a pass.
    pub failed: Option<Passed>,
}

impl Pass<'_> {
    /// Looks for drift and corrects it. `polled`: the interval has passed, so kinds that are not watched are listed.
    pub async fn look(&self, entry: &mut Entry, polled: bool) -> Option<Looked> {
        let standing = entry.standing.clone()?;
        let now = Instant::now();
        let blind = self.shared.watches.blind(&self.set);
        let mut found = self.shared.watches.drifted(&self.set, &standing);
        if polled && !blind.is_empty() {
            match self.unwatched(&standing, &blind).await {
                Ok(more) => found.extend(more),
                // The API does not answer: the next interval asks again.
                Err(problem) => tracing::debug!(sync = %self.sync.name_any(), "{problem}"),
            }
        }
        let mut state = State {
            blind,
            ..State::default()
        };
        entry.drift_at = None;
        entry.quarrels.settle(now);
        let mut due = Vec::new();
        for one in found {
            if let Some(until) = entry.quarrels.held(&one.key, now) {
                entry.drift_at = Some(entry.drift_at.map_or(until, |at| at.min(until)));
                state.open.push((Reason::Contended, contended(&one, entry)));
            } else {
                due.push(one);
            }
        }
        let mut failed = None;
        let retried = entry
            .failed
            .as_ref()
            .filter(|failed| failed.commit.as_ref() == Some(&standing.commit));
        if let Some(retried) = retried {
            // A whole pass of this very revision is tried again by itself.
            let open = |one: &Drifted| (retried.reason, format!("{one}, and not put right yet"));
            state.open.extend(due.iter().map(open));
        } else if !due.is_empty() {
            match self.correct(&standing, &due).await {
                Ok((corrected, standing)) => {
                    for one in &corrected {
                        entry.quarrels.corrected(&one.key, one.to_string(), now);
                    }
                    state.corrected = corrected.iter().map(ToString::to_string).collect();
                    entry.standing = Some(Arc::new(standing));
                    entry.drift_failures = 0;
                }
                Err((attempt, stop)) => {
                    entry.drift_failures = entry.drift_failures.saturating_add(1);
                    entry.drift_at = Some(now + self.periods.next_retry(entry.drift_failures));
                    let why = said(&stop);
                    state.open.extend(
                        due.iter()
                            .map(|one| (why.0, format!("{one}, and not put right: {}", why.1))),
                    );
                    // What else is wrong has been told, and is tried again by itself.
                    if entry.failed.is_none() {
                        failed = Some(self.stopped(Some(attempt), stop));
                    }
                }
            }
        }
        Some(Looked { state, failed })
    }

    /// Drift of the kinds that are not watched: one metadata list for each.
    async fn unwatched(
        &self,
        standing: &Standing,
        blind: &BTreeMap<(String, String), String>,
    ) -> Result<Vec<Drifted>, Problem> {
        let asked: BTreeSet<(String, String)> = blind.keys().cloned().collect();
        let extent = Extent {
            kinds: standing
                .extent
                .kinds
                .intersection(&asked)
                .cloned()
                .collect(),
            namespaces: standing.extent.namespaces.clone(),
        };
        let lister = self.lister(self.impersonated()?);
        let kinds = self.kinds().await?;
        let listing = lister.list(&extent, &kinds, &self.set);
        let inventory = self.within("looking for drift", listing).await?;
        Ok(drifted(
            &standing.objects,
            listed(&inventory, &extent.kinds, &self.set),
        ))
    }

    /// Puts right what has drifted; returns what was written, and what stands then.
    async fn correct(
        &self,
        standing: &Standing,
        due: &[Drifted],
    ) -> Result<(Vec<Drifted>, Standing), (Attempt, Stop)> {
        let label = standing.report.source.as_ref();
        let label = label.map_or_else(String::new, |source| source.revision.clone());
        let revision = Revision {
            commit: standing.commit.clone(),
            label: label.clone(),
        };
        let source = SourceStatus {
            revision: label,
            ..SourceStatus::default()
        };
        let mut attempt = Attempt {
            revision,
            source,
            counts: None,
        };
        let outcome = self.correcting(&mut attempt, standing, due).await;
        outcome.map_err(|stop| (attempt, stop))
    }

    async fn correcting(
        &self,
        attempt: &mut Attempt,
        standing: &Standing,
        due: &[Drifted],
    ) -> Result<(Vec<Drifted>, Standing), Stop> {
        let remote = self.remote().await?;
        let objects = self.objects(&remote, attempt).await?;
        let reviewer = self.within("asking as whom", self.reviewer()).await??;
        let haste = Haste {
            standing,
            drifted: due,
        };
        let judge = self.judge(objects, &reviewer, Some(haste), attempt);
        let verdicts = self.within("planning", judge).await??;
        let applied = self.apply(&reviewer, verdicts).await?;
        let keys: BTreeSet<&MemberKey> = due.iter().map(|one| &one.key).collect();
        let corrected = applied
            .restored
            .into_iter()
            .filter(|one| keys.contains(&one.key))
            .collect();
        let standing = Standing {
            objects: applied.standing,
            ..standing.clone()
        };
        Ok((corrected, standing))
    }
}

fn contended(one: &Drifted, entry: &Entry) -> String {
    let what = entry
        .quarrels
        .what(&one.key)
        .map_or_else(|| one.to_string(), str::to_owned);
    format!(
        "{what}: changed again each time after it was put right, so it is left alone for a while; have the other manager \
         leave these fields to Git, or remove them from Git"
    )
}

fn said(stop: &Stop) -> (Reason, String) {
    let problems = match stop {
        Stop::Source(error) => return (error.reason(), error.to_string()),
        Stop::Problems(problems) => problems,
        Stop::Partly(applied) => &applied.problems,
    };
    problems
        .first()
        .map_or((Reason::ApiUnavailable, String::new()), |first| {
            (first.reason, first.to_string())
        })
}
