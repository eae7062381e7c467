//! `keys fetch` and `keys list --context` against an answer that the test gives: what is verified before anything is
//! written. The same against a real API server is a scenario of the whole.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use sealing::{Attestation, KeyState, Statement};
use serde_json::{Value, json};

use crate::support::{Cluster, Place, Run};

/// One `SealingKey` as the API server would give it.
fn sealing_key(cluster: &Cluster, statement: &Statement, state: &str) -> Value {
    let key = cluster.identity.recipient();
    json!({
        "apiVersion": "waxwing.dev/v1alpha1",
        "kind": "SealingKey",
        "metadata": { "name": key.key_id().short() },
        "spec": {
            "publicKey": key.to_string(),
            "fingerprint": key.key_id().fingerprint(),
            "suite": "XWing",
            "createdAt": "2026-11-20T10:00:00Z",
            "state": state,
            "signer": cluster.signer.public().to_string(),
            "attestation": Attestation::sign(statement, &cluster.signer).expect("an attestation").text(),
        },
        "status": { "entries": 3 },
    })
}

fn active(cluster: &Cluster, name: &str, sequence: u64) -> Value {
    sealing_key(cluster, &cluster.statement(name, sequence), "Active")
}

/// Runs a command whose kubeconfig (context `c`) leads to a server that answers every request in the same way.
fn with_answer(place: &Place, status: &str, body: &Value, arguments: &[&str]) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = body.to_string();
    let status = status.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            while let Some(Ok(line)) = lines.next() {
                if line.is_empty() {
                    break;
                }
            }
            let length = answer.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
            );
        }
    });
    place.write(
        "../kubeconfig",
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        ),
    );
    let kubeconfig = place.path("../kubeconfig").display().to_string();
    place.run_with(arguments, b"", &[("KUBECONFIG", &kubeconfig)])
}

fn fetch_with(place: &Place, keys: &[Value], more: &[&str]) -> Run {
    let list = json!({ "apiVersion": "waxwing.dev/v1alpha1", "kind": "SealingKeyList", "metadata": {}, "items": keys });
    let mut arguments = vec!["keys", "fetch"];
    arguments.extend(more);
    with_answer(place, "200 OK", &list, &arguments)
}

fn fetch(place: &Place, keys: &[Value]) -> Run {
    fetch_with(place, keys, &[])
}

/// A repository that names `prod` with this cluster's signer.
fn configured(cluster: &Cluster) -> Place {
    let place = Place::new();
    place.git(&["init", "-q"]);
    place.write(
        ".waxwing.yaml",
        format!(
            "version: 1\nclusters:\n{}rules: [{{ path: \"**\", cluster: prod }}]\n",
            cluster.entry("prod")
        ),
    );
    place.commit("start");
    place
}

#[test]
fn the_configured_file_is_written_and_the_signer_pinned() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    let old = Cluster {
        signer: sealing::Signer::generate().expect("a signer"),
        identity: Cluster::new().identity,
    };
    let mut retired = old.statement("prod", 1);
    retired.state = KeyState::DecryptOnly;
    let keys = [
        sealing_key(&old, &retired, "DecryptOnly"),
        active(&cluster, "prod", 5),
    ];
    let run = fetch(&place, &keys);
    run.done()
        .says("wrote .waxwing/prod.pub")
        .says(&cluster.fingerprint());
    assert!(run.stdout.is_empty());
    assert_eq!(place.read(".waxwing/prod.pub"), cluster.file("prod", 5));
    let seal = ["seal", "db", "-n", "p", "--from-literal", "a=b"];
    assert!(place.run(&seal).done().text().contains("prod."));
    // A rotation replaces the file; an older answer than that is refused.
    let rotated = Cluster {
        signer: cluster.signer,
        identity: Cluster::new().identity,
    };
    fetch(&place, &[active(&rotated, "prod", 6)]).done();
    assert_eq!(place.read(".waxwing/prod.pub"), rotated.file("prod", 6));
    fetch(&place, &[active(&rotated, "prod", 5)]).failed(4, "sequence-replayed");
    assert_eq!(place.read(".waxwing/prod.pub"), rotated.file("prod", 6));
}

