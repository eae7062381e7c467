//! `seal -f`: whole manifests.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{MANIFEST, Place};

fn in_place(place: &Place, file: &str) -> crate::support::Run {
    place.run(&["seal", "-f", file, "--in-place", "-r", "me.pub"])
}

/// The text before the first document that holds a Secret.
fn before_secret(text: &str) -> &str {
    &text[..text.find("apiVersion: v1\nkind: Secret").expect("a Secret")]
}

#[test]
fn every_byte_that_is_not_sealed_stays() {
    let place = Place::new();
    let tail = "---\n# last\nkind: Service   # odd   spacing\napiVersion: v1\nmetadata: {name: s}\nspec: {ports: [ {port: 1} ]}\n# end without newline";
    let source = format!("{MANIFEST}{tail}");
    place.write("all.yaml", &source);
    in_place(&place, "all.yaml")
        .done()
        .says("sealed the Secret \"db\"");
    let sealed = place.read("all.yaml");
    let head = before_secret(MANIFEST);
    assert!(sealed.starts_with(head), "{sealed}");
    assert!(sealed.ends_with(tail), "{sealed}");
    let middle = &sealed[head.len()..sealed.len() - tail.len()];
    assert!(middle.starts_with(
        "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db # ours\n  namespace: payments\nspec:\n"
    ), "{middle}");
    assert!(!sealed.contains("aHVudGVyMg"));
    let values = place.reveal("all.yaml");
    assert_eq!(values["user"], b"app");
    assert_eq!(values["password"], b"hunter2");
}

#[test]
fn crlf_and_a_byte_order_mark_stay() {
    let place = Place::new();
    let source = format!("\u{feff}{}", MANIFEST.replace('\n', "\r\n"));
    place.write("all.yaml", &source);
    in_place(&place, "all.yaml").done();
    let sealed = place.read("all.yaml");
    assert!(
        sealed.starts_with(
            &source[..source
                .find("apiVersion: v1\r\nkind: Secret")
                .expect("a Secret")]
        )
    );
    assert_eq!(
        sealed.matches('\n').count(),
        sealed.matches("\r\n").count(),
        "a line lost its ending"
    );
    assert_eq!(place.reveal("all.yaml")["password"], b"hunter2");
}

#[test]
fn every_secret_of_a_file_is_sealed_with_an_envelope_of_its_own() {
    let place = Place::new();
    let second = MANIFEST.replace("name: db # ours", "name: cache");
    place.write("all.yaml", format!("{MANIFEST}---\n{second}"));
    in_place(&place, "all.yaml").done().says("2 Secrets");
    let show = place.run(&["show", "all.yaml", "--format", "json"]);
    let shown: Value = serde_json::from_slice(&show.done().stdout).expect("JSON");
    let objects = shown["objects"].as_array().expect("objects");
    assert_eq!(objects.len(), 2);
    assert_ne!(
        objects[0]["runs"][0]["commitment"],
        objects[1]["runs"][0]["commitment"]
    );
    assert_eq!(
        place.reveal_with(&["all.yaml", "-i", "me.key", "--object", "payments/cache"])["user"],
        b"app"
    );
    place
        .run(&["reveal", "all.yaml", "-i", "me.key"])
        .failed(2, "usage")
        .says("--object");
}

#[test]
fn a_list_and_its_other_items_stay_a_list() {
    let place = Place::new();
    place.write(
        "list.yaml",
        "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: 'b'}  # kept\n  - apiVersion: v1\n    kind: Secret\n    metadata:\n      name: db\n      namespace: payments\n    stringData:\n      password: hunter2\n  - apiVersion: v1\n    kind: ServiceAccount\n    metadata: {name: sa}\n",
    );
    in_place(&place, "list.yaml").done();
    let sealed = place.read("list.yaml");
    assert!(sealed.starts_with("apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {a: 'b'}  # kept\n  - apiVersion: waxwing.dev/v1alpha1\n"));
    assert!(
        sealed
            .ends_with("  - apiVersion: v1\n    kind: ServiceAccount\n    metadata: {name: sa}\n")
    );
    assert!(!sealed.contains("hunter2"));
    assert_eq!(place.reveal("list.yaml")["password"], b"hunter2");
}

#[test]
fn json_stays_json() {
    let place = Place::new();
    let source = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Secret\",\n  \"metadata\": {\"name\": \"db\", \"namespace\": \"payments\"},\n  \"stringData\": {\"password\": \"hunter2\"}\n}\n";
    place.write("db.json", source);
    in_place(&place, "db.json").done();
    let value: Value = serde_json::from_str(&place.read("db.json")).expect("JSON");
    assert_eq!(value["kind"], "SealedSecret");
    assert_eq!(value["metadata"]["name"], "db");
    assert!(
        place
            .read("db.json")
            .contains("  \"metadata\": {\"name\": \"db\", \"namespace\": \"payments\"},\n")
    );
    assert_eq!(place.reveal("db.json")["password"], b"hunter2");
}

