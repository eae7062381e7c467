//! Wires everything together and runs it until told to stop.
//!
//! Order of the start: probes answer at once; the Lease is taken (a replica that has to wait for it
//! is ready to take over); the keys are read (or made); the Secrets that exist are listed; then
//! SealedSecrets and ManifestSyncs are looked at, and the controller is ready.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{MinimumSuite, Settings},
    http::{self, Readiness},
    keys::{self, SharedKeyring, run::KeysContext},
    leader::{Candidate, Times},
    metrics::Metrics,
    sync::{
        self, Account, SyncContext, SyncSettings,
        source::{GitSource, SourceLimits},
    },
    unseal::{self, Policy, Unsealer, UnsealerSetup},
};

/// Name of the controller's ServiceAccount in `deploy/`.
const CONTROLLER_ACCOUNT: &str = "waxwing-controller";
/// Passes of ManifestSyncs at a time: each holds one revision in memory.
const PASSES: u16 = 4;
/// What is in flight gets this long to end after a signal; Kubernetes grants 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start: no cluster configuration, the listen address is taken; or when a part of
/// it ends that should not.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::not_yet("reading the keys");
    let shutdown = CancellationToken::new();
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("--listen {}", settings.listen))?;
    tracing::info!(address = %listener.local_addr()?, "serving /livez, /readyz and /metrics");

    let config = Config::infer()
        .await
        .context("no cluster: run inside one, or point KUBECONFIG at a kubeconfig")?;
    let client = Client::try_from(config).context("connecting to the cluster")?;

    let mut parts = JoinSet::new();
    parts.spawn({
        let (readiness, shutdown) = (readiness.clone(), shutdown.clone());
        async move {
            http::serve(listener, Arc::new(registry), readiness, shutdown)
                .await
                .context("serving HTTP")
        }
    });

    let mut candidate = Candidate::new(
        client.clone(),
        &settings.namespace,
        identity(),
        Times::default(),
    );
    let stopped = tokio::select! {
        () = candidate.lead(|| readiness.ready()) => None,
        stopped = stop_signal() => Some(stopped),
    };
    if let Some(stopped) = stopped {
        return stopped;
    }
    readiness.unready("reading the keys");
    parts.spawn(work(
        settings,
        client,
        metrics,
        readiness.clone(),
        shutdown.clone(),
    ));
    let given_up = CancellationToken::new();
    let mut keeping = tokio::spawn(candidate.keep(given_up.clone()));

    let outcome = tokio::select! {
        stopped = stop_signal() => stopped,
        ended = parts.join_next() => ended_early(ended),
        // Somebody else may write from now on: nothing is drained, the process goes.
        lost = &mut keeping => return lost.context("keeping the Lease").flatten(),
    };
    readiness.unready("shutting down");
    shutdown.cancel();
    let drained = tokio::time::timeout(GRACE, async {
        while let Some(part) = parts.join_next().await {
            part??;
        }
        anyhow::Ok(())
    });
    let outcome = tokio::select! {
        drained = drained => match drained {
            Ok(drained) => outcome.and(drained),
            Err(_late) => {
                tracing::warn!("some work did not end within {GRACE:?}; the next start continues it");
                outcome
            }
        },
        lost = &mut keeping => return lost.context("keeping the Lease").flatten(),
    };
    // Given up only now: until here this process may have been writing.
    given_up.cancel();
    keeping.await.context("giving up the Lease").flatten()?;
    outcome
}

/// What the Lease is held under: the pod, so that a container that restarts in it goes on at once;
/// outside of a pod, this very process.
fn identity() -> String {
    match std::env::var("POD_NAME") {
        Ok(pod) if !pod.is_empty() => pod,
        _ => {
            let host = rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned();
            let random = RandomState::new().build_hasher().finish();
            format!("{host}_{random:016x}")
        }
    }
}

async fn work(
    settings: Settings,
    client: Client,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let configuration = &settings.configuration;
    let keyring = SharedKeyring::new();
    let mut parts: JoinSet<()> = JoinSet::new();

    let (keys_read, keys_are_read) = oneshot::channel();
    let keys = KeysContext {
        client: client.clone(),
        namespace: settings.namespace.clone(),
        cluster_name: configuration.cluster_name.clone(),
        keyring: keyring.clone(),
    };
    let stop = shutdown.clone();
    parts.spawn(async move {
        keys::run::run(keys, move || keys_read.send(()).unwrap_or_default(), stop).await;
    });
    if keys_are_read.await.is_err() {
        return finish(parts, &shutdown).await;
    }

    readiness.unready("listing the Secrets");
    let unsealer = Unsealer::new(UnsealerSetup {
        client: client.clone(),
        keyring,
        policy: Policy {
            own_namespace: settings.namespace.clone(),
            allow_token_types: configuration.allow_token_types,
            allow_replicator_annotations: configuration.allow_replicator_annotations,
            allow_classical: configuration.minimum_suite == MinimumSuite::Classical,
        },
        metrics: metrics.clone(),
    });
    let (listed, are_listed) = oneshot::channel();
    let watching = (unsealer.clone(), settings.watched.clone(), shutdown.clone());
    parts.spawn(async move {
        let (unsealer, watched, stop) = watching;
        let listed = move || listed.send(()).unwrap_or_default();
        unseal::run(unsealer, watched, listed, stop).await;
    });
    if are_listed.await.is_err() {
        return finish(parts, &shutdown).await;
    }

    let source = GitSource::new(
        &settings.cache_dir,
        SourceLimits::default(),
        configuration.allow_file_sources,
    )
    .with_context(|| format!("--cache-dir {}", settings.cache_dir.display()))?;
    let context = SyncContext {
        client,
        unsealer,
        source,
        settings: SyncSettings {
            controller: Account {
                namespace: settings.namespace.clone(),
                name: CONTROLLER_ACCOUNT.to_owned(),
            },
            default_service_account: configuration.default_service_account.clone(),
            watched: settings.watched.clone(),
            concurrency: PASSES,
            limits: manifests::Limits::default(),
        },
        metrics,
    };
    let stop = shutdown.clone();
    parts.spawn(async move { sync::run(context, stop).await });
    readiness.ready();
    tracing::info!("ready");
    finish(parts, &shutdown).await
}

/// Waits for the parts to end. One that ends, or panics, before it was told to ends the process:
/// a controller that only half works would look healthy.
async fn finish(mut parts: JoinSet<()>, shutdown: &CancellationToken) -> anyhow::Result<()> {
    while let Some(ended) = parts.join_next().await {
        ended.context("a part of the controller failed")?;
        anyhow::ensure!(
            shutdown.is_cancelled(),
            "a part of the controller ended by itself"
        );
    }
    Ok(())
}

fn ended_early(
    ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>,
) -> anyhow::Result<()> {
    match ended {
        Some(ended) => ended.context("a part of the controller failed")?,
        None => Ok(()),
    }
}

async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate =
        signal(SignalKind::terminate()).context("installing the SIGTERM handler")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("installing the SIGINT handler")?;
    let which = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = which, "stopping");
    Ok(())
}
