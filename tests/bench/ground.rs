//! What every measurement on a cluster stands on: a plane that keeps an audit log, `deploy/`, a controller, its key, and
//! as many SealedSecrets as are wanted, sealed here with the library.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use crds::{EncryptedEntry, Envelope, KeyState, SealedSecret, SealedSecretSpec, SealingKey};
use futures::future::try_join_all;
use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use sealing::{
    EntryKey, Label, NewEntry, Place, Plaintext, Recipient, Scope, SealedAt, SealingRun,
};
use tests::{
    controller::{ControllerOptions, NAMESPACE},
    plane::PlaneOptions,
    wait::{Seen, until},
    world::World,
};
use zeroize::Zeroizing;

use crate::audit::{AuditLog, Request};

/// Keys of every Secret.
pub const KEYS: [&str; 3] = ["DB_PASSWORD", "API_TOKEN", "TLS_PASSPHRASE"];
/// For everything that takes as long as it takes.
pub const PATIENCE: Duration = Duration::from_secs(900);
/// Connections for what is not measured.
const CONNECTIONS: usize = 16;

/// A cluster to measure on.
pub struct Ground {
    /// Its plane, controller and namespace.
    pub world: World,
    /// Who the values are sealed to: the cluster.
    recipients: Vec<(Label, Recipient)>,
}

impl Ground {
    /// Starts everything and waits for the cluster's key. The controller runs.
    pub async fn lay() -> Result<Self> {
        let world = World::own(PlaneOptions { audit: true }, ControllerOptions::default()).await?;
        let keys: Api<SealingKey> = Api::all(world.cluster().client());
        let key = until("the cluster's key", PATIENCE, async || {
            let keys = keys.list(&ListParams::default()).await?;
            let active = keys
                .items
                .into_iter()
                .find(|key| key.spec.state == KeyState::Active);
            Ok(active.map_or_else(|| Seen::NotYet("no Active key".to_owned()), Seen::Yes))
        })
        .await?;
        let recipient = Recipient::parse(&key.spec.public_key).context("the cluster's key")?;
        Ok(Self {
            world,
            recipients: vec![(Label::key(), recipient)],
        })
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> Client {
        self.world.cluster().client()
    }

    /// SealedSecrets of the namespace.
    pub fn sealed_secrets(&self) -> Api<SealedSecret> {
        Api::namespaced(self.client(), &self.world.namespace)
    }

    /// Secrets of the namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client(), &self.world.namespace)
    }

    /// The audit log from now on.
    pub fn audit(&self) -> Result<AuditLog> {
        AuditLog::from_now(&self.world.plane.audit_log())
    }

    /// The controller's user name.
    pub fn user(&self) -> String {
        let account = &self.world.controller.installation().account;
        format!("system:serviceaccount:{NAMESPACE}:{account}")
    }

    /// Seals objects of three values each: `object-00000` and so on.
    pub fn seal(&self, count: usize) -> Result<Vec<SealedSecret>> {
        (0..count)
            .map(|index| self.seal_one(&name(index)))
            .collect()
    }

    fn seal_one(&self, name: &str) -> Result<SealedSecret> {
        let namespace = &self.world.namespace;
        let place = Place::new(namespace, name, None).context("a place")?;
        let entries = KEYS
            .iter()
            .map(|key| {
                Ok(NewEntry {
                    key: EntryKey::new(key).context("a key")?,
                    value: Plaintext::new(Zeroizing::new(value(name, key).into_bytes())),
                    templatable: false,
                })
            })
            .collect::<Result<_>>()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let run = SealingRun {
            place: &place,
            scope: Scope::Strict,
            bound_template: None,
            sealed_at: SealedAt::from_unix(now.as_secs()).context("the time")?,
            recipients: &self.recipients,
            allow_classical: false,
        };
        let run = sealing::seal(&run, entries).context("sealing")?;
        let spec = SealedSecretSpec {
            envelopes: BTreeMap::from([(run.envelope_id, Envelope::from(&run.envelope))]),
            encrypted_data: run
                .tokens
                .into_iter()
                .map(|(key, value)| (key, EncryptedEntry { value }))
                .collect(),
            ..SealedSecretSpec::default()
        };
        let mut sealed = SealedSecret::new(name, spec);
        sealed.metadata.namespace = Some(namespace.clone());
        Ok(sealed)
    }

