//! The harness itself: what the other scenarios rely on.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    git_server::{Access, Counts, GitServer},
    janitor,
    plane::{Plane, PlaneOptions},
    process::{Output, Server, Start, run},
    wait::{Seen, until},
    world::condition::check,
};

use crate::plain;

/// In the environment of a test process that is there to be killed.
const VICTIM: &str = "WAXWING_TEST_VICTIM";

pub fn scenarios() -> Vec<Trial> {
    vec![
        plain(
            "harness::git_is_fetched_and_pushed_over_https",
            git_is_fetched_and_pushed_over_https,
        ),
        plain("harness::git_wants_credentials", git_wants_credentials),
        plain(
            "harness::git_goes_away_and_comes_back",
            git_goes_away_and_comes_back,
        ),
        plain(
            "harness::sigkill_leaves_nothing_behind",
            sigkill_leaves_nothing_behind,
        ),
        plain(
            "harness::the_api_server_restarts_with_its_data",
            the_api_server_restarts_with_its_data,
        ),
    ]
}

async fn git_is_fetched_and_pushed_over_https() -> Result<()> {
    let server = GitServer::start().await?;
    let repository = server.repository("app").await?;
    let commit = repository
        .push_files(&[("a/b.yaml", "one: 1\n")], "First")
        .await?;

    let clone = janitor::root().join("clone-of-app");
    git(
        &server,
        janitor::root(),
        &["clone", "--quiet", repository.url(), "clone-of-app"],
    )
    .await?
    .ok()?;
    let head = git(&server, &clone, &["rev-parse", "HEAD"]).await?.ok()?;
    check(
        head.stdout.trim() == commit,
        "the clone to be at the pushed commit",
    )?;
    let counts = server.counts();
    check(
        counts.listings == 1 && counts.fetches >= 1,
        "one listing and a fetch to be counted",
    )?;

    std::fs::write(clone.join("new.yaml"), "two: 2\n").context("a change in the clone")?;
    git(&server, &clone, &["add", "--all"]).await?.ok()?;
    let person = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    git(
        &server,
        &clone,
        &[&person[..], &["commit", "--quiet", "--message", "Second"]].concat(),
    )
    .await?
    .ok()?;
    git(&server, &clone, &["push", "--quiet"]).await?.ok()?;
    let pushed = git(&server, &clone, &["rev-parse", "HEAD"])
        .await?
        .ok()?
        .stdout;
    let bare = repository
        .git(&["ls-remote", "origin", "refs/heads/main"])
        .await?
        .ok()?
        .stdout;
    check(
        bare.starts_with(pushed.trim()),
        "the push over https to have arrived",
    )
}

async fn git_wants_credentials() -> Result<()> {
    let access = Access::Basic {
        user: "robot".to_owned(),
        password: "open sesame".to_owned(),
    };
    let server = GitServer::start_with(access).await?;
    let repository = server.repository("app").await?;
    repository
        .push_files(&[("a.yaml", "one: 1\n")], "First")
        .await?;

    let listing = ["ls-remote", repository.url()];
    git(&server, janitor::root(), &listing).await?.exits(128)?;
    check(
        server.counts()
            == Counts {
                denied: 1,
                ..Counts::default()
            },
        "one request to be turned away",
    )?;

    let wrong = repository.url().replace("https://", "https://robot:wrong@");
    git(&server, janitor::root(), &["ls-remote", &wrong])
        .await?
        .exits(128)?;
    let right = repository
        .url()
        .replace("https://", "https://robot:open%20sesame@");
    git(&server, janitor::root(), &["ls-remote", &right])
        .await?
        .ok()?;

    server.set_access(Access::Bearer("t0ken".to_owned()));
    git(&server, janitor::root(), &["ls-remote", &right])
        .await?
        .exits(128)?;
    let bearer = [
        "-c",
        "http.extraHeader=Authorization: Bearer t0ken",
        "ls-remote",
        repository.url(),
    ];
    git(&server, janitor::root(), &bearer).await?.ok()?;
    Ok(())
}

