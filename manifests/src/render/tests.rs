use super::*;

fn object(kind: &str, name: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n")
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (path, text) in files {
        tree.insert(path, text.as_bytes()).unwrap();
    }
    tree
}

fn names(tree: &Tree, directory: &str) -> Vec<String> {
    let objects = render_plain(tree, directory, &Limits::default())
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    objects
        .iter()
        .map(|object| format!("{} {}", object.location.file, object.id))
        .collect()
}

fn problems(tree: &Tree, directory: &str) -> Vec<String> {
    match render_plain(tree, directory, &Limits::default()) {
        Ok(objects) => panic!("{} objects instead of problems", objects.len()),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_manifest_below_the_directory_sorted() {
    let (a, b, c) = (
        object("Secret", "a"),
        object("ConfigMap", "b"),
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}"#,
    );
    let tree = tree(&[
        ("apps/z.yaml", &a),
        ("apps/b/one.yml", &b),
        ("apps/b/two.json", c),
        ("apps/README.md", "not: [yaml"),
        ("apps/.hidden.yaml", "not: [yaml"),
        ("apps/.ci/x.yaml", "not: [yaml"),
        ("apps2/x.yaml", "not: [yaml"),
        ("other.yaml", "not: [yaml"),
    ]);
    let expected = [
        "apps/b/one.yml ConfigMap b",
        "apps/b/two.json Pod c",
        "apps/z.yaml Secret a",
    ];
    for directory in ["apps", "./apps/", "apps/.", "/apps"] {
        assert_eq!(names(&tree, directory), expected);
    }
    assert_eq!(names(&tree, "apps/b"), &expected[..2]);
    assert_eq!(problems(&tree, "").len(), 2);
    assert!(names(&self::tree(&[]), "").is_empty());
}

#[test]
fn all_problems_of_the_tree_at_once() {
    let annotated = object("ConfigMap", "c")
        + "  annotations:\n    waxwing.dev/prune: disabled\n    argocd.argoproj.io/sync-wave: \"1\"\n    waxwing.dev/prun: disabled\n";
    let mut tree = tree(&[
        ("a.yaml", "a: [\n"),
        ("b.yaml", "replicas: 1\n"),
        ("c.yaml", &annotated),
        ("d.yaml", &object("ConfigMap", "c")),
        ("k/kustomization.yaml", "resources: []\n"),
        ("k/patch.yaml", "- op: add\n"),
        ("k/deeper/values.yaml", "x: 1\n"),
    ]);
    tree.insert_symlink("link.yaml").unwrap();
    tree.insert_symlink("linked-directory").unwrap();
    tree.insert_symlink("link.md").unwrap();
    tree.insert_symlink(".hidden").unwrap();
    tree.insert_submodule("module").unwrap();
    let expected = [
        "k/kustomization.yaml: rendering a kustomization is not built yet; point the path at a directory of plain manifests, or commit the output of `kustomize build` and remove this file from it",
        "a.yaml:1:4 (document 1): not well-formed YAML: unclosed bracket",
        "b.yaml:1:1 (document 1): not a Kubernetes object: apiVersion is missing",
        "c.yaml:6:5 (document 1): ConfigMap c: annotation waxwing.dev/prune asks for something that is not built yet; remove the annotation (it is refused rather than ignored)",
        "c.yaml:7:5 (document 1): ConfigMap c: annotation argocd.argoproj.io/sync-wave asks for",
        "c.yaml:8:5 (document 1): ConfigMap c: there is no annotation waxwing.dev/prun; correct its spelling or remove it",
        "link.yaml: is a symbolic link, which is never followed; commit the manifest itself in its place",
        "linked-directory: is a symbolic link",
        "module: is a submodule",
        "d.yaml:1:1 (document 1): ConfigMap c stands already at c.yaml:1:1 (document 1); remove one of the two",
    ];
    let found = problems(&tree, ".");
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn every_annotation_that_is_not_built_is_refused_by_name() {
    for (key, policy) in annotations::POLICIES {
        let text = object("ConfigMap", "a") + &format!("  annotations: {{{key}: \"x\"}}\n");
        let result = render_plain(&tree(&[("a.yaml", &text)]), "", &Limits::default());
        if annotations::BUILT.contains(policy) {
            assert!(result.is_ok());
            continue;
        }
        let problems = result.map(|_| ()).unwrap_err();
        assert!(
            matches!(&problems[..], [Problem::AnnotationNotBuilt { key: found, location, .. }] if found == key && location.line == 5 && location.column == 17)
        );
        assert_eq!(
            (
                problems[0].file(),
                problems[0].object().unwrap().name.as_str()
            ),
            ("a.yaml", "a")
        );
    }
    let harmless = object("Secret", "a")
        + "  annotations: {waxwing.dev/adopt: allowed, waxwing.dev/reconcile-at: \"1\", example.com/wave: \"1\"}\n";
    assert_eq!(names(&tree(&[("a.yaml", &harmless)]), "").len(), 1);
}

#[test]
fn every_name_of_a_kustomization_is_known() {
    for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
        let path = format!("apps/{name}");
        let found = render_plain(
            &tree(&[(&path, "resources: []")]),
            "apps",
            &Limits::default(),
        )
        .map(|_| ())
        .unwrap_err();
        assert_eq!(found, [Problem::Kustomization { file: path }]);
    }
}

#[test]
fn versions_of_the_api_do_not_hide_a_duplicate_and_namespaces_do() {
    let ingress = |version: &str, namespace: &str| {
        format!(
            "apiVersion: networking.k8s.io/{version}\nkind: Ingress\nmetadata: {{name: a{namespace}}}\n"
        )
    };
    let two = tree(&[
        ("a.yaml", &ingress("v1", "")),
        ("b.yaml", &ingress("v1beta1", "")),
    ]);
    assert_eq!(
        problems(&two, ""),
        [
            "b.yaml:1:1 (document 1): Ingress.networking.k8s.io a stands already at a.yaml:1:1 (document 1); remove one of the two"
        ]
    );
    let apart = tree(&[
        ("a.yaml", &ingress("v1", "")),
        ("b.yaml", &ingress("v1", ", namespace: shop")),
    ]);
    let mut objects = render_plain(&apart, "", &Limits::default()).unwrap_or_default();
    assert_eq!(objects.len(), 2);
    // The default namespace turns out to be the same.
    objects[0].id.namespace = Some("shop".to_owned());
    assert_eq!(duplicates(&objects).len(), 1);
    let other_group = tree(&[
        ("a.yaml", &ingress("v1", "")),
        (
            "b.yaml",
            "apiVersion: v1\nkind: Ingress\nmetadata: {name: a}\n",
        ),
    ]);
    assert_eq!(names(&other_group, "").len(), 2);
}

#[test]
fn a_path_that_is_no_directory_says_what_it_is() {
    let mut tree = tree(&[("apps/a.yaml", &object("Secret", "a"))]);
    tree.insert_symlink("link").unwrap();
    assert_eq!(
        problems(&tree, "app"),
        ["app: there is no such directory in this revision; correct the path"]
    );
    assert_eq!(
        problems(&tree, "apps/a.yaml"),
        ["apps/a.yaml: is a file, not a directory; point the path at the directory"]
    );
    assert_eq!(
        problems(&tree, "link"),
        ["link: is a symbolic link, not a directory; point the path at the directory"]
    );
    assert_eq!(
        problems(&tree, "apps/../x"),
        ["path \"apps/../x\" may not be in a tree: it has a component `..`; correct the path"]
    );
}

#[test]
fn limits_of_the_whole_tree() {
    let (a, b) = (object("Secret", "a"), object("Secret", "b"));
    let tree = tree(&[("a.yaml", &a), ("d/e/b.yaml", &b)]);
    let cases = [
        (
            Limits {
                files: 1,
                ..Limits::default()
            },
            "d/e/b.yaml: more than 1 files; point the path at a smaller part of the tree",
        ),
        (
            Limits {
                total_bytes: a.len(),
                ..Limits::default()
            },
            "d/e/b.yaml: more than",
        ),
        (
            Limits {
                objects: 1,
                ..Limits::default()
            },
            "d/e/b.yaml: more than 1 objects",
        ),
        (
            Limits {
                directory_depth: 1,
                ..Limits::default()
            },
            "d/e/b.yaml: more than 1 levels of directories",
        ),
    ];
    for (limits, expected) in cases {
        let found = render_plain(&tree, "", &limits).map(|_| ()).unwrap_err();
        assert!(
            found.len() == 1 && found[0].to_string().starts_with(expected),
            "{found:?}"
        );
    }
}
