//! One pass of one sync: source, render, plan, review, apply, prune. Each phase has the deadline of the spec.
//!
//! ```text
//! fetch    which commit, and its files             account   as whom, and may the controller
//! prune    what the revision no longer has         told      what is said about it in the end
//! drift    between two revisions: what somebody changed is put right
//! ```

mod account;
mod drift;
mod fetch;
mod prune;
mod told;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::ManifestSync;
use crds::SourceStatus;
use crds::reasons::Reason;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use manifests::Object;

use super::Shared;
use super::access::Account;
use super::answer::Answer;
use super::apply::{Applied, Applier};
use super::discovery::{Kinds, Lookup};
use super::drift::Drifted;
use super::members::ApplySet;
use super::memory::{Entry, Need, Standing};
use super::parent::Extent;
use super::plan::{Ground, MemberKey, plan};
use super::problem::Problem;
use super::review::{Reviewed, Reviewer, Verdict, review};
use super::schedule::Periods;
use super::source::{Remote, Revision, SourceError, SourceTree};
use super::status::Report;

/// What a pass found and did.
pub enum Passed {
    /// The revision stands as it was applied.
    Unchanged,
    /// The revision failed before, and its retry is not due.
    NotDue,
    /// Something is to be reported.
    Done(Box<Done>),
}

/// A pass that did something, or failed.
pub struct Done {
    /// For the status.
    pub report: Report,
    /// The commit, when it got as far as that.
    pub commit: Option<String>,
    /// What stands in the cluster now, when everything was applied.
    pub standing: Option<Arc<Standing>>,
    /// What the revision no longer has and pruning keeps.
    pub kept: Vec<MemberKey>,
    /// How long the source asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// One pass.
pub struct Pass<'a> {
    shared: &'a Shared,
    sync: &'a ManifestSync,
    account: Account,
    set: ApplySet,
    periods: Periods,
    started: Timestamp,
    began: Instant,
}

/// Why a pass ended before its end.
enum Stop {
    /// There is no revision, or not its files.
    Source(SourceError),
    /// Something is wrong. Nothing was written.
    Problems(Vec<Problem>),
    /// Something failed while it was being written.
    Partly(Applied),
}

/// What is known about the revision of a pass, as far as it got.
struct Attempt {
    revision: Revision,
    source: SourceStatus,
    /// Objects, and SealedSecrets among them.
    counts: Option<(usize, usize)>,
}

/// What shortens a pass.
struct Haste<'a> {
    /// With what was applied before, only what drifted is looked at.
    standing: &'a Standing,
    drifted: &'a [Drifted],
}

impl<'a> Pass<'a> {
    /// A pass of a sync as this account.
    pub fn new(shared: &'a Shared, sync: &'a ManifestSync, account: Account) -> Self {
        let set = ApplySet::of(&sync.namespace().unwrap_or_default(), &sync.name_any());
        Self {
            shared,
            sync,
            account,
            set,
            periods: Periods::of(&sync.spec),
            started: Timestamp::now(),
            began: Instant::now(),
        }
    }

    /// Runs it. `entry` is what is remembered; when somebody `asked`, it shortens nothing.
    pub async fn run(&self, entry: &Entry, asked: bool) -> Passed {
        let keys_version = self.shared.unsealer.keys_version();
        let (remote, revision) = match self.resolve().await {
            Ok(found) => found,
            Err(stop) => return self.stopped(None, stop),
        };
        let need = if asked {
            Need::Pass
        } else {
            entry.need(&revision.commit, keys_version, Instant::now())
        };
        let source = SourceStatus {
            revision: revision.label.clone(),
            ..SourceStatus::default()
        };
        let mut attempt = Attempt {
            revision,
            source,
            counts: None,
        };
        match need {
            Need::Nothing => return Passed::NotDue,
            Need::Stands => return self.unchanged(entry),
            Need::Pass => {}
        }
        let failed = entry
            .failed
            .as_ref()
            .and_then(|failed| failed.commit.as_ref());
        // A retry is no change of state: that it is under way is not worth a write.
        let quiet = failed == Some(&attempt.revision.commit);
        match self.make(&remote, &mut attempt, quiet).await {
            Ok(done) => Passed::Done(Box::new(done)),
            Err(stop) => self.stopped(Some(attempt), stop),
        }
    }

