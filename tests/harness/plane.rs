//! A real control plane: etcd, kube-apiserver and kube-controller-manager on loopback.
//!
//! There is no kubelet and no scheduler: Deployments get their `ReplicaSets` and Pods, and the Pods stay pending.
//! Everything else (admission, RBAC, garbage collection, namespace deletion, service accounts) is Kubernetes' own.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use rcgen::KeyPair;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::{
    cluster::{Cluster, kubeconfig},
    janitor,
    process::{Server, Start, free_ports},
    tls::ServerTls,
    tools::{self, Tools},
    wait::{Seen, until},
};

/// How often other ports are tried when somebody else took ours between asking and listening.
const PORT_TRIES: u32 = 5;
/// From the start of the API server until it is ready: 4 s on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// A plane takes about 400 MB and, while it starts, both cores.
const OWN_PLANES_AT_A_TIME: usize = 2;

const ADMIN_TOKEN: &str = "waxwing-test-admin";
const MANAGER_TOKEN: &str = "waxwing-test-controller-manager";

/// Which requests the API server logs: everything but the reads of health and discovery, without bodies.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [{"level": "None", "nonResourceURLs": ["/*"]}, {"level": "Metadata"}]}"#;

/// How a plane differs from the plain one.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlaneOptions {
    /// Keep an audit log (see [`Plane::audit_log`]).
    pub audit: bool,
}

/// A running control plane; stopped, with its data gone and its logs kept, when dropped.
pub struct Plane {
    directory: PathBuf,
    tools: Tools,
    options: PlaneOptions,
    cluster: Cluster,
    servers: Mutex<Servers>,
    _turn: Option<OwnedSemaphorePermit>,
}

struct Servers {
    etcd: Server,
    api: Option<Server>,
    manager: Server,
    etcd_url: String,
    api_port: u16,
}

