//! What the cluster says to a plan: rights, dry runs, and whether every SealedSecret opens. Nothing is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::reasons::Reason;
use crds::{OwnershipMode, SealedSecret, names};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::access::{Access, Account};
use super::answer::{Answer, AnswerKind};
use super::members::{ApplySet, Fingerprint};
use super::plan::{Item, MemberKey};
use super::problem::Problem;
use super::ssa::{Refusal, Seen, Writer, differs};
use super::{fields, takeover};
use crate::unseal::{Consent, UnsealError, Unsealer};

/// How many requests one pass makes at a time. The client speaks HTTP/1.1, so this is also its connections.
pub const PARALLEL: usize = 16;

/// `namespace/name` of the sync that has a field manager; `None` when there is none.
pub type SyncNames = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Who asks, and with what.
pub struct Reviewer {
    /// Rights of the account.
    pub access: Access,
    /// The account.
    pub account: Account,
    /// The controller's own account, for commands that grant it something.
    pub controller: Account,
    /// Opens SealedSecrets.
    pub unsealer: Unsealer,
    /// Applies as the account.
    pub writer: Writer,
    /// Names of other syncs by their field manager.
    pub syncs: SyncNames,
    /// Whose members the objects become.
    pub set: ApplySet,
}

/// What is to be done about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as Git says.
    Unchanged(Fingerprint),
    /// Applying it changes something, or makes it.
    Changed,
    /// Its namespace, kind or role comes with the revision itself: dry-run when its step comes.
    Deferred,
}

/// An object and what is to be done about it.
pub struct Reviewed {
    /// The object.
    pub item: Item,
    /// What is to be done.
    pub verdict: Verdict,
    /// For a SealedSecret: it is opened and its Secret written. False when its Secret stands already.
    pub unseal: bool,
    /// For a SealedSecret: whose word lets it adopt a Secret.
    pub consent: Consent,
    /// `resourceVersion` of the live object, when there is one that could be read.
    pub live_version: Option<String>,
    /// Fields of ours that others took, each with who did it.
    pub taken: Vec<String>,
    /// Makes ours what `kubectl apply` owns, before the first apply.
    pub takeover: Option<Value>,
}

/// What a dry run showed.
pub struct Foretold {
    /// What is to be done.
    pub verdict: Verdict,
    /// The object as it is; `None` when there is none, or it may not be read.
    pub live: Option<Seen>,
    /// Fields of ours that others took, each with who did it.
    pub taken: Vec<String>,
    /// Makes ours what `kubectl apply` owns.
    pub takeover: Option<Value>,
}

impl From<Verdict> for Foretold {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            live: None,
            taken: Vec::new(),
            takeover: None,
        }
    }
}

/// Reviews all items. Those whose key is in `settled` are known to be as Git says and are not asked about again.
pub async fn review(
    reviewer: &Reviewer,
    items: Vec<Item>,
    settled: &(dyn Fn(&MemberKey) -> Option<Fingerprint> + Sync),
) -> (Vec<Reviewed>, Vec<Problem>) {
    let brought = Brought::of(&items);
    let known: Vec<(Item, Option<Fingerprint>)> = items
        .into_iter()
        .map(|item| (item.key(), item))
        .map(|(key, item)| (item, settled(&key)))
        .collect();
    let results: Vec<(Option<Reviewed>, Vec<Problem>)> = stream::iter(known)
        .map(|(item, settled)| reviewer.one(item, settled, &brought))
        .buffered(PARALLEL)
        .collect()
        .await;
    let (mut verdicts, mut problems) = (Vec::new(), Vec::new());
    for (one, found) in results {
        verdicts.extend(one);
        problems.extend(found);
    }
    (verdicts, problems)
}

/// What the revision itself brings, by plural and name, as a "not found" of the API server would name it.
pub struct Brought(BTreeSet<(String, String)>);

impl Brought {
    /// Everything among these items that others may need to exist.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        Self(
            items
                .into_iter()
                .map(|item| (item.kind.resource.plural.clone(), item.id.name.clone()))
                .collect(),
        )
    }

    fn has(&self, resource: &str, name: &str) -> bool {
        self.0.contains(&(resource.to_owned(), name.to_owned()))
    }
}

