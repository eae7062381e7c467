//! Where kubectl reads a plain (unquoted) word differently from the YAML parser in use here.
//!
//! kubectl reads YAML 1.1 with the resolver of `sigs.k8s.io/yaml/goyaml.v2`: underscores anywhere in a number, booleans in three
//! spellings of case, and keys that are resolved like values and then turned back into text. Where the two would differ the word is
//! refused, so that nothing is ever sealed or applied under another meaning than the one the author's `kubectl` shows.

/// Whether kubectl would read the plain scalar `text`, a value, as something else than we do.
pub(crate) fn is_deceptive(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "y" | "yes" | "on" | "true" | "n" | "no" | "off" | "false" => {
            return boolean(text).is_none();
        }
        "null" => return !is_null(text),
        _ => {}
    }
    text.contains('_') && !has_single_underscores(text) && number(text).is_some()
}

/// Whether kubectl would read the plain scalar `text` with a tag as something else than we do. `core` is the name of a tag of YAML
/// itself, such as `str`; any other tag makes text of the scalar in kubectl, and nothing in the YAML parser.
pub(crate) fn is_deceptive_tagged(text: &str, core: Option<&str>) -> bool {
    match core {
        Some("null") => !text.is_empty() && !is_null(text),
        Some(_) => false,
        None => {
            let lower = text.to_ascii_lowercase();
            let is_word = matches!(
                lower.as_str(),
                "" | "~" | "null" | "y" | "yes" | "on" | "true" | "n" | "no" | "off" | "false"
            );
            is_word || number(text).is_some()
        }
    }
}

/// What kubectl makes of the plain key `text`, when that is another text.
pub(crate) fn key_reads_as(text: &str) -> Option<String> {
    let read = boolean(text)
        .map(|value| value.to_string())
        .or_else(|| number(text))?;
    (read != text).then_some(read)
}

/// The spellings of `gopkg.in/yaml.v2`: lower case, capitalised, upper case.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Some(false)
        }
        _ => None,
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL")
}

/// The form that both readers take for the same integer: digits in groups, one underscore between two.
fn has_single_underscores(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && integer(&text.replace('_', "")).is_some()
}

/// The decimal text of a number as Go prints it; `None` for what Go does not take for a number.
fn number(text: &str) -> Option<String> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(value) = integer(&plain) {
        return Some(value.to_string());
    }
    let float = is_float(&plain)
        .then(|| plain.parse::<f64>().ok())
        .flatten()?;
    // What is out of range stays text.
    float.is_finite().then(|| float_key(&plain))
}

/// `sigs.k8s.io/yaml` prints a float key with the precision of 32 bits, as `strconv.FormatFloat(key, 'g', -1, 32)`.
fn float_key(text: &str) -> String {
    let value: f32 = text.parse().unwrap_or(f32::NAN);
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match exponent {
        // Six digits is where Go's shortest form changes over.
        -4..6 => value.to_string(),
        _ => format!(
            "{mantissa}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        ),
    }
}

/// `strconv.ParseInt(text, 0, 64)`, and the same for unsigned numbers.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.get(..2), lower.len()) {
        (Some("0x"), _) => (16, &lower[2..]),
        (Some("0b"), _) => (2, &lower[2..]),
        (Some("0o"), _) => (8, &lower[2..]),
        (Some(_), _) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&value)
        .then_some(value)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_kubectl_turns_into_other_keys() {
        let cases = [
            ("y", Some("true")),
            ("on", Some("true")),
            ("True", Some("true")),
            ("NO", Some("false")),
            ("true", None),
            ("yEs", None),
            ("0644", Some("420")),
            ("1_000", Some("1000")),
            ("0x1F", Some("31")),
            ("1.10", Some("1.1")),
            ("1.5", None),
            ("443", None),
            ("0", None),
            ("+1", Some("1")),
            ("1e3", Some("1000")),
            ("16777217.0", Some("1.6777216e+07")),
            ("1e21", Some("1e+21")),
            ("1e-9", Some("1e-09")),
            ("1e99", Some(".inf")),
            ("59E936", None),
            ("-0", Some("0")),
            ("1.2.3", None),
            ("-", None),
            (".", None),
            ("server.crt", None),
        ];
        for (key, read) in cases {
            assert_eq!(key_reads_as(key).as_deref(), read, "{key}");
        }
    }

    #[test]
    fn values_that_kubectl_reads_differently() {
        for same in [
            "1_000",
            "0b1_0",
            "yes",
            "NO",
            "null",
            "a_b",
            "_1",
            "1.5",
            "-1_000",
            "0x1F_F",
            "x_1.5",
            "1_a",
            "2001-01-01",
        ] {
            assert!(!is_deceptive(same), "{same}");
        }
        for differs in [
            "1__0", "1_", "1_000.5", "1_0e3", "yEs", "tRUE", "oN", "nULL", "0.1_0",
        ] {
            assert!(is_deceptive(differs), "{differs}");
        }
    }
}
