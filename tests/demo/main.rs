//! `cargo demo`: the main job, end to end, on a real control plane, as a user does it.

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail};
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

/// Everything that runs during the demo.
struct Scene {
    /// Ours; `None` with `--context`.
    plane: Option<Arc<Plane>>,
    /// The other one's cluster.
    foreign: Option<Cluster>,
    controller: Controller,
    git: GitServer,
    stage: Stage,
    directory: PathBuf,
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
    let mut scene = tokio::select! {
        scene = Scene::set(arguments) => scene?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    let told = tokio::select! {
        told = scene.play() => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if told.is_err() {
        eprint!("\n{}", tail(&scene.controller.log(), 30));
    } else if arguments.keep {
        scene.keep().await?;
    }
    let struck = scene.strike().await;
    told?;
    struck
}

impl Scene {
    async fn set(arguments: &Arguments) -> Result<Self> {
        let directory = janitor::root().join("demo");
        let home = directory.join("home");
        fs::create_dir_all(&home).context("a directory for the demo")?;

        chapter("Set the scene");
        let started = Instant::now();
        say("building waxwing and waxwing-controller (about 5 minutes the first time)");
        let binaries = tokio::task::spawn_blocking(Binaries::ready)
            .await
            .context("building")??;
        say(&format!("built ({})", time(started.elapsed())));

        let started = Instant::now();
        let (plane, foreign) = match &arguments.context {
            None => {
                say("starting etcd, kube-apiserver and kube-controller-manager");
                (Some(Plane::own(PlaneOptions::default()).await?), None)
            }
            Some(context) => {
                let cluster = Cluster::of_context(context, &directory).await?;
                refuse_installed(&cluster, context).await?;
                (None, Some(cluster))
            }
        };
        let cluster = plane
            .as_deref()
            .map(Plane::cluster)
            .or(foreign.as_ref())
            .context("a cluster")?;
        let version = cluster
            .client()
            .apiserver_version()
            .await
            .context("asking the API server for its version")?;
        say(&format!(
            "Kubernetes {} ({})",
            version.git_version,
            time(started.elapsed())
        ));

        let started = Instant::now();
        say(
            "installing: kubectl apply -k deploy, and the controller with the rights that it gives",
        );
        let config = Some("clusterName: demo\n".to_owned());
        let options = ControllerOptions {
            config,
            ..ControllerOptions::default()
        };
        let installed = Controller::install(cluster, options).await;
        let controller = match installed {
            Ok(controller) => controller,
            Err(error) => {
                if arguments.context.is_some() {
                    uninstall(cluster).await?;
                }
                return Err(error);
            }
        };
        say(&format!(
            "the controller is ready ({})",
            time(started.elapsed())
        ));

        let git = GitServer::start().await?;
        // Only for its being there: the work is done in a clone, over https.
        git.repository("shop").await?;
        let waxwing = Waxwing::new(&binaries, &directory, &home, cluster.kubeconfig());
        let mut environment = waxwing.environment();
        environment.extend([
            ("GIT_SSL_CAINFO", git.ca_file().into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_AUTHOR_NAME", "Demo Person".into()),
            ("GIT_AUTHOR_EMAIL", "demo@example.com".into()),
            ("GIT_COMMITTER_NAME", "Demo Person".into()),
            ("GIT_COMMITTER_EMAIL", "demo@example.com".into()),
        ]);
        let programs = vec![
            ("waxwing", binaries.waxwing.clone()),
            ("kubectl", cluster.kubectl_path().to_owned()),
        ];
        let clone = directory.join("shop");
        fs::create_dir_all(&clone).context("a directory for the clone")?;
        let mut stage = Stage::new(clone, environment, programs);
        stage
            .run(&["git", "init", "--quiet", "--initial-branch", BRANCH])
            .await?;
        stage
            .run(&["git", "remote", "add", "origin", &git.url("shop")])
            .await?;
        Ok(Self {
            plane,
            foreign,
            controller,
            git,
            stage,
            directory,
        })
    }

    async fn play(&mut self) -> Result<()> {
        let cluster = self
            .plane
            .as_deref()
            .map(Plane::cluster)
            .or(self.foreign.as_ref())
            .context("a cluster")?;
        let account = format!("{SYSTEM}:{}", self.controller.installation().account);
        let told = story::tell(&mut self.stage, cluster, &self.git, &account).await?;
        let (commands, took) = self.stage.tally();
        say(&format!(
            "\nDone: {commands} commands in {}; the Secret was there {} after the sync was created, a hand edit was \
             repaired in {}, a plain Secret was refused, and no value was printed.",
            time(took),
            time(told.delivered),
            time(told.repaired)
        ));
        Ok(())
    }

    async fn keep(&self) -> Result<()> {
        let cluster = self.cluster()?;
        say(&format!(
            "\nEverything keeps running. In another terminal:\n\n  \
             export KUBECONFIG={}\n  \
             {} get waxwing --all-namespaces\n\n  \
             controller's log: {}\n  \
             work tree:        {} (git push needs GIT_SSL_CAINFO={})\n  \
             waxwing:          {}\n\n\
             Ctrl-C here stops and removes it all.",
            cluster.kubeconfig().display(),
            cluster.kubectl_path().display(),
            self.controller.log().display(),
            self.directory.join("shop").display(),
            self.git.ca_file().display(),
            Binaries::ready()?.waxwing.display(),
        ));
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    }

    /// Takes down what would stay: with a plane of ours, everything goes with the plane.
    async fn strike(&self) -> Result<()> {
        let Some(cluster) = &self.foreign else {
            return Ok(());
        };
        chapter("Clean up");
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
        self.controller.stop().await?;
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