impl Plane {
    /// The plane that most scenarios share: one per test process, started when the first one asks.
    pub async fn shared() -> Result<Arc<Self>> {
        static SHARED: OnceCell<Arc<Plane>> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || {
                Ok(Arc::new(Self::start(PlaneOptions::default(), None).await?))
            })
            .await
            .cloned()
    }

    /// A plane of one's own, for scenarios that touch keys, signer, leaders, CRDs or the API server itself. Waits its
    /// turn: only so many run at a time.
    pub async fn own(options: PlaneOptions) -> Result<Arc<Self>> {
        static TURNS: OnceCell<Arc<Semaphore>> = OnceCell::const_new();
        let turns = TURNS
            .get_or_init(async || Arc::new(Semaphore::new(OWN_PLANES_AT_A_TIME)))
            .await;
        let turn = turns
            .clone()
            .acquire_owned()
            .await
            .context("waiting for a turn")?;
        Ok(Arc::new(Self::start(options, Some(turn)).await?))
    }

    async fn start(options: PlaneOptions, turn: Option<OwnedSemaphorePermit>) -> Result<Self> {
        // May build for minutes, and blocks meanwhile.
        let tools = tokio::task::spawn_blocking(Tools::ready)
            .await
            .context("building the tools")??;
        let directory = tempfile::Builder::new()
            .prefix("plane-")
            .tempdir_in(janitor::root())?
            .keep();
        let tls = ServerTls::generate(&["kubernetes.default.svc"])?;
        let write = |name: &str, text: &str| {
            fs::write(directory.join(name), text)
                .with_context(|| format!("writing {name} of the plane"))
        };
        write("ca.crt", &tls.ca)?;
        write("server.crt", &tls.certificate)?;
        write("server.key", &tls.key)?;
        let accounts = KeyPair::generate()?;
        write("accounts.key", &accounts.serialize_pem())?;
        write("accounts.pub", &accounts.public_key_pem())?;
        write(
            "tokens.csv",
            &format!(
                "{ADMIN_TOKEN},admin,admin,\"system:masters\"\n\
                 {MANAGER_TOKEN},system:kube-controller-manager,manager\n"
            ),
        )?;
        write("audit.json", AUDIT_POLICY)?;

        let mut tries = 0;
        let servers = loop {
            tries += 1;
            match Servers::start(&directory, &tools, options).await {
                Ok(servers) => break servers,
                Err(error)
                    if tries < PORT_TRIES
                        && format!("{error:#}").contains("address already in use") => {}
                Err(error) => return Err(error.context("starting the control plane")),
            }
        };
        let cluster = Cluster::new(
            tools.path("kubectl"),
            &directory.join("admin.kubeconfig"),
            &directory,
        )
        .await?;
        let accounts: Api<ServiceAccount> = Api::default_namespaced(cluster.client());
        let plane = Self {
            directory,
            tools,
            options,
            cluster,
            servers: Mutex::new(servers),
            _turn: turn,
        };
        until(
            "the controller-manager to make service accounts",
            START_PATIENCE,
            async || {
                plane.servers().manager.check_running()?;
                Ok(match accounts.get_opt("default").await? {
                    Some(_) => Seen::Yes(()),
                    None => Seen::NotYet("no account `default` in namespace `default`".to_owned()),
                })
            },
        )
        .await?;
        Ok(plane)
    }

    /// The cluster as its administrator sees it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The directory of this plane; goes with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// One line for each request but reads of health and discovery, as the API server writes it (JSON, `audit.k8s.io`).
    pub fn audit_log(&self) -> PathBuf {
        self.directory.join("audit.log")
    }

    /// The log files of all servers.
    pub fn logs(&self) -> [PathBuf; 3] {
        ["etcd.log", "api.log", "manager.log"].map(|name| self.directory.join(name))
    }

    /// Where the API server listens.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.servers().api_port)
    }

    /// Stops the API server as an update of the machine would (SIGTERM). etcd and the controller-manager go on.
    pub async fn stop_api_server(&self) -> Result<()> {
        let api = self.servers().api.take();
        let Some(mut api) = api else {
            bail!("the API server is not running")
        };
        // With watches open it would take its whole grace period; five seconds is what a busy machine gives it.
        tokio::task::spawn_blocking(move || api.stop(Duration::from_secs(5))).await??;
        Ok(())
    }

    /// Starts it again, on the same port and the same data, and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<()> {
        {
            let mut servers = self.servers();
            let api = start_api(
                &self.directory,
                &self.tools,
                self.options,
                &servers.etcd_url,
                servers.api_port,
            )?;
            servers.api = Some(api);
        }
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&self) -> Result<()> {
        until("the API server to be ready", START_PATIENCE, async || {
            if let Some(api) = self.servers().api.as_mut() {
                api.check_running()?;
            }
            ready(&self.cluster.client()).await
        })
        .await
    }

    /// The process ids: etcd, API server, controller-manager.
    pub fn ids(&self) -> Result<[u32; 3]> {
        let servers = self.servers();
        let api = servers
            .api
            .as_ref()
            .context("the API server is not running")?;
        Ok([servers.etcd.id(), api.id(), servers.manager.id()])
    }

    /// Resident memory in KiB, now and at its peak: etcd, API server, controller-manager.
    pub fn resident_kib(&self) -> Result<[(u64, u64); 3]> {
        let servers = self.servers();
        let api = servers
            .api
            .as_ref()
            .context("the API server is not running")?;
        Ok([
            servers.etcd.resident_kib()?,
            api.resident_kib()?,
            servers.manager.resident_kib()?,
        ])
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let mut servers = self.servers();
        drop(servers.manager.kill());
        if let Some(api) = servers.api.as_mut() {
            drop(api.kill());
        }
        drop(servers.etcd.kill());
        drop(servers);
        // The logs stay until the process ends, for the search for values.
        drop(fs::remove_dir_all(self.directory.join("etcd")));
    }
}

