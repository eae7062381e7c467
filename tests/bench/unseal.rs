//! `bench unseal`: the whole way of many SealedSecrets, against the bare loop.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use tests::{cluster::kubeconfig, process::tail};

use crate::{
    audit::tally,
    bare,
    ground::{Ground, PATIENCE, finished, name},
    numbers::{goal, median, rate, say},
};

/// Connections of the bare loop; the best of them is what the controller is measured against.
const CONNECTIONS: [usize; 3] = [16, 32, 64];
/// The part of the bare loop's writes a second that the controller has to reach.
const RATIO: f64 = 0.8;

/// Measures; returns whether the goal was reached.
pub async fn measure(objects: usize, rounds: usize) -> Result<bool> {
    let ground = Ground::lay().await?;
    ground.world.controller.stop().await?;
    // The same account for both: how requests are authorised costs time, too.
    let client = kubeconfig::client(&ground.world.controller.installation().kubeconfig).await?;
    let sealed = ground.seal(objects)?;
    let size = serde_json::to_vec(&sealed[0])?.len();
    say(&format!(
        "{objects} SealedSecrets of three values, {size} bytes each; {rounds} rounds"
    ));

    let mut ours = Vec::new();
    let mut bare = CONNECTIONS.map(|_| Vec::new());
    for round in 1..=rounds {
        ground.create(sealed.clone()).await?;
        let time = controller(&ground, objects).await?;
        ours.push(time);
        say(&line(round, "controller", objects, time));
        for (connections, times) in CONNECTIONS.iter().zip(&mut bare) {
            ground.clear().await?;
            ground.create(sealed.clone()).await?;
            let time = bare::run(&ground, &client, objects, *connections).await?;
            times.push(time);
            say(&line(
                round,
                &format!("bare loop, {connections} connections"),
                objects,
                time,
            ));
        }
        ground.clear().await?;
    }

    let best = bare.iter().map(|times| median(times)).min();
    let best = best.context("a bare loop was measured")?;
    let ours = median(&ours);
    let ratio = best.as_secs_f64() / ours.as_secs_f64();
    say(&format!(
        "medians: controller {:.0} writes/s, bare loop {:.0} writes/s",
        rate(2 * objects, ours),
        rate(2 * objects, best)
    ));
    let text = format!("{ratio:.2} of the bare loop's writes a second (goal: {RATIO} or more)");
    Ok(goal(&text, ratio >= RATIO))
}

/// From the start of the process until the last write is answered, by the API server's clock.
async fn controller(ground: &Ground, objects: usize) -> Result<Duration> {
    let mut audit = ground.audit()?;
    let mut requests = Vec::new();
    let (api, etcd) = ground.servers_time()?;
    let began = Timestamp::now();
    let started = std::time::Instant::now();
    ground.world.controller.spawn()?;
    let time = loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        ground.world.controller.check_running()?;
        let user = ground.user();
        requests.extend(
            audit
                .news()?
                .into_iter()
                .filter(|request| request.user == user),
        );
        if let Some(time) = finished(&requests, began, objects) {
            break time;
        }
        if started.elapsed() > PATIENCE {
            anyhow::bail!(
                "not done after {PATIENCE:?}; {}",
                tail(&ground.world.controller.log(), 20)
            );
        }
    };
    let (api_after, etcd_after) = ground.servers_time()?;
    say(&format!("  requests: {}", tally(&requests)));
    say(&format!(
        "  processor seconds: controller {:.1}, API server {:.1}, etcd {:.1}; peak memory of the controller {} MiB",
        ground.controller_time()?.as_secs_f64(),
        api_after.saturating_sub(api).as_secs_f64(),
        etcd_after.saturating_sub(etcd).as_secs_f64(),
        ground.world.controller.resident_kib()?.1 / 1024,
    ));
    // What was counted is what is there.
    ground.wait_all_unsealed(objects).await?;
    verify(ground, objects).await?;
    ground.world.controller.stop().await?;
    Ok(time)
}

/// Some of the Secrets hold the values that were sealed.
async fn verify(ground: &Ground, objects: usize) -> Result<()> {
    for index in [0, objects / 2, objects - 1] {
        let name = name(index);
        let secret = ground.secrets().get(&name).await?;
        crate::drift::is_whole(&name, &secret)
            .map_err(|why| anyhow::anyhow!("Secret {name} is wrong: {why}"))?;
    }
    Ok(())
}

fn line(round: usize, what: &str, objects: usize, time: Duration) -> String {
    format!(
        "round {round}: {what}: {:.2} s, {:.0} writes/s",
        time.as_secs_f64(),
        rate(2 * objects, time)
    )
}
