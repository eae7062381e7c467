//! The programs of a Kubernetes control plane, built from the Go module proxy.
//!
//! What is built is fixed by `tests/tools/*/go.mod` and `go.sum`; nothing of it is in this repository. The result is
//! kept under a name made from those files and the flags, so a change of version builds anew and nothing else does.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// The Kubernetes version that the servers report. Without it they say v0.0.0 and clients misbehave.
pub const KUBERNETES: &str = "v1.36.3";

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The directory that holds them.
    pub directory: PathBuf,
}

/// One Go module of ours and the programs that it yields.
struct Module {
    directory: &'static str,
    ldflags: &'static str,
    /// Package and name of the program.
    programs: &'static [(&'static str, &'static str)],
    /// On two cores with nothing cached.
    takes: &'static str,
}

const MODULES: [Module; 2] = [
    Module {
        directory: "etcd",
        ldflags: "-s -w",
        programs: &[("go.etcd.io/etcd/server/v3", "etcd")],
        takes: "1 minute",
    },
    Module {
        directory: "kubernetes",
        ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3",
        programs: &[
            ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
            (
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "kube-controller-manager",
            ),
            ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
        ],
        takes: "7 minutes",
    },
];

/// In every build. Without cgo no C compiler is needed and the programs are static.
const FLAGS: [&str; 3] = ["-trimpath", "-mod=readonly", "-buildvcs=false"];

impl Tools {
    /// The tools, built now if this machine does not have them. Parallel processes build once.
    ///
    /// They are looked for in `$WAXWING_TEST_TOOLS`, else in `target/test-tools`.
    ///
    /// # Errors
    /// When `go` is missing (with how to get it) or a build fails (with the end of what it said).
    pub fn ready() -> Result<Self> {
        static READY: Mutex<Option<Tools>> = Mutex::new(None);
        let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tools) = &*ready {
            return Ok(tools.clone());
        }
        let store = env::var_os("WAXWING_TEST_TOOLS")
            .map_or_else(|| target().join("test-tools"), PathBuf::from);
        let tools = Self {
            directory: store.join(key()?),
        };
        if !tools.directory.is_dir() {
            tools.build(&store)?;
        }
        Ok(ready.insert(tools).clone())
    }

    /// The path of one program, by name.
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory.join(program)
    }

    fn build(&self, store: &Path) -> Result<()> {
        require("go", "install Go 1.26 or later: https://go.dev/doc/install")?;
        fs::create_dir_all(store).with_context(|| format!("making {}", store.display()))?;
        let lock =
            File::create(store.join("lock")).context("opening the lock of the test tools")?;
        if lock.try_lock().is_err() {
            eprintln!(
                "another process builds the Kubernetes control plane for the tests; waiting for it"
            );
            lock.lock()
                .context("waiting for the lock of the test tools")?;
        }
        if self.directory.is_dir() {
            return Ok(());
        }
        let partial = self.directory.with_extension("partial");
        fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
        for module in &MODULES {
            module.build(&partial)?;
        }
        fs::rename(&partial, &self.directory).context("putting the test tools in place")
    }
}

impl Module {
    fn build(&self, into: &Path) -> Result<()> {
        let names: Vec<_> = self.programs.iter().map(|(_, name)| *name).collect();
        eprintln!(
            "building {} with Go, once for this machine: about {} on two cores when nothing is cached; kept in {}",
            names.join(", "),
            self.takes,
            into.with_extension("").display()
        );
        let started = Instant::now();
        // `-o DIRECTORY/` names a program after its package, which for etcd is `server`: each alone where it matters.
        for (package, name) in self.programs {
            self.build_one(package, &into.join(name), started)?;
        }
        eprintln!("  done in {} s", started.elapsed().as_secs());
        Ok(())
    }

    fn build_one(&self, package: &str, into: &Path, started: Instant) -> Result<()> {
        let said = into.with_extension("log");
        let mut go = Command::new("go")
            .arg("build")
            .args(FLAGS)
            .args(["-ldflags", self.ldflags, "-o"])
            .arg(into)
            .arg(package)
            .current_dir(manifest_directory().join("tools").join(self.directory))
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env_remove("GOFLAGS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).with_context(|| format!("writing {}", said.display()))?)
            .spawn()
            .context("starting `go build`")?;
        let mut told = Instant::now();
        let status = loop {
            if let Some(status) = go.try_wait().context("waiting for `go build`")? {
                break status;
            }
            if told.elapsed() > Duration::from_secs(60) {
                told = Instant::now();
                eprintln!(
                    "  still building ({} s so far)",
                    started.elapsed().as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        if !status.success() {
            bail!(
                "`go build {package}` failed ({status})\n{}\nit needs the Go module proxy (`go env GOPROXY`) and about \
                 5 GB of disk",
                crate::process::tail(&said, 20)
            );
        }
        fs::remove_file(&said).with_context(|| format!("removing {}", said.display()))
    }
}

/// Fails when a program that the harness calls is not installed, saying how to get it.
pub fn require(program: &str, how: &str) -> Result<()> {
    let found = env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|directory| directory.join(OsStr::new(program)).is_file())
    });
    if found {
        Ok(())
    } else {
        bail!("`{program}` is not on PATH and the end-to-end tests need it: {how}")
    }
}

/// The package's directory in the source tree.
pub fn manifest_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The root of the source tree.
pub fn workspace() -> &'static Path {
    manifest_directory()
        .parent()
        .unwrap_or_else(|| manifest_directory())
}

/// Cargo's target directory, as far as it can be known without asking cargo.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// What the result depends on, as a directory name.
fn key() -> Result<String> {
    let mut hash = Sha256::new();
    for module in &MODULES {
        for file in ["go.mod", "go.sum"] {
            let file = manifest_directory()
                .join("tools")
                .join(module.directory)
                .join(file);
            let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update(module.ldflags);
        for (package, name) in module.programs {
            hash.update(format!("\n{package} {name}\n"));
        }
    }
    hash.update(FLAGS.join(" "));
    hash.update(env::consts::OS);
    hash.update(env::consts::ARCH);
    let hash = hash.finalize();
    let mut short = [0; 8];
    short.copy_from_slice(&hash[..8]);
    Ok(format!("{:016x}", u64::from_be_bytes(short)))
}
