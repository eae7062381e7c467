//! One scenario's corner: a namespace of its own on a control plane, a Git server, the command-line tool, and the words
//! in which scenarios are written.

pub mod condition;
mod manifest;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};

use self::{
    condition::{is, message},
    manifest::tenant,
};
use crate::{
    binaries::Binaries,
    canary,
    cluster::{Cluster, Kind},
    controller::{Controller, ControllerOptions, Installation},
    git_server::GitServer,
    janitor,
    plane::{Plane, PlaneOptions},
    process::tail,
    repository::{BRANCH, Repository},
    wait::{Seen, until},
    waxwing::Waxwing,
};

/// For what should happen within seconds, on a machine that runs several scenarios on two cores.
pub const SOON: Duration = Duration::from_secs(45);

/// The service account that syncs write as.
pub const ACCOUNT: &str = "deployer";

/// The `ClusterRole` of deploy/ that lets the controller impersonate accounts of a namespace that binds it.
pub const IMPERSONATION_ROLE: &str = "waxwing-impersonate";

/// The API version of our own kinds.
pub const OURS: &str = "waxwing.dev/v1alpha1";

/// One scenario's corner of the world.
pub struct World {
    /// The control plane: shared, or this scenario's own.
    pub plane: Arc<Plane>,
    /// The controller on it.
    pub controller: Arc<Controller>,
    /// A Git server of its own.
    pub git: GitServer,
    /// The command-line tool, in [`directory`](Self::directory).
    pub waxwing: Waxwing,
    /// Its namespace; nobody else's.
    pub namespace: String,
    /// A directory of its own.
    pub directory: PathBuf,
}

impl World {
    /// A namespace on the shared plane.
    pub async fn shared() -> Result<Self> {
        Self::on(Plane::shared().await?, Controller::shared().await?).await
    }

    /// A plane and a controller of one's own.
    pub async fn own(plane: PlaneOptions, controller: ControllerOptions) -> Result<Self> {
        let plane = Plane::own(plane).await?;
        let controller = Arc::new(Controller::install(plane.cluster(), controller).await?);
        Self::on(plane, controller).await
    }

    /// A plane of one's own with deploy/ applied and a controller that is not started yet.
    pub async fn own_without_controller(
        plane: PlaneOptions,
        controller: ControllerOptions,
    ) -> Result<Self> {
        let plane = Plane::own(plane).await?;
        let installation = Installation::apply(plane.cluster()).await?;
        let controller = Arc::new(Controller::prepare(installation, controller).await?);
        Self::on(plane, controller).await
    }

