//! `bench drift`: how long a Secret that somebody changed stays changed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::{
    ground::{Ground, KEYS, name, quiet, value},
    numbers::{goal, quantile, say},
};

const WITHIN: Duration = Duration::from_secs(2);
/// Between two looks: finer than what is measured, and few enough not to be what is measured.
const EVERY: Duration = Duration::from_millis(4);

/// What people do to Secrets.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Change,
    Add,
    Remove,
    Unlabel,
    Delete,
}

const EDITS: [Edit; 5] = [
    Edit::Change,
    Edit::Add,
    Edit::Remove,
    Edit::Unlabel,
    Edit::Delete,
];

/// Measures; returns whether the goal was reached.
pub async fn measure(objects: usize, edits: usize) -> Result<bool> {
    let ground = Ground::lay().await?;
    ground.create(ground.seal(objects)?).await?;
    ground.wait_all_unsealed(objects).await?;
    quiet(&mut ground.audit()?, &ground.user(), Duration::from_secs(5)).await?;

    let mut times: Vec<(Edit, Duration)> = Vec::new();
    for count in 0..edits {
        let edit = EDITS[count % EDITS.len()];
        // A stride that meets every part of the list, and rarely an object twice.
        let name = name(count * 7919 % objects);
        times.push((edit, repaired(&ground, &name, edit).await?));
        // Not in step with anything that the controller does by time.
        tokio::time::sleep(Duration::from_millis(50 + u64::try_from(count % 7)? * 23)).await;
    }
    for edit in EDITS {
        let of_this: Vec<Duration> = times
            .iter()
            .filter(|(kind, _)| std::mem::discriminant(kind) == std::mem::discriminant(&edit))
            .map(|(_, time)| *time)
            .collect();
        say(&line(&format!("{edit:?}"), &of_this));
    }
    let all: Vec<Duration> = times.iter().map(|(_, time)| *time).collect();
    say(&line("all", &all));
    let text = format!("99 of 100 are whole again within {WITHIN:?}");
    Ok(goal(&text, quantile(&all, 0.99) < WITHIN))
}

/// Makes one edit; from before it is sent until the Secret is whole.
async fn repaired(ground: &Ground, name: &str, edit: Edit) -> Result<Duration> {
    let secrets = ground.secrets();
    let key = KEYS[0];
    let patch = match edit {
        Edit::Change => json!({"data": {key: "d3Jvbmc="}}),
        Edit::Add => json!({"data": {"added": "d3Jvbmc="}}),
        Edit::Remove => json!({"data": {key: null}}),
        Edit::Unlabel => json!({"metadata": {"labels": {crds::names::SEALED_LABEL: null}}}),
        Edit::Delete => json!(null),
    };
    let started = Instant::now();
    if patch.is_null() {
        secrets
            .delete(name, &DeleteParams::default())
            .await
            .context("deleting a Secret")?;
    } else {
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        secrets
            .patch_metadata(name, &params, &Patch::Merge(&patch))
            .await
            .context("editing a Secret")?;
    }
    loop {
        let found = secrets.get_opt(name).await.context("looking at a Secret")?;
        let why = match found {
            Some(secret) => match is_whole(name, &secret) {
                Ok(()) => return Ok(started.elapsed()),
                Err(why) => why,
            },
            None => "it is gone".to_owned(),
        };
        if started.elapsed() > Duration::from_secs(120) {
            bail!("Secret {name} was not repaired after {edit:?}: {why}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Whether a Secret is what was sealed; otherwise why not.
pub fn is_whole(name: &str, secret: &Secret) -> Result<(), String> {
    let empty = std::collections::BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    for key in KEYS {
        let found = data.get(key).map(|bytes| bytes.0.as_slice());
        if found != Some(value(name, key).as_bytes()) {
            return Err(format!("data.{key}"));
        }
    }
    if data.len() != KEYS.len() {
        return Err("keys of others".to_owned());
    }
    let labels = secret.metadata.labels.as_ref();
    if labels.is_none_or(|labels| !labels.contains_key(crds::names::SEALED_LABEL)) {
        return Err("the label".to_owned());
    }
    Ok(())
}

fn line(what: &str, times: &[Duration]) -> String {
    let at = |share| quantile(times, share).as_secs_f64() * 1000.0;
    format!(
        "{what:>8}: {} edits, half within {:.0} ms, 99 of 100 within {:.0} ms, the longest {:.0} ms",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    )
}
