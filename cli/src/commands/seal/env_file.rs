//! Env files, read as `kubectl create secret --from-env-file` reads them: the value is everything after the first `=`.

use sealing::EntryKey;
use zeroize::Zeroizing;

use crate::error::{Code, CommandError};

/// One line of an env file.
pub struct EnvEntry {
    /// The line, from 1.
    pub line: usize,
    /// Before the `=`.
    pub key: EntryKey,
    /// After the `=`, byte for byte.
    pub value: Zeroizing<Vec<u8>>,
    /// The value begins and ends with the same quote, which other tools would take off.
    pub quoted: bool,
}

/// Reads all lines. Unlike kubectl, a line without `=` is refused: it would take its value from the environment.
pub fn parse(bytes: &[u8], shown: &str) -> Result<Vec<EnvEntry>, CommandError> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut entries = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let fault =
            |why: &str| CommandError::new(Code::Unparsable, format!("{shown}:{number}: {why}"));
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
            return Err(fault("there is no = in this line")
                .hint("write KEY=VALUE; values are never taken from the environment"));
        };
        // A key that is not valid could be a piece of a value that spans lines: it is not quoted.
        let key = std::str::from_utf8(&line[..equals]).ok().and_then(|key| EntryKey::new(key).ok()).ok_or_else(|| {
            fault("what stands before the = is no key of a Secret")
                .hint("a key is made of letters, digits, '-', '_' and '.'; a value of several lines needs --from-file")
        })?;
        let value = &line[equals + 1..];
        let quoted =
            value.len() >= 2 && matches!(value[0], b'"' | b'\'') && value.last() == value.first();
        entries.push(EnvEntry {
            line: number,
            key,
            value: Zeroizing::new(value.to_vec()),
            quoted,
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_reads() {
        let entries = parse(
            b"\xef\xbb\xbf# comment\r\n\r\n  USER=app\r\nURL=a=b \nQ=\"x\"\nEMPTY=",
            "x.env",
        )
        .unwrap();
        let seen: Vec<_> = entries
            .iter()
            .map(|e| (e.line, e.key.as_str(), e.value.to_vec(), e.quoted))
            .collect();
        assert_eq!(
            seen,
            [
                (3, "USER", b"app".to_vec(), false),
                (4, "URL", b"a=b ".to_vec(), false),
                (5, "Q", b"\"x\"".to_vec(), true),
                (6, "EMPTY", b"".to_vec(), false),
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        for text in ["A=1\nhunter2\n", "A=1\nhunter2 !=x\n"] {
            let Err(CommandError::Failed(failure)) = parse(text.as_bytes(), "x.env") else {
                panic!("accepted")
            };
            assert!(failure.message.starts_with("x.env:2:"), "{failure}");
            assert!(!failure.message.contains("hunter2"), "{failure}");
        }
    }
}
