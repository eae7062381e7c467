//! Writes a reviewed plan, step by step. What fails in a later step leaves the earlier ones as they are: nothing is
//! rolled back, nothing is pruned, and the next pass goes on from there.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::SealedSecret;
use crds::reasons::Reason;
use futures::{StreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::discovery::{Discovery, Lookup};
use super::drift::{Drifted, How};
use super::members::Fingerprint;
use super::order::Stage;
use super::plan::{Item, MemberKey};
use super::problem::Problem;
use super::review::{
    Brought, PARALLEL, Reviewed, Reviewer, Verdict, malformed, sealed_secret, unsealing,
};
use super::ssa::{Refusal, Seen};

/// Between two looks at a definition that is not established yet. It takes the API server some tens of
/// milliseconds, so a watch would cost more than it saves.
const ESTABLISHED_POLL: Duration = Duration::from_millis(100);

/// What applying did.
#[derive(Default)]
pub struct Applied {
    /// Objects that were made or changed, Secrets of SealedSecrets aside.
    pub changed: usize,
    /// How each object stands that is now as Git says.
    pub standing: BTreeMap<MemberKey, Fingerprint>,
    /// What failed. The steps after it were not begun.
    pub problems: Vec<Problem>,
    /// Whether anything at all was written before something failed.
    pub wrote: bool,
    /// What was changed, seen as drift: how each object stood before it was written.
    pub restored: Vec<Drifted>,
}

/// Writes plans.
pub struct Applier<'a> {
    /// Asks and applies as the account.
    pub reviewer: &'a Reviewer,
    /// Acts as the account; used to see whether its definitions are established.
    pub client: Client,
    /// The kinds of the cluster, read again when the revision brings new ones.
    pub discovery: &'a Discovery,
    /// Ends the work at the next step.
    pub shutdown: CancellationToken,
}

