//! Child processes: servers that run until they are stopped, and commands that run to their end.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::janitor;

/// Waits for a word before it becomes the program: if the test process dies between starting a server and telling the
/// janitor about it, the pipe closes and the server never starts.
const LAUNCHER: &str = r#"read -r go || exit 125; exec "$@" </dev/null"#;

/// A server: runs until it is stopped or dropped, logs to a file, leads a process group of its own.
pub struct Server {
    name: String,
    log: PathBuf,
    child: Child,
    ended: Option<ExitStatus>,
}

/// What to start a [`Server`] with.
pub struct Start<'a> {
    /// For messages.
    pub name: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the environment.
    pub env: Vec<(&'a str, OsString)>,
    /// Where both output streams go, appended.
    pub log: PathBuf,
}

impl Server {
    /// Starts a server. Says nothing about whether it is ready.
    pub fn start(start: Start<'_>) -> Result<Self> {
        let Start {
            name,
            program,
            args,
            env,
            log,
        } = start;
        let open = || File::options().create(true).append(true).open(&log);
        let mut child = Command::new("sh")
            .args(["-c", LAUNCHER, "sh"])
            .arg(program)
            .args(args)
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(open().with_context(|| format!("opening {}", log.display()))?)
            .stderr(open()?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} ({})", program.display()))?;
        let mut word = child
            .stdin
            .take()
            .context("the launcher has a standard input")?;
        janitor::watch_group(child.id())?;
        word.write_all(b"go\n")
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            child,
            ended: None,
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(status);
            janitor::forget_group(self.child.id());
        }
        self.ended
    }

    /// An error with the end of the log when the server is no longer running.
    pub fn check_running(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself: {status}\n{}", self.name, self.tail(40)),
        }
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// SIGTERM, then SIGKILL to the whole group after `patience`. Returns how the process ended.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill()
    }

    /// SIGKILL to the whole group, and waits for the end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        kill_process_group(self.pid()?, Signal::KILL)
            .with_context(|| format!("killing {}", self.name))?;
        let status = self
            .child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))?;
        self.ended = Some(status);
        janitor::forget_group(self.child.id());
        Ok(status)
    }

    /// The last lines of the log.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// Resident memory now and at its peak, in KiB (`VmRSS` and `VmHWM` of procfs).
    pub fn resident_kib(&self) -> Result<(u64, u64)> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.id())).context("reading procfs")?;
        let field = |name: &str| -> Result<u64> {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .with_context(|| format!("no {name}"))?;
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            digits.parse().with_context(|| format!("{name} of procfs"))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id is positive")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// The last lines of a file, with a heading; a missing file is said, not hidden.
pub fn tail(file: &Path, lines: usize) -> String {
    let mut text = format!("--- the last lines of {}\n", file.display());
    match fs::read(file) {
        Ok(bytes) => {
            let all = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = all.lines().collect();
            for line in &all[all.len().saturating_sub(lines)..] {
                text.push_str(line);
                text.push('\n');
            }
        }
        Err(error) => drop(writeln!(text, "({error})")),
    }
    text
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command as typed, for messages.
    pub command: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Asserts the exit code, showing everything the command said otherwise.
    pub fn exits(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            Ok(self)
        } else {
            bail!("expected exit code {code} of: {self}")
        }
    }

    /// Asserts success.
    pub fn ok(self) -> Result<Self> {
        self.exits(0)
    }

    /// Asserts that standard error holds `text`.
    pub fn says(self, text: &str) -> Result<Self> {
        if self.stderr.contains(text) {
            Ok(self)
        } else {
            bail!("expected {text:?} on standard error of: {self}")
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self
            .code
            .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        write!(
            f,
            "{}\n({code})\nstdout:\n{}\nstderr:\n{}",
            self.command, self.stdout, self.stderr
        )
    }
}

/// Runs a command to its end, off the runtime's threads.
pub async fn run(command: &mut tokio::process::Command, stdin: Option<&[u8]>) -> Result<Output> {
    use tokio::io::AsyncWriteExt as _;
    let shown = shown(command.as_std());
    command.stdin(if stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // A program that ends without reading its input closes the pipe; its exit code tells more than our error would.
        drop(pipe.write_all(bytes).await);
    }
    let output = child
        .wait_with_output()
        .await
        .with_context(|| format!("running {shown}"))?;
    Ok(Output {
        command: shown,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A command line as a person would type it.
pub fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%{}[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Free ports on loopback. They are free now, not reserved: whoever uses them must be ready to ask again.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).context("asking for a free port")?;
        *port = listener
            .local_addr()
            .context("asking for a free port")?
            .port();
        held.push(listener);
    }
    Ok(ports)
}
