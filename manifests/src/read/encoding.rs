//! File bytes to text: UTF-8 and nothing else.

use super::Reason;

/// The text of a file, or where and why it is none. Line and column count from 1.
pub(super) fn text(bytes: &[u8]) -> Result<&str, (usize, usize, Reason)> {
    if let Some(name) = wide(bytes) {
        return Err((1, 1, Reason::Encoding(name)));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = valid.matches('\n').count() + 1;
        let column = valid.chars().rev().take_while(|&c| c != '\n').count() + 1;
        (
            line,
            column,
            Reason::Encoding("not UTF-8: it has a broken byte here"),
        )
    })
}

/// UTF-16 and UTF-32 by their byte order mark, or by the zero bytes of their first, necessarily ASCII, character.
fn wide(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            Some("UTF-16")
        }
        _ => None,
    }
}
