//! Single values: literals, files, env files, generated and prompted ones.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use sealing::{EntryKey, Plaintext};
use zeroize::{Zeroize, Zeroizing};

use super::{env_file, generate, need_piped_stdin};
use crate::{
    error::{Code, CommandError},
    files,
    session::Session,
    terminal,
};

/// Where single values come from.
#[derive(Args)]
#[command(next_help_heading = "Values")]
pub struct ValueArgs {
    /// A value on the command line, where other processes may see it (repeatable)
    #[arg(long, value_name = "K=V", conflicts_with_all = ["file", "raw"])]
    pub from_literal: Vec<String>,

    /// A file's bytes, or each file of a directory; - is standard input (repeatable)
    #[arg(long, value_name = "[K=]PATH", conflicts_with_all = ["file", "raw"])]
    pub from_file: Vec<String>,

    /// Lines of KEY=VALUE (repeatable)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "raw"])]
    pub from_env_file: Vec<PathBuf>,

    /// A random value of letters and digits that nobody sees [default length: 32] (repeatable)
    #[arg(long, value_name = "K[=LENGTH]", conflicts_with_all = ["file", "raw"])]
    pub generate: Vec<String>,

    /// Ask for the value, without echo (repeatable)
    #[arg(long, value_name = "K", conflicts_with_all = ["file", "raw"])]
    pub prompt: Vec<String>,
}

/// Values by key, ready to be sealed.
pub type Values = BTreeMap<EntryKey, Plaintext>;

impl ValueArgs {
    /// Whether no source is given at all.
    pub fn is_empty(&self) -> bool {
        self.from_literal.is_empty()
            && self.from_file.is_empty()
            && self.from_env_file.is_empty()
            && self.generate.is_empty()
            && self.prompt.is_empty()
    }

    /// Reads every source; people are asked last, when all else stands.
    pub fn collect(mut self, trim: bool, session: &mut Session) -> Result<Values, CommandError> {
        let mut values = Values::new();
        for mut literal in std::mem::take(&mut self.from_literal) {
            let taken = literal
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), Zeroizing::new(value.as_bytes().to_vec())));
            literal.zeroize();
            let (key, value) = taken.ok_or_else(|| {
                CommandError::usage("--from-literal takes KEY=VALUE; there is no = in it")
            })?;
            add(&mut values, key_of(&key, "--from-literal")?, value, trim)?;
        }
        let mut stdin_used = false;
        for source in &self.from_file {
            let (key, path) = match source.split_once('=') {
                Some((key, path)) => (Some(key), path),
                None => (None, source.as_str()),
            };
            for (key, value, shown) in from_file(key, path, &mut stdin_used, session)? {
                notice_newline(&value, &shown, trim, session);
                add(&mut values, key, value, trim)?;
            }
        }
        for path in &self.from_env_file {
            let bytes = files::read(path)?;
            let shown = path.display().to_string();
            for entry in env_file::parse(&bytes, &shown)? {
                if entry.quoted {
                    session.output.note(&format!(
                        "{shown}:{}: the quotes around the value of {} are part of it",
                        entry.line,
                        entry.key.as_str()
                    ));
                }
                add(&mut values, entry.key, entry.value, trim)?;
            }
        }
        for request in &self.generate {
            let (key, length) = generate::parse(request)?;
            add(
                &mut values,
                key_of(key, "--generate")?,
                generate::random(length)?,
                false,
            )?;
        }
        for name in &self.prompt {
            let key = key_of(name, "--prompt")?;
            if values.contains_key(&key) {
                return Err(twice(&key));
            }
            let first = terminal::hidden(name)?;
            if *first != *terminal::hidden(&format!("{name} again"))? {
                return Err(CommandError::usage(format!(
                    "the two inputs for {name} differ; nothing was written"
                )));
            }
            add(
                &mut values,
                key,
                Zeroizing::new(first.as_bytes().to_vec()),
                false,
            )?;
        }
        Ok(values)
    }
}

/// A value without the line ends at its end.
pub fn trimmed(mut value: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    while matches!(value.last(), Some(b'\n' | b'\r')) {
        value.pop();
    }
    value
}

/// Says that a value ends in a newline, which is seldom meant and never seen.
pub fn notice_newline(value: &[u8], shown: &str, trim: bool, session: &mut Session) {
    if !trim && value.ends_with(b"\n") {
        session.output.note(&format!(
            "{shown} ends in a newline, which becomes part of the value; --trim drops it"
        ));
    }
}

fn add(
    values: &mut Values,
    key: EntryKey,
    value: Zeroizing<Vec<u8>>,
    trim: bool,
) -> Result<(), CommandError> {
    if values.contains_key(&key) {
        return Err(twice(&key));
    }
    let value = if trim { trimmed(value) } else { value };
    values.insert(key, Plaintext::new(value));
    Ok(())
}

fn twice(key: &EntryKey) -> CommandError {
    CommandError::usage(format!("the key {:?} is given twice", key.as_str()))
}

fn key_of(text: &str, flag: &str) -> Result<EntryKey, CommandError> {
    EntryKey::new(text)
        .map_err(|error| CommandError::new(Code::Grammar, format!("{flag}: {error}")))
}

type Found = Vec<(EntryKey, Zeroizing<Vec<u8>>, String)>;

/// One file, standard input, or the plain files of a directory, as `kubectl create secret` reads them.
fn from_file(
    key: Option<&str>,
    path: &str,
    stdin_used: &mut bool,
    session: &mut Session,
) -> Result<Found, CommandError> {
    if path == "-" {
        let Some(key) = key else {
            return Err(CommandError::usage(
                "--from-file - needs a key: --from-file KEY=-",
            ));
        };
        if std::mem::replace(stdin_used, true) {
            return Err(CommandError::usage("standard input can be only one value"));
        }
        let key = key_of(key, "--from-file")?;
        need_piped_stdin(&format!("the value of {}", key.as_str()))?;
        return Ok(vec![(
            key,
            files::read_stdin()?,
            "standard input".to_owned(),
        )]);
    }
    let path = Path::new(path);
    if !path.is_dir() {
        let key = match key {
            Some(key) => key_of(key, "--from-file")?,
            None => key_of(
                &path.file_name().unwrap_or_default().to_string_lossy(),
                "--from-file",
            )
            .map_err(|error| error.hint("give the key yourself: --from-file KEY=PATH"))?,
        };
        return Ok(vec![(key, files::read(path)?, path.display().to_string())]);
    }
    if key.is_some() {
        return Err(CommandError::usage(format!(
            "{} is a directory: its file names are the keys",
            path.display()
        )));
    }
    let failed = |error: &std::io::Error| {
        CommandError::new(
            Code::FileUnreadable,
            format!("cannot read {}: {}", path.display(), files::describe(error)),
        )
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        // Only plain files: links and pipes in a directory are seldom meant as values.
        if !entry.file_type().map_err(|error| failed(&error))?.is_file() {
            continue;
        }
        let name = entry.file_name();
        let Ok(key) = EntryKey::new(&name.to_string_lossy()) else {
            session.output.note(&format!(
                "{} is left out: its name is no key of a Secret",
                entry.path().display()
            ));
            continue;
        };
        found.push((
            key,
            files::read(&entry.path())?,
            entry.path().display().to_string(),
        ));
    }
    if found.is_empty() {
        return Err(CommandError::usage(format!(
            "{} holds no file that could be a value",
            path.display()
        )));
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found)
}