    async fn on(plane: Arc<Plane>, controller: Arc<Controller>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let namespace = format!("scenario-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = janitor::root().join(&namespace);
        let home = directory.join("home");
        fs::create_dir_all(&home).context("a directory for the scenario")?;
        let binaries = tokio::task::spawn_blocking(Binaries::ready)
            .await
            .context("building")??;
        let waxwing = Waxwing::new(&binaries, &directory, &home, plane.cluster().kubeconfig());
        let git = GitServer::start().await?;
        let world = Self {
            plane,
            controller,
            git,
            waxwing,
            namespace,
            directory,
        };
        world.make_namespace(&world.namespace).await?;
        Ok(world)
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        self.plane.cluster()
    }

    // Setting up.

    /// Makes a namespace, with the account that its syncs write as, that account's rights in it, and the consent
    /// to impersonate it: what an administrator does once for a tenant.
    pub async fn make_namespace(&self, name: &str) -> Result<()> {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.cluster().apply(&[namespace]).await?;
        self.cluster()
            .apply(&tenant(
                name,
                ACCOUNT,
                &self.controller.installation().account,
            ))
            .await
    }

    /// A repository with the Secret that holds what the controller needs to read it.
    pub async fn repository(&self, name: &str) -> Result<Repository> {
        let repository = self.git.repository(name).await?;
        self.cluster().apply(&[self.git_secret(&[])]).await?;
        Ok(repository)
    }

    /// The Secret `git` of the namespace: the Git server's authority and `more`.
    pub fn git_secret(&self, more: &[(&str, &str)]) -> Value {
        let mut data = json!({"ca.crt": self.git.ca()});
        for (key, value) in more {
            data[*key] = json!(value);
        }
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
               "metadata": {"name": "git", "namespace": self.namespace}})
    }

    /// A `ManifestSync` of a repository; `more` is merged into its spec.
    pub async fn sync(&self, name: &str, repository: &Repository, more: Value) -> Result<()> {
        let mut spec = json!({
            "source": {"git": {
                "url": repository.url(),
                "ref": {"branch": BRANCH},
                "secretRef": {"name": "git"},
            }},
            "interval": "2s",
            "serviceAccountName": ACCOUNT,
        });
        merge(&mut spec, more);
        self.cluster()
            .apply(&[self.object(OURS, "ManifestSync", name, json!({"spec": spec}))])
            .await
    }

    /// An object in the scenario's namespace.
    pub fn object(&self, api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
        let mut object = json!({"apiVersion": api_version, "kind": kind,
                                "metadata": {"name": name, "namespace": self.namespace}});
        merge(&mut object, rest);
        object
    }

    // Sealing.

    /// The cluster's public key as `waxwing keys fetch` writes it, fetched once per scenario.
    pub async fn recipients(&self) -> Result<String> {
        let file = self.directory.join("cluster.pub");
        if !file.exists() {
            self.waxwing
                .run(&["keys", "fetch", "-o", "cluster.pub"])
                .await?
                .ok()?;
        }
        Ok("cluster.pub".to_owned())
    }

    /// Seals every Secret of a manifest with the real command and returns what goes into Git.
    pub async fn seal(&self, manifest: &str) -> Result<String> {
        let recipients = self.recipients().await?;
        let sealed = self
            .waxwing
            .run_with(
                &["seal", "-f", "-", "-r", &recipients],
                Some(manifest.as_bytes()),
            )
            .await?;
        Ok(sealed.ok()?.stdout)
    }

    /// A sealed Secret with one fresh value, and the value.
    pub async fn sealed_secret(&self, name: &str, key: &str) -> Result<(String, String)> {
        let value = canary::value();
        Ok((
            self.seal(&self.secret(name, &[(key, &value)])).await?,
            value,
        ))
    }

    // Looking.

    /// An object of the scenario's namespace; `None` when it is not there.
    pub async fn find(&self, api_version: &str, kind: &str, name: &str) -> Result<Option<Value>> {
        self.cluster()
            .object(&Kind::of(api_version, kind), Some(&self.namespace), name)
            .await
    }

    /// The value of a Secret's key; `None` when the Secret or the key is not there.
    pub async fn value(&self, secret: &str, key: &str) -> Result<Option<String>> {
        use base64ct::{Base64, Encoding as _};
        let Some(secret) = self.find("v1", "Secret", secret).await? else {
            return Ok(None);
        };
        let Some(text) = secret["data"][key].as_str() else {
            return Ok(None);
        };
        let bytes = Base64::decode_vec(text).context("data of a Secret is base64")?;
        Ok(Some(
            String::from_utf8(bytes).context("values of the scenarios are UTF-8")?,
        ))
    }

    /// Waits until a Secret's key has a value.
    pub async fn wait_for_value(&self, secret: &str, key: &str, value: &str) -> Result<()> {
        until(
            &format!("key {key} of Secret {secret} to have the sealed value"),
            SOON,
            async || {
                Ok(match self.value(secret, key).await? {
                    Some(found) if found == value => Seen::Yes(()),
                    Some(_) => Seen::NotYet("another value".to_owned()),
                    None => Seen::NotYet("no such Secret or key".to_owned()),
                })
            },
        )
        .await
    }

    /// Waits until an object satisfies `holds`.
    pub async fn wait_for(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        until(&format!("{kind} {name}: {what}"), SOON, async || {
            Ok(match self.find(api_version, kind, name).await? {
                Some(object) if holds(&object) => Seen::Yes(object),
                Some(object) => Seen::NotYet(brief(&object)),
                None => Seen::NotYet("it does not exist".to_owned()),
            })
        })
        .await
    }

    /// Waits for an event in this namespace with this reason and these words in its message. An event is written
    /// after what it tells of.
    pub async fn wait_for_event(&self, reason: &str, words: &str) -> Result<()> {
        let kind = Kind::of("v1", "Event");
        let what = format!("an event {reason} about {words:?}");
        until(&what, SOON, async || {
            let events = self.cluster().list(&kind, Some(&self.namespace)).await?;
            let told = events.iter().any(|event| {
                let message = event["message"].as_str().unwrap_or_default();
                event["reason"] == reason && message.contains(words)
            });
            Ok(if told {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{} other events", events.len()))
            })
        })
        .await
    }

    /// Waits until an object is gone.
    pub async fn wait_gone(&self, api_version: &str, kind: &str, name: &str) -> Result<()> {
        until(&format!("{kind} {name} to go"), SOON, async || {
            let found = self.find(api_version, kind, name).await?;
            Ok(found.map_or(Seen::Yes(()), |object| Seen::NotYet(brief(&object))))
        })
        .await
    }

    /// Waits until a sync has applied a revision and is Ready.
    pub async fn wait_applied(&self, sync: &str, commit: &str) -> Result<Value> {
        self.wait_for(
            OURS,
            "ManifestSync",
            sync,
            &format!("Ready at {commit}"),
            |object| {
                let applied = object
                    .pointer("/status/lastAppliedRevision")
                    .and_then(Value::as_str);
                applied.is_some_and(|revision| revision.contains(commit))
                    && is(object, "Ready", "True")
            },
        )
        .await
    }

    /// Waits until a condition has a status and its message holds every one of `words`.
    pub async fn wait_condition(
        &self,
        kind: &str,
        name: &str,
        condition: &str,
        status: &str,
        words: &[&str],
    ) -> Result<Value> {
        self.wait_for(
            OURS,
            kind,
            name,
            &format!("{condition}={status} naming {words:?}"),
            |object| {
                let text = message(object, condition);
                is(object, condition, status) && words.iter().all(|word| text.contains(word))
            },
        )
        .await
    }

    /// Asks for a sync now.
    pub async fn reconcile(&self, kind: &str, name: &str) -> Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let ask = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        self.patch(
            OURS,
            kind,
            name,
            json!({"metadata": {"annotations": {"waxwing.dev/reconcile-at": ask}}}),
        )
        .await
    }

    // Doing what people do to a cluster.

    /// A JSON merge patch, as an administrator with `kubectl` makes it.
    pub async fn patch(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: Value,
    ) -> Result<()> {
        let api = self
            .cluster()
            .objects(&Kind::of(api_version, kind), Some(&self.namespace));
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        api.patch(name, &params, &Patch::Merge(&patch))
            .await
            .with_context(|| format!("editing {kind} {name}"))?;
        Ok(())
    }

    /// Deletes an object of the namespace, in the background.
    pub async fn delete(&self, api_version: &str, kind: &str, name: &str) -> Result<()> {
        self.delete_with(api_version, kind, name, PropagationPolicy::Background)
            .await
    }

    /// Deletes an object of the namespace.
    pub async fn delete_with(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        propagation: PropagationPolicy,
    ) -> Result<()> {
        let api = self
            .cluster()
            .objects(&Kind::of(api_version, kind), Some(&self.namespace));
        let params = DeleteParams {
            propagation_policy: Some(propagation),
            ..DeleteParams::default()
        };
        api.delete(name, &params)
            .await
            .with_context(|| format!("deleting {kind} {name}"))?;
        Ok(())
    }

    // After a scenario.

    /// Writes down what of the scenario can be seen from outside, for the search for values: every object of its
    /// namespace but Secrets, the keys, the controller's metrics, its command line and its environment.
    pub async fn keep_traces(&self) -> Result<()> {
        let kinds = "manifestsyncs,sealedsecrets,sealingkeys,events,configmaps,deployments,replicasets,pods,leases";
        let all = [
            "get",
            kinds,
            "--namespace",
            &self.namespace,
            "--output=json",
            "--show-managed-fields",
        ];
        let mut traces = self.cluster().kubectl(&all).await?.ok()?.stdout;
        if let Some(id) = self.controller.id() {
            traces.push_str(&self.controller.get("/metrics").await?.1);
            for file in ["cmdline", "environ"] {
                let bytes = fs::read(format!("/proc/{id}/{file}")).context("reading procfs")?;
                traces.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        fs::write(self.directory.join("traces.txt"), traces)
            .context("writing the traces of a scenario")
    }

    // For a failed scenario.

    /// What a person would look at first: the controller's log and our objects in the namespace.
    pub async fn report(&self) -> String {
        let mut parts = Vec::new();
        if let Err(error) = self.controller.check_running() {
            parts.push(format!("{error:#}"));
        }
        let about = self.controller.log_about(&self.namespace, 60);
        parts.push(if about.is_empty() {
            tail(&self.controller.log(), 40)
        } else {
            format!("--- the controller's log about {}\n{about}", self.namespace)
        });
        let kinds = "manifestsyncs,sealedsecrets,events,secrets,configmaps,deployments";
        parts.push(
            match self
                .cluster()
                .kubectl(&["get", kinds, "-n", &self.namespace])
                .await
            {
                Ok(output) => format!("--- {output}"),
                Err(error) => format!("--- {error:#}"),
            },
        );
        for kind in ["ManifestSync", "SealedSecret"] {
            let objects = self
                .cluster()
                .list(&Kind::of(OURS, kind), Some(&self.namespace))
                .await;
            for object in objects.unwrap_or_default() {
                parts.push(format!(
                    "--- {kind} {}: {:#}",
                    object["metadata"]["name"], object["status"]
                ));
            }
        }
        parts.join("\n")
    }
}

/// RFC 7386, for building objects: maps are merged, everything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// An object for a message: never the data of a Secret.
fn brief(object: &Value) -> String {
    let mut object = object.clone();
    if object["kind"] == "Secret" {
        object["data"] = json!("(not shown)");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    if object["kind"] == "SealedSecret" {
        object["spec"] = json!("(not shown)");
    }
    object.to_string()
}
