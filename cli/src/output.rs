//! Results go to stdout, talk to stderr, and a reader that goes away is not an error.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};

use crate::error::{CommandError, Failure};

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";

/// How much talk is wanted (`WAXWING_LOG`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only errors.
    Error,
    /// And warnings.
    Warn,
    /// And notes.
    #[default]
    Info,
    /// And every decision on the way.
    Debug,
}

impl Level {
    /// The level of that name; an unknown one is the default, because a variable meant for
    /// something else must not stop a hook.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "error" | "off" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "debug" | "trace" => Self::Debug,
            _ => Self::Info,
        }
    }
}

/// Both streams of the process. There is one of it, and nothing else writes.
pub struct Output {
    results: io::Stdout,
    talk: AutoStream<io::Stderr>,
    level: Level,
}

impl Output {
    /// The process's streams. Colour follows `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and the terminal.
    pub fn new(level: Level) -> Self {
        let choice = AutoStream::choice(&io::stderr());
        Self {
            results: io::stdout(),
            talk: AutoStream::new(io::stderr(), choice),
            level,
        }
    }

    /// Writes a result, byte for byte.
    pub fn result(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut stdout = self.results.lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|error| CommandError::output(&error))
    }

    /// Whether a person would see the result on the screen.
    pub fn result_is_terminal(&self) -> bool {
        self.results.is_terminal()
    }

    /// Writes help or a version, coloured when that is wanted there.
    pub fn styled_result(&mut self, text: &clap::builder::StyledStr) -> Result<(), CommandError> {
        let choice: ColorChoice = AutoStream::choice(&self.results);
        let mut stdout = AutoStream::new(self.results.lock(), choice);
        write!(stdout, "{}", text.ansi())
            .and_then(|()| stdout.flush())
            .map_err(|error| CommandError::output(&error))
    }

    /// Says something that the user may want to know.
    pub fn note(&mut self, text: &str) {
        self.say(Level::Info, CYAN, "note", text);
    }

    /// Says something that the user should look at.
    pub fn warn(&mut self, text: &str) {
        self.say(Level::Warn, YELLOW, "warning", text);
    }

    /// Says how a decision came about.
    pub fn debug(&mut self, text: &str) {
        self.say(Level::Debug, PLAIN, "debug", text);
    }

    /// A line without a label on stderr: what a command found or did.
    pub fn tell(&mut self, text: &str) {
        if self.level >= Level::Info {
            // Talk that nobody can read is no reason to fail.
            let _ = writeln!(self.talk, "{}", harmless(text));
        }
    }

    /// Prints an error with its hints.
    pub fn failure(&mut self, failure: &Failure) {
        let word = failure.code.word();
        let _ = writeln!(
            self.talk,
            "{RED}error[{word}]{PLAIN}: {}",
            harmless(&failure.message)
        );
        for hint in &failure.hints {
            let _ = writeln!(self.talk, "{CYAN}hint{PLAIN}: {}", harmless(hint));
        }
    }

    /// Prints the argument parser's own error under our label.
    pub fn usage_error(&mut self, text: &clap::builder::StyledStr) {
        let text = text
            .ansi()
            .to_string()
            .replacen("error:", "error[usage]:", 1);
        let _ = write!(self.talk, "{text}");
    }

    fn say(&mut self, level: Level, colour: &str, label: &str, text: &str) {
        if self.level >= level {
            let _ = writeln!(self.talk, "{colour}{label}{PLAIN}: {}", harmless(text));
        }
    }
}

/// Messages quote names out of files, commits and clusters: what a terminal would obey does not pass.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
