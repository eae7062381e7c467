//! `bench idle`: what a controller with nothing to do asks of others.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    audit::{Request, tally},
    ground::{Ground, quiet},
    numbers::{goal, say},
};

/// How much there is, and for how long it is watched.
pub struct Size {
    /// SealedSecrets.
    pub objects: usize,
    /// ManifestSyncs, each of a directory of one repository.
    pub syncs: usize,
    /// Seconds to watch for.
    pub seconds: u64,
    /// Interval of the syncs in seconds.
    pub interval: u64,
}

/// Measures; returns whether the goals were reached.
pub async fn measure(size: &Size) -> Result<bool> {
    let ground = Ground::lay().await?;
    let world = &ground.world;
    ground.create(ground.seal(size.objects)?).await?;
    let repository = world.repository("fleet").await?;
    for sync in 0..size.syncs {
        let name = format!("part-{sync:02}");
        let (sealed, _value) = world.sealed_secret(&name, "TOKEN").await?;
        repository.write(&format!("{name}/secret.yaml"), sealed)?;
        repository.write(
            &format!("{name}/config.yaml"),
            world.config_map(&name, "color", "blue"),
        )?;
    }
    let commit = repository.push("parts").await?;
    for sync in 0..size.syncs {
        let name = format!("part-{sync:02}");
        let more = json!({"path": format!("./{name}"), "interval": format!("{}s", size.interval)});
        world.sync(&name, &repository, more).await?;
    }
    for sync in 0..size.syncs {
        world
            .wait_applied(&format!("part-{sync:02}"), &commit)
            .await?;
    }
    ground.wait_all_unsealed(size.objects + size.syncs).await?;
    let user = ground.user();
    // Between two intervals nothing should happen; what the first pass left to do should be done by then.
    let rest = Duration::from_secs((size.interval / 2).min(20));
    quiet(&mut ground.audit()?, &user, rest).await?;
    tokio::time::sleep(Duration::from_secs(size.interval)).await;

    let mut audit = ground.audit()?;
    let before = world.git.counts();
    let time_before = ground.controller_time()?;
    tokio::time::sleep(Duration::from_secs(size.seconds)).await;
    world.controller.check_running()?;
    let requests = audit.news()?;
    let after = world.git.counts();
    let processor_time = ground.controller_time()?.saturating_sub(time_before);

    let ours: Vec<&Request> = requests
        .iter()
        .filter(|request| request.user == user)
        .collect();
    let calls: Vec<&&Request> = ours
        .iter()
        .filter(|request| !request.is_lease() && request.verb != "watch")
        .collect();
    let (listings, fetches) = (
        after.listings - before.listings,
        after.fetches - before.fetches,
    );
    say(&format!(
        "{} s with {} SealedSecrets and {} syncs (interval {} s): {:.2} processor seconds, {} MiB",
        size.seconds,
        size.objects + size.syncs,
        size.syncs,
        size.interval,
        processor_time.as_secs_f64(),
        world.controller.resident_kib()?.0 / 1024,
    ));
    say(&format!(
        "requests to the API server: {}",
        tally(ours.iter().copied())
    ));
    say(&format!(
        "requests to Git: {listings} listings, {fetches} fetches"
    ));
    if !calls.is_empty() {
        say(&format!(
            "from the log of the controller:\n{}",
            world.controller.log_about("", 10)
        ));
    }
    // An interval that began before may end within.
    let allowed = u64::try_from(size.syncs)? * (size.seconds.div_ceil(size.interval) + 1);
    let met = [
        goal(
            &format!("{} API calls but Leases and watches (goal: 0)", calls.len()),
            calls.is_empty(),
        ),
        goal(
            &format!("{listings} listings of refs (at most one per sync and interval: {allowed})"),
            u64::from(listings) <= allowed,
        ),
        goal(&format!("{fetches} fetches (goal: 0)"), fetches == 0),
    ];
    let conditions = unready(&ground).await.context("looking at the syncs")?;
    let met_all = met.into_iter().all(|met| met);
    Ok(goal(
        &format!("every sync is Ready still {conditions:?}"),
        conditions.is_empty(),
    ) && met_all)
}

async fn unready(ground: &Ground) -> Result<BTreeMap<String, Value>> {
    use tests::{
        cluster::Kind,
        world::{OURS, condition},
    };
    let kind = Kind::of(OURS, "ManifestSync");
    let syncs = ground
        .world
        .cluster()
        .list(&kind, Some(&ground.world.namespace))
        .await?;
    Ok(syncs
        .into_iter()
        .filter(|sync| !condition::is(sync, "Ready", "True"))
        .map(|sync| (sync["metadata"]["name"].to_string(), sync["status"].clone()))
        .collect())
}