impl Reviewer {
    async fn one(
        &self,
        item: Item,
        settled: Option<Fingerprint>,
        brought: &Brought,
    ) -> (Option<Reviewed>, Vec<Problem>) {
        if let Some(fingerprint) = settled {
            let (verdict, consent) = (Verdict::Unchanged(fingerprint), Consent::OfSecretOnly);
            return (
                Some(Reviewed {
                    item,
                    verdict,
                    unseal: false,
                    consent,
                    live_version: None,
                    taken: Vec::new(),
                    takeover: None,
                }),
                Vec::new(),
            );
        }
        if item.is_sealed()
            && let Some(problem) = self.denied(&item).await
        {
            return (None, vec![problem]);
        }
        // Before it is sent: the API server would quote what has the wrong shape.
        if item.is_sealed()
            && let Err(problem) = sealed_secret(&item)
        {
            return (None, vec![problem]);
        }
        let mut problems = Vec::new();
        let foretold = if item.kind_is_brought {
            Some(Verdict::Deferred.into())
        } else {
            match self.dry_run(&item, brought).await {
                Ok(foretold) => Some(foretold),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        };
        let (mut unseal, mut consent) = (false, Consent::OfSecretOnly);
        // What stands and is unchanged is not opened again: its own watch keeps its Secret.
        let settled = foretold.as_ref().is_some_and(|foretold| {
            matches!(foretold.verdict, Verdict::Unchanged(_))
                && foretold.live.as_ref().is_some_and(is_unsealed)
        });
        if item.is_sealed() && !settled {
            unseal = true;
            match self.open(&item).await {
                Ok(found) => consent = found,
                Err(problem) => problems.push(problem),
            }
        }
        let reviewed = foretold.map(|foretold: Foretold| Reviewed {
            item,
            verdict: foretold.verdict,
            unseal,
            consent,
            live_version: foretold.live.and_then(|live| live.meta.resource_version),
            taken: foretold.taken,
            takeover: foretold.takeover,
        });
        (reviewed, problems)
    }

    /// The problem of a SealedSecret that the account may not apply. It is never opened then.
    async fn denied(&self, item: &Item) -> Option<Problem> {
        let namespace = item.id.namespace.as_deref().unwrap_or_default();
        match self.access.missing_for_sealed_secrets(namespace).await {
            Ok(missing) if missing.is_empty() => None,
            Ok(missing) => Some(item.problem(
                Reason::AccessDenied,
                format!(
                    "ServiceAccount {} may not {} SealedSecrets in namespace {namespace}, so it was not opened. To allow \
                     it: {}",
                    self.account,
                    missing.join(" or "),
                    self.account.grant("sealedsecrets.waxwing.dev", Some(namespace))
                ),
            )),
            Err(error) => Some(item.problem(
                Reason::ApiUnavailable,
                format!("whether ServiceAccount {} may apply it could not be asked: {}", self.account, Answer::of(&error, false)),
            )),
        }
    }

    /// Dry-runs one object, and compares it with what lives.
    pub async fn dry_run(&self, item: &Item, brought: &Brought) -> Result<Foretold, Problem> {
        let applied = match self.writer.dry_run(item).await {
            Ok(applied) => applied,
            Err(Refusal::Api(answer)) if waits_for(&answer, brought) => {
                return Ok(Verdict::Deferred.into());
            }
            Err(refusal) => return Err(self.problem(item, &refusal)),
        };
        // Without the right to read there is nothing to compare with: the apply itself then changes what differs.
        let Some(live) = self.writer.live(item).await.unwrap_or_default() else {
            return Ok(Verdict::Changed.into());
        };
        let verdict = if differs(&live, &applied, &self.set, &item.body) {
            Verdict::Changed
        } else {
            self.set
                .fingerprint(&live.meta)
                .map_or(Verdict::Changed, Verdict::Unchanged)
        };
        Ok(Foretold {
            verdict,
            taken: fields::taken(&live.meta, &applied.meta, &self.set),
            takeover: takeover::patch(&live.meta, &self.set),
            live: Some(live),
        })
    }

    /// Opens a SealedSecret in memory, asks whether its Secret would be ours to write, and forgets it again: it is
    /// opened anew when it is written, so that nothing lies in memory while the rest of a plan is judged.
    async fn open(&self, item: &Item) -> Result<Consent, Problem> {
        let sealed = sealed_secret(item)?;
        let consent = self.consent(item, &sealed).await?;
        let unsealer = self.unsealer.clone();
        let (opens, sealed) =
            tokio::task::spawn_blocking(move || (unsealer.open(&sealed).map(drop), sealed))
                .await
                .map_err(|_| {
                    item.problem(
                        Reason::UnsealFailed,
                        "opening it stopped; it is tried again",
                    )
                })?;
        opens.map_err(|error| unsealing(item, &error))?;
        self.unsealer
            .check(&sealed, consent)
            .await
            .map_err(|error| unsealing(item, &error))?;
        Ok(consent)
    }

    async fn consent(&self, item: &Item, sealed: &SealedSecret) -> Result<Consent, Problem> {
        if sealed.spec.ownership.mode != OwnershipMode::Adopt {
            return Ok(Consent::OfSecretOnly);
        }
        let namespace = item.id.namespace.as_deref().unwrap_or_default();
        match self
            .access
            .may_update_secret(namespace, &item.id.name)
            .await
        {
            Ok(true) => Ok(Consent::SyncMayUpdate),
            Ok(false) => Ok(Consent::OfSecretOnly),
            Err(error) => Err(item.problem(
                Reason::ApiUnavailable,
                format!(
                    "whether ServiceAccount {} may update the Secret could not be asked: {}",
                    self.account,
                    Answer::of(&error, true)
                ),
            )),
        }
    }

    /// A refusal in words, with what mends it.
    pub fn problem(&self, item: &Item, refusal: &Refusal) -> Problem {
        let answer = match refusal {
            Refusal::OtherSync(manager) => {
                let other = (self.syncs)(manager).unwrap_or_else(|| {
                    format!(
                        "with the field manager {manager}, which is not in this cluster any more"
                    )
                });
                return item.problem(
                    Reason::Conflict,
                    format!(
                        "it belongs to ManifestSync {other}, and this one would change it; remove it from one of the two \
                         repositories, or give it another name"
                    ),
                );
            }
            Refusal::Api(answer) => answer,
        };
        let namespace = item.id.namespace.as_deref();
        match &answer.kind {
            AnswerKind::ImpersonationForbidden => item.problem(
                Reason::ImpersonationDenied,
                format!(
                    "the controller may not act as ServiceAccount {}: namespace {} has not opted in. To opt in: {}",
                    self.account,
                    self.account.namespace,
                    self.account.opt_in(&self.controller)
                ),
            ),
            AnswerKind::Forbidden => item.problem(
                Reason::AccessDenied,
                format!("{answer}. If it is the right that is missing: {}", self.account.grant(&item.kind.plural(), namespace)),
            ),
            AnswerKind::NotFound { resource, name } if resource == "namespaces" => item.problem(
                Reason::ObjectRefused,
                format!("namespace {name} does not exist: add it to the revision, or kubectl create namespace {name}"),
            ),
            AnswerKind::Terminating => item.problem(
                Reason::ObjectRefused,
                format!("namespace {} is being deleted; it is tried again when that is over", namespace.unwrap_or_default()),
            ),
            AnswerKind::Unavailable => item.problem(Reason::ApiUnavailable, answer.message.clone()),
            _ => item.problem(Reason::ObjectRefused, format!("the API server refuses it: {answer}")),
        }
    }
}

/// Whether what a dry run missed comes with the revision itself.
fn waits_for(answer: &Answer, brought: &Brought) -> bool {
    matches!(&answer.kind, AnswerKind::NotFound { resource, name } if brought.has(resource, name))
}

/// The SealedSecret that an item is.
pub fn sealed_secret(item: &Item) -> Result<SealedSecret, Problem> {
    serde_json::from_value(item.body.clone()).map_err(|error| malformed(item, &error))
}

/// A SealedSecret that has not the shape of one.
pub fn malformed(item: &Item, error: &serde_json::Error) -> Problem {
    item.problem(
        Reason::Malformed,
        format!(
            "it is not a SealedSecret of {}: {}. Make it with `waxwing seal`",
            names::API_VERSION,
            shape(error)
        ),
    )
}

/// What a reader expected, without what it found: that may be a plaintext that somebody pasted there.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        return text;
    }
    match text.split_once(", expected ") {
        Some((_, expected)) => format!("a value is something else than {expected}"),
        None => "a value has another type than it must have".to_owned(),
    }
}

