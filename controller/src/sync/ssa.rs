//! One server-side apply, for show or for real.
//!
//! Every apply is unforced first. A conflict with another sync stays a refusal; a conflict with anybody else
//! (`kubectl`, a controller) is then forced, because what Git says is what the object is to be. The dry run of a
//! plan and the apply itself are the same request but for `dryRun`, so that the one foretells the other.

use crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy,
};
use kube::{Api, Client};
use serde_json::Value;

use super::answer::{Answer, AnswerKind};
use super::discovery::Kind;
use super::members::ApplySet;
use super::plan::Item;

/// Writes as the account of a sync, with the sync's own field manager.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    set: ApplySet,
}

/// An object as the API server answered it. Of a Secret only the metadata was asked for.
pub struct Seen {
    /// Its metadata.
    pub meta: ObjectMeta,
    /// Everything else; `None` for a Secret.
    pub rest: Option<Value>,
}

/// Why an object was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another sync applies fields of it that we would change. Holds that sync's field manager.
    OtherSync(String),
    /// The API server's answer.
    Api(Answer),
}

impl Writer {
    /// `client` acts as the account.
    pub fn new(client: Client, set: ApplySet) -> Self {
        Self { client, set }
    }

    /// The client that acts as the account.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The object as it is now; `None` when there is none.
    pub async fn live(&self, item: &Item) -> Result<Option<Seen>, Answer> {
        let api = self.api(&item.kind, item.id.namespace.as_deref());
        let secret = item.kind.is_secret();
        let seen = if secret {
            let meta = api.get_metadata_opt(&item.id.name).await;
            meta.map(|found| {
                found.map(|found| Seen {
                    meta: found.metadata,
                    rest: None,
                })
            })
        } else {
            api.get_opt(&item.id.name)
                .await
                .map(|found| found.map(Seen::from))
        };
        seen.map_err(|error| Answer::of(&error, item.kind.may_quote_values()))
    }

    /// What applying would make of the object. Nothing is written.
    pub async fn dry_run(&self, item: &Item) -> Result<Seen, Refusal> {
        self.send(item, true).await
    }

    /// Applies the object.
    pub async fn apply(&self, item: &Item) -> Result<Seen, Refusal> {
        self.send(item, false).await
    }

