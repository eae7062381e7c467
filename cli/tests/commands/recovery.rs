//! Recovery keys: added to every envelope, listed by fingerprint, pinned by the user.

use crate::support::{Cluster, Place, Run};

fn repository() -> (Place, Cluster) {
    let place = Place::new();
    let cluster = Cluster::new();
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}recovery: {{ recipients: .waxwing/recovery.pub, fingerprints: [\"{}\"] }}\n",
            cluster.entry("prod"),
            place.recipient.key_id().fingerprint()
        ),
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 1));
    place.write(
        ".waxwing/recovery.pub",
        format!("# offline\n{}\n", place.recipient),
    );
    place
        .run(&["trust", "--cluster", "prod", &cluster.fingerprint()])
        .done();
    (place, cluster)
}

fn seal(place: &Place) -> Run {
    place.run(&[
        "seal",
        "db",
        "-n",
        "p",
        "--cluster",
        "prod",
        "--from-literal",
        "a=b",
    ])
}

#[test]
fn a_pinned_recovery_key_opens_what_was_sealed_for_a_cluster() {
    let (place, _) = repository();
    seal(&place).failed(4, "not-pinned").says("recovery key");
    place
        .run(&["trust", &place.recipient.key_id().fingerprint()])
        .done();
    let run = seal(&place);
    assert!(run.done().text().contains("recovery.") && run.text().contains("prod."));
    place.write("db.yaml", run.text());
    assert_eq!(place.reveal("db.yaml")["a"], b"b");
}

#[test]
fn the_environment_covers_a_recovery_key() {
    let (place, _) = repository();
    let fingerprint = place.recipient.key_id().fingerprint();
    let arguments = ["seal", "db", "-n", "p", "--from-literal", "a=b"];
    let variables = [
        ("WAXWING_TRUSTED_KEYS", fingerprint.as_str()),
        ("WAXWING_CLUSTER", "prod"),
    ];
    place.run_with(&arguments, b"", &variables).done();
}

#[test]
fn a_key_that_is_not_listed_is_refused() {
    let (place, _) = repository();
    place
        .run(&["trust", &place.recipient.key_id().fingerprint()])
        .done();
    let other = Place::new();
    place.write(
        ".waxwing/recovery.pub",
        format!("{}\n{}\n", place.recipient, other.recipient),
    );
    seal(&place)
        .failed(4, "recovery-mismatch")
        .says(&other.recipient.key_id().fingerprint());
}
