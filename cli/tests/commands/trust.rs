//! Which configured keys are sealed to, and which are not.

use sealing::KeyState;

use crate::support::{Cluster, Place, Run};

/// A repository with one configured cluster, `prod`, and its recipients file.
fn repository(cluster: &Cluster) -> Place {
    let place = Place::new();
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}rules: [{{ path: \"**\", cluster: prod }}]\n",
            cluster.entry("prod")
        ),
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 7));
    place.git(&["init", "-q"]);
    place.commit("start");
    place
}

fn pinned(cluster: &Cluster) -> Place {
    let place = repository(cluster);
    place
        .run(&["trust", "--cluster", "prod", &cluster.fingerprint()])
        .done();
    place
}

fn seal(place: &Place) -> Run {
    let run = place.run(&[
        "seal",
        "db",
        "-n",
        "payments",
        "--from-literal",
        "a=b",
        "-o",
        "db.yaml",
    ]);
    if run.code == 0 {
        assert!(place.exists("db.yaml"));
        std::fs::remove_file(place.path("db.yaml")).expect("removed");
    } else {
        assert!(!place.exists("db.yaml"), "a failed command wrote its file");
    }
    run
}

#[test]
fn a_pinned_signer_vouches_for_its_key() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    let run = place.run(&["seal", "db", "-n", "payments", "--from-literal", "a=b"]);
    let label = format!("prod.{}: ", cluster.identity.recipient().key_id().short());
    assert!(run.done().text().contains(&label), "{}", run.text());
}

#[test]
fn a_rotation_signed_by_the_pinned_signer_needs_nobody() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    seal(&place).done();
    let rotated = Cluster {
        signer: cluster.signer,
        identity: Cluster::new().identity,
    };
    place.write(".waxwing/prod.pub", rotated.file("prod", 8));
    let run = place.run(&["seal", "db", "-n", "payments", "--from-literal", "a=b"]);
    assert!(
        run.done()
            .text()
            .contains(&rotated.identity.recipient().key_id().short())
    );
}

#[test]
fn without_a_pin_and_a_terminal_nothing_is_sealed() {
    let cluster = Cluster::new();
    let place = repository(&cluster);
    seal(&place)
        .failed(4, "not-pinned")
        .says("waxwing trust --cluster prod")
        .says("WAXWING_TRUSTED_KEYS");
    assert!(!place.pins().exists(), "a refusal pinned something");
}

#[test]
fn trusted_keys_of_the_environment_cover_a_missing_pin_only() {
    let cluster = Cluster::new();
    let place = repository(&cluster);
    let arguments = ["seal", "db", "-n", "payments", "--from-literal", "a=b"];
    let trusted = format!("SHA256:{},{}", "A".repeat(43), cluster.fingerprint());
    place
        .run_with(&arguments, b"", &[("WAXWING_TRUSTED_KEYS", &trusted)])
        .done();
    assert!(
        !place.pins().exists(),
        "the environment's word is not the user's"
    );
    let other = Cluster::new();
    place
        .run_with(
            &arguments,
            b"",
            &[("WAXWING_TRUSTED_KEYS", &other.fingerprint())],
        )
        .failed(4, "not-pinned");
    place
        .run(&["trust", "--cluster", "prod", &other.fingerprint()])
        .done()
        .says("names another signer");
    place
        .run_with(&arguments, b"", &[("WAXWING_TRUSTED_KEYS", &trusted)])
        .failed(4, "signer-changed");
}

#[test]
fn a_missing_attestation_is_refused() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    place.write(
        ".waxwing/prod.pub",
        format!("{}\n", cluster.identity.recipient()),
    );
    seal(&place)
        .failed(4, "attestation-missing")
        .says(".waxwing/prod.pub")
        .says("keys fetch");
    let file = cluster.file("prod", 7);
    let without_signer: Vec<&str> = file
        .lines()
        .filter(|line| !line.contains("signer"))
        .collect();
    let without_signer = without_signer.join("\n");
    place.write(".waxwing/prod.pub", without_signer);
    seal(&place).failed(4, "attestation-missing");
}

