//! One writer at a time: leader election by a Lease.
//!
//! The Lease is written with the resourceVersion that was just read, so of two candidates one
//! loses. A leader that cannot renew in time does not try to stop its tasks: the process exits,
//! and nothing of it can write any more.

mod election;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client, api::PostParams};
use tokio_util::sync::CancellationToken;

pub use self::election::Times;
use self::election::{Election, Step};

/// Name of the Lease in the controller's namespace.
pub const LEASE: &str = "waxwing-controller";

/// A candidate for leadership.
pub struct Candidate {
    api: Api<Lease>,
    election: Election,
    identity: String,
    times: Times,
}

impl Candidate {
    /// A candidate in the controller's namespace; `identity` is unique to this process (pod name
    /// and a random part).
    pub fn new(client: Client, namespace: &str, identity: String, times: Times) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            election: Election::new(identity.clone(), times),
            identity,
            times,
        }
    }

    /// Waits until this process leads; calls `standing_by` once when somebody else does.
    pub async fn lead(&mut self, standing_by: impl FnOnce()) {
        let mut standing_by = Some(standing_by);
        let mut following = None;
        loop {
            match self.attempt(self.times.renew).await {
                Ok(None) => {
                    tracing::info!(identity = self.identity, "leading");
                    return;
                }
                Ok(Some(leader)) => {
                    if following.as_ref() != Some(&leader) {
                        tracing::info!(leader, "standing by");
                        following = Some(leader);
                    }
                    if let Some(standing_by) = standing_by.take() {
                        standing_by();
                    }
                }
                Err(error) => {
                    tracing::warn!("the Lease could not be read or taken, trying again: {error:#}");
                }
            }
            tokio::time::sleep(self.times.retry).await;
        }
    }

    /// Keeps the Lease until `shutdown`, then gives it up.
    ///
    /// # Errors
    /// When it was lost or could not be renewed in time: the process has to exit at once.
    pub async fn keep(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    self.release().await;
                    return Ok(());
                }
                () = tokio::time::sleep(self.times.retry) => {}
            }
            let left = self.times.renew.saturating_sub(renewed.elapsed());
            match self.attempt(left).await {
                Ok(None) => renewed = Instant::now(),
                Ok(Some(leader)) => anyhow::bail!("leadership was lost to {leader}"),
                Err(error) if renewed.elapsed() >= self.times.renew => {
                    return Err(error.context(format!(
                        "the Lease could not be renewed for {:?}",
                        self.times.renew
                    )));
                }
                Err(error) => {
                    tracing::warn!("the Lease could not be renewed, trying again: {error:#}");
                }
            }
        }
    }

    /// One try to take or renew; the leader's name when it is somebody else.
    async fn attempt(&mut self, within: Duration) -> anyhow::Result<Option<String>> {
        tokio::time::timeout(within.max(Duration::from_millis(100)), self.look())
            .await
            .context("the API server did not answer")?
    }

    async fn look(&mut self) -> anyhow::Result<Option<String>> {
        let found = self.api.get_opt(LEASE).await.context("reading the Lease")?;
        match self
            .election
            .judge(found.as_ref(), Instant::now(), Timestamp::now())
        {
            Step::Wait { leader } => Ok(Some(leader)),
            Step::Take(spec) => {
                let mut lease = found.clone().unwrap_or_default();
                lease.metadata.name = Some(LEASE.into());
                lease.spec = Some(*spec);
                let params = PostParams::default();
                let written = match found {
                    Some(_) => self.api.replace(LEASE, &params, &lease).await,
                    None => self.api.create(&params, &lease).await,
                };
                // A conflict says that somebody was quicker: the next look tells who.
                written.context("writing the Lease")?;
                Ok(None)
            }
        }
    }

    async fn release(&self) {
        let released = async {
            let mut lease = self.api.get(LEASE).await?;
            if let Some(spec) = self.election.released(&lease) {
                lease.spec = Some(spec);
                self.api
                    .replace(LEASE, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<(), kube::Error>(())
        };
        match tokio::time::timeout(self.times.retry, released).await {
            Ok(Ok(())) => tracing::info!("gave up the Lease"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Lease could not be given up; it runs out by itself");
            }
            Err(_late) => {
                tracing::warn!("the Lease could not be given up in time; it runs out by itself");
            }
        }
    }
}
