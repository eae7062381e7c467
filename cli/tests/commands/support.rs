//! A directory of its own for every test, and the binary run in it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use base64ct::{Base64, Encoding};
use sealing::{
    Attestation, Identity, KeyState, Recipient, RecipientsFile, SealedAt, Signer, Statement, Suite,
};
use tempfile::TempDir;

/// What one run did.
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    /// The run ended with this exit code and error word.
    #[track_caller]
    pub fn failed(&self, code: i32, word: &str) -> &Self {
        assert_eq!(self.code, code, "stderr: {}", self.stderr);
        assert!(
            self.stderr.contains(&format!("error[{word}]:")),
            "stderr: {}",
            self.stderr
        );
        assert!(
            self.stdout.is_empty(),
            "a failed command printed: {}",
            String::from_utf8_lossy(&self.stdout)
        );
        self
    }

    #[track_caller]
    pub fn done(&self) -> &Self {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} is not in: {}",
            self.stderr
        );
        self
    }
}

/// A working directory with an identity in `me.key` and its public half in `me.pub`.
pub struct Place {
    directory: TempDir,
    pub recipient: Recipient,
}

impl Place {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let identity = Identity::generate(Suite::XWing).expect("a key");
        let place = Self {
            directory,
            recipient: identity.recipient().clone(),
        };
        place.write("me.key", identity.to_line().as_bytes());
        place.write("me.pub", format!("{}\n", identity.recipient()));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Commands run here; the state directory lies beside it, so that it is never seen as an output.
    pub fn work(&self) -> PathBuf {
        let work = self.directory.path().join("work");
        fs::create_dir_all(&work).expect("the working directory");
        work.canonicalize().expect("a real path")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The file of this user's pins.
    pub fn pins(&self) -> PathBuf {
        self.state().join("waxwing/pins")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Every file below the working directory, to see that nothing was left behind.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.work()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() && !path.is_symlink() {
                    if path.file_name().is_some_and(|name| name != ".git") {
                        open.push(path);
                    }
                } else {
                    found.push(
                        path.strip_prefix(self.work())
                            .expect("below")
                            .display()
                            .to_string(),
                    );
                }
            }
        }
        found.sort();
        found
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
        self.isolate(&mut command);
        command
    }

    pub fn isolate(&self, command: &mut Command) {
        command.current_dir(self.work());
        for (name, _) in std::env::vars() {
            if name.starts_with("WAXWING_")
                || name.starts_with("GIT_")
                || name.starts_with("CLICOLOR")
                || name == "NO_COLOR"
            {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.directory.path())
            .env("XDG_STATE_HOME", self.state())
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"))
            .env("KUBECONFIG", self.directory.path().join("no-kubeconfig"))
            .env_remove("KUBERNETES_SERVICE_HOST");
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"", &[])
    }

    #[track_caller]
    pub fn run_in(&self, directory: &str, arguments: &[&str]) -> Run {
        let mut command = self.command();
        let directory = self.path(directory);
        fs::create_dir_all(&directory).expect("a directory");
        command
            .current_dir(directory)
            .args(arguments)
            .stdin(Stdio::null());
        finish(command.output().expect("the binary runs"))
    }

    #[track_caller]
    pub fn pipe(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
        self.run_with(arguments, stdin, &[])
    }

    #[track_caller]
    pub fn run_with(
        &self,
        arguments: &[&str],
        stdin: impl AsRef<[u8]>,
        variables: &[(&str, &str)],
    ) -> Run {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut input = child.stdin.take().expect("a pipe");
        let bytes = stdin.as_ref().to_vec();
        // A command that fails early does not read: the broken pipe is its right.
        let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let output = child.wait_with_output().expect("the binary ends");
        feeder.join().expect("the feeder ends");
        finish(output)
    }

    /// All values of a sealed file, opened with `me.key`.
    #[track_caller]
    pub fn reveal(&self, file: &str) -> BTreeMap<String, Vec<u8>> {
        self.reveal_with(&[file, "-i", "me.key"])
    }

    #[track_caller]
    pub fn reveal_with(&self, arguments: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let mut all = vec!["reveal"];
        all.extend(arguments);
        all.extend(["--format", "json"]);
        let run = self.run(&all);
        run.done();
        let map: BTreeMap<String, String> =
            serde_json::from_slice(&run.stdout).expect("a flat map");
        map.into_iter()
            .map(|(key, value)| (key, Base64::decode_vec(&value).expect("base64")))
            .collect()
    }

    /// Runs Git in the working directory. Git is needed for the tests about repositories.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        self.isolate(&mut command);
        let output = command
            .args([
                "-c",
                "init.defaultBranch=main",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .output()
            .expect("git is installed: apt install git");
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("text")
            .trim()
            .to_owned()
    }

    #[track_caller]
    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }
}

/// The end of a process as a [`Run`].
pub fn finish(output: std::process::Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// A cluster as far as its public data goes.
pub struct Cluster {
    pub signer: Signer,
    pub identity: Identity,
}

impl Cluster {
    pub fn new() -> Self {
        Self {
            signer: Signer::generate().expect("a signer"),
            identity: Identity::generate(Suite::XWing).expect("a key"),
        }
    }

    pub fn fingerprint(&self) -> String {
        self.signer.public().fingerprint()
    }

    pub fn statement(&self, name: &str, sequence: u64) -> Statement {
        Statement {
            cluster: name.to_owned(),
            sequence,
            key: *self.identity.recipient().key_id(),
            previous: None,
            created_at: SealedAt::from_unix(1_700_000_000).expect("a time"),
            state: KeyState::Active,
        }
    }

    pub fn file(&self, name: &str, sequence: u64) -> String {
        self.file_of(&self.statement(name, sequence))
    }

    pub fn file_of(&self, statement: &Statement) -> String {
        let attestation = Attestation::sign(statement, &self.signer).expect("an attestation");
        RecipientsFile::attested(
            self.identity.recipient().clone(),
            self.signer.public(),
            attestation,
        )
        .print()
    }

    pub fn entry(&self, name: &str) -> String {
        format!(
            "  {name}: {{ recipients: .waxwing/{name}.pub, signer: \"{}\" }}\n",
            self.fingerprint()
        )
    }
}

/// A manifest with one Secret and one ConfigMap.
pub const MANIFEST: &str = "\
# the settings
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }   # not secret
data:
    colour:   'red'
---
# the database
apiVersion: v1
kind: Secret
metadata:
  name: db # ours
  namespace: payments
type: Opaque
data:
  user: YXBw
  password: aHVudGVyMg==
";