async fn git_goes_away_and_comes_back() -> Result<()> {
    let server = GitServer::start().await?;
    let repository = server.repository("app").await?;
    repository
        .push_files(&[("a.yaml", "one: 1\n")], "First")
        .await?;
    let listing = ["ls-remote", repository.url()];
    git(&server, janitor::root(), &listing).await?.ok()?;
    server.pause().await;
    git(&server, janitor::root(), &listing).await?.exits(128)?;
    server.resume().await?;
    git(&server, janitor::root(), &listing).await?.ok()?;
    Ok(())
}

/// This program runs itself once more, as a test run that starts a server and is then killed.
async fn sigkill_leaves_nothing_behind() -> Result<()> {
    if std::env::var_os(VICTIM).is_some() {
        return victim().await;
    }
    let mut child = Command::new(std::env::current_exe().context("the path of this program")?)
        .args([
            "--exact",
            "harness::sigkill_leaves_nothing_behind",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the victim")?;
    let told = child.stderr.take().context("the victim's standard error")?;
    let (process, root) = tokio::task::spawn_blocking(move || -> Result<(String, String)> {
        for line in std::io::BufRead::lines(std::io::BufReader::new(told)) {
            let line = line.context("listening to the victim")?;
            if let Some((process, root)) = line
                .strip_prefix("victim ")
                .and_then(|rest| rest.split_once(' '))
            {
                return Ok((process.to_owned(), root.to_owned()));
            }
        }
        anyhow::bail!("the victim ended without a word")
    })
    .await??;
    let stat = Path::new("/proc").join(process).join("stat");
    // A dead process stays listed, as a zombie, until its parent asks; an orphan's parent is the machine's init.
    let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    check(
        alive() && Path::new(&root).exists(),
        "the victim's server and directory to exist",
    )?;
    child.kill().context("killing the victim")?;
    child.wait().context("waiting for the victim")?;
    until(
        "the victim's server and directory to go",
        Duration::from_secs(10),
        async || {
            let (server, directory) = (alive(), Path::new(&root).exists());
            let seen = || {
                Seen::NotYet(format!(
                    "server there: {server}, directory there: {directory}"
                ))
            };
            Ok(if server || directory {
                seen()
            } else {
                Seen::Yes(())
            })
        },
    )
    .await
}

async fn victim() -> Result<()> {
    let server = Server::start(Start {
        name: "sleep",
        program: Path::new("sleep"),
        args: vec!["600".into()],
        env: vec![],
        log: janitor::root().join("sleep.log"),
    })?;
    eprintln!("victim {} {}", server.id(), janitor::root().display());
    tokio::time::sleep(Duration::from_secs(600)).await;
    Ok(())
}

async fn the_api_server_restarts_with_its_data() -> Result<()> {
    let plane = Plane::own(PlaneOptions { audit: true }).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": "default"}});
    plane.cluster().apply(&[map]).await?;
    plane.stop_api_server().await?;
    plane
        .cluster()
        .kubectl(&["get", "--raw", "/readyz"])
        .await?
        .exits(1)?;
    plane.start_api_server().await?;
    plane
        .cluster()
        .kubectl(&["get", "configmap", "kept"])
        .await?
        .ok()?;
    let audit = std::fs::read_to_string(plane.audit_log()).context("the audit log")?;
    check(
        audit.contains(r#""name":"kept""#),
        "the audit log to name the object",
    )
}

/// Git as a user of the server runs it: nothing but the server's authority is given.
async fn git(server: &GitServer, directory: &Path, args: &[&str]) -> Result<Output> {
    let mut git = tokio::process::Command::new("git");
    git.args(args)
        .current_dir(directory)
        .env("GIT_SSL_CAINFO", server.ca_file());
    git.env("HOME", janitor::root())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE");
    run(&mut git, None).await
}
