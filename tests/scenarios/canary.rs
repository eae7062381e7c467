//! A value appears nowhere but in etcd and in the tests' own inputs. Runs when everything else is done.

use anyhow::{Result, bail};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    canary::{self, Search},
    janitor,
    world::{World, condition::check},
};

use crate::{plain, shared};

pub fn scenarios() -> Vec<Trial> {
    vec![
        plain(
            "canary::no_value_is_found_anywhere",
            no_value_is_found_anywhere,
        ),
        shared(
            "canary::a_planted_mark_is_found_in_every_place",
            a_planted_mark_is_found_in_every_place,
        ),
    ]
}

async fn no_value_is_found_anywhere() -> Result<()> {
    let hits = Search::new(&canary::MARK).files(janitor::root())?;
    if hits.is_empty() {
        Ok(())
    } else {
        bail!("values of Secrets were found in: {hits:#?}")
    }
}

/// The mark is the name of objects this time, which is no secret and is written to all the places that are searched.
async fn a_planted_mark_is_found_in_every_place(world: &World) -> Result<()> {
    let mark = canary::MARK.replace("canary", "planted");
    let git = world.repository("app").await?;
    git.write("map.yaml", world.config_map(&mark, "key", "value"))?;
    git.write(
        "oops.yaml",
        world.secret(&mark, &[("password", "in plain text")]),
    )?;
    git.push("Planted").await?;
    world.sync(&mark, &git, json!({})).await?;
    world
        .wait_condition("ManifestSync", &mark, "Ready", "False", &[])
        .await?;
    world.waxwing.run(&["show", &mark]).await?;
    world.keep_traces().await?;

    let hits = Search::new(&mark).files(janitor::root())?;
    for place in [
        "controller.log",
        "traces.txt",
        "waxwing.log",
        "app.git",
        "/cache/",
    ] {
        check(
            hits.iter().any(|hit| hit.contains(place)),
            &format!("the mark in {place}, not only in {hits:#?}"),
        )?;
    }
    Ok(())
}
