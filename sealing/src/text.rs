//! base64url and base32, strict: exactly one text for any bytes.

use base32ct::{Base32Unpadded, Encoding as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};

/// base64url without padding (RFC 4648, 5).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// The bytes of a base64url text; `None` for padding, another alphabet, white space, a length that
/// no bytes have, or trailing bits that are not zero.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

/// Lower-case base32 without padding (RFC 4648, 6).
pub(crate) fn base32(bytes: &[u8]) -> String {
    Base32Unpadded::encode_string(bytes)
}

/// Whether a text is the lower-case base32 of `bytes` bytes. Printing what was read makes it
/// strict: of the texts that decode to the same bytes only one passes.
pub(crate) fn is_base32(text: &str, bytes: usize) -> bool {
    text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
        && Base32Unpadded::decode_vec(text)
            .is_ok_and(|decoded| decoded.len() == bytes && base32(&decoded) == text)
}

/// A text from outside as it is repeated in an error: names are shown whole, and what is longer than
/// any name is cut, so that no one can fill logs and conditions with it.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    #[test]
    fn base64url_has_one_text_for_any_bytes() {
        for first in ["A", "f", "_"] {
            for (i, last) in ALPHABET.chars().enumerate() {
                // Two characters carry one byte and four spare bits, three carry two and two.
                let two = from_base64url(&format!("{first}{last}"));
                assert_eq!(two.is_some(), i % 16 == 0, "{first}{last}");
                let three = from_base64url(&format!("{first}{first}{last}"));
                assert_eq!(three.is_some(), i % 4 == 0, "{first}{first}{last}");
            }
        }
        for wrong in [
            "A", "AAAAA", "AA==", "AA=", "+A", "/A", "A A", "AA\n", " AA", "AAA ", "é",
        ] {
            assert_eq!(from_base64url(wrong), None, "{wrong:?}");
        }
        assert_eq!(from_base64url(""), Some(vec![]));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown("é"), "é");
        assert_eq!(shown(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(shown(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
    }

    #[test]
    fn base32_has_one_text_for_any_bytes() {
        assert!(is_base32("rodz2mrhrwape", 8));
        assert!(is_base32("k3v7q2mh", 5));
        for wrong in [
            "RODZ2MRHRWAPE",
            "rodz2mrhrwapf",
            "rodz2mrhrwap",
            "rodz2mrhrwap1",
            "rodz2mrhrwape=",
            "",
        ] {
            assert!(!is_base32(wrong, 8), "{wrong:?}");
        }
    }
}
