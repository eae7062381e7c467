//! Asking a person: only when there is one.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, IsTerminal, Write},
};

use zeroize::Zeroizing;

use crate::{
    error::{Code, CommandError},
    interrupt,
};

/// Whether somebody can be asked: a controlling terminal, and questions would be seen on it.
pub fn present() -> bool {
    io::stderr().is_terminal()
        && OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .is_ok()
}

/// Asks a yes-or-no question; `None` when there is nobody to ask. Only a clear yes is a yes.
pub fn confirm(question: &str) -> Option<bool> {
    if !present() {
        return None;
    }
    let mut tty = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    write!(tty, "{question} [y/N] ").ok()?;
    let mut answer = String::new();
    BufReader::new(tty).read_line(&mut answer).ok()?;
    Some(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Asks for something that must not be seen. Nothing is echoed.
pub fn hidden(prompt: &str) -> Result<Zeroizing<String>, CommandError> {
    if !present() {
        return Err(CommandError::new(
            Code::NoTerminal,
            format!("nobody can be asked for {prompt}: there is no terminal"),
        )
        .hint("give values by --from-file KEY=PATH, or --from-file KEY=- for standard input"));
    }
    interrupt::with_terminal(|| rpassword::prompt_password(format!("{prompt}: ")))
        .map(Zeroizing::new)
        .map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                CommandError::new(Code::Interrupted, "interrupted; nothing was written")
            } else {
                CommandError::new(Code::NoTerminal, format!("cannot read {prompt}: {error}"))
            }
        })
}

/// Text from elsewhere (a commit's author, a cluster's message) without what a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