    /// Fetches, renders, plans, reviews, applies and prunes.
    async fn make(
        &self,
        remote: &Remote,
        attempt: &mut Attempt,
        quiet: bool,
    ) -> Result<Done, Stop> {
        let objects = self.objects(remote, attempt).await?;
        if objects.is_empty() && !self.sync.spec.allow_empty {
            attempt.counts = Some((0, 0));
            let path = self.sync.spec.path.as_deref().unwrap_or_default();
            return Err(empty(path).into());
        }
        let reviewer = self.within("asking as whom", self.reviewer()).await??;
        let judge = self.judge(objects, &reviewer, None, attempt);
        let verdicts = self.within("planning", judge).await??;
        let open = |one: &&Reviewed| one.unseal || !matches!(one.verdict, Verdict::Unchanged(_));
        let open = verdicts.iter().filter(open).count();
        if open > 0 && !quiet && !self.restores(attempt) {
            let (label, all) = (&attempt.revision.label, verdicts.len());
            let message = format!("applying {label}: {open} of {all} objects are to be written");
            self.shared.progress(self.sync, &message).await;
        }
        self.write(attempt, &reviewer, verdicts).await
    }

    /// Fetches and renders.
    async fn objects(&self, remote: &Remote, attempt: &mut Attempt) -> Result<Vec<Object>, Stop> {
        let path = self.sync.spec.path.clone().unwrap_or_default();
        let limits = self.shared.settings.limits;
        let source = &self.shared.source;
        let tree = source.tree(remote, &attempt.revision, &path, &limits);
        let fetched = self.within("fetching", tree).await??;
        attempt.source.author = Some(fetched.author.clone());
        attempt.source.subject = Some(fetched.subject.clone());
        self.render(fetched, path).await
    }

    /// Whether this very revision was applied before, by this spec: what differs from it now was changed by somebody.
    fn restores(&self, attempt: &Attempt) -> bool {
        let status = self.sync.status.as_ref();
        status.is_some_and(|status| {
            status.observed_generation == self.sync.metadata.generation
                && status.last_applied_revision.as_deref() == Some(&attempt.revision.label)
                && status.last_attempted_revision == status.last_applied_revision
        })
    }

    async fn render(&self, fetched: SourceTree, path: String) -> Result<Vec<Object>, Stop> {
        let limits = self.shared.settings.limits;
        let work = tokio::task::spawn_blocking(move || {
            manifests::render_plain(&fetched.tree, &path, &limits)
        });
        let rendered = self
            .within("rendering", work)
            .await?
            .map_err(|_| crashed("rendering"))?;
        rendered
            .map_err(|problems| Stop::Problems(problems.into_iter().map(Problem::from).collect()))
    }