impl Applier<'_> {
    /// Applies everything, or everything up to the first step in which something fails.
    pub async fn apply(&self, reviewed: Vec<Reviewed>) -> Applied {
        let mut applied = Applied::default();
        let brought = Brought::of(reviewed.iter().map(|reviewed| &reviewed.item));
        let mut rest = reviewed.into_iter().peekable();
        while let Some(step) = rest.peek().map(|next| next.item.step) {
            let mut group = Vec::new();
            while let Some(next) = rest.next_if(|next| next.item.step == step) {
                group.push(next);
            }
            if self.shutdown.is_cancelled() {
                applied.problems.push(Problem::general(
                    Reason::ApiUnavailable,
                    "the controller is shutting down; the next one goes on from here",
                ));
                return applied;
            }
            let group = match self.foretell(group, &brought).await {
                Ok(group) => group,
                Err(problems) => {
                    applied.problems.extend(problems);
                    return applied;
                }
            };
            self.step(&group, &mut applied).await;
            if !applied.problems.is_empty() {
                return applied;
            }
            if step.stage == Stage::Definitions
                && let Err(problems) = self.established(&group).await
            {
                applied.problems.extend(problems);
                return applied;
            }
        }
        applied
    }

    /// Dry-runs what could not be dry-run with the plan, so that a step is judged whole before it is begun.
    async fn foretell(
        &self,
        group: Vec<Reviewed>,
        brought: &Brought,
    ) -> Result<Vec<Reviewed>, Vec<Problem>> {
        let results: Vec<Result<Reviewed, Problem>> = stream::iter(group)
            .map(|mut one| async move {
                if one.verdict != Verdict::Deferred {
                    return Ok(one);
                }
                if one.item.kind_is_brought {
                    self.resolve(&mut one.item).await?;
                }
                let foretold = self.reviewer.dry_run(&one.item, brought).await?;
                let verdict = foretold.verdict;
                one.live_version = foretold.live.and_then(|live| live.meta.resource_version);
                one.taken = foretold.taken;
                one.takeover = foretold.takeover;
                // Something that it needs is of this very step: only the apply itself can tell.
                one.verdict = if verdict == Verdict::Deferred {
                    Verdict::Changed
                } else {
                    verdict
                };
                Ok(one)
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        let (mut group, mut problems) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(one) => group.push(one),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(group)
        } else {
            Err(problems)
        }
    }

    /// Finds the kind of an object whose definition this revision has brought.
    async fn resolve(&self, item: &mut Item) -> Result<(), Problem> {
        let kinds = self.discovery.kinds().await.map_err(|error| {
            item.problem(
                Reason::ApiUnavailable,
                format!(
                    "the kinds of the cluster could not be read: {}",
                    Answer::of(&error, false)
                ),
            )
        })?;
        if let Lookup::Served(kind) = kinds.of(&item.id) {
            item.kind = kind;
        }
        Ok(())
    }

    async fn step(&self, group: &[Reviewed], applied: &mut Applied) {
        let writes: Vec<_> = group
            .iter()
            .map(|one| async move { (one.item.key(), self.one(one).await) })
            .collect();
        let results: Vec<(MemberKey, Result<Done, Problem>)> = stream::iter(writes)
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (key, result) in results {
            match result {
                Ok(done) => {
                    applied.wrote |= done.wrote;
                    if done.wrote {
                        applied.changed += 1;
                        applied.restored.extend(done.was.map(|how| Drifted {
                            key: key.clone(),
                            how,
                        }));
                    }
                    if let Some(fingerprint) = done.fingerprint {
                        applied.standing.insert(key, fingerprint);
                    }
                }
                Err(problem) => applied.problems.push(problem),
            }
        }
        applied.problems.sort_by(|a, b| a.file.cmp(&b.file));
    }

    async fn one(&self, one: &Reviewed) -> Result<Done, Problem> {
        // The watch on SealedSecrets would open it as soon as it is stored, and not know of the consent that the
        // account gives: it waits until both are written.
        let namespace = one.item.id.namespace.clone().unwrap_or_default();
        let alone = if one.unseal {
            let key = (namespace, one.item.id.name.clone());
            Some(self.reviewer.unsealer.lock(&key).await)
        } else {
            None
        };
        let (seen, done) = match one.verdict {
            Verdict::Unchanged(fingerprint) => (
                None,
                Done {
                    wrote: false,
                    fingerprint: Some(fingerprint),
                    was: None,
                },
            ),
            Verdict::Changed | Verdict::Deferred => {
                let writer = &self.reviewer.writer;
                if let Some(patch) = &one.takeover {
                    writer.take_over(&one.item, patch).await.map_err(|answer| {
                        self.reviewer.problem(&one.item, &Refusal::Api(answer))
                    })?;
                }
                let seen = writer
                    .apply(&one.item)
                    .await
                    .map_err(|refusal| self.reviewer.problem(&one.item, &refusal))?;
                let wrote = seen.meta.resource_version != one.live_version;
                let fingerprint = self.reviewer.set.fingerprint(&seen.meta);
                let was = Some(match &one.live_version {
                    None => How::Gone,
                    Some(_) => How::Changed(one.taken.clone()),
                });
                let done = Done {
                    wrote,
                    fingerprint,
                    was,
                };
                (Some(seen), done)
            }
        };
        if one.unseal {
            self.unseal(one, seen).await?;
        }
        drop(alone);
        Ok(done)
    }

    /// Writes the Secret of a SealedSecret that the API server has accepted as the account. The caller holds its lock.
    async fn unseal(&self, one: &Reviewed, seen: Option<Seen>) -> Result<(), Problem> {
        let item = &one.item;
        let seen = match seen {
            Some(seen) => Some(seen),
            None => self
                .reviewer
                .writer
                .live(item)
                .await
                .map_err(|answer| item.problem(Reason::ApiUnavailable, answer.message))?,
        };
        let Some(seen) = seen else {
            return Err(item.problem(
                Reason::ObjectRefused,
                "it was deleted while it was being applied; it is tried again",
            ));
        };
        let mut accepted: SealedSecret = sealed_secret(item)?;
        let spec = seen
            .rest
            .as_ref()
            .and_then(|rest| rest.get("spec"))
            .cloned();
        accepted.metadata = seen.meta;
        // What the API server stored is what is opened: its defaults, and whatever admission made of it.
        if let Some(spec) = spec {
            accepted.spec =
                serde_json::from_value(spec).map_err(|error| malformed(item, &error))?;
        }
        accepted.status = seen
            .rest
            .and_then(|mut rest| rest.get_mut("status").map(serde_json::Value::take))
            .and_then(|status| serde_json::from_value(status).ok());
        let unsealer = self.reviewer.unsealer.clone();
        let (opened, accepted) =
            tokio::task::spawn_blocking(move || (unsealer.open(&accepted), accepted))
                .await
                .map_err(|_| {
                    item.problem(
                        Reason::UnsealFailed,
                        "opening it stopped; it is tried again",
                    )
                })?;
        let opened = opened.map_err(|error| unsealing(item, &error))?;
        self.reviewer
            .unsealer
            .write_alone(opened, &accepted, one.consent)
            .await
            .map_err(|error| unsealing(item, &error))?;
        Ok(())
    }

    /// Waits until the API server serves what the definitions of this step define, then reads its kinds again.
    async fn established(&self, group: &[Reviewed]) -> Result<(), Vec<Problem>> {
        let definitions: Vec<&Reviewed> = group
            .iter()
            .filter(|one| {
                one.item.id.kind == "CustomResourceDefinition"
                    && !matches!(one.verdict, Verdict::Unchanged(_))
            })
            .collect();
        if definitions.is_empty() {
            return Ok(());
        }
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for one in &definitions {
            // The deadline is the one of the whole phase.
            loop {
                let found = match api.get(&one.item.id.name).await {
                    Ok(found) => found,
                    // Discovery, below, says it too, only without the reason where it is refused.
                    Err(kube::Error::Api(status)) if status.is_forbidden() => break,
                    Err(error) => {
                        let why = Answer::of(&error, false);
                        return Err(vec![one.item.problem(
                            Reason::ApiUnavailable,
                            format!("whether it is established could not be read: {why}"),
                        )]);
                    }
                };
                match standing(&found) {
                    Standing::Established => break,
                    Standing::Refused(why) => {
                        return Err(vec![one.item.problem(
                            Reason::ObjectRefused,
                            format!("its names are not accepted: {why}"),
                        )]);
                    }
                    Standing::Waiting => tokio::time::sleep(ESTABLISHED_POLL).await,
                }
            }
        }
        // An established kind appears in discovery a moment later.
        for _ in 0..50 {
            let kinds = self.discovery.refresh().await.map_err(|error| {
                vec![Problem::general(
                    Reason::ApiUnavailable,
                    format!(
                        "the kinds of the cluster could not be read: {}",
                        Answer::of(&error, false)
                    ),
                )]
            })?;
            let served = definitions.iter().all(|one| {
                let spec = &one.item.body["spec"];
                let (group, kind) = (
                    spec["group"].as_str().unwrap_or_default(),
                    spec["names"]["kind"].as_str().unwrap_or_default(),
                );
                matches!(kinds.of_any_version(group, kind), Lookup::Served(_))
            });
            if served {
                break;
            }
            tokio::time::sleep(ESTABLISHED_POLL).await;
        }
        Ok(())
    }
}

