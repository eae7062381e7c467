use serde_json::{Value, json};

use super::*;

fn limits() -> Limits {
    Limits::default()
}

/// The errors of a text, as people see them.
fn errors(text: &str) -> Vec<String> {
    errors_of(text.as_bytes(), &limits())
}

fn errors_of(bytes: &[u8], limits: &Limits) -> Vec<String> {
    match read("f.yaml", bytes, limits) {
        Ok(objects) => panic!("{} objects instead of errors", objects.len()),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn objects(text: &str) -> Vec<Object> {
    read("f.yaml", text.as_bytes(), &limits()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// What kubectl 1.37 makes of the same text (`kubectl annotate --local -o json`), or the same but for where it is stricter on purpose.
#[test]
fn scalars_are_read_as_kubectl_reads_them() {
    let table: &[(&str, Value)] = &[
        ("on", json!(true)),
        ("yes", json!(true)),
        ("y", json!(true)),
        ("Y", json!(true)),
        ("TRUE", json!(true)),
        ("off", json!(false)),
        ("NO", json!(false)),
        ("n", json!(false)),
        ("\"on\"", json!("on")),
        ("'y'", json!("y")),
        ("0644", json!(420)),
        ("-0644", json!(-420)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("1_000", json!(1000)),
        ("+1", json!(1)),
        ("08", json!(8)),
        ("3.0", json!(3)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1e3", json!(1000)),
        ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
        ("12:30:45", json!("12:30:45")),
        ("2001-01-01", json!("2001-01-01")),
        ("~", json!(null)),
        ("", json!(null)),
        ("Null", json!(null)),
        ("=", json!("=")),
        ("1.2.3", json!("1.2.3")),
        ("nan", json!("nan")),
        ("!Ref x", json!("x")),
        ("! 5", json!("5")),
        ("!!int 0644", json!(420)),
        ("!!binary aGk=", json!("hi")),
        ("!!str 5", json!("5")),
        ("\t1", json!(1)),
        ("{\nb: 1\n}", json!({ "b": 1 })),
        ("[\n1\n]", json!([1])),
        ("\"\\ud83d\\ude00\"", json!("\u{1f600}")),
        ("|\n  a\n  b\n", json!("a\nb\n")),
        (">-\n  a\n  b\n", json!("a b")),
    ];
    for (text, expected) in table {
        let read = value_of(&format!("a: {text}\n"), &limits())
            .unwrap_or_else(|reason| panic!("{text}: {reason}"));
        assert_eq!(&read["a"], expected, "{text}");
    }
}

#[test]
fn what_json_cannot_carry_is_refused_where_it_stands_and_never_shown() {
    let place = |line, column| format!("f.yaml:{line}:{column} (document 1): ");
    let head = config_map("a");
    for (scalar, words) in [
        (
            ".inf",
            "a number that JSON cannot carry; quote it if it is text",
        ),
        (
            "-.inf",
            "a number that JSON cannot carry; quote it if it is text",
        ),
        (
            ".nan",
            "a number that JSON cannot carry; quote it if it is text",
        ),
        (
            "123e456",
            "a number that JSON cannot carry; quote it if it is text",
        ),
        (
            "1__0",
            "a plain value that kubectl and YAML 1.2 read as different types; quote it if it is text, else write it in the usual form",
        ),
        (
            "yEs",
            "a plain value that kubectl and YAML 1.2 read as different types; quote it if it is text, else write it in the usual form",
        ),
    ] {
        assert_eq!(
            errors(&format!("{head}data:\n  password: {scalar}\n")),
            [place(6, 13) + words],
            "{scalar}"
        );
    }
    for tagged in ["!secret 5", "!secret", "!!null 5"] {
        let found = errors(&format!("{head}data:\n  password: {tagged}\n"));
        assert!(
            found.len() == 1
                && found[0].starts_with("f.yaml:6:")
                && found[0].contains("a plain value"),
            "{found:?}"
        );
    }
    let binary = errors(&format!("{head}data:\n  password: !!binary /w==\n"));
    assert_eq!(
        binary,
        [place(6, 22)
            + "not well-formed YAML: a key that is not text, or a value that JSON has no form for"]
    );
}

#[test]
fn documents_lists_anchors_and_merge_keys() {
    let text = "\
# comments
---
apiVersion: v1
kind: List
items:
- &a
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: one, namespace: shop, labels: &l {app: x}}
  spec: {replicas: 1}
- <<: *a
  metadata: {name: two, labels: {<<: *l, tier: web}}
---
# nothing
---
null
--- {apiVersion: v1, kind: Secret, metadata: {name: three}}
...
";
    let found = objects(text);
    let ids: Vec<_> = found.iter().map(|object| object.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "Deployment.apps shop/one",
            "Deployment.apps two",
            "Secret three"
        ]
    );
    assert_eq!(
        found[1].value["metadata"]["labels"],
        json!({ "app": "x", "tier": "web" })
    );
    assert_eq!(found[1].value["spec"], json!({ "replicas": 1 }));
    let places: Vec<_> = found
        .iter()
        .map(|object| object.location.to_string())
        .collect();
    assert_eq!(
        places,
        [
            "f.yaml:7:3 (document 1)",
            "f.yaml:11:3 (document 1)",
            "f.yaml:17:5 (document 4)"
        ]
    );
    assert_eq!(
        found.iter().map(|object| object.index).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert!(
        text[found[0].span.clone()].starts_with("apiVersion: apps/v1")
            && text[found[0].span.clone()].ends_with("{replicas: 1}")
    );
    assert!(
        text[found[1].span.clone()].starts_with("<<: *a\n")
            && text[found[1].span.clone()].ends_with("tier: web}}")
    );
    assert_eq!(
        &text[found[2].span.clone()],
        "{apiVersion: v1, kind: Secret, metadata: {name: three}}"
    );
}

#[test]
fn the_documents_of_a_file_make_up_all_of_it() {
    for text in [
        "",
        "# c\n",
        "a: 1",
        "\u{feff}a: 1\r\n---\r\nb: 2\r\n",
        "---\n---\n",
        "{\"a\":1} {\"b\":2}\n",
    ] {
        let documents = documents("f", text.as_bytes(), &limits())
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        let joined: String = documents
            .iter()
            .map(|document| &text[document.span.clone()])
            .collect();
        assert_eq!(joined, text);
        assert!(
            documents
                .iter()
                .enumerate()
                .all(|(position, document)| document.number == position + 1)
        );
    }
}

#[test]
fn lists_of_kubernetes_and_their_inherited_types() {
    let text = "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: b}}]}\n";
    let ids: Vec<_> = objects(text)
        .iter()
        .map(|object| object.id.to_string())
        .collect();
    assert_eq!(ids, ["Secret a", "Pod b"]);
    assert!(objects("apiVersion: v1\nkind: List\nitems: []\n").is_empty());
    assert!(objects("apiVersion: v1\nkind: PodList\nitems:\n").is_empty());
    // An item that says one of the two must say the other.
    let half = |item: &str| {
        errors(&format!(
            "apiVersion: v1\nkind: SecretList\nitems:\n- {item}\n"
        ))
    };
    assert_eq!(
        half("{kind: Secret, metadata: {name: a}}"),
        ["f.yaml:4:3 (document 1): not a Kubernetes object: apiVersion is missing"]
    );
    assert_eq!(
        half("{apiVersion: v1, metadata: {name: a}}"),
        ["f.yaml:4:3 (document 1): not a Kubernetes object: kind is missing"]
    );
    // A kind that only ends in the same letters is an object.
    assert_eq!(
        objects("apiVersion: x/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {items: []}\n")
            .len(),
        1
    );
    assert_eq!(
        errors("apiVersion: v1\nkind: List\n"),
        ["f.yaml:1:1 (document 1): not a Kubernetes object: metadata.name is missing"]
    );
    assert_eq!(
        errors("apiVersion: v1\nkind: List\nitems:\n- 5\n"),
        [
            "f.yaml:4:3 (document 1): not a Kubernetes object: a mapping with apiVersion, kind and metadata was expected"
        ]
    );
}

#[test]
fn byte_order_mark_line_endings_and_a_missing_newline() {
    let text = "\u{feff}apiVersion: v1\r\nkind: Secret\r\nmetadata:\r\n  name: ü\r\ndata:\r\n  a: |\r\n    x\r\n    y\r\n  b: Yg==";
    let found = objects(text);
    assert_eq!(
        found[0].value["data"],
        json!({ "a": "x\ny\n", "b": "Yg==" })
    );
    assert_eq!(found[0].location.to_string(), "f.yaml:1:1 (document 1)");
    assert_eq!(found[0].span, 3..text.len());
    assert_eq!(
        found[0].location_of(&["data", "b"]).to_string(),
        "f.yaml:9:3 (document 1)"
    );
    assert_eq!(
        found[0].location_of(&["data", "c"]).to_string(),
        "f.yaml:5:1 (document 1)"
    );
    assert_eq!(
        found[0].location_of(&["x"]).to_string(),
        "f.yaml:1:1 (document 1)"
    );
}

#[test]
fn every_broken_document_is_reported_with_its_place() {
    let text = format!(
        "{}---\na: b: c\n---\nkind: [\n---\n{}a: 1\na: 2\n---\nx: @y\n",
        config_map("a"),
        config_map("b")
    );
    let found = errors(&text);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!(
        found[0],
        "f.yaml:6:5 (document 2): not well-formed YAML: mapping values are not allowed in this context"
    );
    assert!(
        found[1].starts_with("f.yaml:8:7 (document 3): not well-formed YAML: unclosed bracket"),
        "{}",
        found[1]
    );
    assert_eq!(
        found[2],
        "f.yaml:15:1 (document 4): the key \"a\" stands twice in one mapping; remove one of the two"
    );
    assert!(
        found[3].starts_with("f.yaml:17:4 (document 5): not well-formed YAML: "),
        "{}",
        found[3]
    );
}

#[test]
fn every_reason_names_its_line_and_column() {
    let head = config_map("a");
    let cases = [
        (
            "- 1\n".to_owned(),
            "1:1",
            "not a Kubernetes object: a mapping with apiVersion, kind and metadata was expected",
        ),
        (
            "kind: Secret\nmetadata: {name: a}\n".to_owned(),
            "1:1",
            "not a Kubernetes object: apiVersion is missing",
        ),
        (
            "apiVersion: v1\nkind: ''\n".to_owned(),
            "2:1",
            "not a Kubernetes object: kind is missing",
        ),
        (
            "apiVersion: 1\nkind: A\n".to_owned(),
            "1:1",
            "apiVersion must be text; quote it",
        ),
        (
            "kind: A\napiVersion: a/b/c\n".to_owned(),
            "2:1",
            "apiVersion must be `version` or `group/version`",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  labels: {}\n".to_owned(),
            "3:1",
            "not a Kubernetes object: metadata.name is missing",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: 5}\n".to_owned(),
            "3:12",
            "metadata.name must be text; quote it",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: 5}\n".to_owned(),
            "3:21",
            "metadata.namespace must be text; quote it",
        ),
        (
            "apiVersion: v1\nkind: Job\nmetadata:\n  generateName: a-\n".to_owned(),
            "4:3",
            "metadata.generateName makes a new object on every apply, so it cannot be kept in step with Git; give it a metadata.name",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    wave: 5\n"
                .to_owned(),
            "6:5",
            "metadata.annotations[\"wave\"] must be text; quote it",
        ),
        (
            format!("{head}data:\n  \"a\": b\n  a: c\n"),
            "7:3",
            "the key \"a\" stands twice in one mapping; remove one of the two",
        ),
        (
            format!("{head}data:\n  on: b\n"),
            "6:3",
            "kubectl reads the plain key on as \"true\"; quote it: \"on\"",
        ),
        (
            format!("{head}data: {{1.10: b}}\n"),
            "5:8",
            "kubectl reads the plain key 1.10 as \"1.1\"; quote it: \"1.10\"",
        ),
        (
            format!("{head}x: &x {{a: 1}}\nq:\n  a: 2\n  <<: *x\n"),
            "7:3",
            "the merge key `<<` stands after the key \"a\", which it also brings, and kubectl lets the merge win; put `<<` first",
        ),
        (
            format!("{head}x: &x {{a: 1}}\nz: &z {{<<: *x}}\nq:\n  a: 2\n  <<: [*z]\n"),
            "8:3",
            "the merge key `<<` stands after the key \"a\"",
        ),
        (format!("{head}x: *nope\n"), "5:4", "not well-formed YAML: "),
        (
            format!("{head}x: &x [*x]\n"),
            "5:8",
            "not well-formed YAML: an alias inside of the node that it stands for",
        ),
        (
            format!("{head}x: {{<<: 5}}\n"),
            "5:9",
            "not well-formed YAML: the merge key `<<` takes a mapping or a list of mappings",
        ),
        (
            format!("{head}x: !!timestamp 2001-01-01\n"),
            "5:16",
            "not well-formed YAML: a tag that JSON has no type for",
        ),
        (
            format!("{head}? [a]\n: b\n"),
            "5:3",
            "not well-formed YAML: a key that is not text, or a value that JSON has no form for",
        ),
        (
            format!("{head}x: {{{{ .Values.x }}}}\n"),
            "5:5",
            "not well-formed YAML: a key that is not text, or a value that JSON has no form for",
        ),
        (
            format!("{head}...\nb: 1\n"),
            "6:1",
            "a second document without `---` before it, which kubectl would drop; put a line `---` before it",
        ),
        (
            "%YAML 1.1\n---\na: 1\n".to_owned(),
            "2:1",
            "not well-formed YAML: did not find expected <document start>",
        ),
    ];
    for (text, place, words) in cases {
        let found = &errors(&text)[0];
        assert!(
            found.starts_with(&format!("f.yaml:{place} (document 1): {words}")),
            "{text}\n{found}"
        );
    }
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> = "a: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain("a: 1\n".encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    for bytes in [utf16, with_mark] {
        assert_eq!(
            errors_of(&bytes, &limits()),
            ["f.yaml:1:1 (document 1): the file is UTF-16; save it as UTF-8"]
        );
    }
    let broken = b"a: 1\n# \xc3\xbc \xff\n";
    assert_eq!(
        errors_of(broken, &limits()),
        [
            "f.yaml:2:5 (document 1): the file is not UTF-8: it has a broken byte here; save it as UTF-8"
        ]
    );
}

#[test]
fn limits_are_named_and_nothing_is_read_in_part() {
    let cases: &[(Limits, String, &str)] = &[
        (
            Limits {
                file_bytes: 10,
                ..limits()
            },
            config_map("a"),
            "1:1 (document 1): more than 10 bytes in one file",
        ),
        (
            Limits {
                documents: 2,
                ..limits()
            },
            "---\n---\n---\n".to_owned(),
            "3:1 (document 1): more than 2 documents in one file",
        ),
        (
            Limits {
                nodes: 4,
                ..limits()
            },
            "a: 1\nb: 2\n".to_owned(),
            "2:4 (document 1): more than 4 nodes in one document",
        ),
        (
            Limits {
                depth: 3,
                ..limits()
            },
            "a: [[[]]]\n".to_owned(),
            "1:6 (document 1): more than 3 levels of nesting",
        ),
        (
            Limits {
                depth: 3,
                ..limits()
            },
            "a:\n b:\n  c:\n   d:\n".to_owned(),
            "4:4 (document 1): more than 3 levels of nesting",
        ),
        (
            Limits {
                aliases: 1,
                ..limits()
            },
            "a: &a 1\nb: *a\nc: *a\n".to_owned(),
            "3:4 (document 1): more than 1 aliases in one document",
        ),
        (
            Limits {
                objects: 1,
                ..limits()
            },
            format!("{}---\n{}", config_map("a"), config_map("b")),
            "6:1 (document 2): more than 1 objects in one file",
        ),
        (
            limits(),
            "[".repeat(20_000),
            "1:256 (document 1): more than 100 levels of nesting",
        ),
        (
            limits(),
            "a: ".to_owned() + &"[".repeat(200) + &"]".repeat(200),
            "1:103 (document 1): more than 100 levels of nesting",
        ),
    ];
    for (limits, text, expected) in cases {
        let found = &errors_of(text.as_bytes(), limits)[0];
        assert!(found.starts_with(&format!("f.yaml:{expected}")), "{found}");
        assert!(documents("f.yaml", text.as_bytes(), limits).is_err());
    }
}

#[test]
fn a_billion_laughs_are_refused_quickly() {
    let mut text = config_map("a") + "a: &a [x, x, x, x, x, x, x, x, x]\n";
    for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        text.extend([format!("{name}: &{name} [{aliases}]\n")]);
    }
    let started = std::time::Instant::now();
    let found = errors(&text);
    assert!(
        found[0].contains("more than 100000 nodes expanded from aliases")
            || found[0].contains("aliases"),
        "{found:?}"
    );
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn other_programs_yaml_is_told_apart_from_secrets_without_a_name() {
    let text = format!(
        "replicas: 5\n---\n{}---\napiVersion: v1\nkind: Secret\nmetadata: {{generateName: a-}}\n---\nkind: Secret\n---\napiVersion: other.example/v1\nkind: Secret\n",
        config_map("a")
    );
    let documents = documents("f.yaml", text.as_bytes(), &limits())
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let secrets: Vec<_> = documents
        .iter()
        .flat_map(|document| &document.incomplete)
        .map(Incomplete::is_secret)
        .collect();
    assert_eq!(secrets, [false, true, true, false]);
    assert_eq!(documents[1].objects.len(), 1);
    assert_eq!(
        read("f.yaml", text.as_bytes(), &limits())
            .map(|_| ())
            .unwrap_err()
            .len(),
        4
    );
    // Its keys are nobody's business.
    assert!(self::documents("f.yaml", b"on: push\n", &limits()).is_ok());
}

#[test]
fn errors_never_carry_values() {
    let value = "hunter2";
    for text in [
        format!("a: {value}: x\n"),
        format!("a: \"{value}\n"),
        format!("a: [{value}\n"),
        format!("{}a: !!int {value}\n", config_map("a")),
        format!("{}a: !!binary {value}!\n", config_map("a")),
        format!("{}a: !!bool {value}\n", config_map("a")),
        format!("{}a: !!float {value}\n", config_map("a")),
        format!("{}? {{{value}: 1}}\n: 2\n", config_map("a")),
        format!("a: @{value}\n"),
        format!("a: '{value}' {value}\n"),
        format!("a: |{value}\n"),
        format!("a: \"\\x{value}\"\n"),
        format!("apiVersion: v1\nkind: [{value}]\n"),
    ] {
        let found = errors(&text).join("\n");
        assert!(!found.contains(value), "{text}\n{found}");
    }
}
