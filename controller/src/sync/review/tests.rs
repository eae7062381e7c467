use kube::Client;
use manifests::{Limits, Object};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::super::discovery::tests::cluster;
use super::super::plan::{Ground, plan};
use super::super::scripted::{self, Asked, failure};
use super::*;
use crate::keys::SharedKeyring;
use crate::metrics::Metrics;
use crate::unseal::{Policy, UnsealerSetup};
use crate::watched::Watched;

pub const SEALED: &str = "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: victim}\nspec:\n  encryptedData: {password: {value: \"wx1:self:nonsense\"}}\n";
pub const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: prod}\ndata: {a: b}\n";

pub fn items(yaml: &str) -> Vec<Item> {
    let set = ApplySet::of("team-a", "app");
    let objects: Vec<Object> =
        match manifests::read("all.yaml", yaml.as_bytes(), &Limits::default()) {
            Ok(objects) => objects,
            Err(errors) => panic!("{}", errors[0]),
        };
    let ground = Ground {
        namespace: "team-a",
        controller_namespace: "waxwing-system",
        watched: &Watched::Cluster,
        set: &set,
        kinds: &cluster(),
    };
    let plan = plan(objects, &ground);
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    plan.items
}

pub fn reviewer(client: &Client) -> Reviewer {
    let account = Account {
        namespace: "team-a".into(),
        name: "deployer".into(),
    };
    let set = ApplySet::of("team-a", "app");
    Reviewer {
        access: Access::new(client.clone(), account.clone()),
        controller: account.clone(),
        unsealer: Unsealer::new(UnsealerSetup {
            client: client.clone(),
            keyring: SharedKeyring::new(),
            policy: Policy {
                own_namespace: "waxwing-system".into(),
                allow_token_types: false,
                allow_replicator_annotations: false,
                allow_classical: false,
            },
            metrics: Metrics::register(&mut Registry::default()),
        }),
        writer: Writer::new(account.impersonate(client).unwrap(), set.clone()),
        account,
        syncs: Arc::new(|_| Some("team-b/other".to_owned())),
        set,
    }
}

