//! JSON values to YAML text.

use serde_json::Value;

/// `value` as one YAML document in block style, keys in the order given, a newline at the end, no `---`.
///
/// Every string that a YAML 1.1 or 1.2 reader could take for something else (`on`, `yes`, `1_000`, `0644`) is quoted. No string is
/// folded, so base64 stays on one line. A text of several lines is a literal block, except when a line of it begins with a tab:
/// kubectl's parser refuses that, so it is written in quotes.
pub fn write_yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        folded_wrap_chars: usize::MAX,
        prefer_block_scalars: !has_block_hazard(value),
    };
    // Every JSON value has a YAML form; JSON itself is one, should the serializer ever disagree.
    let text = serde_saphyr::to_string_with_options(value, options);
    text.unwrap_or_else(|_| format!("{value}\n"))
}

/// Text that readers of block scalars disagree about: lines that begin with a tab, line breaks that are not `\n`, blank edges.
fn has_block_hazard(value: &Value) -> bool {
    let hazardous = |text: &str| {
        text.contains('\n')
            && (text.starts_with([' ', '\n'])
                || text.ends_with("\n\n")
                || text.contains(|c: char| (c.is_control() && c != '\n') || !is_plain(c)))
    };
    match value {
        Value::String(text) => hazardous(text),
        Value::Array(items) => items.iter().any(has_block_hazard),
        Value::Object(entries) => entries
            .iter()
            .any(|(key, value)| hazardous(key) || has_block_hazard(value)),
        _ => false,
    }
}

/// Neither a byte order mark nor one of Unicode's own line breaks.
fn is_plain(c: char) -> bool {
    !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Limits;

    fn read_back(text: &str) -> Value {
        crate::read::value_of(text, &Limits::default())
            .unwrap_or_else(|reason| panic!("{reason}\n{text}"))
    }

    #[test]
    fn strings_that_kubectl_would_read_as_something_else_are_quoted() {
        let words = [
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "Y",
            "N",
            "true",
            "null",
            "~",
            "1_000",
            "685_230.15",
            "0644",
            "0b101",
            "0x1F",
            "12:30:45",
            "1e3",
            "123e456",
            ".inf",
            "2001-01-01",
            "<<",
            "=",
            "",
            " x",
            "x ",
            "a: b",
            "# c",
            "- d",
            "!e",
            "&f",
            "*g",
            "%h",
            "@i",
            "`j",
            "{",
            "[",
            "?",
            "---",
        ];
        for word in words {
            let value = json!({ "key": word, word: "value", "list": [word] });
            let text = write_yaml(&value);
            assert_eq!(read_back(&text), value, "{text}");
            let line = text.lines().next().unwrap();
            assert!(line.contains('"') || line.contains('\''), "{line}");
        }
    }

    #[test]
    fn base64_stays_on_one_line_and_text_in_literal_blocks() {
        let base64 = "QUJD".repeat(200);
        let text =
            write_yaml(&json!({ "a": base64, "b": "x y ".repeat(100) + "z", "c": "one\ntwo\n" }));
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(format!("a: {base64}").as_str()));
        assert!(lines.next().unwrap().starts_with("b: "));
        assert_eq!(lines.collect::<Vec<_>>(), ["c: |", "  one", "  two"]);
    }

    #[test]
    fn a_line_that_begins_with_a_tab_is_never_in_a_block() {
        assert_eq!(
            write_yaml(&json!({ "a": "\tx\ny\n" })),
            "a: \"\\tx\\ny\\n\"\n"
        );
    }

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ \\t\\n:#\"'a-z0-9_.-]{0,12}",
            "(on|y|0|_|1|\n| |e|\\.|x){0,6}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_written_reads_back_the_same(value in any_value()) {
            let text = write_yaml(&json!({ "value": value }));
            prop_assert_eq!(&read_back(&text)["value"], &value, "{}", text);
        }
    }
}
