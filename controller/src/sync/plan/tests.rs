use manifests::Limits;

use super::super::discovery::tests::cluster;
use super::super::order::Stage;
use super::*;

fn objects(yaml: &str) -> Vec<Object> {
    match manifests::read("apps/all.yaml", yaml.as_bytes(), &Limits::default()) {
        Ok(objects) => objects,
        Err(errors) => panic!("{}", errors[0]),
    }
}

fn planned(yaml: &str) -> Plan {
    planned_in(yaml, &Watched::Cluster)
}

fn planned_in(yaml: &str, watched: &Watched) -> Plan {
    let set = ApplySet::of("team-a", "app");
    let kinds = cluster();
    let ground = Ground {
        namespace: "team-a",
        controller_namespace: "waxwing-system",
        watched,
        set: &set,
        kinds: &kinds,
    };
    plan(objects(yaml), &ground)
}

#[test]
fn an_object_outside_of_the_watched_namespaces_is_refused_by_name() {
    let watched = Watched::Namespaces(["team-a".to_owned()].into());
    let outside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: team-b}\n";
    let plan = planned_in(outside, &watched);
    assert_eq!(reasons(&plan), [Reason::ForbiddenNamespace]);
    let text = plan.problems[0].to_string();
    for part in [
        "apps/all.yaml:",
        "ConfigMap team-b/a",
        "(team-a)",
        "--watch-namespace",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let inside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n\
                  apiVersion: v1\nkind: Namespace\nmetadata: {name: team-b}\n";
    assert_eq!(
        reasons(&planned_in(inside, &watched)),
        [],
        "cluster-scoped kinds are a matter of the account's rights"
    );
}

fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.problems.iter().map(|problem| problem.reason).collect()
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn an_object_without_namespace_goes_to_the_namespace_of_the_sync_and_becomes_a_member() {
    let plan = planned(CONFIG);
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let item = &plan.items[0];
    assert_eq!(item.id.namespace.as_deref(), Some("team-a"));
    assert_eq!(item.body["metadata"]["namespace"], "team-a");
    assert_eq!(
        item.body["metadata"]["labels"][names::APPLYSET_PART_OF_LABEL],
        ApplySet::of("team-a", "app").id()
    );
}

#[test]
fn a_namespace_on_a_cluster_scoped_object_is_dropped() {
    let plan = planned("apiVersion: v1\nkind: Namespace\nmetadata: {name: prod, namespace: x}\n");
    assert!(plan.problems.is_empty());
    assert_eq!(plan.items[0].id.namespace, None);
    assert!(plan.items[0].body["metadata"].get("namespace").is_none());
}

#[test]
fn a_plain_secret_with_data_is_refused_naming_file_line_keys_and_command() {
    let plan = planned(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData:\n  password: hunter2\n",
    );
    assert_eq!(reasons(&plan), [Reason::PlaintextSecret]);
    let text = plan.problems[0].to_string();
    for part in [
        "apps/all.yaml:1",
        "Secret team-a/db",
        "password",
        "line 5",
        "waxwing seal -f apps/all.yaml --in-place",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_secret_without_data_is_an_object_like_any_other() {
    let plan = planned("apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\n");
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
}

#[test]
fn all_problems_are_reported_at_once() {
    let plan = planned(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: x}\n\
         ---\napiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\n\
         ---\napiVersion: metrics.k8s.io/v1beta1\nkind: PodMetrics\nmetadata: {name: m}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: team-a}\n",
    );
    let mut found = reasons(&plan);
    found.sort();
    let mut expected = vec![
        Reason::PlaintextSecret,
        Reason::UnknownKind,
        Reason::ApiUnavailable,
        Reason::DuplicateObject,
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_kind_may_come_with_the_revision() {
    let plan = planned(
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\n\
         ---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.org}\n\
         spec: {group: example.org, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true, storage: true}]}\n",
    );
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    assert_eq!(plan.items[0].step.stage, Stage::Definitions);
    let widget = &plan.items[1];
    assert!(widget.kind_is_brought && !plan.items[0].kind_is_brought);
    assert_eq!(widget.kind.plural(), "widgets.example.org");
    assert_eq!(widget.id.namespace.as_deref(), Some("team-a"));
}

#[test]
fn a_version_that_its_definition_does_not_serve_is_not_brought() {
    let plan = planned(
        "apiVersion: example.org/v2\nkind: Widget\nmetadata: {name: w}\n\
         ---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.org}\n\
         spec: {group: example.org, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [{name: v2, served: false}]}\n",
    );
    assert_eq!(reasons(&plan), [Reason::UnknownKind]);
}

#[test]
fn what_is_the_controllers_own_is_refused() {
    let sealed = |namespace: &str| {
        format!(
            "apiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: {namespace}}}\nspec: {{}}\n"
        )
    };
    assert_eq!(
        reasons(&planned(&sealed("waxwing-system"))),
        [Reason::ForbiddenNamespace]
    );
    assert!(planned(&sealed("prod")).problems.is_empty());
    let key = "apiVersion: waxwing.dev/v1alpha1\nkind: SealingKey\nmetadata: {name: k}\n";
    assert_eq!(reasons(&planned(key)), [Reason::ObjectRefused]);
    let typed =
        "apiVersion: v1\nkind: Secret\ntype: waxwing.dev/sealing-key\nmetadata: {name: k}\n";
    assert_eq!(reasons(&planned(typed)), [Reason::ForbiddenType]);
    let marked = "apiVersion: v1\nkind: Secret\nmetadata: {name: k, labels: {waxwing.dev/sealed: \"true\"}, annotations: {waxwing.dev/adopt: allowed}}\n";
    assert_eq!(
        reasons(&planned(marked)),
        [Reason::ForbiddenMetadata],
        "consent to adoption is the Secret's to give"
    );
}

#[test]
fn a_membership_of_another_sync_cannot_be_claimed_in_git() {
    let claimed = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, labels: {{{}: x}}}}\n",
        names::APPLYSET_PART_OF_LABEL
    );
    assert_eq!(reasons(&planned(&claimed)), [Reason::ForbiddenMetadata]);
}

#[test]
fn a_secret_and_a_sealed_secret_that_would_become_it_cannot_both_be_meant() {
    let plan = planned(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n\
         ---\napiVersion: waxwing.dev/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\nspec: {}\n",
    );
    assert_eq!(reasons(&plan), [Reason::DuplicateObject]);
}

#[test]
fn items_come_in_the_order_of_writing_whatever_the_order_of_files() {
    let plan = planned(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n\
         ---\napiVersion: v1\nkind: Namespace\nmetadata: {name: prod}\n",
    );
    let kinds: Vec<&str> = plan
        .items
        .iter()
        .map(|item| item.id.kind.as_str())
        .collect();
    assert_eq!(kinds, ["Namespace", "ConfigMap", "Deployment"]);
}

#[test]
fn labels_that_are_no_map_are_a_problem_and_not_a_panic() {
    let plan = planned("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: [x]}\n");
    assert_eq!(reasons(&plan), [Reason::RenderFailed]);
    assert!(
        planned("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: null}\n")
            .problems
            .is_empty()
    );
}
