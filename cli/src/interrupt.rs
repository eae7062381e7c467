//! Ctrl-C ends the process with 130, leaves no half-written file and gives the terminal its echo back.
//!
//! A thread waits for the signal on a socket: nothing but that one byte happens inside the signal handler.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::termios::{self, OptionalActions, Termios};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};

use crate::error::Exit;

/// What must be put right before the process may end early.
struct Pending {
    /// A temporary file that is not yet in its place.
    temporary: Option<PathBuf>,
    /// The terminal and its settings from before a hidden prompt.
    terminal: Option<(File, Termios)>,
    /// A file has been put in its place: the command finishes, it is a moment away.
    committed: bool,
}

static PENDING: Mutex<Pending> = Mutex::new(Pending {
    temporary: None,
    terminal: None,
    committed: false,
});

/// Catches Ctrl-C, `SIGTERM` and a lost terminal from now on.
pub fn install() -> io::Result<()> {
    let (mut wait, signal) = UnixStream::pair()?;
    for number in [SIGINT, SIGTERM, SIGHUP] {
        pipe::register(number, signal.try_clone()?)?;
    }
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            let mut byte = [0];
            while wait.read_exact(&mut byte).is_ok() {
                let mut pending = pending();
                if pending.committed {
                    continue;
                }
                if let Some(path) = pending.temporary.take() {
                    let _ = std::fs::remove_file(path);
                }
                if let Some((terminal, settings)) = pending.terminal.take() {
                    let _ = termios::tcsetattr(&terminal, OptionalActions::Now, &settings);
                }
                process::exit(Exit::Interrupted as i32);
            }
        })?;
    Ok(())
}

/// Remembers a temporary file until [`place`] has put it where it belongs.
pub fn temporary(path: &Path) {
    pending().temporary = Some(path.to_owned());
}

/// Runs the step that makes a temporary file the real one. A signal comes before it (nothing has happened) or
/// after it (a command that has written its `result` finishes), never in between.
pub fn place<T>(result: bool, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut pending = pending();
    let done = step();
    pending.temporary = None;
    pending.committed |= result && done.is_ok();
    done
}

/// Remembers the terminal's settings while `prompt` may change them.
pub fn with_terminal<T>(prompt: impl FnOnce() -> T) -> T {
    let saved = File::open("/dev/tty").ok().and_then(|tty| {
        let settings = termios::tcgetattr(&tty).ok()?;
        Some((tty, settings))
    });
    pending().terminal = saved;
    let result = prompt();
    pending().terminal = None;
    result
}

fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}