#[test]
fn without_a_configuration_the_file_is_printed_or_goes_where_told() {
    let cluster = Cluster::new();
    let place = Place::new();
    let run = fetch(&place, &[active(&cluster, "", 1)]);
    assert_eq!(run.done().text(), cluster.file("", 1));
    run.says("not pinned");
    place.write("prod.pub", "old\n");
    fetch_with(
        &place,
        &[active(&cluster, "prod", 1)],
        &["-o", "prod.pub", "--context", "c"],
    )
    .done();
    assert_eq!(place.read("prod.pub"), cluster.file("prod", 1));
}

#[test]
fn a_nameless_cluster_is_recognised_by_its_signer() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    fetch(&place, &[active(&cluster, "", 1)])
        .done()
        .says("wrote .waxwing/prod.pub");
}

#[test]
fn another_signer_than_configured_or_pinned_writes_nothing() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    let other = Cluster::new();
    fetch(&place, &[active(&other, "prod", 9)]).failed(4, "signer-mismatch");
    fetch(&place, &[active(&cluster, "prod", 1)]).done();
    let config = place
        .read(".waxwing.yaml")
        .replace(&cluster.fingerprint(), &other.fingerprint());
    place.write(".waxwing.yaml", config);
    fetch(&place, &[active(&other, "prod", 9)]).failed(4, "signer-changed");
    assert_eq!(place.read(".waxwing/prod.pub"), cluster.file("prod", 1));
}

#[test]
fn a_key_that_its_attestation_does_not_cover_is_refused() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    let mut forged = active(&cluster, "prod", 1);
    let text = forged["spec"]["attestation"]
        .as_str()
        .expect("text")
        .replace("sequence: 1", "sequence: 2");
    forged["spec"]["attestation"] = text.into();
    fetch(&place, &[forged]).failed(4, "attestation-invalid");
    let mut swapped = active(&cluster, "prod", 1);
    swapped["spec"]["publicKey"] = place.recipient.to_string().into();
    fetch(&place, &[swapped])
        .failed(4, "attestation-invalid")
        .says("another key");
    let mut statement = cluster.statement("prod", 1);
    statement.state = KeyState::Compromised;
    fetch(&place, &[sealing_key(&cluster, &statement, "Active")]).failed(4, "key-not-active");
    let foreign = active(&cluster, "staging", 1);
    fetch(&place, &[foreign]).failed(4, "foreign-cluster");
    assert!(!place.exists(".waxwing/prod.pub") && !place.pins().exists());
}

#[test]
fn there_must_be_exactly_one_active_key() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    fetch(&place, &[])
        .failed(6, "cluster")
        .says("kubectl get sealingkeys");
    fetch(
        &place,
        &[
            active(&cluster, "prod", 1),
            active(&Cluster::new(), "prod", 1),
        ],
    )
    .failed(6, "cluster");
}

#[test]
fn a_cluster_without_waxwing_or_rights_says_so() {
    let place = Place::new();
    let status = |code: u16, message: &str| json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "x", "code": code });
    with_answer(
        &place,
        "404 Not Found",
        &status(404, "the server could not find the requested resource"),
        &["keys", "fetch"],
    )
    .failed(6, "cluster")
    .says("not installed");
    with_answer(
        &place,
        "403 Forbidden",
        &status(403, "forbidden"),
        &["keys", "fetch"],
    )
    .failed(6, "cluster")
    .says("sealingkeys.waxwing.dev");
}

#[test]
fn list_shows_the_cluster_s_own_keys() {
    let cluster = Cluster::new();
    let place = configured(&cluster);
    let list = json!({ "apiVersion": "waxwing.dev/v1alpha1", "kind": "SealingKeyList", "metadata": {}, "items": [active(&cluster, "prod", 1)] });
    let run = with_answer(
        &place,
        "200 OK",
        &list,
        &["keys", "list", "--context", "c", "--format", "json"],
    );
    let shown: Value = serde_json::from_slice(&run.done().stdout).expect("JSON");
    assert_eq!(shown["context"]["name"], "c");
    assert_eq!(shown["context"]["keys"][0]["state"], "Active");
    assert_eq!(shown["context"]["keys"][0]["entries"], 3);
    let text = with_answer(&place, "200 OK", &list, &["keys", "list", "--context", "c"]);
    assert!(
        text.done().text().contains("Active  3 values"),
        "{}",
        text.text()
    );
}
