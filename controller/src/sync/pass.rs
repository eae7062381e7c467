//! One pass of one sync: source, render, plan, review, apply, prune. Each phase has the deadline of the spec.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::conditions::Outcome;
use crds::reasons::Reason;
use crds::{GitSource as GitSpec, ManifestSync, SourceStatus, SyncResult};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use manifests::Object;

use super::Shared;
use super::access::{Access, Account};
use super::answer::{Answer, AnswerKind};
use super::apply::{Applied, Applier};
use super::discovery::{Kinds, Lookup};
use super::drift::{Drifted, drifted};
use super::inventory::Lister;
use super::members::ApplySet;
use super::memory::{Entry, Need, Standing};
use super::parent::{Extent, Parent};
use super::plan::{Ground, MemberKey, plan};
use super::problem::Problem;
use super::prune::{Pruned, choose, prune};
use super::review::{Reviewed, Reviewer, Verdict, review};
use super::schedule::Periods;
use super::source::{Reference, Remote, Revision, SourceError, SourceTree, from_secret};
use super::ssa::Writer;
use super::status::{Report, summarise};

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
    pub standing: Option<Standing>,
    /// What had drifted and was put right.
    pub corrected: Vec<Drifted>,
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

    /// Runs it. `entry` is what is remembered; with `asked`, it does not shorten anything.
    pub async fn run(&self, entry: &Entry, asked: bool) -> Passed {
        let keys_version = self.shared.unsealer.keys_version();
        let (remote, revision) = match self.resolve().await {
            Ok(found) => found,
            Err(failed) => return failed.into_passed(self),
        };
        let need = if asked {
            Need::Pass
        } else {
            entry.need(&revision.commit, keys_version, Instant::now())
        };
        let drifted = match need {
            Need::Nothing => return Passed::NotDue,
            Need::Pass => Vec::new(),
            Need::Drift => match self.drifted(entry).await {
                Ok(drifted) if drifted.is_empty() => return self.unchanged(entry),
                Ok(drifted) => drifted,
                Err(problem) => return self.failed(&revision, None, None, vec![problem]),
            },
        };
        let standing = entry.standing.as_ref().filter(|_| need == Need::Drift);
        // A retry is no change of state: that it is under way is not worth a write.
        let is_retry = entry
            .failed
            .as_ref()
            .is_some_and(|failed| failed.commit.as_ref() == Some(&revision.commit));
        let says_progress = standing.is_none() && !is_retry;
        self.make(&remote, &revision, standing, drifted, says_progress)
            .await
    }

    /// What stands is as it was applied. Where a failure of the source was told, it is over.
    fn unchanged(&self, entry: &Entry) -> Passed {
        match (&entry.failed, &entry.standing) {
            (Some(_), Some(standing)) => {
                let report = Report {
                    started: self.started,
                    duration: self.began.elapsed(),
                    ..standing.report.clone()
                };
                let commit = Some(standing.commit.clone());
                Passed::Done(Box::new(Done {
                    standing: Some(standing.clone()),
                    ..Done::new(report, commit)
                }))
            }
            _ => Passed::Unchanged,
        }
    }

    /// Asks the remote which commit is wanted.
    async fn resolve(&self) -> Result<(Remote, Revision), SourceFailed> {
        let remote = self.remote().await?;
        let revision = self
            .within("asking the source", self.shared.source.resolve(&remote))
            .await??;
        Ok((remote, revision))
    }

    async fn remote(&self) -> Result<Remote, SourceFailed> {
        let git = &self.sync.spec.source.git;
        let (mut credentials, mut ca) = (None, None);
        if let Some(reference) = &git.secret_ref {
            let namespace = self.account.namespace.as_str();
            let api: Api<Secret> = Api::namespaced(self.shared.client.clone(), namespace);
            let secret = match api.get_opt(&reference.name).await {
                Ok(Some(secret)) => secret,
                Ok(None) => {
                    let message = format!(
                        "spec.source.git.secretRef: there is no Secret {namespace}/{0}; make it: kubectl create secret \
                         generic {0} -n {namespace} --from-literal=username=… --from-file=password=…",
                        reference.name
                    );
                    return Err(SourceFailed::Problem(Problem::general(
                        Reason::SourceCredentials,
                        message,
                    )));
                }
                Err(error) => {
                    let answer = Answer::of(&error, true);
                    let reason = if answer.is_transient() {
                        Reason::ApiUnavailable
                    } else {
                        Reason::SourceCredentials
                    };
                    return Err(SourceFailed::Problem(Problem::general(
                        reason,
                        format!(
                            "spec.source.git.secretRef: Secret {namespace}/{} could not be read: {answer}",
                            reference.name
                        ),
                    )));
                }
            };
            (credentials, ca) = from_secret(&secret.data.unwrap_or_default())?;
        }
        Ok(Remote {
            url: git.url.clone(),
            reference: reference(git),
            credentials,
            ca,
            timeout: self.periods.timeout,
        })
    }

    /// What is not as the last pass left it.
    async fn drifted(&self, entry: &Entry) -> Result<Vec<Drifted>, Problem> {
        let Some(standing) = &entry.standing else {
            return Ok(Vec::new());
        };
        let lister = self.lister()?;
        let inventory = self
            .within("looking for drift", async {
                let kinds = self.kinds().await?;
                Ok::<_, Problem>(lister.list(&standing.extent, &kinds, &self.set).await)
            })
            .await??;
        Ok(drifted(&standing.objects, &inventory, &self.set))
    }

    /// Renders, plans, reviews, applies and prunes. With `standing`, only what drifted is looked at.
    async fn make(
        &self,
        remote: &Remote,
        revision: &Revision,
        standing: Option<&Standing>,
        drifted: Vec<Drifted>,
        says_progress: bool,
    ) -> Passed {
        let path = self.sync.spec.path.as_deref().unwrap_or_default();
        let limits = self.shared.settings.limits;
        let fetched = self
            .within(
                "fetching",
                self.shared.source.tree(remote, revision, path, &limits),
            )
            .await;
        let fetched = match fetched
            .map_err(SourceFailed::Problem)
            .and_then(|tree| tree.map_err(SourceFailed::Source))
        {
            Ok(fetched) => fetched,
            Err(failed) => return failed.at(revision).into_passed(self),
        };
        let source = described(revision, &fetched);
        let fail = |counts, problems| self.failed(revision, Some(source.clone()), counts, problems);

        let objects = match self.render(fetched, path.to_owned()).await {
            Ok(objects) => objects,
            Err(problems) => return fail(None, problems),
        };
        if objects.is_empty() && !self.sync.spec.allow_empty {
            return fail(Some((0, 0)), vec![empty(path)]);
        }
        let reviewer = match self.within("asking as whom", self.reviewer()).await {
            Ok(Ok(reviewer)) => reviewer,
            Ok(Err(problem)) | Err(problem) => return fail(None, vec![problem]),
        };
        let (reviewed, problems, counts) = match self
            .within(
                "planning",
                self.judge(objects, &reviewer, standing, &drifted),
            )
            .await
        {
            Ok(Ok(judged)) => judged,
            Ok(Err(problem)) | Err(problem) => return fail(None, vec![problem]),
        };
        if !problems.is_empty() {
            return fail(Some(counts), problems);
        }
        let open = reviewed
            .iter()
            .filter(|one| one.unseal || !matches!(one.verdict, Verdict::Unchanged(_)))
            .count();
        if open > 0 && says_progress {
            let message = format!(
                "applying {}: {open} of {} objects are to be written",
                revision.label, counts.0
            );
            self.shared.progress(self.sync, &message).await;
        }
        self.write(revision, source, reviewer, reviewed, counts, drifted)
            .await
    }

    async fn render(&self, fetched: SourceTree, path: String) -> Result<Vec<Object>, Vec<Problem>> {
        let limits = self.shared.settings.limits;
        let work = tokio::task::spawn_blocking(move || {
            manifests::render_plain(&fetched.tree, &path, &limits)
        });
        match self.within("rendering", work).await {
            Ok(Ok(rendered)) => {
                rendered.map_err(|problems| problems.into_iter().map(Problem::from).collect())
            }
            Ok(Err(_)) => Err(vec![Problem::general(
                Reason::RenderFailed,
                "rendering stopped unexpectedly; it is tried again",
            )]),
            Err(problem) => Err(vec![problem]),
        }
    }

    /// Plans and reviews: everything that is wrong with the revision, at once.
    async fn judge(
        &self,
        objects: Vec<Object>,
        reviewer: &Reviewer,
        standing: Option<&Standing>,
        drifted: &[Drifted],
    ) -> Result<(Vec<Reviewed>, Vec<Problem>, (usize, usize)), Problem> {
        let mut kinds = self.kinds().await?;
        if objects
            .iter()
            .any(|object| !matches!(kinds.of(&object.id), Lookup::Served(_)))
        {
            kinds = self
                .shared
                .discovery
                .refresh()
                .await
                .map_err(|error| no_kinds(&error))?;
        }
        let namespace = self.account.namespace.clone();
        let controller_namespace = self.shared.settings.controller.namespace.clone();
        let set = self.set.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let ground = Ground {
                namespace: &namespace,
                controller_namespace: &controller_namespace,
                set: &set,
                kinds: &kinds,
            };
            plan(objects, &ground)
        })
        .await
        .map_err(|_| {
            Problem::general(
                Reason::RenderFailed,
                "planning stopped unexpectedly; it is tried again",
            )
        })?;
        let counts = (
            planned.items.len(),
            planned.items.iter().filter(|item| item.is_sealed()).count(),
        );

        let changed: BTreeSet<&MemberKey> = drifted.iter().map(|drifted| &drifted.key).collect();
        let settled = |key: &MemberKey| {
            let fingerprint = standing?.objects.get(key)?;
            (!changed.contains(key)).then_some(*fingerprint)
        };
        let (reviewed, found) = review(reviewer, planned.items, &settled).await;
        let mut problems = planned.problems;
        problems.extend(found);
        problems.sort_by(|a, b| (&a.file, &a.object).cmp(&(&b.file, &b.object)));
        Ok((reviewed, problems, counts))
    }

    /// Applies what was reviewed without a problem, then prunes.
    async fn write(
        &self,
        revision: &Revision,
        source: SourceStatus,
        reviewer: Reviewer,
        reviewed: Vec<Reviewed>,
        counts: (usize, usize),
        drifted: Vec<Drifted>,
    ) -> Passed {
        let wanted: BTreeSet<MemberKey> = reviewed.iter().map(|one| one.item.key()).collect();
        let mut extent = Extent::of(reviewed.iter().map(|one| &one.item));
        extent.namespaces.insert(self.account.namespace.clone());
        let fail =
            |counts, problems| self.failed(revision, Some(source.clone()), Some(counts), problems);

        let mut parent = match self.within("naming the members", self.parent()).await {
            Ok(Ok(parent)) => parent,
            Ok(Err(problem)) | Err(problem) => return fail(counts, vec![problem]),
        };
        let known = Extent::read(&parent.1);
        let said = self
            .within("naming the members", parent.0.say(&known.union(&extent)))
            .await;
        match said {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return fail(counts, vec![no_parent(&error)]),
            Err(problem) => return fail(counts, vec![problem]),
        }

        let applier = Applier {
            client: reviewer.writer.client(),
            reviewer: &reviewer,
            discovery: &self.shared.discovery,
            shutdown: self.shared.shutdown.clone(),
        };
        let applied = match self.within("applying", applier.apply(reviewed)).await {
            Ok(applied) => applied,
            // What was written before the deadline is not known, so it is told as something.
            Err(problem) => Applied {
                problems: vec![problem],
                wrote: true,
                ..Applied::default()
            },
        };
        if !applied.problems.is_empty() {
            return self.partly(revision, source, counts, applied);
        }

        let all = known.union(&extent);
        let (pruned, kept, notes) = if self.sync.spec.prune {
            match self
                .within(
                    "pruning",
                    self.prune(&reviewer, &all, &wanted, &extent, &mut parent.0),
                )
                .await
            {
                Ok(done) => done,
                Err(problem) => (
                    Pruned {
                        deleted: 0,
                        problems: vec![problem],
                    },
                    Vec::new(),
                    Vec::new(),
                ),
            }
        } else {
            (Pruned::default(), Vec::new(), Vec::new())
        };
        let report = self.completed(
            revision,
            source,
            counts,
            applied.changed,
            &pruned,
            &kept,
            &notes,
        );
        let standing = (report.outcome == Outcome::Ready).then(|| Standing {
            commit: revision.commit.clone(),
            objects: applied.standing,
            extent,
            report: Report {
                applied: 0,
                pruned: 0,
                ..report.clone()
            },
        });
        let done = Done::new(report, Some(revision.commit.clone()));
        Passed::Done(Box::new(Done {
            standing,
            corrected: drifted,
            kept,
            ..done
        }))
    }

    /// Deletes what the revision no longer has, and shrinks what the parent says to where members still are.
    async fn prune(
        &self,
        reviewer: &Reviewer,
        all: &Extent,
        wanted: &BTreeSet<MemberKey>,
        extent: &Extent,
        parent: &mut Parent,
    ) -> (Pruned, Vec<MemberKey>, Vec<String>) {
        let lister = Lister {
            own: self.shared.client.clone(),
            account: reviewer.writer.client(),
            only_namespaces: self.shared.settings.watch_namespace.is_some(),
        };
        let kinds = match self.shared.discovery.kinds().await {
            Ok(kinds) => kinds,
            Err(error) => {
                return (
                    Pruned {
                        deleted: 0,
                        problems: vec![no_kinds(&error)],
                    },
                    Vec::new(),
                    Vec::new(),
                );
            }
        };
        let inventory = lister.list(all, &kinds, &self.set).await;
        let name = self.sync.name_any();
        let choice = choose(
            inventory.members,
            wanted,
            &self.set,
            (&self.account.namespace, &name),
        );
        let mut remaining = extent.clone();
        for key in choice
            .keep
            .iter()
            .chain(choice.delete.iter().map(|member| &member.key))
        {
            remaining
                .kinds
                .insert((key.group.clone(), key.kind.clone()));
            remaining.namespaces.insert(key.namespace.clone());
        }
        remaining.namespaces.remove("");
        let mut pruned = prune(choice.delete, &reviewer.writer, &self.shared.client).await;

        let mut notes = Vec::new();
        for ((group, kind), why) in inventory.unknown {
            // Nobody knows whether members of it are left, so nobody may forget it.
            remaining.kinds.insert((group.clone(), kind.clone()));
            remaining.namespaces.extend(all.namespaces.iter().cloned());
            let kind = if group.is_empty() {
                kind
            } else {
                format!("{kind}.{group}")
            };
            notes.push(format!(
                "{kind} could not be looked through for objects to prune ({why})"
            ));
        }
        if pruned.problems.is_empty() {
            // What was deleted may have finalizers: its kind is forgotten by the pass that no longer finds it.
            if let Err(error) = parent.say(&remaining).await {
                pruned.problems.push(no_parent(&error));
            }
        }
        (pruned, choice.keep, notes)
    }

    /// Who asks and applies; checked before anything else is asked, so that a missing opt-in is told once.
    async fn reviewer(&self) -> Result<Reviewer, Problem> {
        let account = &self.account;
        let client = self.impersonated()?;
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.shared.client.clone(), &account.namespace);
        if let Ok(None) = accounts.get_metadata_opt(&account.name).await {
            return Err(Problem::general(
                Reason::ServiceAccountMissing,
                format!(
                    "ServiceAccount {account} does not exist: kubectl create serviceaccount {} -n {}, and give it the rights \
                     to apply what the revision holds",
                    account.name, account.namespace
                ),
            ));
        }
        let who: Api<SelfSubjectReview> = Api::all(client.clone());
        if let Err(error) = who
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
        {
            let answer = Answer::of(&error, false);
            match answer.kind {
                AnswerKind::ImpersonationForbidden => {
                    return Err(Problem::general(
                        Reason::ImpersonationDenied,
                        format!(
                            "the controller may not act as ServiceAccount {account}: namespace {} has not opted in. To opt in: {}",
                            account.namespace,
                            account.opt_in(&self.shared.settings.controller)
                        ),
                    ));
                }
                AnswerKind::Unavailable => {
                    return Err(Problem::general(Reason::ApiUnavailable, answer.message));
                }
                // Whether it may ask who it is does not matter.
                _ => {}
            }
        }
        let syncs = self.shared.sync_names();
        Ok(Reviewer {
            access: Access::new(self.shared.client.clone(), account.clone()),
            account: account.clone(),
            controller: self.shared.settings.controller.clone(),
            unsealer: self.shared.unsealer.clone(),
            writer: Writer::new(client, self.set.clone()),
            syncs,
            set: self.set.clone(),
        })
    }

    fn impersonated(&self) -> Result<Client, Problem> {
        self.account.impersonate(&self.shared.client).map_err(|_| {
            Problem::general(
                Reason::ServiceAccountMissing,
                format!(
                    "{:?} is not the name of a ServiceAccount",
                    self.account.name
                ),
            )
        })
    }

    fn lister(&self) -> Result<Lister, Problem> {
        Ok(Lister {
            own: self.shared.client.clone(),
            account: self.impersonated()?,
            only_namespaces: self.shared.settings.watch_namespace.is_some(),
        })
    }

    async fn kinds(&self) -> Result<Arc<Kinds>, Problem> {
        self.shared
            .discovery
            .kinds()
            .await
            .map_err(|error| no_kinds(&error))
    }

    /// The parent as it is now: its annotations must not be judged by a copy that lags behind our own last write.
    async fn parent(&self) -> Result<(Parent, kube::api::ObjectMeta), Problem> {
        let api: Api<ManifestSync> =
            Api::namespaced(self.shared.client.clone(), &self.account.namespace);
        let meta = api
            .get_metadata(&self.sync.name_any())
            .await
            .map_err(|error| no_parent(&error))?
            .metadata;
        Ok((Parent::new(api, &meta, self.set.clone()), meta))
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

    fn failed(
        &self,
        revision: &Revision,
        source: Option<SourceStatus>,
        counts: Option<(usize, usize)>,
        problems: Vec<Problem>,
    ) -> Passed {
        let (reason, message) = summarise(&problems, &revision.label, false);
        let outside = matches!(reason, Reason::ApiUnavailable | Reason::TimedOut);
        let result = if outside {
            SyncResult::Failed
        } else {
            SyncResult::Refused
        };
        let source = source.or_else(|| {
            Some(SourceStatus {
                revision: revision.label.clone(),
                ..SourceStatus::default()
            })
        });
        let report = Report {
            source,
            result: Some(result),
            problems,
            counts,
            ..self.report(Outcome::Retrying, reason, message)
        };
        Passed::Done(Box::new(Done::new(report, Some(revision.commit.clone()))))
    }

    fn partly(
        &self,
        revision: &Revision,
        source: SourceStatus,
        counts: (usize, usize),
        applied: Applied,
    ) -> Passed {
        let (reason, message) = summarise(&applied.problems, &revision.label, applied.wrote);
        let result = if applied.wrote {
            SyncResult::PartiallyApplied
        } else {
            SyncResult::Refused
        };
        let report = Report {
            source: Some(source),
            result: Some(result),
            problems: applied.problems,
            counts: Some(counts),
            applied: applied.changed,
            ..self.report(Outcome::Retrying, reason, message)
        };
        Passed::Done(Box::new(Done::new(report, Some(revision.commit.clone()))))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one result, each made in another phase"
    )]
    fn completed(
        &self,
        revision: &Revision,
        source: SourceStatus,
        counts: (usize, usize),
        changed: usize,
        pruned: &Pruned,
        kept: &[MemberKey],
        notes: &[String],
    ) -> Report {
        let (objects, sealed) = counts;
        let mut message = format!(
            "{} is applied: {objects} objects, {sealed} of them SealedSecrets",
            revision.label
        );
        if !kept.is_empty() {
            let names: Vec<String> = kept.iter().map(MemberKey::display).collect();
            message = format!(
                "{message}. Kept although the revision no longer has it, because deleting it deletes more than itself: {}; \
                 delete it by hand when nothing needs it",
                names.join(", ")
            );
        }
        for note in notes {
            message = format!("{message}. {note}");
        }
        let (outcome, reason, result) = match pruned.problems.first() {
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
            source: Some(source),
            result: Some(result),
            problems: pruned.problems.clone(),
            counts: Some(counts),
            applied: changed,
            pruned: pruned.deleted,
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
            corrected: Vec::new(),
            kept: Vec::new(),
            retry_after: None,
        }
    }
}

