use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::read;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn sealed() -> SealedReplacement {
    SealedReplacement {
        api_version: "waxwing.dev/v1alpha1".to_owned(),
        kind: "SealedSecret".to_owned(),
        namespace: None,
        spec: json!({ "encryptedData": { "password": "wx1:abc" } }),
        remove_annotations: vec![LAST_APPLIED.to_owned()],
    }
}

/// Seals every Secret of `source`, and checks on the way that nothing else changed in value.
fn seal_with(source: &str, replacement: &SealedReplacement) -> Result<String, RewriteError> {
    let objects =
        read("t.yaml", source.as_bytes(), &Limits::default()).map_err(RewriteError::Read)?;
    let secrets = objects.iter().filter(|object| object.id.kind == "Secret");
    let sealed: BTreeMap<_, _> = secrets
        .map(|object| (object.index, replacement.clone()))
        .collect();
    let new = seal_in_place("t.yaml", source.as_bytes(), &sealed, &Limits::default())?;
    let new = String::from_utf8(new).unwrap();
    let after = read("t.yaml", new.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(after.len(), objects.len());
    for (before, after) in objects.iter().zip(&after) {
        if sealed.contains_key(&before.index) {
            assert_eq!(
                (after.id.kind.as_str(), &after.value["spec"]),
                ("SealedSecret", &replacement.spec)
            );
            for gone in ["data", "stringData", "type", "immutable"] {
                assert!(after.value.get(gone).is_none());
            }
        } else {
            assert!(before.value == after.value);
        }
    }
    Ok(new)
}

fn seal(source: &str) -> String {
    seal_with(source, &sealed()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_document_keeps_its_metadata_comments_and_order() {
    let source = "\
# the database of the shop
apiVersion: v1   # core
kind: \"Secret\"
metadata:
  # never rename
  name: db # ours
  labels: {app: shop}   # flow
# what it is
type: Opaque
# the values
data:
  # the password
  password: aHVudGVyMg==
  user: |
    IyBu
    # not a comment
  # deeper
# at the end
";
    let expected = "\
# the database of the shop
apiVersion: waxwing.dev/v1alpha1   # core
kind: SealedSecret
metadata:
  # never rename
  name: db # ours
  labels: {app: shop}   # flow
# what it is
spec:
  encryptedData:
    password: wx1:abc
# the values
# at the end
";
    assert_eq!(seal(source), expected);
}

#[test]
fn every_other_document_keeps_every_byte() {
    let before = "\u{feff}# head\r\n---\r\napiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a,\r\n  labels: {}}\r\ndata:   {x:   'y'}\r\n--- # two\r\n";
    let secret = "kind: Secret\r\napiVersion: v1\r\nstringData: {password: hunter2}\r\nmetadata:\r\n  name: db\r\n";
    let after = "...\r\n---\r\nnot: an object\r\n---\r\n# empty\r\n---\r\napiVersion: v1\r\nkind: Namespace\r\nmetadata:\r\n  name: x";
    let source = format!("{before}{secret}{after}");
    let documents = crate::documents("t.yaml", source.as_bytes(), &Limits::default())
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(documents.len(), 5);
    let new = seal_in_place(
        "t.yaml",
        source.as_bytes(),
        &[(1, sealed())].into(),
        &Limits::default(),
    )
    .unwrap();
    let sealed = "kind: SealedSecret\r\napiVersion: waxwing.dev/v1alpha1\r\nspec:\r\n  encryptedData:\r\n    password: wx1:abc\r\nmetadata:\r\n  name: db\r\n";
    assert_eq!(
        String::from_utf8(new).unwrap(),
        format!("{before}{sealed}{after}")
    );
}

#[test]
fn a_missing_final_newline_stays_missing() {
    assert_eq!(
        seal(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2"
        ),
        "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  encryptedData:\n    password: wx1:abc"
    );
    assert_eq!(
        seal(
            "stringData: {password: hunter2}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db"
        ),
        "spec:\n  encryptedData:\n    password: wx1:abc\napiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db"
    );
}

#[test]
fn blank_lines_after_a_block_scalar_stay() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: |\n    hunter2\n    # of it\n";
    let source = format!("{secret}\n\n---\n# empty\n");
    let object = read("t.yaml", source.as_bytes(), &Limits::default())
        .unwrap_or_else(|errors| panic!("{errors:?}"))
        .remove(0);
    assert_eq!(object.span, 0..secret.len() - 1);
    let new = seal(&source);
    assert!(
        new.ends_with("metadata:\n  name: db\nspec:\n  encryptedData:\n    password: wx1:abc\n\n\n---\n# empty\n"),
        "{new}"
    );
}

#[test]
fn several_removed_fields_leave_one_spec() {
    assert_eq!(
        seal(
            "apiVersion: v1\nimmutable: true # yes\nkind: Secret\n\ndata: {}\nmetadata: {name: db}\n\nstringData:\n  password: hunter2\n\n\ntype: Opaque\n"
        ),
        "apiVersion: waxwing.dev/v1alpha1\nspec:\n  encryptedData:\n    password: wx1:abc\nkind: SealedSecret\n\nmetadata: {name: db}\n\n\n\n"
    );
}

#[test]
fn list_items_keep_their_indentation() {
    let source = "\
apiVersion: v1
kind: List
items:
- data: # first
    password: aHVudGVyMg==
  apiVersion: v1
  kind: Secret
  metadata:
    name: a
# between
-   apiVersion: v1
    kind: ConfigMap
    metadata: {name: b}
- apiVersion: v1
  kind: Secret
  metadata:
    name: c
  stringData:
    password: hunter2
metadata: {}
";
    let expected = "\
apiVersion: v1
kind: List
items:
- spec:
    encryptedData:
      password: wx1:abc
  apiVersion: waxwing.dev/v1alpha1
  kind: SealedSecret
  metadata:
    name: a
# between
-   apiVersion: v1
    kind: ConfigMap
    metadata: {name: b}
- apiVersion: waxwing.dev/v1alpha1
  kind: SealedSecret
  metadata:
    name: c
  spec:
    encryptedData:
      password: wx1:abc
metadata: {}
";
    assert_eq!(seal(source), expected);
}

#[test]
fn items_of_a_typed_list_get_the_type_that_they_inherited() {
    let source = "apiVersion: v1\nkind: SecretList\nitems:\n  - metadata:\n      name: a\n    stringData:\n      password: hunter2\n";
    let expected = "apiVersion: v1\nkind: SecretList\nitems:\n  - metadata:\n      name: a\n    spec:\n      encryptedData:\n        password: wx1:abc\n    \
                    apiVersion: waxwing.dev/v1alpha1\n    kind: SealedSecret\n";
    assert_eq!(seal(source), expected);
}

#[test]
fn json_keeps_its_layout() {
    let source = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Secret\",\n\t\"metadata\": {\"name\": \"db\", \"annotations\": {\"kubectl.kubernetes.io/last-applied-configuration\": \"{}\"}},\n\t\"type\": \"Opaque\",\n\t\"data\": {\"password\": \"aHVudGVyMg==\"}\n}\n";
    let expected = "{\n\t\"apiVersion\": \"waxwing.dev/v1alpha1\",\n\t\"kind\": \"SealedSecret\",\n\t\"metadata\": {\"name\": \"db\"},\n\t\"spec\": {\n\t\t\"encryptedData\": {\n\t\t\t\"password\": \"wx1:abc\"\n\t\t}\n\t}\n}\n";
    assert_eq!(seal(source), expected);
    assert_eq!(
        seal(
            r#"{"apiVersion":"v1","kind":"List","items":[{"data":{"a":"Yg=="},"type":"Opaque","apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}]}"#
        ),
        r#"{"apiVersion":"v1","kind":"List","items":[{"spec": {"encryptedData":{"password":"wx1:abc"}},"apiVersion":"waxwing.dev/v1alpha1","kind":"SealedSecret","metadata":{"name":"a"}}]}"#
    );
}

#[test]
fn flow_inside_of_block_stays_flow() {
    assert_eq!(
        seal(
            "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {password: hunter2}, type: Opaque} # one line\n"
        ),
        "{apiVersion: \"waxwing.dev/v1alpha1\", kind: \"SealedSecret\", metadata: {name: db}, \"spec\": {\"encryptedData\":{\"password\":\"wx1:abc\"}}} # one line\n"
    );
}

#[test]
fn json_objects_in_a_row_are_sealed_one_by_one() {
    let config = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let secret =
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"},"stringData":{"a":"b"}}"#;
    let new = seal(&format!("{config}\n{secret}\n{config}"));
    assert!(new.starts_with(&format!(
        "{config}\n{{\"apiVersion\":\"waxwing.dev/v1alpha1\""
    )));
    assert!(new.ends_with(&format!("}}\n{config}")));
}

#[test]
fn the_copy_of_kubectl_goes_and_other_annotations_stay() {
    let source = "\
apiVersion: v1
kind: Secret
metadata:
  annotations:
    # first
    a: b # kept
    kubectl.kubernetes.io/last-applied-configuration: |
      {\"apiVersion\":\"v1\"}
    c: d
  name: db
data: {password: aHVudGVyMg==}
";
    let new = seal(source);
    assert!(
        new.contains("  annotations:\n    # first\n    a: b # kept\n    c: d\n  name: db\n"),
        "{new}"
    );
    let only = source
        .replace("    # first\n    a: b # kept\n", "")
        .replace("    c: d\n", "");
    let new = seal(&only);
    assert!(new.contains("metadata:\n  name: db\n"), "{new}");
}

#[test]
fn a_namespace_is_added_only_where_there_is_none() {
    let with = SealedReplacement {
        namespace: Some("shop".to_owned()),
        ..sealed()
    };
    let new = |metadata: &str| {
        seal_with(
            &format!("apiVersion: v1\nkind: Secret\nmetadata:{metadata}\ndata: {{a: Yg==}}\n"),
            &with,
        )
        .unwrap()
    };
    assert!(
        new("\n  name: db # here\n  # labels\n  labels: {}")
            .contains("\n  name: db # here\n  namespace: shop\n  # labels\n  labels: {}\n")
    );
    assert!(
        new("\n  labels: {}\n  name: db")
            .contains("\n  labels: {}\n  name: db\n  namespace: shop\nspec:")
    );
    assert!(
        new(" {name: db, labels: {}}")
            .contains("metadata: {name: db, \"namespace\": \"shop\", labels: {}}\n")
    );
    assert!(new("\n  name: db\n  namespace: \"\" # none").contains("\n  namespace: shop # none\n"));
    assert!(new("\n  name: db\n  namespace:").contains("\n  namespace: shop\n"));
    assert!(new("\n  name: db\n  namespace: other").contains("\n  namespace: other\n"));
}

#[test]
fn anchors_inside_of_one_secret_are_resolved() {
    let source = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  labels: &l {a: b}\n  annotations: *l\nstringData:\n  a: &v hunter2\n  b: *v\n";
    let new = seal(source);
    assert!(
        new.contains("labels: &l {a: b}\n  annotations: *l\nspec:"),
        "{new}"
    );
    let merged =
        "apiVersion: v1\nkind: Secret\ndata: &d {a: Yg==}\nmetadata:\n  labels: *d\n  name: db\n";
    let new = seal(merged);
    assert!(
        !new.contains('*') && !new.contains('&') && new.contains("labels:\n    a: Yg=="),
        "{new}"
    );
}

#[test]
fn an_anchor_that_others_use_is_refused() {
    let source = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  data: &d {a: Yg==}\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n  data: *d\n";
    let error = seal_with(source, &sealed()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.yaml:4:3 (document 1): Secret a shares anchors with other parts of the file, or comes from a merge key; write it out in full"
    );
}

#[test]
fn values_that_would_stay_readable_at_an_anchor_are_refused() {
    let list = "apiVersion: v1\nkind: List\n";
    for (source, place, line) in [
        (
            format!("{list}x: &s {{apiVersion: v1, kind: Secret, metadata: {{name: a}}, data: {{a: Yg==}}}}\nitems:\n- *s\n"),
            "5:3",
            3,
        ),
        (
            format!("---\n---\n{list}x:\n  s: &s {{a: hunter2}}\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: a}}\n  stringData:\n    <<: *s\n"),
            "8:3",
            6,
        ),
        (
            format!("{list}x: &s\n  data: {{a: Yg==}}\nitems:\n- <<: *s\n  apiVersion: v1\n  kind: Secret\n  metadata: {{name: a}}\n"),
            "6:3",
            4,
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  labels: {l: &l hunter2}\nstringData: {a: *l}\n".to_owned(),
            "1:1",
            5,
        ),
    ] {
        let error = seal_with(&source, &sealed()).unwrap_err().to_string();
        let document = if source.starts_with("---") { 2 } else { 1 };
        assert_eq!(
            error,
            format!("t.yaml:{place} (document {document}): values of Secret a come from an anchor at line {line} and would stay readable there; write them out in the Secret itself")
        );
    }
}

#[test]
fn a_field_that_would_be_lost_is_refused() {
    let error = seal_with(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndatas:\n  a: Yg==\n",
        &sealed(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.yaml:4:1 (document 1): Secret a has a field \"datas\", which a Secret does not have; remove it"
    );
    let error = seal_in_place("t.yaml", b"a: [", &BTreeMap::new(), &Limits::default()).unwrap_err();
    assert!(matches!(error, RewriteError::Read(_)));
    let error = seal_in_place(
        "t.yaml",
        b"a: 1",
        &[(3, sealed())].into(),
        &Limits::default(),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "the file has no object number 4");
}

#[test]
fn one_entry_is_exchanged_and_the_rest_keeps_its_bytes() {
    let source = "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec:\n  encryptedData:\n    # old\n    a: wx1:1 # one\n    b: \"wx1:2\"\n\n    c: wx1:3\n";
    let object = read("t.yaml", source.as_bytes(), &Limits::default())
        .unwrap_or_else(|errors| panic!("{errors:?}"))
        .remove(0);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = object.value.clone();
        change(&mut value["spec"]["encryptedData"]);
        String::from_utf8(
            edit(
                "t.yaml",
                source.as_bytes(),
                &[(0, value)].into(),
                &Limits::default(),
            )
            .unwrap(),
        )
        .unwrap()
    };
    assert_eq!(changed(&|_| {}), source);
    assert_eq!(
        changed(&|data| data["a"] = json!("wx1:9")),
        source.replace("wx1:1", "wx1:9")
    );
    assert_eq!(
        changed(&|data| data["d"] = json!("wx1:4")),
        format!("{source}    d: wx1:4\n")
    );
    assert_eq!(
        changed(&|data| drop(data.as_object_mut().unwrap().shift_remove("b"))),
        source.replace("    b: \"wx1:2\"\n", "")
    );
}

/// A file of several documents in several styles, one of them a Secret.
fn any_file() -> impl Strategy<Value = (String, String, String)> {
    let eol = prop_oneof![Just("\n"), Just("\r\n")];
    let noise = prop_oneof![
        Just(""),
        Just("# a comment\n"),
        Just(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a} # x\ndata:\n  k: |\n    apiVersion: v1\n    kind: Secret\n\n"
        ),
        Just(
            "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}\n"
        ),
        Just("other: yaml\n\n\n"),
    ];
    let fields = prop::sample::subsequence(
        vec![
            "type: Opaque # t\n",
            "data:\n  # c\n  a: Yg==\n",
            "stringData: {b: 'x y'}\n",
            "immutable: true\n\n",
            "data2",
        ],
        1..4,
    );
    let head = Just(vec![
        "apiVersion: v1\n",
        "kind: Secret # k\n",
        "metadata:\n  name: db\n  # m\n  labels: {x: z}\n",
    ]);
    let secret = (fields, head).prop_flat_map(|(fields, head)| {
        let fields = fields.into_iter().filter(|field| *field != "data2");
        Just(fields.chain(head).collect::<Vec<_>>())
            .prop_shuffle()
            .prop_map(|parts| parts.concat())
    });
    (
        prop::collection::vec(noise.clone(), 0..4),
        secret,
        prop::collection::vec(noise, 0..4),
        eol,
        any::<bool>(),
    )
        .prop_map(|(before, secret, after, eol, bom)| {
            let before: String = before.iter().flat_map(|part| [part, "---\n"]).collect();
            let after: String = after.iter().flat_map(|part| ["---\n", part]).collect();
            let crlf = |text: &str| text.replace('\n', eol);
            (
                format!("{}{}", if bom { "\u{feff}" } else { "" }, crlf(&before)),
                crlf(&secret),
                crlf(&after),
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_outside_of_the_secret_never_change((before, secret, after) in any_file()) {
        let source = format!("{before}{secret}{after}");
        let documents = crate::documents("t.yaml", source.as_bytes(), &Limits::default()).unwrap_or_else(|errors| panic!("{errors:?}\n{source}"));
        let objects: Vec<_> = documents.into_iter().flat_map(|document| document.objects).collect();
        let object = objects.iter().find(|object| object.id.kind == "Secret").unwrap();
        let new = seal_in_place("t.yaml", source.as_bytes(), &[(object.index, sealed())].into(), &Limits::default()).unwrap();
        let new = String::from_utf8(new).unwrap();
        prop_assert!(new.starts_with(&before), "{new}");
        prop_assert!(new.ends_with(&after), "{new}");
        let middle = &new[before.len()..new.len() - after.len()];
        let eol = if secret.contains('\r') { "\r\n" } else { "\n" };
        prop_assert_eq!(middle.matches('\n').count(), middle.matches(eol).count());
        let metadata = "metadata:\n  name: db\n  # m\n  labels: {x: z}\n".replace('\n', eol);
        prop_assert!(middle.contains(&metadata), "{middle}");
        prop_assert!(middle.contains("kind: SealedSecret # k"), "{middle}");
        prop_assert!(!middle.contains("Yg==") && !middle.contains("x y") && !middle.contains("Opaque"));
    }
}