    /// Creates objects in the cluster.
    pub async fn create(&self, objects: Vec<SealedSecret>) -> Result<()> {
        let objects = Arc::new(objects);
        let next = Arc::new(AtomicUsize::new(0));
        let workers = (0..CONNECTIONS).map(|_| {
            let (objects, next, api) = (objects.clone(), next.clone(), self.sealed_secrets());
            tokio::spawn(async move {
                while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    api.create(&PostParams::default(), object)
                        .await
                        .context("creating a SealedSecret")?;
                }
                anyhow::Ok(())
            })
        });
        for worker in try_join_all(workers).await? {
            worker?;
        }
        Ok(())
    }

    /// Waits until each of `count` SealedSecrets is Ready and its Secret there, by what the API server has.
    pub async fn wait_all_unsealed(&self, count: usize) -> Result<()> {
        let sealed = self.sealed_secrets();
        let secrets = self.secrets();
        until("all SealedSecrets to be unsealed", PATIENCE, async || {
            self.world.controller.check_running()?;
            let ready = sealed
                .list(&ListParams::default())
                .await?
                .items
                .iter()
                .filter(|sealed| is_ready(sealed))
                .count();
            // A look at everything is work for the API server, too.
            if ready < count {
                tokio::time::sleep(Duration::from_secs(1)).await;
                return Ok(Seen::NotYet(format!("{ready} of {count} are Ready")));
            }
            let made = secrets.list_metadata(&ours()).await?.items.len();
            Ok(if made == count {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{made} of {count} Secrets"))
            })
        })
        .await
    }

    /// Removes what was made, Secrets first: without a controller nobody else would.
    pub async fn clear(&self) -> Result<()> {
        let delete = DeleteParams::background();
        let all = ListParams::default();
        self.secrets()
            .delete_collection(&delete, &ours())
            .await
            .context("deleting all Secrets")?;
        self.sealed_secrets()
            .delete_collection(&delete, &all)
            .await
            .context("deleting all SealedSecrets")?;
        let left = self.sealed_secrets().list_metadata(&all).await?.items.len()
            + self.secrets().list_metadata(&ours()).await?.items.len();
        if left > 0 {
            bail!("{left} objects are left of the last round");
        }
        Ok(())
    }

    /// One number of the controller's metrics; 0 when the series is not there yet.
    pub async fn metric(&self, series: &str) -> Result<u64> {
        let (_, text) = self.world.controller.get("/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(Ok(0), |number| {
            number
                .trim()
                .parse()
                .with_context(|| format!("the value of {series}"))
        })
    }

    /// Processor time used by the controller since it started.
    pub fn controller_time(&self) -> Result<Duration> {
        processor_time(self.world.controller.id().context("the controller runs")?)
    }

    /// Processor time used by the API server and by etcd since they started.
    pub fn servers_time(&self) -> Result<(Duration, Duration)> {
        let [etcd, api, _] = self.world.plane.ids()?;
        Ok((processor_time(api)?, processor_time(etcd)?))
    }
}

/// The name of an object.
pub fn name(index: usize) -> String {
    format!("object-{index:05}")
}

/// A value: 40 bytes, unlike every other.
pub fn value(name: &str, key: &str) -> String {
    format!("{:.<40}", format!("{name}.{key}"))
}

/// Only what a controller made.
pub fn ours() -> ListParams {
    ListParams::default().labels(&format!(
        "{}={}",
        crds::names::SEALED_LABEL,
        crds::names::SEALED_LABEL_VALUE
    ))
}

fn is_ready(sealed: &SealedSecret) -> bool {
    let Some(status) = &sealed.status else {
        return false;
    };
    crds::conditions::find(&status.conditions, crds::conditions::READY).is_some_and(|ready| {
        ready.status == "True" && ready.observed_generation == sealed.metadata.generation
    })
}

/// User and system time of a process (procfs, in ticks of 10 ms).
fn processor_time(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).context("reading procfs")?;
    // The second field is a name in brackets, which may hold spaces.
    let (_, fields) = stat.rsplit_once(')').context("a line of procfs")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// From `began` until the last of `count` Secrets and of `count` statuses was answered; `None` while some are missing.
pub fn finished(requests: &[Request], began: Timestamp, count: usize) -> Option<Duration> {
    let last_of = |resource: &str| {
        let mut answered: Vec<Timestamp> = requests
            .iter()
            .filter(|request| request.resource == resource && request.verb == "patch")
            .filter(|request| (200..300).contains(&request.code))
            .map(|request| request.answered)
            .collect();
        answered.sort_unstable();
        answered.get(count.checked_sub(1)?).copied()
    };
    let last = last_of("secrets")?.max(last_of("sealedsecrets/status")?);
    last.duration_since(began).try_into().ok()
}

/// Waits until nobody but probes and leader election has asked anything for a while.
pub async fn quiet(log: &mut AuditLog, user: &str, period: Duration) -> Result<()> {
    let mut since = Instant::now();
    let started = Instant::now();
    while since.elapsed() < period {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let busy = log
            .news()?
            .iter()
            .any(|request| request.user == user && !request.is_lease() && request.verb != "watch");
        if busy {
            since = Instant::now();
        }
        if started.elapsed() > PATIENCE {
            bail!("the controller does not come to rest");
        }
    }
    Ok(())
}
