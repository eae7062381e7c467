//! Plaintext in Secrets and beside sealed values.

use serde_json::Value;

use super::last_applied;
use super::value::{is_data_plaintext, is_string_plaintext};
use crate::annotations::LAST_APPLIED;
use crate::{Location, Object, ObjectId};

/// An object that carries plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaintextSecret {
    /// The object.
    pub object: ObjectId,
    /// What in it is plaintext, in the order of the file. Never empty.
    pub keys: Vec<PlaintextKey>,
}

/// One value in plaintext: where, never what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaintextKey {
    /// The field that holds it, such as `data`, `stringData`, `spec.template.stringData` or `metadata.annotations`.
    pub field: String,
    /// The key in that field, such as `password`.
    pub key: String,
    /// Where the key stands.
    pub location: Location,
}

/// What in `object` is plaintext, if anything: values of a core `Secret`; values that stand unsealed in a `SealedSecret`; the copy of a
/// Secret with values in kubectl's `last-applied-configuration` annotation of any object. What is no value (empty, placeholders,
/// references, templates, public certificates) is not plaintext.
pub fn plaintext_secret(object: &Object) -> Option<PlaintextSecret> {
    let id = &object.id;
    let fields: &[&[&str]] = match id.kind.as_str() {
        "Secret" if id.group.is_empty() => &[&["data"], &["stringData"]],
        // In other projects' SealedSecrets `spec.data` is ciphertext.
        "SealedSecret" if id.group == "bitnami.com" => &[
            &["data"],
            &["stringData"],
            &["spec", "template", "stringData"],
        ],
        "SealedSecret" => &[
            &["data"],
            &["stringData"],
            &["spec", "data"],
            &["spec", "stringData"],
            &["spec", "template", "stringData"],
        ],
        _ => &[],
    };
    let mut keys: Vec<_> = fields
        .iter()
        .flat_map(|field| values(object, field))
        .collect();
    keys.extend(copy_of_kubectl(object));
    keys.sort_by(|a, b| a.location.cmp(&b.location));
    (!keys.is_empty()).then(|| PlaintextSecret {
        object: id.clone(),
        keys,
    })
}

fn values(object: &Object, field: &[&str]) -> Vec<PlaintextKey> {
    let is_plaintext = if field.last() == Some(&"data") {
        is_data_plaintext
    } else {
        is_string_plaintext
    };
    let holder = field.iter().fold(&object.value, |value, key| &value[*key]);
    let finding = |path: &[&str], key: &str| {
        let location = object.location_of(path);
        PlaintextKey {
            field: field.join("."),
            key: key.to_owned(),
            location,
        }
    };
    match holder {
        Value::Object(entries) => {
            let found = entries.iter().filter(|(_, value)| is_plaintext(value));
            found
                .map(|(key, _)| finding(&[field, &[key.as_str()]].concat(), key))
                .collect()
        }
        Value::Null => Vec::new(),
        // Kubernetes would refuse it, but it stands in Git.
        other if is_string_plaintext(other) => vec![finding(field, "")],
        _ => Vec::new(),
    }
}

fn copy_of_kubectl(object: &Object) -> Option<PlaintextKey> {
    let text = object.value["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let may_be = matches!(object.id.kind.as_str(), "Secret" | "SealedSecret");
    last_applied::has_values(text, may_be).then(|| PlaintextKey {
        field: "metadata.annotations".to_owned(),
        key: LAST_APPLIED.to_owned(),
        location: object.location_of(&["metadata", "annotations", LAST_APPLIED]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, read};

    fn findings(text: &str) -> Vec<String> {
        let objects = read("f.yaml", text.as_bytes(), &Limits::default())
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        let found = objects.iter().filter_map(plaintext_secret);
        found
            .flat_map(|found| found.keys)
            .map(|key| {
                format!(
                    "{}:{} {} {}",
                    key.location.line, key.location.column, key.field, key.key
                )
            })
            .collect()
    }

    fn secret(rest: &str) -> String {
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n{rest}")
    }

    #[test]
    fn values_of_a_secret_are_found_with_their_lines() {
        let text = secret(
            "data:\n  a: aHVudGVyMg==\n  b: \"\"\nstringData: {c: hunter2, d: '${D}', e: '5'}\n",
        );
        assert_eq!(
            findings(&text),
            ["6:3 data a", "8:14 stringData c", "8:37 stringData e"]
        );
    }

    #[test]
    fn however_the_secret_is_written() {
        for text in [
            "{\"data\":{\"a\":\"aHVudGVyMg==\"},\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}",
            "kind: 'Secret' # c\nstringData: {<<: &x {a: hunter2}}\napiVersion: v1\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: SecretList\nitems: [{metadata: {name: a}, stringData: {a: hunter2}}]\n",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {a: b}}]}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: &a b, b: *a}\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: hunter2\n",
        ] {
            assert!(!findings(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_holds_no_value_passes() {
        for text in [
            secret(""),
            secret("data: {}\n"),
            secret("data:\nstringData:\n"),
            secret("data: {a: ''}\nstringData: {b: changeme, c: '{{ .Values.c }}'}\n"),
            secret("data: {a: Y2hhbmdlbWU=}\n"),
            secret("type: kubernetes.io/service-account-token\n"),
            "apiVersion: other.example/v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: aHVudGVyMg==}\n".to_owned(),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: hunter2}\n".to_owned(),
            "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {encryptedData: {a: wx1}, template: {data: {b: '{{ a }}'}}}\n".to_owned(),
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {data: AgB, encryptedData: {a: AgB}}\n".to_owned(),
        ] {
            assert_eq!(findings(&text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn plaintext_beside_sealed_values_is_found() {
        let sealed = "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\n";
        for (rest, expected) in [
            ("data: {a: aHVudGVyMg==}\n", "4:8 data a"),
            ("stringData:\n  a: hunter2\n", "5:3 stringData a"),
            (
                "spec:\n  stringData:\n    a: hunter2\n",
                "6:5 spec.stringData a",
            ),
            ("spec:\n  data:\n    a: aHVudGVyMg==\n", "6:5 spec.data a"),
            (
                "spec:\n  template:\n    stringData:\n      a: hunter2\n",
                "7:7 spec.template.stringData a",
            ),
        ] {
            assert_eq!(findings(&format!("{sealed}{rest}")), [expected]);
        }
    }

    #[test]
    fn the_copy_of_kubectl_is_found_on_any_object() {
        let copy = r#"'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"aHVudGVyMg=="}}'"#;
        let with = |kind: &str, copy: &str| {
            format!(
                "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: a\n  annotations:\n    {LAST_APPLIED}: {copy}\n"
            )
        };
        let expected = [format!("6:5 metadata.annotations {LAST_APPLIED}")];
        assert_eq!(findings(&with("Secret", copy)), expected);
        assert_eq!(findings(&with("ConfigMap", copy)), expected);
        assert_eq!(findings(&with("Secret", "'{'")), expected);
        for harmless in [
            "'{\"kind\":\"Secret\",\"data\":{}}'",
            "'{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"b\"}}'",
            "''",
        ] {
            assert_eq!(findings(&with("Secret", harmless)), Vec::<String>::new());
        }
    }
}
