//! `cargo demo`: the main job, end to end, on a real control plane, as a user does it.

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser;
use tests::{
    RUNTIME,
    binaries::Binaries,
    cluster::{Cluster, Kind},
    controller::{Controller, ControllerOptions, NAMESPACE as SYSTEM},
    git_server::GitServer,
    janitor,
    plane::{self, Plane, PlaneOptions},
    process::tail,
    repository::BRANCH,
    tools::workspace,
    waxwing::Waxwing,
};
use tokio::sync::OnceCell;

use stage::{Stage, chapter, say, time};

mod stage;
mod story;

/// Seal a Secret, push it, and watch the controller make it, keep it, and refuse plaintext: on a real Kubernetes control
/// plane that is started on this machine and removed afterwards.
///
/// Needs Rust, Go 1.26 or later and Git. The first run builds kube-apiserver, kube-controller-manager, kubectl and etcd
/// from the Go module proxy (about 8 minutes on two cores, 5 GB of disk; kept in target/test-tools) and Waxwing itself
/// (about 5 minutes). After that it takes about half a minute.
#[derive(Parser)]
#[command(name = "cargo demo", version)]
struct Arguments {
    /// Leave everything running afterwards, say how to use it, and remove it on Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Use the cluster of this kubectl context instead: installs deploy/ there, runs the controller on this machine
    /// against it, and removes both afterwards.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = RUNTIME.block_on(demo(&arguments));
    janitor::clean_up();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> Result<()> {
    plane::check_machine()?;
    let ground = tokio::select! {
        ground = Ground::lay(arguments) => ground?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    let played = tokio::select! {
        played = ground.play() => played,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    match (&played, ground.controller.get()) {
        (Err(_), Some(controller)) => eprint!("\n{}", tail(&controller.log(), 30)),
        (Ok(()), Some(controller)) if arguments.keep => ground.keep(controller).await?,
        _ => {}
    }
    let struck = ground.strike().await;
    played?;
    struck
}

/// What the demo is played on.
struct Ground {
    /// A control plane of ours; `None` with `--context`.
    plane: Option<Arc<Plane>>,
    /// Somebody's cluster, with `--context`.
    foreign: Option<Cluster>,
    binaries: Binaries,
    git: GitServer,
    /// There once it is installed and ready.
    controller: OnceCell<Controller>,
    directory: PathBuf,
}

impl Ground {
    async fn lay(arguments: &Arguments) -> Result<Self> {
        let directory = janitor::root().join("demo");
        fs::create_dir_all(directory.join("shop")).context("a directory for the demo")?;
        fs::create_dir_all(directory.join("home")).context("a home for the demo")?;

        chapter("Set the scene");
        // Before anything is built: a wrong name should be told at once.
        let foreign = match &arguments.context {
            Some(context) => {
                let cluster = Cluster::of_context(context, &directory).await?;
                refuse_installed(&cluster, context).await?;
                Some(cluster)
            }
            None => None,
        };
        let started = Instant::now();
        say("building waxwing and waxwing-controller (about 5 minutes the first time)");
        let binaries = tokio::task::spawn_blocking(Binaries::ready)
            .await
            .context("building")??;
        say(&format!("built ({})", time(started.elapsed())));

        let started = Instant::now();
        let plane = if foreign.is_none() {
            say("starting etcd, kube-apiserver and kube-controller-manager");
            Some(Plane::own(PlaneOptions::default()).await?)
        } else {
            None
        };
        let git = GitServer::start().await?;
        let ground = Self {
            plane,
            foreign,
            binaries,
            git,
            controller: OnceCell::new(),
            directory,
        };
        let version = ground
            .cluster()?
            .client()
            .apiserver_version()
            .await
            .context("asking the API server")?;
        say(&format!(
            "Kubernetes {} ({})",
            version.git_version,
            time(started.elapsed())
        ));
        Ok(ground)
    }

    async fn play(&self) -> Result<()> {
        let cluster = self.cluster()?;
        let started = Instant::now();
        say(
            "installing: kubectl apply -k deploy, and the controller with the rights that it gives",
        );
        let config = Some("clusterName: demo\n".to_owned());
        let options = ControllerOptions {
            config,
            ..ControllerOptions::default()
        };
        let controller = self
            .controller
            .get_or_try_init(|| Controller::install(cluster, options))
            .await?;
        say(&format!(
            "the controller is ready ({})",
            time(started.elapsed())
        ));

        let mut stage = self.stage().await?;
        let account = format!("{SYSTEM}:{}", controller.installation().account);
        let told = story::tell(&mut stage, cluster, &self.git, &account).await?;
        let (commands, took) = stage.tally();
        say(&format!(
            "\nDone: {commands} commands in {}; the Secret was there {} after the sync was created, a hand edit was \
             repaired in {}, a plain Secret was refused, and no value was printed.",
            time(took),
            time(told.delivered),
            time(told.repaired)
        ));
        Ok(())
    }

    /// A clone of an empty repository, and the programs that the user has.
    async fn stage(&self) -> Result<Stage> {
        let cluster = self.cluster()?;
        // Made here only for its being there: the work is done in a clone, over https.
        self.git.repository("shop").await?;
        let home = self.directory.join("home");
        let mut environment =
            Waxwing::new(&self.binaries, &self.directory, &home, cluster.kubeconfig())
                .environment();
        environment.extend([
            ("GIT_SSL_CAINFO", self.git.ca_file().into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_AUTHOR_NAME", "Demo Person".into()),
            ("GIT_AUTHOR_EMAIL", "demo@example.com".into()),
            ("GIT_COMMITTER_NAME", "Demo Person".into()),
            ("GIT_COMMITTER_EMAIL", "demo@example.com".into()),
        ]);
        let programs = vec![
            ("waxwing", self.binaries.waxwing.clone()),
            ("kubectl", cluster.kubectl_path().to_owned()),
        ];
        let mut stage = Stage::new(self.directory.join("shop"), environment, programs);
        stage
            .run(&["git", "init", "--quiet", "--initial-branch", BRANCH])
            .await?;
        stage
            .run(&["git", "remote", "add", "origin", &self.git.url("shop")])
            .await?;
        Ok(stage)
    }

    async fn keep(&self, controller: &Controller) -> Result<()> {
        let cluster = self.cluster()?;
        say(&format!(
            "\nEverything keeps running. In another terminal:\n\n  \
             export KUBECONFIG={}\n  \
             {} get waxwing --all-namespaces\n\n  \
             log of the controller: {}\n  \
             work tree:             {} (git push needs GIT_SSL_CAINFO={})\n  \
             waxwing:               {}\n\n\
             Ctrl-C here stops and removes it all.",
            cluster.kubeconfig().display(),
            cluster.kubectl_path().display(),
            controller.log().display(),
            self.directory.join("shop").display(),
            self.git.ca_file().display(),
            self.binaries.waxwing.display(),
        ));
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    }

    /// Takes down what would stay in somebody's cluster; a plane of ours takes everything with it.
    async fn strike(&self) -> Result<()> {
        let Some(cluster) = &self.foreign else {
            return Ok(());
        };
        chapter("Clean up");
        if let Some(controller) = self.controller.get() {
            // The sync first, while the controller is there to release it; the namespace takes the rest.
            cluster
                .kubectl(&[
                    "delete",
                    "manifestsync",
                    "--all",
                    "--namespace",
                    story::NAMESPACE,
                ])
                .await?
                .ok()?;
            cluster
                .kubectl(&[
                    "delete",
                    "namespace",
                    story::NAMESPACE,
                    "--ignore-not-found",
                ])
                .await?
                .ok()?;
            controller.stop().await?;
        }
        uninstall(cluster).await
    }

    fn cluster(&self) -> Result<&Cluster> {
        self.plane
            .as_deref()
            .map(Plane::cluster)
            .or(self.foreign.as_ref())
            .context("a cluster")
    }
}

/// The demo brings its own installation and takes it away again: never over somebody's that is in use.
async fn refuse_installed(cluster: &Cluster, context: &str) -> Result<()> {
    let definitions = Kind::of("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let ours = cluster
        .object(&definitions, None, "sealedsecrets.waxwing.dev")
        .await?;
    for (kind, name) in [("v1", SYSTEM), ("v1", story::NAMESPACE)] {
        if cluster
            .object(&Kind::of(kind, "Namespace"), None, name)
            .await?
            .is_some()
        {
            bail!(
                "the cluster of context `{context}` has a namespace {name} already; the demo needs it to be free"
            );
        }
    }
    if ours.is_some() {
        bail!(
            "Waxwing's kinds are installed in the cluster of context `{context}` already; use another cluster"
        );
    }
    Ok(())
}

async fn uninstall(cluster: &Cluster) -> Result<()> {
    let deploy = workspace().join("deploy");
    let deploy = deploy.to_str().context("the source tree's path is UTF-8")?;
    // The policy that protects keys goes first, or it would refuse to let them go.
    let policies = "validatingadmissionpolicybindings,validatingadmissionpolicies";
    let ours = [
        "--selector",
        "app.kubernetes.io/name=waxwing",
        "--ignore-not-found",
    ];
    cluster
        .kubectl(&[&["delete", policies], &ours[..]].concat())
        .await?
        .ok()?;
    cluster
        .kubectl(&["delete", "--kustomize", deploy, "--ignore-not-found"])
        .await?
        .ok()?;
    say("removed: the demo's namespace, deploy/ and the controller");
    Ok(())
}
