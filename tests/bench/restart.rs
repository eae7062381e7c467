//! `bench restart`: what a restart costs when everything is in order.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{
    audit::{Request, tally},
    ground::{Ground, PATIENCE, quiet},
    numbers::{goal, say},
};

const READY_WITHIN: Duration = Duration::from_secs(20);
const MEMORY_KIB: u64 = 100 * 1024;
/// Longer than the 30 s after which Secrets without a SealedSecret are looked for.
const REST: Duration = Duration::from_secs(40);

/// Measures; returns whether the goals were reached.
pub async fn measure(objects: usize) -> Result<bool> {
    let ground = Ground::lay().await?;
    let controller = &ground.world.controller;
    let sealed = ground.seal(objects)?;
    ground.create(sealed).await?;
    ground.wait_all_unsealed(objects).await?;
    quiet(
        &mut ground.audit()?,
        &ground.user(),
        Duration::from_secs(10),
    )
    .await?;
    say(&format!(
        "{objects} SealedSecrets were unsealed as they came; peak memory of the controller {} MiB",
        controller.resident_kib()?.1 / 1024
    ));
    controller.stop().await?;

    let mut audit = ground.audit()?;
    let started = Instant::now();
    controller.resume().await?;
    let ready = started.elapsed();
    let looked_at_all = loop {
        if ground
            .metric("waxwing_reconciles_total{kind=\"SealedSecret\",result=\"Succeeded\"} ")
            .await?
            >= u64::try_from(objects)?
        {
            break started.elapsed();
        }
        if started.elapsed() > PATIENCE {
            bail!("not every SealedSecret was looked at");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::time::sleep(REST).await;
    controller.check_running()?;

    let user = ground.user();
    let requests = audit.news()?;
    let ours: Vec<&Request> = requests
        .iter()
        .filter(|request| request.user == user && !request.is_lease())
        .collect();
    let writes = ours.iter().filter(|request| request.is_write()).count();
    let opened = ground.metric("waxwing_values_opened_total ").await?;
    let (now, peak) = controller.resident_kib()?;
    say(&format!(
        "ready after {:.2} s, all {objects} looked at after {:.2} s, {:.1} processor seconds",
        ready.as_secs_f64(),
        looked_at_all.as_secs_f64(),
        ground.controller_time()?.as_secs_f64()
    ));
    say(&format!(
        "memory: peak {} MiB, at rest {} MiB",
        peak / 1024,
        now / 1024
    ));
    say(&format!(
        "requests but Leases: {}",
        tally(ours.iter().copied())
    ));
    controller.stop().await.context("stopping the controller")?;
    let met = [
        goal(
            &format!("looked at all within {} s", READY_WITHIN.as_secs()),
            looked_at_all.max(ready) < READY_WITHIN,
        ),
        goal(&format!("{writes} writes (goal: 0)"), writes == 0),
        goal(&format!("{opened} values opened (goal: 0)"), opened == 0),
        goal(
            &format!("peak memory under {} MiB", MEMORY_KIB / 1024),
            peak < MEMORY_KIB,
        ),
    ];
    Ok(met.into_iter().all(|met| met))
}
