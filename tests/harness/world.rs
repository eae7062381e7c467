//! One scenario's corner: a namespace of its own on a control plane, a Git server, the command-line tool, and the words
//! in which scenarios are written.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};

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

    /// The manifest of a plain Secret in the scenario's namespace, as a person would write it before sealing.
    pub fn secret(&self, name: &str, data: &[(&str, &str)]) -> String {
        let entries: String = data.iter().map(|(key, value)| format!("  {key}: \"{value}\"\n")).collect();
        format!("{}type: Opaque\nstringData:\n{entries}", self.head("v1", "Secret", name))
    }

    /// The manifest of a `ConfigMap` with one entry.
    pub fn config_map(&self, name: &str, key: &str, value: &str) -> String {
        format!("{}data:\n  {key}: \"{value}\"\n", self.head("v1", "ConfigMap", name))
    }

    /// The manifest of a Deployment that takes its environment from a Secret.
    pub fn deployment(&self, name: &str, secret: &str) -> String {
        let head = self.head("apps/v1", "Deployment", name);
        format!(
            "{head}spec:
  replicas: 1
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      containers:
        - name: app
          image: registry.example/app:1
          envFrom:
            - secretRef:
                name: {secret}
"
        )
    }

    fn head(&self, api_version: &str, kind: &str, name: &str) -> String {
        let namespace = &self.namespace;
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n")
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

    // For a failed scenario.

    /// What a person would look at first: the controller's log and our objects in the namespace.
    pub async fn report(&self) -> String {
        let mut text = String::new();
        if let Err(error) = self.controller.check_running() {
            text.push_str(&format!("{error:#}\n"));
        }
        let about = self.controller.log_about(&self.namespace, 60);
        if about.is_empty() {
            text.push_str(&tail(&self.controller.log(), 40));
        } else {
            text.push_str(&format!(
                "--- the controller's log about {}\n{about}\n",
                self.namespace
            ));
        }
        let ours = [
            "get",
            "manifestsyncs,sealedsecrets,events,secrets,configmaps,deployments",
            "-n",
            &self.namespace,
        ];
        match self.cluster().kubectl(&ours).await {
            Ok(output) => text.push_str(&format!("--- {output}\n")),
            Err(error) => text.push_str(&format!("--- {error:#}\n")),
        }
        for kind in ["ManifestSync", "SealedSecret"] {
            let api = self
                .cluster()
                .objects(&Kind::of(OURS, kind), Some(&self.namespace));
            for object in api
                .list(&Default::default())
                .await
                .map(|list| list.items)
                .unwrap_or_default()
            {
                let name = object.metadata.name.clone().unwrap_or_default();
                text.push_str(&format!("--- {kind} {name}: {:#}\n", object.data["status"]));
            }
        }
        text
    }
}

/// What an administrator gives a tenant: an account, its rights in its namespace, and the RoleBinding by which the
/// namespace lets the controller act as its accounts.
pub fn tenant(namespace: &str, account: &str, controller: &str) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io";
    let version = format!("{rbac}/v1");
    let at = |name: &str| json!({"name": name, "namespace": namespace});
    let subject = |name: &str, space: &str| json!({"kind": "ServiceAccount", "name": name, "namespace": space});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at(account)}),
        json!({"apiVersion": version, "kind": "Role", "metadata": at(account),
               "rules": [{"apiGroups": ["", "apps", "waxwing.dev", "batch"], "resources": ["*"], "verbs": ["*"]}]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": at(account),
               "roleRef": {"apiGroup": rbac, "kind": "Role", "name": account},
               "subjects": [subject(account, namespace)]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": at("waxwing"),
               "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": IMPERSONATION_ROLE},
               "subjects": [subject(controller, crate::controller::NAMESPACE)]}),
    ]
}

/// A condition of an object, by type.
pub fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == name)
}

/// Whether a condition has a status and speaks of the object's present generation.
pub fn is(object: &Value, name: &str, status: &str) -> bool {
    condition(object, name).is_some_and(|condition| {
        condition["status"] == status
            && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

/// The message of a condition; empty when there is none.
pub fn message<'a>(object: &'a Value, name: &str) -> &'a str {
    condition(object, name)
        .and_then(|condition| condition["message"].as_str())
        .unwrap_or_default()
}

/// The reason of a condition; empty when there is none.
pub fn reason<'a>(object: &'a Value, name: &str) -> &'a str {
    condition(object, name)
        .and_then(|condition| condition["reason"].as_str())
        .unwrap_or_default()
}

/// Fails with `what` unless `holds`.
pub fn check(holds: bool, what: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        bail!("expected {what}")
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
