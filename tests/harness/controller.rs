//! The real `waxwing-controller` as a child process, with exactly the rights that `deploy/` gives it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};

use crate::{
    binaries::Binaries,
    cluster::Cluster,
    janitor,
    plane::Plane,
    process::{Server, Start, free_ports},
    tools::workspace,
    wait::{Seen, until},
};

/// Where `deploy/` puts everything that has a namespace.
pub const NAMESPACE: &str = "waxwing-system";
/// From start to ready; on an idle machine well under a second.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// For a graceful end.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The configuration that scenarios run with, unless they bring their own.
const CONFIG: &str = "clusterName: test\nallowFileSources: true\n";

/// `deploy/` applied to a cluster: CRDs, rights, policies.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The controller's service account.
    pub account: String,
    /// A kubeconfig with a token of that account.
    pub kubeconfig: PathBuf,
}

impl Installation {
    /// Runs `kubectl apply -k deploy`, as the README says, and gets a token for the account that it makes.
    ///
    /// The Deployment is scaled to nothing: no kubelet would run it here, and on a real cluster it would compete with
    /// the controller under test.
    pub async fn apply(cluster: &Cluster) -> Result<Self> {
        let deploy = workspace().join("deploy");
        let deploy = deploy.to_str().context("the source tree's path is UTF-8")?;
        cluster
            .kubectl(&["apply", "--kustomize", deploy])
            .await?
            .ok()?;
        let deployments: Api<Deployment> = Api::namespaced(cluster.client(), NAMESPACE);
        let all = deployments
            .list(&ListParams::default())
            .await
            .context("looking for the controller's Deployment")?;
        let [deployment] = all.items.as_slice() else {
            bail!(
                "deploy/ makes {} Deployments in {NAMESPACE}; expected one",
                all.items.len()
            );
        };
        let name = deployment
            .metadata
            .name
            .as_deref()
            .context("a Deployment has a name")?;
        let scale = json!({"spec": {"replicas": 0}});
        deployments
            .patch_scale(name, &PatchParams::default(), &Patch::Merge(&scale))
            .await
            .context("scaling to 0")?;
        let pod = deployment.spec.template.spec.as_ref();
        let account = pod
            .and_then(|pod| pod.service_account_name.clone())
            .context("the Deployment names an account")?;
        let kubeconfig = cluster.kubeconfig_of(NAMESPACE, &account).await?;
        Ok(Self {
            account,
            kubeconfig,
        })
    }
}

/// How a controller differs from the plain one.
#[derive(Clone, Debug, Default)]
pub struct ControllerOptions {
    /// The configuration file's text, instead of the usual one.
    pub config: Option<String>,
    /// Further arguments of `run`.
    pub args: Vec<String>,
    /// Further variables of its environment.
    pub env: Vec<(&'static str, String)>,
}

/// A controller process: can be stopped, killed and started again; its log goes on in the same file.
pub struct Controller {
    installation: Installation,
    binaries: Binaries,
    options: ControllerOptions,
    directory: PathBuf,
    port: Mutex<u16>,
    server: Mutex<Option<Server>>,
}

impl Controller {
    /// The controller of the shared plane: one per test process, installed and started when the first one asks.
    pub async fn shared() -> Result<Arc<Self>> {
        static SHARED: OnceCell<Arc<Controller>> = OnceCell::const_new();
        let start = async || {
            let plane = Plane::shared().await?;
            Ok(Arc::new(
                Self::install(plane.cluster(), ControllerOptions::default()).await?,
            ))
        };
        SHARED.get_or_try_init(start).await.cloned()
    }

    /// Installs `deploy/` and starts a controller.
    pub async fn install(cluster: &Cluster, options: ControllerOptions) -> Result<Self> {
        let installation = Installation::apply(cluster).await?;
        Self::start(installation, options).await
    }

    /// Starts a controller (one more, if others run) with the rights of an installation, and waits until it is ready.
    pub async fn start(installation: Installation, options: ControllerOptions) -> Result<Self> {
        let controller = Self::prepare(installation, options).await?;
        controller.resume().await?;
        Ok(controller)
    }

    /// A controller that is not started yet.
    pub async fn prepare(installation: Installation, options: ControllerOptions) -> Result<Self> {
        // May build for minutes, and blocks meanwhile.
        let binaries = tokio::task::spawn_blocking(Binaries::ready)
            .await
            .context("building the controller")??;
        let directory = tempfile::Builder::new()
            .prefix("controller-")
            .tempdir_in(janitor::root())?
            .keep();
        let config = options.config.as_deref().unwrap_or(CONFIG);
        fs::write(directory.join("config.yaml"), config)
            .context("writing the controller's configuration")?;
        Ok(Self {
            installation,
            binaries,
            options,
            directory,
            port: Mutex::new(0),
            server: Mutex::new(None),
        })
    }

