//! A cluster to test on: ours (a [`plane`](crate::plane)) or one that a kubectl context names.

pub mod kubeconfig;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    discovery::ApiResource,
};
use serde_json::Value;

use crate::{
    process::{Output, run},
    tools::require,
};

/// A cluster, with the rights of whoever sets the tests up.
pub struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    directory: PathBuf,
    client: Client,
}

impl Cluster {
    /// The cluster of a kubeconfig file. `directory` is for files that go with it.
    pub async fn new(kubectl: PathBuf, kubeconfig: &Path, directory: &Path) -> Result<Self> {
        Ok(Self {
            kubectl,
            kubeconfig: kubeconfig.to_owned(),
            directory: directory.to_owned(),
            client: kubeconfig::client(kubeconfig).await?,
        })
    }

    /// The cluster of a context in the kubeconfig of the person who runs this, with the `kubectl` from PATH.
    pub async fn of_context(context: &str, directory: &Path) -> Result<Self> {
        require(
            "kubectl",
            "install kubectl: https://kubernetes.io/docs/tasks/tools/",
        )?;
        let kubectl = PathBuf::from("kubectl");
        let mut command = tokio::process::Command::new(&kubectl);
        command.args([
            "config",
            "view",
            "--raw",
            "--minify",
            "--flatten",
            "--output=json",
        ]);
        let view = run(command.args(["--context", context]), None).await?;
        let known = serde_json::from_str::<Value>(&view.stdout)
            .is_ok_and(|view| view["clusters"].is_array());
        if view.code != Some(0) || !known {
            let said = view.stderr.trim();
            bail!(
                "no usable context `{context}`: {said}; `kubectl config get-contexts` lists them"
            );
        }
        let file = directory.join("context.kubeconfig");
        kubeconfig::write_text(&file, &view.stdout)?;
        Self::new(kubectl, &file, directory).await
    }

    /// A client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The `kubectl` to use.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// Runs `kubectl`.
    pub async fn kubectl(&self, args: &[&str]) -> Result<Output> {
        self.kubectl_with(&self.kubeconfig, args, None).await
    }

    /// Runs `kubectl` as whoever a kubeconfig file names, with something on standard input.
    pub async fn kubectl_with(
        &self,
        kubeconfig: &Path,
        args: &[&str],
        stdin: Option<&[u8]>,
    ) -> Result<Output> {
        let mut command = tokio::process::Command::new(&self.kubectl);
        command.args(args).env("KUBECONFIG", kubeconfig);
        // Discovery is cached by host and port, and ports come back with other planes behind them.
        command.env("KUBECACHEDIR", self.directory.join("kubectl-cache"));
        run(&mut command, stdin).await
    }

    /// The dynamic API of a kind, in a namespace or (`None`) cluster-scoped.
    pub fn objects(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client(), namespace, &kind.0),
            None => Api::all_with(self.client(), &kind.0),
        }
    }

    /// One object as JSON; `None` when it does not exist.
    pub async fn object(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>> {
        let found = self.objects(kind, namespace).get_opt(name).await;
        let found = found.with_context(|| format!("reading {} {name}", kind.0.kind))?;
        found
            .map(|object| serde_json::to_value(object).context("an object as JSON"))
            .transpose()
    }

    /// All objects of a kind as JSON, in a namespace or (`None`) everywhere.
    pub async fn list(&self, kind: &Kind, namespace: Option<&str>) -> Result<Vec<Value>> {
        let found = self
            .objects(kind, namespace)
            .list(&ListParams::default())
            .await;
        let found = found.with_context(|| format!("listing {}", kind.0.kind))?;
        found
            .items
            .into_iter()
            .map(|object| serde_json::to_value(object).context("an object as JSON"))
            .collect()
    }

    /// Applies objects server-side, as field manager `tests`.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        for object in objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let kind = Kind::of(
                text("/apiVersion").context("an object has an apiVersion")?,
                text("/kind").context("an object has a kind")?,
            );
            let name = text("/metadata/name").context("an object has a name")?;
            let api = self.objects(&kind, text("/metadata/namespace"));
            api.patch(
                name,
                &PatchParams::apply("tests").force(),
                &Patch::Apply(object),
            )
            .await
            .with_context(|| format!("applying {} {name}", kind.0.kind))?;
        }
        Ok(())
    }

    /// A kubeconfig file that carries a token of a service account and nothing else.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let ask = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(12 * 3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &ask)
            .await
            .with_context(|| format!("asking for a token of {namespace}/{account}"))?;
        let token = answer
            .status
            .context("a token request is answered with a token")?
            .token;
        let text = self
            .kubectl(&[
                "config",
                "view",
                "--raw",
                "--minify",
                "--flatten",
                "--output=json",
            ])
            .await?
            .ok()?;
        let mut config: Value =
            serde_json::from_str(&text.stdout).context("a kubeconfig as JSON")?;
        let user = config
            .pointer_mut("/users/0/user")
            .context("a kubeconfig has a user")?;
        *user = serde_json::json!({ "token": token });
        let file = self
            .directory
            .join(format!("{namespace}.{account}.kubeconfig"));
        kubeconfig::write_text(&file, &config.to_string())?;
        Ok(file)
    }
}

/// A kind of object, with its plural: `payments/v1`, `Widget` → `widgets`.
#[derive(Clone, Debug)]
pub struct Kind(ApiResource);

impl Kind {
    /// From `apiVersion` and `kind`. The plural is made by Kubernetes' own rule of thumb, which holds for every kind
    /// that the tests use.
    pub fn of(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self(ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
            group, version, kind,
        )))
    }
}