/// Why a SealedSecret does not become a Secret, as a problem of the revision.
pub fn unsealing(item: &Item, error: &UnsealError) -> Problem {
    let reason = error.reason;
    let entries: Vec<String> = error
        .failing
        .iter()
        .map(|(entry, why)| format!("{entry} ({why})"))
        .collect();
    let message = if entries.is_empty() {
        format!("{reason}: {error}")
    } else {
        format!("{reason}: {error}. Entries: {}", entries.join(", "))
    };
    let mut problem = item.problem(Reason::UnsealFailed, message);
    problem.waits_for_key = reason == Reason::UnknownKey;
    problem
}

/// Whether the status of a live SealedSecret says that its Secret stands as its spec says.
fn is_unsealed(live: &Seen) -> bool {
    let Some(status) = live.rest.as_ref().and_then(|rest| rest.get("status")) else {
        return false;
    };
    let Ok(status) = serde_json::from_value::<crds::SealedSecretStatus>(status.clone()) else {
        return false;
    };
    let ready = crds::conditions::find(&status.conditions, crds::conditions::READY);
    status.observed_generation.is_some()
        && status.observed_generation == live.meta.generation
        && ready.is_some_and(|ready| ready.status == "True")
}

#[cfg(test)]
pub(super) mod tests;