#[test]
fn a_file_without_a_secret_says_so_and_stays() {
    let place = Place::new();
    let source = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\n# end";
    place.write("c.yaml", source);
    let filtered = place.run(&["seal", "-f", "c.yaml"]);
    filtered.done().says("holds no Secret");
    assert_eq!(filtered.text(), source);
    in_place(&place, "c.yaml").done().says("holds no Secret");
    assert_eq!(place.read("c.yaml"), source);
    let piped = place.pipe(&["seal", "-f", "-"], source);
    assert_eq!(piped.done().text(), source);
}

#[test]
fn a_secret_without_values_stays() {
    let place = Place::new();
    let source = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\n  annotations: {kubernetes.io/service-account.name: app}\ntype: kubernetes.io/service-account-token\n";
    let run = place.pipe(&["seal", "-f", "-", "-r", "me.pub"], source);
    run.done().says("carries no values");
    assert_eq!(run.text(), source);
}

#[test]
fn a_pipe_is_a_filter() {
    let place = Place::new();
    for arguments in [
        vec!["seal", "-f", "-", "-r", "me.pub"],
        vec!["seal", "-r", "me.pub"],
    ] {
        let run = place.pipe(&arguments, MANIFEST);
        assert!(run.done().text().starts_with(before_secret(MANIFEST)));
        place.write("db.yaml", run.text());
        assert_eq!(place.reveal("db.yaml")["password"], b"hunter2");
    }
}

#[test]
fn the_last_applied_annotation_goes() {
    let place = Place::new();
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    let source = MANIFEST.replace(
        "  namespace: payments\n",
        &format!("  namespace: payments\n  annotations:\n    team: pay # kept\n    {last}: |\n      {{\"data\":{{\"password\":\"aHVudGVyMg==\"}}}}\n"),
    );
    place.write("db.yaml", source);
    in_place(&place, "db.yaml").done();
    let sealed = place.read("db.yaml");
    assert!(
        !sealed.contains(last) && !sealed.contains("aHVudGVyMg"),
        "{sealed}"
    );
    assert!(sealed.contains("    team: pay # kept\n"));
}

#[test]
fn the_template_takes_what_the_secret_had() {
    let place = Place::new();
    let source = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: payments\n  labels: {app: db}\n  annotations:\n    note: \"yes\"\n    waxwing.dev/wave: \"3\"\n    argocd.argoproj.io/sync-wave: \"1\"\ntype: kubernetes.io/basic-auth\nimmutable: true\ndata:\n  username: YXBw\n  password: b2xk\nstringData:\n  password: new\n";
    place.write("db.yaml", source);
    in_place(&place, "db.yaml").done();
    let sealed: Value = serde_json::from_value(
        serde_saphyr::from_str::<Value>(&place.read("db.yaml")).expect("YAML"),
    )
    .expect("a value");
    let template = &sealed["spec"]["template"];
    assert_eq!(template["type"], "kubernetes.io/basic-auth");
    assert_eq!(template["immutable"], true);
    assert_eq!(template["metadata"]["labels"]["app"], "db");
    assert_eq!(
        template["metadata"]["annotations"],
        serde_json::json!({ "note": "yes" })
    );
    assert_eq!(sealed["metadata"]["annotations"]["waxwing.dev/wave"], "3");
    assert_eq!(
        sealed["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"],
        "1"
    );
    for gone in ["data", "stringData", "type", "immutable"] {
        assert!(sealed.get(gone).is_none(), "{gone} is still there");
    }
    let values = place.reveal("db.yaml");
    assert_eq!(values["password"], b"new", "stringData wins over data");
    assert_eq!(values["username"], b"app");
}