#[test]
fn a_forged_attestation_is_refused() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    let file = cluster.file("prod", 7);
    for forged in [
        file.replace("sequence: 7", "sequence: 8"),
        file.replace("created: 2023", "created: 2024"),
        file.replace("cluster: prod", "cluster: "),
        file.replace("-----END SSH SIGNATURE-----", "-----END SSH SIGNATURE"),
    ] {
        assert_ne!(forged, file);
        place.write(".waxwing/prod.pub", forged);
        seal(&place).failed(4, "attestation-invalid");
    }
}

#[test]
fn another_key_under_a_true_attestation_is_refused() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    let file = cluster.file("prod", 7);
    let mine = cluster.identity.recipient().to_string();
    let theirs = Place::new().recipient.to_string();
    place.write(".waxwing/prod.pub", file.replace(&mine, &theirs));
    seal(&place).failed(4, "attestation-invalid");
    place.write(".waxwing/prod.pub", format!("{file}{theirs}\n"));
    seal(&place).failed(4, "attestation-invalid");
}

#[test]
fn another_signer_in_the_recipients_file_is_refused_and_its_commit_named() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    let attacker = Cluster::new();
    place.write(".waxwing/prod.pub", attacker.file("prod", 9));
    seal(&place)
        .failed(4, "signer-mismatch")
        .says("is not committed");
    place.commit("harmless");
    let commit = place.git(&["rev-parse", "--short=12", "HEAD"]);
    place.write("other", "later");
    place.commit("later");
    seal(&place)
        .failed(4, "signer-mismatch")
        .says(&commit)
        .says("Ada <ada@example.org>");
}

#[test]
fn a_changed_signer_is_refused_whatever_the_configuration_says() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    seal(&place).done();
    let attacker = Cluster::new();
    let config = place
        .read(".waxwing.yaml")
        .replace(&cluster.fingerprint(), &attacker.fingerprint());
    place.write(".waxwing.yaml", config);
    place.write(".waxwing/prod.pub", attacker.file("prod", 9));
    place.commit("tidy up");
    let commit = place.git(&["rev-parse", "--short=12", "HEAD"]);
    place.write("other", "later");
    place.commit("later");
    seal(&place)
        .failed(4, "signer-changed")
        .says(&attacker.fingerprint())
        .says(&cluster.fingerprint())
        .says(&format!("commit {commit} of "))
        .says("Ada <ada@example.org> changed .waxwing.yaml");
    place
        .run(&["trust", "--cluster", "prod", &attacker.fingerprint()])
        .done()
        .says("instead of");
    seal(&place).done();
}

#[test]
fn an_older_attestation_is_refused() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    seal(&place).done();
    place.write(".waxwing/prod.pub", cluster.file("prod", 6));
    seal(&place)
        .failed(4, "sequence-replayed")
        .says("keys fetch");
    place.write(".waxwing/prod.pub", cluster.file("prod", 7));
    seal(&place).done();
}

#[test]
fn a_foreign_cluster_is_refused_and_a_nameless_one_is_not() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    place.write(".waxwing/prod.pub", cluster.file("staging", 7));
    seal(&place).failed(4, "foreign-cluster").says("staging");
    place.write(".waxwing/prod.pub", cluster.file("", 7));
    seal(&place).done();
}

#[test]
fn only_an_active_key_is_sealed_to() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    for state in [
        KeyState::DecryptOnly,
        KeyState::Retired,
        KeyState::Compromised,
    ] {
        let mut statement = cluster.statement("prod", 7);
        statement.state = state;
        place.write(".waxwing/prod.pub", cluster.file_of(&statement));
        seal(&place)
            .failed(4, "key-not-active")
            .says(&state.to_string());
    }
}

#[test]
fn a_missing_recipients_file_or_signer_is_a_configuration_error() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    std::fs::remove_file(place.path(".waxwing/prod.pub")).expect("removed");
    seal(&place)
        .failed(3, "recipients-missing")
        .says("keys fetch");
    place.write(".waxwing/prod.pub", cluster.file("prod", 7));
    place.write(
        ".waxwing.yaml",
        "version: 1\nclusters: { prod: { recipients: .waxwing/prod.pub } }\n",
    );
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--cluster",
            "prod",
            "--from-literal",
            "a=b",
        ])
        .failed(3, "config")
        .says("signer");
    place.write(".waxwing/prod.pub", "garbage\n");
    place.write(
        ".waxwing.yaml",
        format!("version: 1\nclusters:\n{}", cluster.entry("prod")),
    );
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "p",
            "--cluster",
            "prod",
            "--from-literal",
            "a=b",
        ])
        .failed(5, "unparsable");
}