/// Why there is no revision.
enum SourceFailed {
    Source(SourceError),
    Problem(Problem),
    At(Box<Self>, Revision),
}

impl From<SourceError> for SourceFailed {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<Problem> for SourceFailed {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl SourceFailed {
    fn at(self, revision: &Revision) -> Self {
        Self::At(Box::new(self), revision.clone())
    }

    fn into_passed(self, pass: &Pass<'_>) -> Passed {
        let (failed, revision) = match self {
            Self::At(failed, revision) => (*failed, Some(revision)),
            failed => (failed, None),
        };
        let (outcome, reason, message, retry_after) = match failed {
            Self::Source(error) => {
                let outcome = if error.is_terminal() {
                    Outcome::Stalled
                } else {
                    Outcome::Retrying
                };
                (
                    outcome,
                    reason(&error),
                    error.to_string(),
                    error.retry_after(),
                )
            }
            Self::Problem(problem) => (Outcome::Retrying, problem.reason, problem.message, None),
            Self::At(..) => (
                Outcome::Retrying,
                Reason::SourceUnavailable,
                String::new(),
                None,
            ),
        };
        let source = revision.as_ref().map(|revision| SourceStatus {
            revision: revision.label.clone(),
            ..SourceStatus::default()
        });
        let result = source.is_some().then_some(SyncResult::Failed);
        let report = Report {
            source,
            result,
            ..pass.report(outcome, reason, message)
        };
        Passed::Done(Box::new(Done {
            retry_after,
            ..Done::new(report, revision.map(|revision| revision.commit))
        }))
    }
}

/// The reason of a source's failure, in the words of conditions.
fn reason(error: &SourceError) -> Reason {
    match error {
        SourceError::AccessDenied { .. } | SourceError::RepositoryNotFound { .. } => {
            Reason::SourceUnauthorized
        }
        SourceError::AddressBlocked { .. }
        | SourceError::RedirectRefused { .. }
        | SourceError::UrlRefused { .. } => Reason::SourceRefused,
        SourceError::EmptyRepository { .. }
        | SourceError::ReferenceNotFound { .. }
        | SourceError::ReferenceRefused { .. } => Reason::RefNotFound,
        SourceError::Limit { .. } => Reason::SourceTooLarge,
        SourceError::PathNotFound { .. } | SourceError::PathRefused { .. } => Reason::PathNotFound,
        SourceError::SecretRefused { .. } => Reason::SourceCredentials,
        SourceError::Timeout { .. } => Reason::TimedOut,
        _ => Reason::SourceUnavailable,
    }
}

fn reference(git: &GitSpec) -> Reference {
    let Some(wanted) = &git.reference else {
        return Reference::DefaultBranch;
    };
    if let Some(commit) = &wanted.commit {
        Reference::Commit(commit.clone())
    } else if let Some(name) = &wanted.name {
        Reference::Name(name.clone())
    } else if let Some(tag) = &wanted.tag {
        Reference::Tag(tag.clone())
    } else if let Some(branch) = &wanted.branch {
        Reference::Branch(branch.clone())
    } else {
        Reference::DefaultBranch
    }
}

fn described(revision: &Revision, fetched: &SourceTree) -> SourceStatus {
    SourceStatus {
        revision: revision.label.clone(),
        author: Some(fetched.author.clone()),
        subject: Some(fetched.subject.clone()),
        verified_by: None,
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

fn no_kinds(error: &kube::Error) -> Problem {
    Problem::general(
        Reason::ApiUnavailable,
        format!(
            "the kinds of the cluster could not be read: {}",
            Answer::of(error, false)
        ),
    )
}

fn no_parent(error: &kube::Error) -> Problem {
    Problem::general(
        Reason::ApiUnavailable,
        format!(
            "the kinds and namespaces of the members could not be recorded on the ManifestSync: {}",
            Answer::of(error, false)
        ),
    )
}