/// The object of a request as the API server would store it.
pub fn stored(asked: &Asked, version: &str) -> (u16, Value) {
    let set = ApplySet::of("team-a", "app");
    let mut object = asked.body.clone();
    object["metadata"]["resourceVersion"] = version.into();
    object["metadata"]["managedFields"] = json!([{"manager": set.manager(), "operation": "Apply",
        "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}]);
    (200, object)
}

fn not_found() -> (u16, Value) {
    failure(
        404,
        "NotFound",
        "configmaps \"a\" not found",
        &json!({"kind": "configmaps", "name": "a"}),
    )
}

async fn reviewed(client: &Client, yaml: &str) -> (Vec<Reviewed>, Vec<Problem>) {
    review(&reviewer(client), items(yaml), &|_| None).await
}

#[tokio::test]
async fn what_the_account_may_not_apply_is_never_opened_nor_sent() {
    let (client, log) = scripted::client(|asked| scripted::review(asked, false));
    let (verdicts, problems) = reviewed(&client, SEALED).await;
    assert!(verdicts.is_empty());
    let reasons: Vec<Reason> = problems.iter().map(|problem| problem.reason).collect();
    // Had it been opened, its nonsense would be told too.
    assert_eq!(reasons, [Reason::AccessDenied]);
    for word in [
        "team-a/deployer",
        "create",
        "patch",
        "victim",
        "kubectl create role",
    ] {
        assert!(
            problems[0].message.contains(word),
            "{word} in {}",
            problems[0]
        );
    }
    for asked in log.all() {
        assert!(
            asked.line.ends_with("/localsubjectaccessreviews"),
            "{}",
            asked.line
        );
    }
}

#[tokio::test]
async fn what_it_may_apply_is_opened_and_told_why_it_does_not_open() {
    let (client, log) = scripted::client(|asked| match asked.line.as_str() {
        line if line.contains("accessreviews") => scripted::review(asked, true),
        line if line.starts_with("PATCH") => stored(asked, "1"),
        _ => not_found(),
    });
    let (_, problems) = reviewed(&client, SEALED).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].reason, Reason::UnsealFailed);
    assert_eq!(
        log.writes(),
        Vec::<String>::new(),
        "a review writes nothing"
    );
}

#[tokio::test]
async fn a_plaintext_pasted_where_a_token_belongs_is_repeated_nowhere() {
    let (client, log) = scripted::client(|asked| scripted::review(asked, true));
    for data in [
        "password: hunter2",
        "password: {value: [hunter2]}",
        "hunter2",
    ] {
        let pasted = format!(
            "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db}}\nspec: {{encryptedData: {{{data}}}}}\n"
        );
        let (_, problems) = reviewed(&client, &pasted).await;
        assert_eq!(problems.len(), 1, "{data}");
        assert_eq!(problems[0].reason, Reason::Malformed, "{}", problems[0]);
        assert!(
            !problems[0].to_string().contains("hunter2"),
            "{}",
            problems[0]
        );
    }
    assert!(
        log.all()
            .iter()
            .all(|asked| asked.line.contains("accessreviews")),
        "nothing was sent"
    );
}

#[tokio::test]
async fn an_object_of_another_sync_is_refused_naming_it() {
    let (client, log) = scripted::client(|_| scripted::conflict("waxwing-sync:AAAAAAAAAAAA"));
    let (_, problems) = reviewed(&client, CONFIG).await;
    assert_eq!(problems[0].reason, Reason::Conflict);
    assert!(
        problems[0].message.contains("team-b/other"),
        "{}",
        problems[0]
    );
    assert!(
        log.all()
            .iter()
            .all(|asked| !asked.query.contains("force=true")),
        "another sync is never overruled"
    );
}

#[tokio::test]
async fn fields_of_anybody_else_are_taken_over() {
    let (client, _) = scripted::client(|asked| match asked.line.as_str() {
        line if line.starts_with("GET") => not_found(),
        _ if asked.query.contains("force=true") => stored(asked, "2"),
        _ => scripted::conflict("kubectl-client-side-apply"),
    });
    let (verdicts, problems) = reviewed(&client, CONFIG).await;
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(verdicts[0].verdict, Verdict::Changed);
}

#[tokio::test]
async fn what_is_as_git_says_is_unchanged() {
    let items = items(CONFIG);
    let body = items[0].body.clone();
    let (client, log) = scripted::client(move |asked| {
        let asked = Asked {
            body: body.clone(),
            ..asked.clone()
        };
        stored(&asked, "7")
    });
    let (verdicts, problems) = review(&reviewer(&client), items, &|_| None).await;
    assert!(problems.is_empty());
    assert!(
        matches!(verdicts[0].verdict, Verdict::Unchanged(_)),
        "{:?}",
        verdicts[0].verdict
    );
    assert_eq!(log.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_lies_in_a_namespace_of_the_revision_waits_for_it_and_elsewhere_is_told() {
    let missing = |_: &Asked| {
        let details = json!({"kind": "namespaces", "name": "prod"});
        failure(404, "NotFound", "namespaces \"prod\" not found", &details)
    };
    let (client, _) = scripted::client(move |asked| {
        if asked.line.contains("/namespaces/prod/") {
            missing(asked)
        } else {
            stored(asked, "1")
        }
    });
    let both = format!("{CONFIG}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: prod}}\n");
    let (verdicts, problems) = reviewed(&client, &both).await;
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(verdicts[1].verdict, Verdict::Deferred);
    let (_, problems) = reviewed(&client, CONFIG).await;
    assert!(
        problems[0]
            .message
            .contains("kubectl create namespace prod"),
        "{}",
        problems[0]
    );
}

#[tokio::test]
async fn what_is_known_to_stand_is_not_asked_about() {
    let (client, log) =
        scripted::client(|_| failure(500, "InternalError", "not to be asked", &Value::Null));
    let meta = serde_json::from_value(
        stored(
            &Asked {
                line: String::new(),
                query: String::new(),
                headers: http::HeaderMap::new(),
                body: json!({"metadata": {}}),
            },
            "1",
        )
        .1["metadata"]
            .clone(),
    )
    .unwrap();
    let fingerprint = ApplySet::of("team-a", "app").fingerprint(&meta).unwrap();
    let (verdicts, problems) =
        review(&reviewer(&client), items(CONFIG), &|_| Some(fingerprint)).await;
    assert!(problems.is_empty());
    assert_eq!(verdicts[0].verdict, Verdict::Unchanged(fingerprint));
    assert!(log.all().is_empty());
}
