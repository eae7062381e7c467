//! Nothing stays behind, however the test process ends: done, failed, panicked, Ctrl-C or SIGKILL.
//!
//! All that a test process makes lies below one directory, its [`root`], and every long-running child leads a process
//! group that is named by a file in `root/groups`. A small shell process, the janitor, holds the reading end of a pipe
//! whose writing end only the test process has. When the pipe closes (nobody can die without closing it), the janitor
//! kills those groups and removes the directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result};
use std::os::unix::process::CommandExt as _;

/// Room asked for in memory-backed storage: two control planes with ten thousand objects take under 1 GiB.
const ROOM: u64 = 2 << 30;

/// `$1` is the root. SIGKILL, because nothing that runs here has anything to lose; removal is retried, because a
/// killed process takes a moment to let go of its files.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r line; do :; done
for group in "$1"/groups/*; do
    [ -e "$group" ] && kill -s KILL -- "-${group##*/}" 2>/dev/null
done
tries=0
until rm -rf -- "$1" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || exit 1
    sleep 0.1
done
"#;

struct Janitor {
    root: PathBuf,
    process: Mutex<Option<Child>>,
}

static JANITOR: OnceLock<Janitor> = OnceLock::new();

/// The directory of this process, memory-backed when there is room (`WAXWING_TEST_DIR` names another parent). It is
/// removed when the process ends.
///
/// # Panics
/// When the directory or the janitor cannot be made: without them a test run would litter the machine.
pub fn root() -> &'static Path {
    #[expect(clippy::expect_used, reason = "without a janitor no test may start")]
    &JANITOR
        .get_or_init(|| Janitor::hire().expect("a directory for this test run, and its janitor"))
        .root
}

/// Enters a process group into the books, to be killed when this process ends.
pub(crate) fn watch_group(group: u32) -> Result<()> {
    let file = root().join("groups").join(group.to_string());
    fs::write(&file, "").with_context(|| format!("writing {}", file.display()))
}

/// Takes a process group that has ended out of the books: its number may soon be somebody else's.
pub(crate) fn forget_group(group: u32) {
    drop(fs::remove_file(
        root().join("groups").join(group.to_string()),
    ));
}

/// Ends everything now and waits until it is gone. For the end of `main`, where statics are not dropped.
pub fn clean_up() {
    let Some(janitor) = JANITOR.get() else { return };
    let process = janitor
        .process
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(mut process) = process {
        drop(process.stdin.take());
        drop(process.wait());
    }
}

impl Janitor {
    fn hire() -> Result<Self> {
        let root = tempfile::Builder::new()
            .prefix("waxwing-test-")
            .tempdir_in(parent())
            .context("making a directory")?
            .keep();
        fs::create_dir(root.join("groups")).context("making the list of process groups")?;
        let process = Command::new("sh")
            .args(["-c", SCRIPT, "janitor"])
            .arg(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C in the terminal must reach the tests, not the one who cleans up after them.
            .process_group(0)
            .spawn()
            .context("starting `sh`")?;
        Ok(Self {
            root,
            process: Mutex::new(Some(process)),
        })
    }
}

fn parent() -> PathBuf {
    if let Some(chosen) = std::env::var_os("WAXWING_TEST_DIR") {
        return chosen.into();
    }
    let memory = Path::new("/dev/shm");
    match rustix::fs::statvfs(memory) {
        Ok(room) if room.f_bavail * room.f_frsize >= ROOM => memory.to_path_buf(),
        _ => std::env::temp_dir(),
    }
}