    /// Plans and reviews: everything that is wrong with the revision, at once.
    async fn judge(
        &self,
        objects: Vec<Object>,
        reviewer: &Reviewer,
        haste: Option<Haste<'_>>,
        attempt: &mut Attempt,
    ) -> Result<Vec<Reviewed>, Stop> {
        let mut kinds = self.kinds().await?;
        if objects
            .iter()
            .any(|object| !matches!(kinds.of(&object.id), Lookup::Served(_)))
        {
            let read = self.shared.discovery.refresh().await;
            kinds = read.map_err(|error| no_kinds(&error))?;
        }
        let namespace = self.account.namespace.clone();
        let controller_namespace = self.shared.settings.controller.namespace.clone();
        let watched = self.shared.settings.watched.clone();
        let set = self.set.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let ground = Ground {
                namespace: &namespace,
                controller_namespace: &controller_namespace,
                watched: &watched,
                set: &set,
                kinds: &kinds,
            };
            plan(objects, &ground)
        })
        .await
        .map_err(|_| crashed("planning"))?;
        let sealed = planned.items.iter().filter(|item| item.is_sealed()).count();
        attempt.counts = Some((planned.items.len(), sealed));

        let drifted = haste.as_ref().map(|haste| haste.drifted);
        let changed: BTreeSet<&MemberKey> = drifted
            .unwrap_or_default()
            .iter()
            .map(|drifted| &drifted.key)
            .collect();
        let settled = |key: &MemberKey| {
            let fingerprint = haste.as_ref()?.standing.objects.get(key)?;
            (!changed.contains(key)).then_some(*fingerprint)
        };
        let (verdicts, found) = review(reviewer, planned.items, &settled).await;
        let mut problems = planned.problems;
        problems.extend(found);
        if problems.is_empty() {
            return Ok(verdicts);
        }
        problems.sort_by(|a, b| (&a.file, &a.object).cmp(&(&b.file, &b.object)));
        Err(Stop::Problems(problems))
    }

    /// Applies what was reviewed without a problem, then prunes.
    async fn write(
        &self,
        attempt: &Attempt,
        reviewer: &Reviewer,
        verdicts: Vec<Reviewed>,
    ) -> Result<Done, Stop> {
        let wanted: BTreeSet<MemberKey> = verdicts.iter().map(|one| one.item.key()).collect();
        let mut extent = Extent::of(verdicts.iter().map(|one| &one.item));
        extent.namespaces.insert(self.account.namespace.clone());

        let (mut parent, known) = self.within("naming the members", self.parent()).await??;
        let members = self.members(reviewer, &known, &wanted).await?;
        // The parent names a kind or namespace before its first object is written: nothing is orphaned by a crash.
        let all = known.union(&extent);
        self.within("naming the members", parent.say(&all))
            .await?
            .map_err(|error| no_parent(&error))?;
        self.watch(&all).await?;
        let applied = self.apply(reviewer, verdicts).await?;
        let pruning = if self.sync.spec.prune {
            let prune = self.prune(reviewer, members, &all, &wanted, &extent, &mut parent);
            self.within("pruning", prune)
                .await
                .unwrap_or_else(Into::into)
        } else {
            prune::Pruning::default()
        };
        self.watch(&pruning.left.clone().unwrap_or(all)).await?;
        Ok(self.done(attempt, applied, pruning, extent))
    }

    /// Writes. What was written is known to the watches before their events come.
    async fn apply(&self, reviewer: &Reviewer, verdicts: Vec<Reviewed>) -> Result<Applied, Stop> {
        let written: BTreeSet<MemberKey> = verdicts
            .iter()
            .filter(|one| !matches!(one.verdict, Verdict::Unchanged(_)))
            .map(|one| one.item.key())
            .collect();
        let writing = Applier {
            client: reviewer.writer.client(),
            reviewer,
            discovery: &self.shared.discovery,
            shutdown: self.shared.shutdown.clone(),
        };
        let applied = match self.within("applying", writing.apply(verdicts)).await {
            Ok(applied) => applied,
            // What was written before the deadline is not known, so it is told as something.
            Err(problem) => Applied {
                problems: vec![problem],
                wrote: true,
                ..Applied::default()
            },
        };
        for key in &written {
            if let Some(fingerprint) = applied.standing.get(key) {
                self.shared.watches.learn(&self.set, key, *fingerprint);
            }
        }
        if applied.problems.is_empty() {
            Ok(applied)
        } else {
            Err(Stop::Partly(applied))
        }
    }

    /// Has the members in this extent watched, and nothing else for this sync.
    async fn watch(&self, extent: &Extent) -> Result<(), Problem> {
        let kinds = self.kinds().await?;
        let sync = ObjectRef::new(&self.sync.name_any()).within(&self.account.namespace);
        self.shared.watches.want(sync, &self.set, extent, &kinds);
        Ok(())
    }

    async fn kinds(&self) -> Result<Arc<Kinds>, Problem> {
        let kinds = self.shared.discovery.kinds().await;
        kinds.map_err(|error| no_kinds(&error))
    }

    async fn within<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, Problem> {
        let limit = self.periods.timeout;
        tokio::time::timeout(limit, work).await.map_err(|_| {
            Problem::general(
                Reason::TimedOut,
                format!("{what} did not end within {limit:?} (spec.timeout); it is tried again from where it was"),
            )
        })
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

fn empty(path: &str) -> Problem {
    let path = if path.is_empty() {
        "the root of the repository"
    } else {
        path
    };
    Problem::general(
        Reason::EmptyRevision,
        format!(
            "there is no object in {path}, so nothing was changed or pruned; correct spec.path, or set spec.allowEmpty: true \
             if everything that this sync made is to be deleted"
        ),
    )
}

fn crashed(what: &str) -> Problem {
    Problem::general(
        Reason::RenderFailed,
        format!("{what} stopped unexpectedly; it is tried again"),
    )
}

fn no_kinds(error: &kube::Error) -> Problem {
    let answer = Answer::of(error, false);
    Problem::general(
        Reason::ApiUnavailable,
        format!("the kinds of the cluster could not be read: {answer}"),
    )
}

fn no_parent(error: &kube::Error) -> Problem {
    let answer = Answer::of(error, false);
    Problem::general(
        Reason::ApiUnavailable,
        format!(
            "the kinds and namespaces of the members could not be recorded on the ManifestSync: {answer}"
        ),
    )
}
