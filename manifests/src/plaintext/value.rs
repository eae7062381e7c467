//! What counts as a value: an empty text, a placeholder, a reference or a template is none.

use base64ct::{Base64, Encoding};
use serde_json::Value;
use zeroize::Zeroizing;

/// Whether a value of `stringData` is plaintext.
pub(super) fn is_string_plaintext(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !is_placeholder(text) && !is_public_certificates(text),
        // Not what Kubernetes takes, but no less a leak.
        _ => true,
    }
}

/// Whether a value of `data`, base64, is plaintext. What is no base64 counts as it stands.
pub(super) fn is_data_plaintext(value: &Value) -> bool {
    let Value::String(text) = value else {
        return !value.is_null();
    };
    if is_placeholder(text) {
        return false;
    }
    // Kubernetes ignores line breaks in base64, and nothing else.
    let compact: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect());
    let Ok(decoded) = Base64::decode_vec(compact.trim()).map(Zeroizing::new) else {
        return true;
    };
    match std::str::from_utf8(&decoded) {
        Ok(text) => !is_placeholder(text) && !is_public_certificates(text),
        Err(_) => true,
    }
}

/// Text that stands for a value and is none.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || is_reference(text) || is_template(text) || is_word(text)
}

/// `${NAME}`, `$(NAME)`, `<what goes here>`, `ref+vault://…`.
fn is_reference(text: &str) -> bool {
    let enclosed = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    enclosed("${", "}")
        .or_else(|| enclosed("$(", ")"))
        .is_some_and(is_name)
        || enclosed("<", ">")
            .is_some_and(|inner| !inner.trim().is_empty() && !inner.contains(['<', '>', '\n']))
        || text
            .strip_prefix("ref+")
            .and_then(|rest| rest.split_once("://"))
            .is_some_and(|(scheme, _)| is_name(scheme))
}

/// A template expression anywhere: the text is filled in later.
fn is_template(text: &str) -> bool {
    text.split_once("{{")
        .is_some_and(|(_, rest)| rest.contains("}}"))
}

/// The plain placeholders, in any case, with or without separators.
fn is_word(text: &str) -> bool {
    let word: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(
        word.as_str(),
        "changeme" | "replaceme" | "todo" | "redacted" | "example"
    ) || (word.len() >= 3 && word.bytes().all(|byte| byte == b'x'))
        || (!word.is_empty() && word.bytes().all(|byte| byte == b'*'))
}

/// PEM blocks that are all certificates, and nothing else beside comments.
fn is_public_certificates(text: &str) -> bool {
    let (mut inside, mut found) = (false, false);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line {
            "-----BEGIN CERTIFICATE-----" if !inside => (inside, found) = (true, true),
            "-----END CERTIFICATE-----" if inside => inside = false,
            _ if inside
                && line.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
                }) => {}
            _ if !inside && line.starts_with('#') => {}
            _ => return false,
        }
    }
    found && !inside
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n";

    #[test]
    fn placeholders_are_no_values() {
        let none = [
            "",
            " \n",
            "${DB_PASSWORD}",
            "$(DB_PASSWORD)",
            "<your password>",
            "{{ .Values.password | b64enc }}",
            "x{{ a }}y",
            "ref+vault://secret/db#/password",
            "changeme",
            "CHANGE_ME",
            "Replace-Me",
            "todo",
            "xxx",
            "XXXXXX",
            "redacted",
            "example",
            "********",
            "*",
        ];
        for text in none {
            assert!(!is_string_plaintext(&json!(text)), "{text}");
            assert!(!is_data_plaintext(&json!(text)), "{text}");
            assert!(
                !is_data_plaintext(&json!(Base64::encode_string(text.as_bytes()))),
                "{text} in base64"
            );
        }
    }

    #[test]
    fn all_else_is_a_value() {
        let values = [
            "hunter2",
            "xx",
            "examples",
            "${A}b",
            "${A:-hunter2}",
            "a<b>",
            "<a><b>",
            "ref+x",
            "{{",
            "}}{{",
            "todo: hunter2",
            "$",
            "<>",
            "false",
            "0",
        ];
        for text in values {
            assert!(is_string_plaintext(&json!(text)), "{text}");
            assert!(
                is_data_plaintext(&json!(Base64::encode_string(text.as_bytes()))),
                "{text} in base64"
            );
        }
        for odd in [json!(1), json!(true), json!([]), json!({})] {
            assert!(is_string_plaintext(&odd) && is_data_plaintext(&odd));
        }
        assert!(is_data_plaintext(&json!("no base64!")));
        assert!(is_data_plaintext(&json!(Base64::encode_string(&[
            0xff, 0xfe
        ]))));
        assert!(is_data_plaintext(&json!("aHVu\ndGVyMg==\n")));
    }

    #[test]
    fn public_certificates_are_no_secrets() {
        let chain = format!("# intermediate\n{CERTIFICATE}\n{CERTIFICATE}");
        assert!(!is_string_plaintext(&json!(chain)));
        assert!(!is_data_plaintext(&json!(Base64::encode_string(
            chain.as_bytes()
        ))));
        let with_key =
            format!("{CERTIFICATE}-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
        for text in [
            with_key.as_str(),
            &CERTIFICATE[..30],
            "hunter2\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        ] {
            assert!(is_string_plaintext(&json!(text)), "{text}");
        }
    }
}