#[test]
fn a_pin_follows_every_clone_and_is_not_for_another_repository() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    place.git(&["clone", "-q", ".", "../clone"]);
    let arguments = ["seal", "db", "-n", "payments", "--from-literal", "a=b"];
    place.run_in("../clone", &arguments).done();
    place.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        &format!("file://{}", place.work().display()),
        "../shallow",
    ]);
    place.write("more", "x");
    place.commit("more");
    // With a second commit the clone is shallow in earnest, and its root is unknown.
    place.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        &format!("file://{}", place.work().display()),
        "../shallower",
    ]);
    place
        .run_in("../shallower", &arguments)
        .failed(4, "not-pinned");
    let other = repository(&cluster);
    std::fs::create_dir_all(other.pins().with_file_name("")).expect("a directory");
    std::fs::copy(place.pins(), other.pins()).expect("copied");
    other.commit_again();
    let run = other.run(&arguments);
    run.failed(4, "not-pinned");
}

impl Place {
    /// Makes the root commit differ from that of every other repository of these tests.
    fn commit_again(&self) {
        std::fs::remove_dir_all(self.path(".git")).expect("removed");
        self.git(&["init", "-q"]);
        self.write("different", self.work().display().to_string());
        self.commit("another start");
    }
}

#[test]
fn a_pin_from_before_the_first_commit_still_counts_after_it() {
    let cluster = Cluster::new();
    let place = Place::new();
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}rules: [{{ path: \"**\", cluster: prod }}]\n",
            cluster.entry("prod")
        ),
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 7));
    place.git(&["init", "-q"]);
    place
        .run(&["trust", "--cluster", "prod", &cluster.fingerprint()])
        .done();
    seal(&place).done();
    let pins = std::fs::read_to_string(place.pins()).expect("pins");
    assert!(pins.contains("signer path:"), "{pins}");
    place.commit("start");
    seal(&place).done();
    let pins = std::fs::read_to_string(place.pins()).expect("pins");
    assert!(
        pins.contains("signer commit:") && !pins.contains("signer path:"),
        "{pins}"
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 6));
    seal(&place).failed(4, "sequence-replayed");
}

#[test]
fn naming_a_key_is_trusting_it_and_its_attested_name_is_the_label() {
    let cluster = Cluster::new();
    let place = Place::new();
    place.write("prod.pub", cluster.file("prod", 1));
    let arguments = [
        "seal",
        "db",
        "-n",
        "p",
        "--from-literal",
        "a=b",
        "-r",
        "prod.pub",
    ];
    assert!(place.run(&arguments).done().text().contains("prod."));
    place.write("prod.pub", cluster.file("", 1));
    assert!(place.run(&arguments).done().text().contains("key."));
    place.write(
        "prod.pub",
        cluster
            .file("prod", 1)
            .replace("sequence: 1", "sequence: 2"),
    );
    let run = place.run(&arguments);
    assert!(
        run.done().says("does not hold").text().contains("key."),
        "{}",
        run.text()
    );
}

#[test]
fn pins_that_cannot_be_read_stop_everything() {
    let cluster = Cluster::new();
    let place = pinned(&cluster);
    std::fs::write(place.pins(), "garbage\n").expect("written");
    seal(&place).failed(3, "config").says("pins:1");
}

#[test]
fn trust_judges_its_arguments() {
    let cluster = Cluster::new();
    let place = repository(&cluster);
    place
        .run(&["trust", "--cluster", "prod", "SHA256:short"])
        .failed(2, "grammar");
    place
        .run(&["trust", "--cluster", "prd", &cluster.fingerprint()])
        .failed(3, "unknown-cluster")
        .says("did you mean \"prod\"");
    place.run(&["trust", "nonsense"]).failed(2, "grammar");
    let below = place.run_in(
        "deep/down",
        &["trust", "--cluster", "prod", &cluster.fingerprint()],
    );
    below.done();
    seal(&place).done();
}
