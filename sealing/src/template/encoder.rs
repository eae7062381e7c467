//! The encoders of templates. Each takes any bytes and cannot fail; what works on text turns
//! invalid UTF-8 into U+FFFD.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::text::shown;

const NAMES: &str = "json, base64, urlencode, quote, indent(N)";
/// The widest indentation.
const MAX_INDENT: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// A JSON string (RFC 8259) with its quotes.
    Json,
    /// Base64 with padding (RFC 4648, 4), on one line.
    Base64,
    /// Percent-encoding of everything but unreserved characters (RFC 3986, 2.3), a space as `%20`.
    UrlEncode,
    /// A double-quoted string with backslash escapes, as Go, YAML and shells that know `\xNN` read it.
    Quote,
    /// So many spaces before every line, as Helm's `indent`.
    Indent(usize),
}

impl Encoder {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "base64" => Ok(Self::Base64),
            "urlencode" => Ok(Self::UrlEncode),
            "quote" => Ok(Self::Quote),
            _ => Self::indent(text),
        }
    }

    fn indent(text: &str) -> Result<Self, String> {
        let Some(width) = text.strip_prefix("indent") else {
            return Err(format!(
                "{:?} is not an encoder; there are {NAMES}",
                shown(text)
            ));
        };
        let digits = width
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .unwrap_or_default();
        let number = digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())
            .flatten();
        match number {
            Some(spaces) if spaces <= MAX_INDENT => Ok(Self::Indent(spaces)),
            _ => Err(format!(
                "{:?} is not an encoder; indent takes a number of spaces up to {MAX_INDENT}, as in indent(4)",
                shown(text)
            )),
        }
    }

    /// The most bytes that come of `length` bytes.
    pub(crate) fn longest(self, length: usize) -> usize {
        // U+FFFD takes three bytes and stands for at least one.
        match self {
            Self::Json => length.saturating_mul(6).saturating_add(2),
            Self::Base64 => length.div_ceil(3).saturating_mul(4),
            Self::UrlEncode => length.saturating_mul(3),
            Self::Quote => length.saturating_mul(4).saturating_add(2),
            Self::Indent(spaces) => length
                .saturating_mul((1 + spaces).max(3))
                .saturating_add(spaces),
        }
    }

    /// Encodes into a buffer of exactly the size needed.
    pub(crate) fn encode(self, input: &[u8]) -> Zeroizing<Vec<u8>> {
        if self == Self::Base64 {
            let mut out = Zeroizing::new(vec![0; Base64::encoded_len(input)]);
            #[expect(
                clippy::expect_used,
                reason = "the buffer has the length that was asked for in the line above"
            )]
            Base64::encode(input, &mut out).expect("a buffer of the encoded length");
            return out;
        }
        let mut length = 0;
        self.write(input, &mut |bytes| length += bytes.len());
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        self.write(input, &mut |bytes| out.extend_from_slice(bytes));
        out
    }

    fn write(self, input: &[u8], out: &mut impl FnMut(&[u8])) {
        match self {
            Self::Json => {
                out(b"\"");
                characters(input, |c| json_character(c, out));
                out(b"\"");
            }
            Self::Base64 => {}
            Self::UrlEncode => input.iter().for_each(|&byte| url_byte(byte, out)),
            Self::Quote => {
                out(b"\"");
                characters(input, |c| quoted_character(c, out));
                out(b"\"");
            }
            Self::Indent(spaces) => {
                let indent = |out: &mut dyn FnMut(&[u8])| (0..spaces).for_each(|_| out(b" "));
                indent(out);
                characters(input, |c| {
                    character(c, out);
                    if c == '\n' {
                        indent(out);
                    }
                });
            }
        }
    }
}

/// The characters of text, U+FFFD for what is none.
fn characters(input: &[u8], mut each: impl FnMut(char)) {
    for chunk in input.utf8_chunks() {
        chunk.valid().chars().for_each(&mut each);
        if !chunk.invalid().is_empty() {
            each(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn character(c: char, out: &mut impl FnMut(&[u8])) {
    let mut bytes = Zeroizing::new([0; 4]);
    out(c.encode_utf8(bytes.as_mut_slice()).as_bytes());
}

fn json_character(c: char, out: &mut impl FnMut(&[u8])) {
    match c {
        '"' => out(b"\\\""),
        '\\' => out(b"\\\\"),
        '\n' => out(b"\\n"),
        '\r' => out(b"\\r"),
        '\t' => out(b"\\t"),
        '\u{0}'..='\u{1f}' => {
            out(b"\\u00");
            hex(c as u8, b"0123456789abcdef", out);
        }
        _ => character(c, out),
    }
}

fn quoted_character(c: char, out: &mut impl FnMut(&[u8])) {
    match c {
        '"' => out(b"\\\""),
        '\\' => out(b"\\\\"),
        '\n' => out(b"\\n"),
        '\r' => out(b"\\r"),
        '\t' => out(b"\\t"),
        '\u{0}'..='\u{1f}' | '\u{7f}' => {
            out(b"\\x");
            hex(c as u8, b"0123456789abcdef", out);
        }
        _ => character(c, out),
    }
}

fn url_byte(byte: u8, out: &mut impl FnMut(&[u8])) {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out(&[byte]);
    } else {
        out(b"%");
        hex(byte, b"0123456789ABCDEF", out);
    }
}

fn hex(byte: u8, digits: &[u8; 16], out: &mut impl FnMut(&[u8])) {
    out(&[
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 15)],
    ]);
}
