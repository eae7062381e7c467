//! The project's pages say what the code has: every reason, every field, and only files that exist.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crds::names;
use crds::reasons::Reason;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Texts between backticks, code blocks aside.
fn code_spans(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Names of the fields directly below `spec`.
fn spec_fields(kind: &str) -> BTreeSet<String> {
    let definitions = serde_json::to_value(crds::all()).unwrap();
    let definition = definitions
        .as_array()
        .unwrap()
        .iter()
        .find(|crd| crd["spec"]["names"]["kind"] == kind)
        .unwrap();
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        ["properties"];
    Value::as_object(spec).unwrap().keys().cloned().collect()
}

#[test]
fn troubleshooting_explains_every_reason_and_no_other() {
    let text = page("docs/troubleshooting.md");
    let explained: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(
        explained, reasons,
        "docs/troubleshooting.md has a section for each reason of crds/src/reasons.rs"
    );
}

/// Texts of all source files below a folder.
fn sources(folder: &Path) -> String {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                fs::read_to_string(&path).unwrap()
            }
        })
        .collect()
}

#[test]
fn every_reason_is_given_by_the_controller() {
    // The classes of the format become reasons in `From<sealing::Class>`.
    let classes = page("crds/src/reasons.rs").replace("Self::", "Reason::");
    let given = sources(&root().join("controller/src")) + &classes;
    let never: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| {
            !given
                .split(&format!("Reason::{reason}"))
                .skip(1)
                .any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        })
        .collect();
    assert!(
        never.is_empty(),
        "remove from crds/src/reasons.rs what nothing says: {never:?}"
    );
}

#[test]
fn the_pages_of_the_kinds_name_every_field() {
    for (kind, path) in [
        ("ManifestSync", "docs/manifestsync.md"),
        ("SealedSecret", "docs/sealedsecret.md"),
    ] {
        let spans = code_spans(&page(path));
        for field in spec_fields(kind) {
            let named = spans
                .iter()
                .any(|span| span.split(['.', ':', ' ', ',']).any(|word| word == field));
            assert!(named, "{path} does not name spec.{field}");
        }
    }
}

#[test]
fn the_page_of_manifest_syncs_names_every_annotation_of_objects() {
    let spans = code_spans(&page("docs/manifestsync.md"));
    for name in names::OBJECT_ANNOTATIONS
        .iter()
        .chain(&names::OBJECT_ANNOTATION_ALIASES)
    {
        assert!(
            spans.contains(*name),
            "docs/manifestsync.md does not name {name}"
        );
    }
}

#[test]
fn links_and_file_names_lead_somewhere() {
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(|name| root().join(name));
    let more = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for path in pages
        .into_iter()
        .chain(more)
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let directory = path.parent().unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let local =
                !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
            assert!(
                !local || directory.join(target).exists(),
                "{} links to {target}, which does not exist",
                path.display()
            );
        }
        for span in code_spans(&text) {
            let is_source = Path::new(&span)
                .extension()
                .is_some_and(|extension| extension == "rs")
                && span.contains('/');
            assert!(
                !is_source || root().join(&span).exists(),
                "{} names {span}, which does not exist",
                path.display()
            );
        }
    }
}