struct Done {
    wrote: bool,
    fingerprint: Option<Fingerprint>,
    /// How it stood before, if it was written.
    was: Option<How>,
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Established,
    Refused(String),
    Waiting,
}

fn standing(definition: &CustomResourceDefinition) -> Standing {
    let conditions = definition
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions {
        match (condition.type_.as_str(), condition.status.as_str()) {
            ("Established", "True") => return Standing::Established,
            ("NamesAccepted", "False") => {
                return Standing::Refused(condition.message.clone().unwrap_or_default());
            }
            _ => {}
        }
    }
    Standing::Waiting
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::review::tests::{items, reviewer, stored};
    use super::super::scripted;
    use super::*;

    /// Applies this revision as a scripted API server answers; returns what came of it and what was written.
    async fn applied(yaml: &str, refuse: &'static str) -> (Applied, Vec<String>) {
        let (client, log) = scripted::client(move |asked| {
            if asked.line.starts_with("PATCH") && asked.line.ends_with(refuse) {
                scripted::failure(422, "Invalid", "no", &json!({}))
            } else if asked.line.starts_with("GET") {
                scripted::failure(404, "NotFound", "none", &json!({}))
            } else {
                stored(asked, "1")
            }
        });
        let reviewer = reviewer(&client);
        let verdicts = items(yaml)
            .into_iter()
            .map(|item| Reviewed {
                item,
                verdict: Verdict::Changed,
                unseal: false,
                consent: crate::unseal::Consent::OfSecretOnly,
                live_version: None,
                taken: Vec::new(),
                takeover: None,
            })
            .collect();
        let applier = Applier {
            reviewer: &reviewer,
            discovery: &Discovery::new(client.clone()),
            client,
            shutdown: CancellationToken::new(),
        };
        (applier.apply(verdicts).await, log.writes())
    }

    const THREE_STEPS: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: prod}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: prod}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: prod}\n";

    #[tokio::test]
    async fn everything_is_written_in_its_order() {
        let (applied, writes) = applied(THREE_STEPS, "/nothing").await;
        assert!(applied.problems.is_empty(), "{:?}", applied.problems);
        assert_eq!((applied.changed, applied.standing.len()), (3, 3));
        let names: Vec<&str> = writes
            .iter()
            .filter_map(|line| line.rsplit('/').next())
            .collect();
        assert_eq!(names, ["prod", "a", "web"]);
    }

    #[tokio::test]
    async fn nothing_is_written_after_a_step_that_failed() {
        let (applied, writes) = applied(THREE_STEPS, "/configmaps/a").await;
        assert!(applied.wrote, "the namespace was written");
        assert_eq!(applied.problems.len(), 1);
        assert_eq!(
            applied.problems[0].object.as_deref(),
            Some("ConfigMap prod/a")
        );
        assert!(
            !writes.iter().any(|line| line.contains("deployments")),
            "{writes:?}"
        );
    }

    fn definition(conditions: &serde_json::Value) -> CustomResourceDefinition {
        serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": {"group": "g", "names": {"kind": "K", "plural": "ks"}, "scope": "Cluster", "versions": []},
            "status": {"conditions": conditions}}))
        .unwrap()
    }

    #[test]
    fn a_definition_is_waited_for_until_it_is_established_or_refused() {
        assert_eq!(standing(&definition(&json!([]))), Standing::Waiting);
        assert_eq!(
            standing(&definition(
                &json!([{"type": "Established", "status": "False"}])
            )),
            Standing::Waiting
        );
        assert_eq!(
            standing(&definition(
                &json!([{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}])
            )),
            Standing::Established
        );
        assert_eq!(
            standing(&definition(
                &json!([{"type": "NamesAccepted", "status": "False", "message": "taken"}])
            )),
            Standing::Refused("taken".into())
        );
    }
}
