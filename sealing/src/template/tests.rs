use super::*;

fn rendered(text: &str, value: &[u8]) -> Result<Vec<u8>, String> {
    let texts = BTreeMap::from([("file".to_owned(), text.to_owned())]);
    let template = Template::parse(&texts).map_err(|errors| errors[0].to_string())?;
    let longest = template.longest(|_| value.len());
    let files = template.render(|_| value);
    assert!(
        files[0].1.len() <= longest,
        "{text}: {} bytes, at most {longest} announced",
        files[0].1.len()
    );
    assert_eq!(
        files[0].1.len(),
        files[0].1.capacity(),
        "{text}: the buffer grew"
    );
    Ok(files[0].1.to_vec())
}

fn text(template: &str, value: &[u8]) -> String {
    String::from_utf8(rendered(template, value).unwrap()).unwrap()
}

#[test]
fn values_and_encoders() {
    assert_eq!(
        text(
            "postgres://app:{{ P | urlencode }}@db/app",
            b"p@ss w/rd%\xc3\xa9"
        ),
        "postgres://app:p%40ss%20w%2Frd%25%C3%A9@db/app"
    );
    assert_eq!(text("{{P}}", b"plain"), "plain");
    assert_eq!(text("a{{\tP |base64}}b", b"\x00\xff"), "aAP8=b");
    assert_eq!(
        text("{{ P | json }}", b"a\"\\\n\r\t\x01\x7f\xc3\xa9"),
        "\"a\\\"\\\\\\n\\r\\t\\u0001\u{7f}é\""
    );
    assert_eq!(
        text("{{ P | quote }}", b"a\"\\\n\x01\x7f\xc3\xa9"),
        "\"a\\\"\\\\\\n\\x01\\x7fé\""
    );
    assert_eq!(
        text("x:\n{{ P | indent(2) }}", b"a\nb\n"),
        "x:\n  a\n  b\n  "
    );
    assert_eq!(text("{{ P | indent(0) }}", b"a\nb"), "a\nb");
    assert_eq!(text("{{ P | base64 | json }}", b"a"), "\"YQ==\"");
    assert_eq!(text("", b"a"), "");
    assert_eq!(text("no names } here }}", b"a"), "no names } here }}");
}

#[test]
fn raw_values_are_bytes() {
    assert_eq!(rendered("<{{ P }}>", b"\xff\x00").unwrap(), b"<\xff\x00>");
}

#[test]
fn braces_can_be_written() {
    assert_eq!(text("{{\"{{\"}} .Values.x }}", b"a"), "{{ .Values.x }}");
    assert_eq!(text("{{ \"{{\" }}{{P}}", b"a"), "{{a");
}

#[test]
fn values_are_never_read_as_a_template() {
    assert_eq!(text("{{ P }}", b"{{ P }}"), "{{ P }}");
}

#[test]
fn invalid_utf8_never_fails() {
    for encoder in ["json", "quote", "indent(1)"] {
        assert!(
            text(&format!("{{{{ P | {encoder} }}}}"), b"a\xffb\xe2\x82")
                .contains("a\u{fffd}b\u{fffd}"),
            "{encoder}"
        );
    }
    assert_eq!(text("{{ P | urlencode }}", b"\xff"), "%FF");
}

#[test]
fn json_reads_back() {
    let every: String = (0..0x250).filter_map(char::from_u32).collect();
    let read: String = serde_json::from_str(&text("{{ P | json }}", every.as_bytes())).unwrap();
    assert_eq!(read, every);
}

#[test]
fn errors_name_key_and_line() {
    for (template, why) in [
        ("a\n{{ P", "line 2: `{{` without `}}`"),
        ("{{ }}", "line 1: \"\" is not the name of an entry"),
        ("{{ P Q }}", "\"P Q\" is not the name"),
        ("{{ P | }}", "\"\" is not an encoder"),
        (
            "{{ P | lower }}",
            "\"lower\" is not an encoder; there are json, base64",
        ),
        ("{{ P | indent }}", "indent takes a number"),
        ("{{ P | indent() }}", "indent takes a number"),
        ("{{ P | indent(101) }}", "indent takes a number"),
        ("{{ P | indent(-1) }}", "indent takes a number"),
        ("{{ P | indent(+1) }}", "indent takes a number"),
        (
            "{{ P | indent(99999999999999999999999) }}",
            "indent takes a number",
        ),
        ("{{ if P }}x{{ end }}", "\"if P\" is not the name"),
        ("{{ \"{{\" | json }}", "must be followed by"),
        ("{{ .P }}{{", "`{{` without `}}`"),
    ] {
        let error = rendered(template, b"").unwrap_err();
        assert!(
            error.contains(why) && error.contains("\"file\""),
            "{template}: {error}"
        );
    }
    assert!(Template::parse(&BTreeMap::from([("a b".to_owned(), String::new())])).is_err());
}

#[test]
fn the_digest_covers_keys_texts_and_their_borders() {
    let of = |pairs: &[(&str, &str)]| {
        digest(
            &pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
        .unwrap()
    };
    let texts = [
        &[][..],
        &[("a", "")],
        &[("a", "b")],
        &[("ab", "")],
        &[("a", ""), ("b", "")],
        &[("a", "b"), ("c", "")],
        &[("a", ""), ("c", "b")],
    ];
    for (i, one) in texts.iter().enumerate() {
        for other in &texts[i + 1..] {
            assert_ne!(of(one), of(other), "{one:?} {other:?}");
        }
    }
    // u16 1, LP16 "a", LP32 "b"
    let expected: [u8; 32] = Sha256::digest(b"\x00\x01\x00\x01a\x00\x00\x00\x01b").into();
    assert_eq!(of(&[("a", "b")]), expected);
}

#[test]
fn the_worst_case_is_announced_for_every_encoder() {
    let worst: Vec<Vec<u8>> = vec![
        vec![b'\n'; 500],
        vec![0xff; 500],
        vec![0x01; 500],
        vec![b'"'; 500],
        vec![0x7f; 500],
        (0..=255).collect(),
        vec![],
    ];
    for encoders in [
        "json",
        "base64",
        "urlencode",
        "quote",
        "indent(0)",
        "indent(1)",
        "indent(100)",
        "json | quote",
        "indent(3) | json | base64",
        "quote | urlencode",
    ] {
        for value in &worst {
            rendered(&format!("x{{{{ P | {encoders} }}}}y{{{{ P }}}}"), value).unwrap(); // compares inside
        }
    }
}