    /// Makes ours what `kubectl apply` owns (see [`super::takeover`]). Somebody else's write in between is an answer
    /// that passes.
    pub async fn take_over(&self, item: &Item, patch: &Value) -> Result<(), Answer> {
        let secret = item.kind.may_quote_values();
        let patch: json_patch::Patch = serde_json::from_value(patch.clone())
            .map_err(|error| Answer::of(&kube::Error::SerdeError(error), secret))?;
        let params = PatchParams {
            field_manager: Some(self.set.manager().to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(&item.kind, item.id.namespace.as_deref());
        let patch = Patch::Json::<()>(patch);
        match api.patch_metadata(&item.id.name, &params, &patch).await {
            Ok(_) => Ok(()),
            // The test of the patch failed: it changed since it was read.
            Err(kube::Error::Api(status)) if status.is_invalid() => Err(Answer {
                kind: AnswerKind::Unavailable,
                message: "it changed while it was being taken over from kubectl; tried again"
                    .to_owned(),
            }),
            Err(error) => Err(Answer::of(&error, secret)),
        }
    }

    /// Deletes an object if it still is the one with this uid. `true` when it was there. With `foreground`, the
    /// object goes only after what it controls.
    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
        foreground: bool,
    ) -> Result<bool, Answer> {
        let params = DeleteParams {
            propagation_policy: Some(if foreground {
                PropagationPolicy::Foreground
            } else {
                PropagationPolicy::Background
            }),
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.api(kind, namespace).delete(name, &params).await {
            // The answer may be the object itself in a shape that was not expected: it is deleted all the same.
            Ok(_) | Err(kube::Error::SerdeError(_)) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            // Another object of that name by now: not the one that was ours.
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
            Err(error) => Err(Answer::of(&error, kind.may_quote_values())),
        }
    }

    async fn send(&self, item: &Item, dry_run: bool) -> Result<Seen, Refusal> {
        match self.patch(item, dry_run, false).await {
            Err(answer) => match &answer.kind {
                AnswerKind::Conflict(managers) => {
                    let other = managers.iter().find(|manager| {
                        manager.starts_with(names::SYNC_MANAGER_PREFIX)
                            && *manager != self.set.manager()
                    });
                    match other {
                        Some(other) => Err(Refusal::OtherSync(other.clone())),
                        None => self.patch(item, dry_run, true).await.map_err(Refusal::Api),
                    }
                }
                _ => Err(Refusal::Api(answer)),
            },
            Ok(seen) => Ok(seen),
        }
    }

    async fn patch(&self, item: &Item, dry_run: bool, force: bool) -> Result<Seen, Answer> {
        let mut params = PatchParams::apply(self.set.manager()).validation_strict();
        params.dry_run = dry_run;
        params.force = force;
        let api = self.api(&item.kind, item.id.namespace.as_deref());
        let patch = Patch::Apply(&item.body);
        let secret = item.kind.is_secret();
        let seen = if secret {
            let answer = api.patch_metadata(&item.id.name, &params, &patch).await;
            answer.map(|answer| Seen {
                meta: answer.metadata,
                rest: None,
            })
        } else {
            api.patch(&item.id.name, &params, &patch)
                .await
                .map(Seen::from)
        };
        seen.map_err(|error| Answer::of(&error, item.kind.may_quote_values()))
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        api(self.client.clone(), &kind.resource, namespace)
    }
}

/// Objects of a kind in a namespace, or, for `None`, of the whole cluster.
pub fn api(client: Client, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

impl From<DynamicObject> for Seen {
    fn from(object: DynamicObject) -> Self {
        Self {
            meta: object.metadata,
            rest: Some(object.data),
        }
    }
}

/// Whether applying would change the object: anything but what the API server counts by itself, and what is
/// somebody else's to say (`status`, unless Git says it).
pub fn differs(live: &Seen, applied: &Seen, set: &ApplySet, body: &Value) -> bool {
    if set.fingerprint(&live.meta) != set.fingerprint(&applied.meta) {
        return true;
    }
    let meta = |seen: &Seen| {
        let mut meta = seen.meta.clone();
        meta.managed_fields = None;
        meta.resource_version = None;
        meta.generation = None;
        meta
    };
    if meta(live) != meta(applied) {
        return true;
    }
    let (Some(live_rest), Some(applied_rest)) = (&live.rest, &applied.rest) else {
        // A Secret's content is not asked for. The API server stamps our entry anew when an apply changes anything.
        // To the second, so an apply of just now says nothing.
        let before = stamps(&live.meta, set);
        let recent = Timestamp::now() - SignedDuration::from_secs(3);
        let is_told = before
            .iter()
            .all(|time| time.is_some_and(|time| time < recent));
        return !is_told || before != stamps(&applied.meta, set);
    };
    let says_status = body.get("status").is_some();
    let fields = |value: &'_ Value| -> Vec<(String, Value)> {
        let mut fields: Vec<(String, Value)> = value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| says_status || *key != "status")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    };
    fields(live_rest) != fields(applied_rest)
}

/// When our applies changed the object last.
fn stamps(meta: &ObjectMeta, set: &ApplySet) -> Vec<Option<Timestamp>> {
    set.entries(meta)
        .map(|entry| entry.time.as_ref().map(|time| time.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(value: Value) -> Seen {
        Seen::from(serde_json::from_value::<DynamicObject>(value).unwrap())
    }

    fn deployment(set: &ApplySet) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "resourceVersion": "1", "generation": 1, "managedFields": [
                {"manager": set.manager(), "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": 1, "paused": false}, "status": {"replicas": 1}
        })
    }

    #[test]
    fn only_what_applying_would_change_is_a_difference() {
        let set = ApplySet::of("team-a", "app");
        let body = json!({"spec": {"replicas": 1}});
        let live = deployment(&set);
        let mut same = live.clone();
        same["metadata"]["resourceVersion"] = "2".into();
        same["metadata"]["managedFields"][0]["time"] = "2026-02-01T00:00:00Z".into();
        same["status"]["replicas"] = 0.into();
        assert!(!differs(
            &seen(live.clone()),
            &seen(same.clone()),
            &set,
            &body
        ));

        let mut spec = live.clone();
        spec["spec"]["replicas"] = 2.into();
        assert!(differs(&seen(live.clone()), &seen(spec), &set, &body));
        let mut label = live.clone();
        label["metadata"]["labels"] = json!({"a": "b"});
        assert!(differs(&seen(live.clone()), &seen(label), &set, &body));
        let mut owned = live.clone();
        owned["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:paused"] = json!({});
        assert!(
            differs(&seen(live.clone()), &seen(owned), &set, &body),
            "a field becomes ours without changing"
        );
        assert!(
            differs(&seen(live), &seen(same), &set, &json!({"status": {}})),
            "Git says the status"
        );
    }

    #[test]
    fn a_secret_differs_when_the_api_server_stamped_the_apply_anew() {
        let set = ApplySet::of("team-a", "app");
        let secret = |time: &str| Seen {
            meta: serde_json::from_value(
                json!({"managedFields": [{"manager": set.manager(), "operation": "Apply",
                "time": time, "fieldsV1": {"f:immutable": {}}}]}),
            )
            .unwrap(),
            rest: None,
        };
        let before = || secret("2026-01-01T00:00:00Z");
        assert!(!differs(&before(), &before(), &set, &json!({})));
        let now = Timestamp::now().to_string();
        assert!(differs(&before(), &secret(&now), &set, &json!({})));
        assert!(
            differs(&secret(&now), &secret(&now), &set, &json!({})),
            "nobody can tell within the same second"
        );
    }
}
