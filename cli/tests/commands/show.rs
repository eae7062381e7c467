//! `show`.

use serde_json::{Value, json};

use crate::support::{MANIFEST, Place};

#[test]
fn structure_is_shown_and_no_value() {
    let place = Place::new();
    place.write("plain.yaml", MANIFEST);
    place
        .run(&[
            "seal",
            "-f",
            "plain.yaml",
            "-o",
            "db.yaml",
            "-r",
            "me.pub",
            "--templatable",
            "user",
        ])
        .done();
    let text = place.run(&["show", "db.yaml"]);
    for words in [
        "SealedSecret payments/db",
        "db.yaml:9:1 (document 2)",
        "strict payments/db",
        "just now",
        "for key.",
        "user  (templatable)",
        "    password\n",
    ] {
        assert!(
            text.done().text().contains(words),
            "{words:?} is not in {}",
            text.text()
        );
    }
    assert!(!text.text().contains("wx1:") && !text.text().contains("hunter2"));

    let run = place.run(&["show", "db.yaml", "--format", "json"]);
    let shown: Value = serde_json::from_slice(&run.done().stdout).expect("JSON");
    assert_eq!(shown["schemaVersion"], 1);
    let object = &shown["objects"][0];
    assert_eq!(object["namespace"], "payments");
    assert_eq!(object["name"], "db");
    assert_eq!(object["type"], "Opaque");
    assert_eq!(object["inPlace"], true);
    assert_eq!(object["keys"], json!(["password", "user"]));
    assert_eq!(object["runs"][0]["scope"], "strict");
    assert_eq!(object["runs"][0]["recipients"][0]["label"], "key");
    assert_eq!(
        object["runs"][0]["recipients"][0]["key"],
        place.recipient.key_id().short()
    );
    assert!(!run.text().contains("wx1:"));
}

#[test]
fn a_misplaced_object_is_shown_and_reported() {
    let place = Place::new();
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--from-literal",
            "a=b",
            "-r",
            "me.pub",
            "-o",
            "db.yaml",
        ])
        .done();
    place.write(
        "moved.yaml",
        place
            .read("db.yaml")
            .replace("namespace: p", "namespace: q"),
    );
    let run = place.run(&["show", "moved.yaml"]);
    assert_eq!(run.code, 7);
    assert!(
        run.text().contains("MISPLACED") && run.text().contains("strict p/db"),
        "{}",
        run.text()
    );
    run.says("error[misplaced]");
}

#[test]
fn what_is_no_sealed_secret_is_an_error() {
    let place = Place::new();
    place.write("a.yaml", MANIFEST);
    place.run(&["show", "a.yaml"]).failed(5, "nothing-sealed");
    place.write("b.yaml", "a: [");
    place
        .run(&["show", "b.yaml"])
        .failed(5, "unparsable")
        .says("b.yaml:");
    place.write("c.yaml", "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: a, namespace: b}\nspec: {encryptedData: {k: {value: 'wx1:abc:def'}}}\n");
    place
        .run(&["show", "c.yaml"])
        .failed(5, "malformed")
        .says("c.yaml:1");
    let many: String = (0..1025).fold(String::new(), |text, n| {
        text + &format!("    k{n}: {{ value: 'wx1:aaaaaaaa:AA' }}\n")
    });
    place.write("d.yaml", format!("apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: a, namespace: b}}\nspec:\n  encryptedData:\n{many}"));
    place.run(&["show", "d.yaml"]).failed(5, "limit");
}
