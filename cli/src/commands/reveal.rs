//! `waxwing reveal`: plaintext, for those who hold a private key and mean it.

use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use clap::Args;
use sealing::{DataValue, Identity, Sealed};
use zeroize::Zeroizing;

use super::Format;
use crate::{
    error::{Code, CommandError},
    identity,
    sealed_file::{self, Found},
    session::Session,
    terminal,
};

/// Arguments of `reveal`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing reveal db.yaml password -i recovery.key | psql-login
  waxwing reveal db.yaml -i recovery.key --format json | jq -r '.password | @base64d'

One KEY is printed as its raw bytes. Without KEY the data of the Secret is printed, rendered template keys included:
as YAML, or with --format json as one flat map from key to base64.")]
pub struct RevealArgs {
    /// File with a SealedSecret (- for standard input)
    pub file: PathBuf,

    /// Print only this value, byte for byte
    pub key: Option<String>,

    /// File with a private key (repeatable); one protected by a passphrase asks for it
    #[arg(short, long, value_name = "FILE", required = true)]
    pub identity: Vec<PathBuf>,

    /// Which SealedSecret, when the file holds several
    #[arg(long, value_name = "NS/NAME")]
    pub object: Option<String>,

    /// Form of the answer [default: text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Print to a terminal without asking
    #[arg(long)]
    pub to_terminal: bool,
}

type Data = Vec<(String, DataValue)>;

/// Opens and prints.
pub fn run(args: &RevealArgs, session: &mut Session) -> Result<(), CommandError> {
    if args.key.is_some() && args.format == Some(Format::Json) {
        return Err(CommandError::usage(
            "a single KEY is printed as raw bytes; --format json is for the whole object",
        ));
    }
    let found = sealed_file::read(&args.file)?;
    let found = select(&found, args)?;
    let sealed =
        Sealed::parse(&found.text).map_err(|refusals| sealed_file::refused(found, &refusals))?;
    sealed
        .check_place()
        .map_err(|refusals| sealed_file::refused(found, &refusals))?;
    if let Some(key) = &args.key
        && !found.text.entries.contains_key(key)
        && !found.text.template_data.contains_key(key)
    {
        return Err(no_such_key(found, key));
    }
    if session.output.result_is_terminal() && !args.to_terminal {
        allow_terminal(found)?;
    }
    let mut identities = Vec::new();
    for path in &args.identity {
        identities.extend(identity::read(path)?);
    }
    let keys: Vec<&Identity> = identities.iter().collect();
    let data = sealed
        .open(&keys)
        .and_then(|opened| opened.data())
        .map_err(|refusals| sealed_file::refused(found, &refusals))?;
    drop(identities);
    match &args.key {
        Some(key) => match data.iter().find(|(name, _)| name == key) {
            Some((_, value)) => session.output.result(value.expose()),
            None => Err(no_such_key(found, key)),
        },
        None if Format::choose(args.format, session) == Format::Json => {
            session.output.result(json(&data).as_bytes())
        }
        None => session.output.result(text(&data).as_bytes()),
    }
}

fn select<'a>(found: &'a [Found], args: &RevealArgs) -> Result<&'a Found, CommandError> {
    let names = || {
        found
            .iter()
            .map(|one| one.shown.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (&args.object, found) {
        (Some(wanted), _) => found
            .iter()
            .find(|one| one.shown == *wanted)
            .ok_or_else(|| {
                CommandError::new(
                    Code::NothingSealed,
                    format!("{} holds no SealedSecret {wanted}", args.file.display()),
                )
                .hint(format!("it holds: {}", names()))
            }),
        (None, [one]) => Ok(one),
        (None, _) => Err(CommandError::usage(format!(
            "{} holds {} SealedSecrets",
            args.file.display(),
            found.len()
        ))
        .hint(format!("choose one with --object: {}", names()))),
    }
}

fn allow_terminal(found: &Found) -> Result<(), CommandError> {
    match terminal::confirm(&format!(
        "Print the plaintext of {} on this terminal?",
        found.shown
    )) {
        Some(true) => Ok(()),
        Some(false) => Err(CommandError::usage("nothing was printed")),
        None => Err(CommandError::new(
            Code::NoTerminal,
            "plaintext goes to a terminal only on purpose, and nobody can be asked",
        )
        .hint("add --to-terminal, or pipe the output")),
    }
}

fn no_such_key(found: &Found, key: &str) -> CommandError {
    let keys: Vec<&str> = found
        .text
        .entries
        .keys()
        .chain(found.text.template_data.keys())
        .map(String::as_str)
        .collect();
    CommandError::new(
        Code::NoSuchKey,
        format!("SealedSecret {} has no key {key:?}", found.shown),
    )
    .hint(format!("it has: {}", keys.join(", ")))
}

/// One flat map; keys are plain ASCII by the format's grammar. Made by hand into one buffer of the right size, so
/// that no encoder leaves copies behind.
fn json(data: &Data) -> Zeroizing<String> {
    let size = data
        .iter()
        .map(|(key, value)| key.len() + value.expose().len().div_ceil(3) * 4 + 16)
        .sum::<usize>()
        + 8;
    let mut text = Zeroizing::new(String::with_capacity(size));
    text.push('{');
    for (index, (key, value)) in data.iter().enumerate() {
        text.push_str(if index == 0 { "\n  \"" } else { ",\n  \"" });
        text.push_str(key);
        text.push_str("\": \"");
        push_base64(&mut text, value.expose());
        text.push('"');
    }
    text.push_str(if data.is_empty() { "}\n" } else { "\n}\n" });
    text
}

/// YAML: text double-quoted, other bytes as `!!binary`.
fn text(data: &Data) -> Zeroizing<String> {
    // A character needs at most six (`\uXXXX`), and a byte is at least a character.
    let size = data
        .iter()
        .map(|(key, value)| key.len() + value.expose().len() * 6 + 32)
        .sum::<usize>()
        + 8;
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (key, value) in data {
        text.push('"');
        text.push_str(key);
        text.push_str("\": ");
        if let Ok(value) = std::str::from_utf8(value.expose()) {
            push_quoted(&mut text, value);
        } else {
            text.push_str("!!binary \"");
            push_base64(&mut text, value.expose());
            text.push('"');
        }
        text.push('\n');
    }
    text
}

fn push_base64(text: &mut Zeroizing<String>, bytes: &[u8]) {
    let mut encoded = Zeroizing::new(vec![0; bytes.len().div_ceil(3) * 4]);
    if let Ok(encoded) = Base64::encode(bytes, &mut encoded) {
        text.push_str(encoded);
    }
}

fn push_quoted(text: &mut Zeroizing<String>, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' => push_escape(text, character, HEX),
            other if other.is_control() => push_escape(text, other, HEX),
            other => text.push(other),
        }
    }
    text.push('"');
}

fn push_escape(text: &mut Zeroizing<String>, character: char, hex: &[u8; 16]) {
    text.push_str("\\u");
    let code = character as usize;
    for shift in [12, 8, 4, 0] {
        text.push(char::from(hex[(code >> shift) & 15]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_keeps_every_character_and_hides_control_characters() {
        let mut text = Zeroizing::new(String::with_capacity(256));
        let value = "a\"b\\c\nd\te\u{1b}[2J\u{7f}\u{85}é\u{2028}🔑";
        push_quoted(&mut text, value);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{85}'));
        let read: String = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, value);
    }
}
