//! A Git repository to commit to, through the `git` program with a configuration of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use crate::{
    git_server::isolate,
    process::{Output, run},
};

/// The branch of every repository.
pub const BRANCH: &str = "main";

/// A bare repository as the server has it, and a work tree to commit from.
pub struct Repository {
    bare: PathBuf,
    work: PathBuf,
    url: String,
    commits: AtomicU32,
}

impl Repository {
    /// Makes an empty bare repository and a work tree beside it.
    pub async fn create(bare: &Path, url: String) -> Result<Self> {
        let work = bare.with_extension("work");
        fs::create_dir_all(&work).context("a work tree")?;
        let repository = Self {
            bare: bare.to_owned(),
            work,
            url,
            commits: AtomicU32::new(0),
        };
        let bare = bare.to_str().context("paths of tests are UTF-8")?;
        repository
            .git(&[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch",
                BRANCH,
                bare,
            ])
            .await?
            .ok()?;
        repository
            .git(&["init", "--quiet", "--initial-branch", BRANCH])
            .await?
            .ok()?;
        repository
            .git(&["remote", "add", "origin", bare])
            .await?
            .ok()?;
        Ok(repository)
    }

    /// Its address on the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bare repository's directory, for `file://` sources.
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The work tree.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file of the work tree.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.work.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))
    }

    /// Removes a file of the work tree.
    pub fn remove(&self, path: &str) -> Result<()> {
        fs::remove_file(self.work.join(path)).with_context(|| format!("removing {path}"))
    }

    /// Commits the work tree as it is and pushes it. Returns the commit's id.
    pub async fn push(&self, subject: &str) -> Result<String> {
        let id = self.commit(subject, &[]).await?;
        self.git(&["push", "--quiet", "origin", BRANCH])
            .await?
            .ok()?;
        Ok(id)
    }

    /// Writes files, commits and pushes.
    pub async fn push_files(&self, files: &[(&str, &str)], subject: &str) -> Result<String> {
        for (path, content) in files {
            self.write(path, content)?;
        }
        self.push(subject).await
    }

    /// Replaces the last commit by the work tree as it is, and force-pushes: the old commit is no ancestor of the new.
    pub async fn force_push(&self, subject: &str) -> Result<String> {
        let id = self.commit(subject, &["--amend"]).await?;
        self.git(&["push", "--quiet", "--force", "origin", BRANCH])
            .await?
            .ok()?;
        Ok(id)
    }

    /// The id of the last commit.
    pub async fn head(&self) -> Result<String> {
        Ok(self
            .git(&["rev-parse", "HEAD"])
            .await?
            .ok()?
            .stdout
            .trim()
            .to_owned())
    }

    /// Runs `git` in the work tree.
    pub async fn git(&self, args: &[&str]) -> Result<Output> {
        let mut git = tokio::process::Command::new("git");
        isolate(&mut git, &self.work);
        // A fixed person, and a clock that ticks once a commit: the same scenario makes the same commit ids.
        let commits = self.commits.load(Ordering::Relaxed);
        let date = format!(
            "2026-01-01T{:02}:{:02}:{:02}Z",
            commits / 3600,
            commits / 60 % 60,
            commits % 60
        );
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Test Person");
            git.env(format!("GIT_{role}_EMAIL"), "test.person@example.com");
            git.env(format!("GIT_{role}_DATE"), &date);
        }
        git.current_dir(&self.work).args(args);
        run(&mut git, None).await
    }

    async fn commit(&self, subject: &str, options: &[&str]) -> Result<String> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.git(&["add", "--all"]).await?.ok()?;
        let mut args = vec!["commit", "--quiet", "--allow-empty", "--message", subject];
        args.extend(options);
        self.git(&args).await?.ok()?;
        self.head().await
    }
}
