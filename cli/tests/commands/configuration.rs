//! `.waxwing.yaml`: where it is looked for, which rule holds, and how mistakes in it are told.

use crate::support::{Cluster, MANIFEST, Place};

/// A repository with clusters `prod` and `staging`, both pinned, and these rules.
fn repository(rules: &str) -> (Place, Cluster, Cluster) {
    let place = Place::new();
    let (prod, staging) = (Cluster::new(), Cluster::new());
    place.git(&["init", "-q"]);
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}{}rules:\n{rules}",
            prod.entry("prod"),
            staging.entry("staging")
        ),
    );
    place.write(".waxwing/prod.pub", prod.file("prod", 1));
    place.write(".waxwing/staging.pub", staging.file("staging", 1));
    place.commit("start");
    for (name, cluster) in [("prod", &prod), ("staging", &staging)] {
        place
            .run(&["trust", "--cluster", name, &cluster.fingerprint()])
            .done();
    }
    (place, prod, staging)
}

const RULES: &str = "  - { path: \"clusters/prod/**\", cluster: [prod], namespace: \"{dir:3}\", output: \"{name}.sealed.yaml\" }
  - { path: \"clusters/**\", cluster: [staging], scope: namespace }
  - { path: \"apps/*/base/**\", deny: \"seal in an overlay, not in base\" }
";

#[test]
fn the_most_literal_rule_decides_recipients_namespace_and_scope() {
    let (place, ..) = repository(RULES);
    place
        .run(&[
            "seal",
            "db",
            "--from-literal",
            "a=b",
            "-o",
            "clusters/prod/payments/db.yaml",
        ])
        .failed(2, "usage");
    std::fs::create_dir_all(place.path("clusters/prod/payments")).expect("a directory");
    place
        .run(&[
            "seal",
            "db",
            "--from-literal",
            "a=b",
            "-o",
            "clusters/prod/payments/db.yaml",
        ])
        .done();
    let sealed = place.read("clusters/prod/payments/db.yaml");
    assert!(
        sealed.contains("binding: strict:payments/db:Opaque")
            && sealed.contains("prod.")
            && !sealed.contains("staging.")
    );
    let run = place.run_in(
        "clusters/test",
        &["seal", "db", "-n", "x", "--from-literal", "a=b"],
    );
    assert!(
        run.done().text().contains("binding: namespace:x:Opaque")
            && run.text().contains("staging.")
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_rules() {
    let (place, ..) = repository(RULES);
    let arguments = [
        "seal",
        "db",
        "-n",
        "flag",
        "--scope",
        "strict",
        "--from-literal",
        "a=b",
        "-o",
        "clusters/db.yaml",
    ];
    std::fs::create_dir_all(place.path("clusters")).expect("a directory");
    place
        .run_with(&arguments, b"", &[("WAXWING_CLUSTER", "prod")])
        .done();
    let sealed = place.read("clusters/db.yaml");
    assert!(
        sealed.contains("binding: strict:flag/db:Opaque")
            && sealed.contains("prod.")
            && !sealed.contains("staging.")
    );
    let flagged = [
        "seal",
        "db",
        "-n",
        "flag",
        "--from-literal",
        "a=b",
        "--cluster",
        "prod,staging",
    ];
    let run = place.run_with(&flagged, b"", &[("WAXWING_CLUSTER", "nonsense")]);
    assert!(run.done().text().contains("prod.") && run.text().contains("staging."));
}

#[test]
fn a_denied_path_is_refused_with_its_reason() {
    let (place, ..) = repository(RULES);
    place.write("apps/shop/base/db.yaml", MANIFEST);
    place
        .run(&[
            "seal",
            "-f",
            "apps/shop/base/db.yaml",
            "--in-place",
            "-r",
            "me.pub",
        ])
        .failed(3, "rule-denies")
        .says("seal in an overlay, not in base")
        .says(".waxwing.yaml:8");
    assert_eq!(place.read("apps/shop/base/db.yaml"), MANIFEST);
}

#[test]
fn a_path_without_a_rule_has_no_recipients() {
    let (place, ..) = repository(RULES);
    place
        .run(&["seal", "db", "-n", "x", "--from-literal", "a=b"])
        .failed(3, "no-recipients")
        .says(".waxwing.yaml");
}

#[test]
fn a_tie_is_an_error_that_names_both_rules() {
    let (place, ..) = repository(
        "  - { path: \"a/**\", cluster: prod }\n  - { path: \"a/*.yaml\", cluster: staging }\n",
    );
    place
        .run_in("a", &["seal", "db", "-n", "x", "--from-literal", "a=b"])
        .failed(3, "rule-tie")
        .says(":6")
        .says(":7");
}

#[test]
fn write_follows_the_rule() {
    let (place, ..) = repository(RULES);
    place.write("clusters/prod/payments/plain.yaml", MANIFEST);
    let arguments = ["seal", "-f", "clusters/prod/payments/plain.yaml", "--write"];
    place
        .run(&arguments)
        .done()
        .says("db.sealed.yaml")
        .says("still holds the plaintext");
    assert!(
        place
            .read("clusters/prod/payments/db.sealed.yaml")
            .contains("SealedSecret")
    );
    place.run(&arguments).failed(8, "would-overwrite");
    place.write("clusters/plain.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "clusters/plain.yaml", "--write"])
        .failed(3, "config")
        .says("output");
    place.write("elsewhere.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "elsewhere.yaml", "--write"])
        .failed(3, "config");
}

#[test]
fn a_manifest_in_another_namespace_than_its_rule_is_refused() {
    let (place, ..) = repository(RULES);
    place.write("clusters/prod/shop/db.yaml", MANIFEST);
    place
        .run(&["seal", "-f", "clusters/prod/shop/db.yaml", "--in-place"])
        .failed(2, "disagreement")
        .says("\"shop\"");
    place
        .run(&[
            "seal",
            "-f",
            "clusters/prod/shop/db.yaml",
            "--in-place",
            "-n",
            "payments",
        ])
        .done();
}

#[test]
fn the_configuration_is_not_looked_for_beyond_the_repository() {
    let (place, ..) = repository("  - { path: \"**\", cluster: prod }\n");
    let arguments = ["seal", "db", "-n", "x", "--from-literal", "a=b"];
    place.run_in("deep/down", &arguments).done();
    std::fs::create_dir_all(place.path("deep/inner/.git")).expect("a directory");
    place
        .run_in("deep/inner", &arguments)
        .failed(3, "no-recipients")
        .says("no .waxwing.yaml");
}

#[test]
fn outside_of_a_repository_nothing_above_the_working_directory_counts() {
    let place = Place::new();
    let cluster = Cluster::new();
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}rules: [{{ path: \"**\", cluster: prod }}]\n",
            cluster.entry("prod")
        ),
    );
    place.write(".waxwing/prod.pub", cluster.file("prod", 1));
    place
        .run(&["trust", "--cluster", "prod", &cluster.fingerprint()])
        .done();
    let arguments = ["seal", "db", "-n", "x", "--from-literal", "a=b"];
    place.run(&arguments).done();
    let mut deep = arguments.to_vec();
    deep.extend(["-o", "deep/db.yaml"]);
    std::fs::create_dir_all(place.path("deep")).expect("a directory");
    place.run(&deep).done();
    place.run_in("below", &arguments).failed(3, "no-recipients");
    let config = place.path(".waxwing.yaml").display().to_string();
    let mut named = arguments.to_vec();
    named.extend(["--cluster", "prod", "--config", &config]);
    place.run_in("below", &named).done();
    place
        .run_with(
            &["keys", "list"],
            b"",
            &[("WAXWING_CONFIG", "missing.yaml")],
        )
        .failed(3, "config")
        .says("missing.yaml");
}

#[test]
fn the_user_s_own_configuration_comes_last() {
    let place = Place::new();
    let cluster = Cluster::new();
    place.write(
        "../config/waxwing/config.yaml",
        format!("version: 1\nclusters:\n{}", cluster.entry("mine")),
    );
    place.write(
        "../config/waxwing/.waxwing/mine.pub",
        cluster.file("mine", 1),
    );
    let arguments = [
        "seal",
        "db",
        "-n",
        "x",
        "--from-literal",
        "a=b",
        "--cluster",
        "mine",
    ];
    place
        .run_with(
            &arguments,
            b"",
            &[("WAXWING_TRUSTED_KEYS", &cluster.fingerprint())],
        )
        .done();
    place.write(".waxwing.yaml", "version: 1\n");
    place.run(&arguments).failed(3, "unknown-cluster");
}

#[test]
fn a_broken_configuration_names_its_line() {
    let place = Place::new();
    let arguments = [
        "seal",
        "db",
        "-n",
        "x",
        "--from-literal",
        "a=b",
        "-r",
        "me.pub",
    ];
    place.write(".waxwing.yaml", "version: 1\nclustres: {}\n");
    place
        .run(&arguments)
        .failed(3, "config")
        .says(".waxwing.yaml:2")
        .says("did you mean \"clusters\"");
    place.write(".waxwing.yaml", "version: [\n");
    place
        .run(&arguments)
        .failed(3, "config")
        .says(".waxwing.yaml");
}

#[test]
fn an_unknown_cluster_is_named_with_the_nearest_one() {
    let (place, ..) = repository(RULES);
    place
        .run(&[
            "seal",
            "db",
            "-n",
            "x",
            "--from-literal",
            "a=b",
            "--cluster",
            "stagin",
        ])
        .failed(3, "unknown-cluster")
        .says("\"staging\"");
}
