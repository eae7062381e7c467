//! Random values that nobody ever sees.

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Code, CommandError};

/// Letters and digits: no shell, URL, YAML or connection string needs to quote them.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DEFAULT_LENGTH: usize = 32;
const LONGEST: usize = 65_536;

/// Splits `KEY[=LENGTH]`.
pub fn parse(request: &str) -> Result<(&str, usize), CommandError> {
    let Some((key, length)) = request.split_once('=') else {
        return Ok((request, DEFAULT_LENGTH));
    };
    match length.parse::<usize>() {
        Ok(length) if (1..=LONGEST).contains(&length) => Ok((key, length)),
        _ => Err(CommandError::usage(format!(
            "--generate {key}: the length is a number from 1 to {LONGEST}"
        ))),
    }
}

/// `length` characters, each equally likely: 5.95 bits of entropy per character.
pub fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut value = Zeroizing::new(Vec::with_capacity(length));
    let mut pool = [0u8; 64];
    while value.len() < length {
        getrandom::fill(&mut pool).map_err(|error| {
            CommandError::new(Code::Internal, format!("no random bytes: {error}"))
        })?;
        for byte in pool {
            // 248 is the greatest multiple of 62 in a byte: beyond it some characters would be likelier.
            if byte < 248 && value.len() < length {
                value.push(ALPHABET[usize::from(byte % 62)]);
            }
        }
    }
    pool.zeroize();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_length_and_uses_the_whole_alphabet() {
        let value = random(20_000).unwrap();
        assert_eq!(value.len(), 20_000);
        let mut counts = std::collections::BTreeMap::new();
        for byte in value.iter() {
            *counts.entry(*byte).or_insert(0) += 1;
        }
        assert!(counts.keys().all(|byte| ALPHABET.contains(byte)));
        assert_eq!(counts.len(), ALPHABET.len());
        // 322 of each are expected; below 200 is 7 standard deviations away.
        assert!(counts.values().all(|count| *count > 200), "{counts:?}");
    }

    #[test]
    fn lengths_are_judged() {
        assert!(matches!(parse("a"), Ok(("a", 32))));
        assert!(matches!(parse("a=7"), Ok(("a", 7))));
        for bad in ["a=0", "a=", "a=x", "a=65537"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