impl Servers {
    async fn start(directory: &Path, tools: &Tools, options: PlaneOptions) -> Result<Self> {
        let [etcd_port, peer_port, api_port, manager_port] = free_ports()?;
        // What a try with other ports left behind.
        for old in ["etcd", "etcd.log", "api.log"] {
            let old = directory.join(old);
            drop(if old.is_dir() {
                fs::remove_dir_all(&old)
            } else {
                fs::remove_file(&old)
            });
        }
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let peer_url = format!("http://127.0.0.1:{peer_port}");
        let mut etcd = Server::start(Start {
            name: "etcd",
            program: &tools.path("etcd"),
            args: words([
                format!("--data-dir={}", directory.join("etcd").display()),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls={peer_url}"),
                format!("--initial-advertise-peer-urls={peer_url}"),
                format!("--initial-cluster=default={peer_url}"),
                // The data lives as long as the test: a power cut is not among the things tested here.
                "--unsafe-no-fsync".to_owned(),
                "--quota-backend-bytes=4294967296".to_owned(),
            ]),
            env: vec![],
            log: directory.join("etcd.log"),
        })?;
        let mut api = start_api(directory, tools, options, &etcd_url, api_port)?;

        let ca = fs::read_to_string(directory.join("ca.crt"))
            .context("reading the plane's authority")?;
        let url = format!("https://127.0.0.1:{api_port}");
        kubeconfig::write(&directory.join("admin.kubeconfig"), &url, &ca, ADMIN_TOKEN)?;
        kubeconfig::write(
            &directory.join("manager.kubeconfig"),
            &url,
            &ca,
            MANAGER_TOKEN,
        )?;
        let client = kubeconfig::client(&directory.join("admin.kubeconfig")).await?;
        until("the API server to be ready", START_PATIENCE, async || {
            etcd.check_running()?;
            api.check_running()?;
            ready(&client).await
        })
        .await?;

        let manager = Server::start(Start {
            name: "kube-controller-manager",
            program: &tools.path("kube-controller-manager"),
            args: words([
                format!(
                    "--kubeconfig={}",
                    directory.join("manager.kubeconfig").display()
                ),
                format!(
                    "--service-account-private-key-file={}",
                    directory.join("accounts.key").display()
                ),
                format!("--root-ca-file={}", directory.join("ca.crt").display()),
                "--use-service-account-credentials=true".to_owned(),
                "--leader-elect=false".to_owned(),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={manager_port}"),
                format!("--cert-dir={}", directory.join("manager").display()),
            ]),
            env: vec![],
            log: directory.join("manager.log"),
        })?;
        Ok(Self {
            etcd,
            api: Some(api),
            manager,
            etcd_url,
            api_port,
        })
    }
}

fn start_api(
    directory: &Path,
    tools: &Tools,
    options: PlaneOptions,
    etcd_url: &str,
    port: u16,
) -> Result<Server> {
    let file = |name: &str| directory.join(name).display().to_string();
    let mut args = words([
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--cert-dir={}", file("api")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        // A restart in a scenario must not wait for watches to end by themselves.
        "--shutdown-delay-duration=0s".to_owned(),
    ]);
    if options.audit {
        args.push(format!("--audit-policy-file={}", file("audit.json")).into());
        args.push(format!("--audit-log-path={}", file("audit.log")).into());
        // Above this size, in MB, it would go on in another file.
        args.push("--audit-log-maxsize=8192".into());
    }
    Server::start(Start {
        name: "kube-apiserver",
        program: &tools.path("kube-apiserver"),
        args,
        env: vec![],
        log: directory.join("api.log"),
    })
}

async fn ready(client: &Client) -> Result<Seen<()>> {
    let ask = http::Request::get("/readyz")
        .body(Vec::new())
        .context("asking for readiness")?;
    // Not an error of the wait: until the port is open every request fails.
    Ok(match client.request_text(ask).await {
        Ok(answer) if answer == "ok" => Seen::Yes(()),
        Ok(answer) => Seen::NotYet(answer),
        Err(error) => Seen::NotYet(error.to_string()),
    })
}

fn words<const N: usize>(words: [String; N]) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}

/// Names the programs that a plane and its scenarios need besides the ones built here, if one is missing.
pub fn check_machine() -> Result<()> {
    tools::require("git", "install Git (Debian: apt-get install git)")
}