#[test]
fn a_missing_namespace_comes_from_the_flag_and_a_contradiction_is_refused() {
    let place = Place::new();
    let bare = MANIFEST.replace("  namespace: payments\n", "");
    place.write("bare.yaml", &bare);
    in_place(&place, "bare.yaml")
        .failed(2, "no-namespace")
        .says("bare.yaml:9");
    assert_eq!(place.read("bare.yaml"), bare);
    place
        .run(&[
            "seal",
            "-f",
            "bare.yaml",
            "-n",
            "payments",
            "-o",
            "a.yaml",
            "-r",
            "me.pub",
        ])
        .done();
    assert!(place.read("a.yaml").contains("  namespace: payments\n"));
    assert_eq!(place.reveal("a.yaml")["user"], b"app");
    place
        .run(&[
            "seal",
            "-f",
            "bare.yaml",
            "--scope",
            "cluster",
            "-o",
            "b.yaml",
            "-r",
            "me.pub",
        ])
        .done();
    assert_eq!(place.reveal("b.yaml")["user"], b"app");
    place.write("full.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "full.yaml", "-n", "other", "-r", "me.pub"])
        .failed(2, "disagreement")
        .says("full.yaml:13");
    place
        .run(&["seal", "-f", "full.yaml", "--type", "other", "-r", "me.pub"])
        .failed(2, "disagreement")
        .says("full.yaml:14");
}

#[test]
fn bad_secrets_are_named_by_place_and_nothing_is_written() {
    let place = Place::new();
    for (broken, code, word, says) in [
        (
            MANIFEST.replace("aHVudGVyMg==", "hunter2!"),
            5,
            "bad-secret",
            "db.yaml:17:",
        ),
        (
            MANIFEST.replace("  password: ", "  \"pass word\": "),
            5,
            "bad-secret",
            "db.yaml:17:",
        ),
        (
            MANIFEST.replace("data:\n  user: YXBw", "stringData:\n  user: 1234"),
            5,
            "bad-secret",
            "quotes",
        ),
        (
            MANIFEST.replace("  name: db # ours\n", ""),
            5,
            "bad-secret",
            "db.yaml:",
        ),
        (
            MANIFEST.replace("name: db # ours", "name: Db"),
            5,
            "bad-secret",
            "db.yaml:",
        ),
        (
            MANIFEST.replace("namespace: payments", "namespace: Payments"),
            5,
            "bad-secret",
            "db.yaml:",
        ),
        (
            MANIFEST.replace("type: Opaque", "type: waxwing.dev/signer"),
            2,
            "grammar",
            "waxwing.dev/signer",
        ),
        (
            MANIFEST.replace("type: Opaque", "type: [Opaque"),
            5,
            "unparsable",
            "db.yaml:",
        ),
        (
            MANIFEST.replace("  user: YXBw\n", "  user: YXBw\n  user: YXBw\n"),
            5,
            "unparsable",
            "db.yaml:17:",
        ),
    ] {
        place.write("db.yaml", &broken);
        let run = in_place(&place, "db.yaml");
        run.failed(code, word).says(says);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
        assert_eq!(place.read("db.yaml"), broken, "the file changed");
    }
}

#[test]
fn mode_and_symbolic_link_stay() {
    let place = Place::new();
    place.write("real/db.yaml", MANIFEST);
    std::fs::set_permissions(
        place.path("real/db.yaml"),
        std::fs::Permissions::from_mode(0o640),
    )
    .expect("a mode");
    std::os::unix::fs::symlink("real/db.yaml", place.path("db.yaml")).expect("a link");
    in_place(&place, "db.yaml").done();
    assert!(place.path("db.yaml").is_symlink());
    let mode = std::fs::metadata(place.path("real/db.yaml"))
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert!(place.read("real/db.yaml").contains("SealedSecret"));
    assert_eq!(
        place.files(),
        ["db.yaml", "me.key", "me.pub", "real/db.yaml"],
        "something was left behind"
    );
}

#[test]
fn an_output_leaves_the_source_and_says_that_it_is_plaintext() {
    let place = Place::new();
    place.write("db.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "db.yaml", "-o", "sealed.yaml", "-r", "me.pub"])
        .done()
        .says("still holds the plaintext");
    assert_eq!(place.read("db.yaml"), MANIFEST);
    assert_eq!(place.reveal("sealed.yaml")["user"], b"app");
    place
        .run(&["seal", "-f", "db.yaml", "-o", "db.yaml", "-r", "me.pub"])
        .failed(8, "would-overwrite")
        .says("--in-place");
    assert_eq!(place.read("db.yaml"), MANIFEST);
}

#[test]
fn metadata_of_a_live_object_is_warned_about() {
    let place = Place::new();
    let live = MANIFEST.replace(
        "  name: db # ours\n",
        "  name: db # ours\n  uid: 8f0b0a1e\n  resourceVersion: \"12\"\n",
    );
    let run = place.pipe(&["seal", "-f", "-", "-r", "me.pub"], live);
    run.done().says("uid, resourceVersion");
}

#[test]
fn values_that_other_yaml_writers_corrupt_come_back() {
    let place = Place::new();
    place.write(
        "db.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: p}\nstringData:\n  a: 'yes'\n  b: \"1_000\"\n  c: |\n    line\n    two\n  d: ''\n  e: \"\\u00e9\\n\"\n",
    );
    in_place(&place, "db.yaml").done();
    let values = place.reveal("db.yaml");
    assert_eq!(values["a"], b"yes");
    assert_eq!(values["b"], b"1_000");
    assert_eq!(values["c"], b"line\ntwo\n");
    assert_eq!(values["d"], b"");
    assert_eq!(values["e"], "é\n".as_bytes());
}

#[test]
fn trim_and_templatable_reach_into_manifests() {
    let place = Place::new();
    place.write("db.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: p}\nstringData:\n  c: |\n    line\n");
    place
        .run(&[
            "seal",
            "-f",
            "db.yaml",
            "-o",
            "a.yaml",
            "-r",
            "me.pub",
            "--trim",
            "--templatable",
            "c",
        ])
        .done();
    assert_eq!(place.reveal("a.yaml")["c"], b"line");
    let show = place.run(&["show", "a.yaml", "--format", "json"]);
    let shown: Value = serde_json::from_slice(&show.done().stdout).expect("JSON");
    assert_eq!(
        shown["objects"][0]["runs"][0]["templatable"],
        serde_json::json!(["c"])
    );
    place
        .run(&[
            "seal",
            "-f",
            "db.yaml",
            "-o",
            "b.yaml",
            "-r",
            "me.pub",
            "--templatable",
            "x",
        ])
        .failed(2, "usage");
}
