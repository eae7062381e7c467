//! `keys generate`, `fingerprint`, `list` and `fetch` as far as they go without a cluster.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Cluster, Place};

#[test]
fn generate_writes_a_private_file_and_prints_the_recipient() {
    let place = Place::new();
    let run = place.run(&["keys", "generate", "-o", "new.key"]);
    let recipient = run.done().text().trim().to_owned();
    assert!(recipient.starts_with("age1pq1"));
    let file = place.read("new.key");
    assert!(
        file.contains(&format!("# public key: {recipient}\n"))
            && file.contains("\nAGE-SECRET-KEY-PQ-1")
    );
    let mode = std::fs::metadata(place.path("new.key"))
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    place
        .run(&["keys", "generate", "-o", "new.key"])
        .failed(8, "would-overwrite");
    assert_eq!(place.read("new.key"), file);
}

#[test]
fn generate_without_a_file_prints_the_identity_and_talks_on_stderr() {
    let place = Place::new();
    let run = place.run(&["keys", "generate"]);
    assert!(run.done().text().contains("\nAGE-SECRET-KEY-PQ-1"));
    assert!(run.stderr.contains("age1pq1") && !run.stderr.contains("AGE-SECRET-KEY"));
    let classical = place.run(&["keys", "generate", "--classical"]);
    assert!(classical.done().text().contains("\nAGE-SECRET-KEY-1"));
    assert!(classical.stderr.contains("age1") && !classical.stderr.contains("age1pq1"));
}

#[test]
fn fingerprints_of_strings_files_and_signers() {
    let place = Place::new();
    let expected = format!("{}\n", place.recipient.key_id().fingerprint());
    for key in [place.recipient.to_string().as_str(), "me.pub", "me.key"] {
        assert_eq!(
            place.run(&["keys", "fingerprint", key]).done().text(),
            expected,
            "{key}"
        );
    }
    let cluster = Cluster::new();
    place.write("prod.pub", cluster.file("prod", 1));
    let run = place.run(&["keys", "fingerprint", "prod.pub"]);
    let key = cluster.identity.recipient().key_id().fingerprint();
    assert_eq!(
        run.done().text(),
        format!("{key}\nsigner: {}\n", cluster.fingerprint())
    );
    place.write(
        "forged.pub",
        cluster
            .file("prod", 1)
            .replace("sequence: 1", "sequence: 9"),
    );
    place
        .run(&["keys", "fingerprint", "forged.pub"])
        .failed(4, "attestation-invalid");
    place.write("garbage.pub", "not a key\n");
    place
        .run(&["keys", "fingerprint", "garbage.pub"])
        .failed(5, "unparsable")
        .says("line 1");
    place
        .run(&["keys", "fingerprint", "age1nonsense"])
        .failed(2, "grammar");
    place
        .run(&["keys", "fingerprint", "missing.pub"])
        .failed(2, "file-unreadable");
}

#[test]
fn list_shows_clusters_recovery_pins_and_problems() {
    let place = Place::new();
    let (prod, staging) = (Cluster::new(), Cluster::new());
    let recovery = place.recipient.key_id().fingerprint();
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}{}recovery: {{ recipients: me.pub, fingerprints: [\"{recovery}\"] }}\n",
            prod.entry("prod"),
            staging.entry("staging")
        ),
    );
    place.write(".waxwing/prod.pub", prod.file("prod", 4));
    place
        .run(&["trust", "--cluster", "prod", &prod.fingerprint()])
        .done();
    let run = place.run(&["keys", "list", "--format", "json"]);
    let list: Value = serde_json::from_slice(&run.done().stdout).expect("JSON");
    assert_eq!(list["schemaVersion"], 1);
    assert_eq!(list["clusters"][0]["name"], "prod");
    assert_eq!(list["clusters"][0]["pinnedSigner"], prod.fingerprint());
    assert_eq!(list["clusters"][0]["attestation"]["sequence"], 4);
    assert_eq!(list["clusters"][1]["pinnedSigner"], Value::Null);
    assert_eq!(list["clusters"][1]["problem"], "no recipients file yet");
    assert_eq!(list["recovery"][0]["fingerprint"], recovery);
    assert_eq!(list["recovery"][0]["pinned"], false);
    let text = place.run(&["keys", "list"]);
    assert!(
        text.done().text().contains("(pinned)")
            && text.text().contains("PROBLEM no recipients file yet")
    );
}

#[test]
fn list_without_anything_to_list_is_a_configuration_error() {
    Place::new().run(&["keys", "list"]).failed(3, "config");
}

#[test]
fn offline_means_no_socket() {
    let place = Place::new();
    place
        .run(&["keys", "fetch", "--offline"])
        .failed(6, "offline");
    place
        .run_with(&["keys", "fetch"], b"", &[("WAXWING_OFFLINE", "1")])
        .failed(6, "offline");
    place
        .run(&["--offline", "keys", "list", "--context", "prod"])
        .failed(6, "offline");
}

#[test]
fn without_a_kubeconfig_the_cluster_cannot_be_asked() {
    let place = Place::new();
    place
        .run(&["keys", "fetch", "--context", "prod"])
        .failed(6, "cluster")
        .says("kubeconfig");
    place.run(&["keys", "fetch"]).failed(6, "cluster");
}

#[test]
fn a_cluster_that_does_not_answer_is_named() {
    let place = Place::new();
    // Port 9 (discard) on the loopback address: nobody listens.
    place.write(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:9\"}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n",
    );
    let kubeconfig = place.path("kubeconfig").display().to_string();
    let run = place.run_with(
        &["keys", "fetch", "-o", "prod.pub"],
        b"",
        &[("KUBECONFIG", &kubeconfig)],
    );
    run.failed(6, "cluster").says("http://127.0.0.1:9");
    assert!(!place.exists("prod.pub"));
}