    /// Starts it (again) and waits until `/readyz` says so.
    pub async fn resume(&self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready().await
    }

    /// Starts it (again) without waiting.
    pub fn spawn(&self) -> Result<()> {
        let mut server = self.server();
        if server.is_some() {
            bail!("the controller is running already");
        }
        let [port] = free_ports()?;
        let mut args: Vec<OsString> = ["run", "--namespace", NAMESPACE, "--config"]
            .map(OsString::from)
            .into();
        args.push(self.directory.join("config.yaml").into());
        args.extend(["--listen".into(), format!("127.0.0.1:{port}").into()]);
        args.extend(["--cache-dir".into(), self.directory.join("cache").into()]);
        args.extend(self.options.args.iter().map(OsString::from));
        let mut env: Vec<(&str, OsString)> = vec![
            ("KUBECONFIG", self.installation.kubeconfig.clone().into()),
            // Nothing of the person who runs the tests.
            ("HOME", self.directory.clone().into()),
            ("RUST_BACKTRACE", "1".into()),
            // One Controller is one pod: started again it leads at once, as a restarted container does. Two of them
            // are two replicas, since each has a directory of its own.
            (
                "POD_NAME",
                self.directory.file_name().unwrap_or_default().into(),
            ),
        ];
        env.extend(
            self.options
                .env
                .iter()
                .map(|(name, value)| (*name, OsString::from(value))),
        );
        *server = Some(Server::start(Start {
            name: "waxwing-controller",
            program: &self.binaries.controller,
            args,
            env,
            log: self.log(),
        })?);
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
        Ok(())
    }

    /// Waits until `/readyz` says so.
    pub async fn wait_until_ready(&self) -> Result<()> {
        until("the controller to be ready", START_PATIENCE, async || {
            self.check_running()?;
            Ok(match self.get("/readyz").await {
                Ok((200, _)) => Seen::Yes(()),
                Ok((status, body)) => Seen::NotYet(format!("{status} {body}")),
                Err(error) => Seen::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    /// SIGTERM; returns how it ended.
    pub async fn stop(&self) -> Result<ExitStatus> {
        let mut server = self.take()?;
        tokio::task::spawn_blocking(move || server.stop(STOP_PATIENCE))
            .await
            .context("stopping the controller")?
    }

    /// Waits until it ends without being told to; returns how, and after how long.
    pub async fn ended_by_itself(&self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        let status = until("the controller to end", START_PATIENCE, async || {
            Ok(match self.server().as_mut().and_then(Server::ended) {
                Some(status) => Seen::Yes(status),
                None => Seen::NotYet("it runs".to_owned()),
            })
        })
        .await?;
        drop(self.take()?);
        Ok((status, began.elapsed()))
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.take()?.kill().map(drop)
    }

    /// An error with the end of the log when it is not running any more.
    pub fn check_running(&self) -> Result<()> {
        match self.server().as_mut() {
            Some(server) => server.check_running(),
            None => bail!("the controller is stopped"),
        }
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.server().as_ref().map(Server::id)
    }

    /// Resident memory in KiB, now and at its peak.
    pub fn resident_kib(&self) -> Result<(u64, u64)> {
        self.server()
            .as_ref()
            .context("the controller is stopped")?
            .resident_kib()
    }

    /// GET of a path of its HTTP server: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let port = *self.port.lock().unwrap_or_else(PoisonError::into_inner);
        get(port, path).await
    }

    /// Its log, of all its lives.
    pub fn log(&self) -> PathBuf {
        self.directory.join("controller.log")
    }

    /// The last lines of its log that hold `word`.
    pub fn log_about(&self, word: &str, lines: usize) -> String {
        let all = fs::read(self.log()).unwrap_or_default();
        let all = String::from_utf8_lossy(&all);
        let found: Vec<&str> = all.lines().filter(|line| line.contains(word)).collect();
        found[found.len().saturating_sub(lines)..].join("\n")
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it was installed with.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    fn take(&self) -> Result<Server> {
        self.server().take().context("the controller is stopped")
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One GET over HTTP/1.0, which ends a response by closing the connection: no client library is needed for that.
async fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .context("connecting to the controller")?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .context("reading the controller's answer")?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an HTTP answer has a header")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("an HTTP answer has a status")?;
    Ok((status, body.to_owned()))
}
