//! Every way to get the configuration wrong names its line and what was meant.

use super::*;
use crate::error::CommandError;

const SIGNER: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn read(text: &str) -> Result<Config, CommandError> {
    parse(
        text,
        ".waxwing.yaml",
        Path::new("/repo"),
        Path::new("/repo"),
    )
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(CommandError::Failed(failure)) => {
            assert_eq!(failure.code, Code::Config);
            format!("{failure} | {}", failure.hints.join(" | "))
        }
        Err(CommandError::BrokenPipe) => unreachable!(),
    }
}

#[test]
fn reads_the_documented_example() {
    let config = read(&format!(
        r#"version: 1
clusters:
  prod:    {{ recipients: .waxwing/prod.pub, signer: "{SIGNER}" }}
  staging: {{ recipients: .waxwing/staging.pub, signer: "{SIGNER}" }}
recovery:  {{ recipients: .waxwing/recovery.pub, fingerprints: ["{SIGNER}"] }}
rules:
  - {{ path: "clusters/prod/**", cluster: [prod], namespace: "{{dir:3}}", scope: strict, output: "{{name}}.sealed.yaml" }}
  - {{ path: "apps/*/base/**", deny: "seal in an overlay, not in base" }}
check:
  deny: [helm-values]
  warn: [env-literal]
  allow: [{{ rule: k8s-secret, path: "docs/examples/**", reason: "fake values", expires: 2027-01-01 }}]
"#
    ));
    let config = match config {
        Ok(config) => config,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(
        config.clusters.keys().collect::<Vec<_>>(),
        ["prod", "staging"]
    );
    assert_eq!(
        config.clusters["prod"].recipients,
        Path::new("/repo/.waxwing/prod.pub")
    );
    assert_eq!(config.clusters["staging"].line, 4);
    assert_eq!(config.rules.len(), 2);
    assert_eq!(config.rules[0].line, 7);
    assert_eq!(config.rules[0].clusters, ["prod"]);
    assert_eq!(
        config.rules[1].deny.as_deref(),
        Some("seal in an overlay, not in base")
    );
    assert_eq!(
        config.recovery.map(|recovery| recovery.fingerprints.len()),
        Some(1)
    );
}

#[test]
fn an_unknown_field_names_its_line_and_what_was_meant() {
    let said = refused("version: 1\ncluster:\n  prod: { recipients: a.pub }\n");
    assert!(
        said.contains(".waxwing.yaml:2") && said.contains("did you mean \"clusters\"?"),
        "{said}"
    );
    let said = refused("version: 1\nrules:\n  - path: a\n    namespce: b\n");
    assert!(
        said.contains(".waxwing.yaml:4") && said.contains("did you mean \"namespace\"?"),
        "{said}"
    );
}

#[test]
fn faults_are_named() {
    for (text, expected) in [
        ("clusters: {}\n", "\"version\" is missing"),
        ("version: 2\n", "version 2 is not known"),
        (
            "version: 1\nclusters: { Prod: { recipients: a } }\n",
            ".waxwing.yaml:2",
        ),
        (
            "version: 1\nclusters: { recovery: { recipients: a } }\n",
            "cannot be called \"recovery\"",
        ),
        (
            "version: 1\nclusters: { prod: { recipients: a, signer: \"MD5:ab\" } }\n",
            "signer",
        ),
        (
            "version: 1\nrules: [{ path: \"a/**\", cluster: [prod] }]\n",
            "not under `clusters`",
        ),
        ("version: 1\nrules: [{ path: \"a/[\" }]\n", "path \"a/[\""),
        (
            "version: 1\nrules: [{ path: a, scope: wide }]\n",
            "not a scope",
        ),
        (
            "version: 1\nrules: [{ path: a, namespace: \"{dir:0}\" }]\n",
            "counts from 1",
        ),
        (
            "version: 1\nrules: [{ path: a, namespace: \"{name}\" }]\n",
            "{dir:N}",
        ),
        (
            "version: 1\nrules: [{ path: a, output: \"../{name}.yaml\" }]\n",
            "output",
        ),
        (
            "version: 1\ncheck: { allow: [{ rule: a, path: b, reason: c, expires: soon }] }\n",
            "not a day",
        ),
        (
            "version: 1\ncheck: { deny: [a], warn: [a] }\n",
            "under deny and under warn",
        ),
        ("version: 1\nversion: 1\n", ".waxwing.yaml:2"),
        ("version: [\n", ".waxwing.yaml"),
    ] {
        let said = refused(text);
        assert!(
            said.contains(expected),
            "{text:?} said {said:?}, expected {expected:?}"
        );
    }
}

#[test]
fn a_single_cluster_needs_no_list() {
    let config = read(
        "version: 1\nclusters: { prod: { recipients: a } }\nrules: [{ path: \"**\", cluster: prod }]\n",
    );
    assert!(config.is_ok_and(|config| config.rules[0].clusters == ["prod"]));
}
