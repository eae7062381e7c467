//! Repositories that someone made to harm: odd names, links, bombs.

mod repository;

use std::path::Path;

use controller::sync::source::{GitSource, SourceError, SourceLimits};
use manifests::Limits;

use self::repository::{Repository, branch, file, listing, read};

async fn read_main(
    repository: &Repository,
    limits: &Limits,
) -> Result<Vec<(String, String)>, SourceError> {
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    let revision = source.resolve(&remote).await?;
    let tree = source.tree(&remote, &revision, "", limits).await?;
    Ok(listing(&tree))
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_elsewhere_stop_the_revision() {
    for (name, says) in [
        (&b".."[..], "leads out of its directory"),
        (b".", "leads out of its directory"),
        (b".git", "Git's own directory"),
        (b".GIT", "Git's own directory"),
        (b"..\\..\\a.yaml", "separator of paths"),
        (b"a\nb.yaml", "control characters"),
        (b"\xff\xfe.yaml", "not UTF-8"),
    ] {
        for directory in [false, true] {
            let repository = Repository::new();
            let blob = repository.blob(b"a: 1\n");
            let inner = repository.tree(&[("100644", "blob", &blob, b"a.yaml")]);
            let odd = if directory {
                ("040000", "tree", inner.as_str(), name)
            } else {
                ("100644", "blob", blob.as_str(), name)
            };
            let tree = repository.tree(&[("100644", "blob", &blob, b"good.yaml"), odd]);
            let outer = repository.tree(&[("040000", "tree", &tree, b"app")]);
            repository.commit_tree(&outer, &[], "main", "Odd");
            let error = read_main(&repository, &Limits::default()).await;
            let error = error.expect_err("an odd name is accepted");
            assert!(matches!(error, SourceError::NameRefused { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(says), "{text}");
            assert!(text.contains("app/"), "{text}");
            assert!(!text.contains('\n'), "{text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_submodules_are_recorded_and_never_followed() {
    let repository = Repository::new();
    let blob = repository.blob(b"a: 1\n");
    let target = repository.blob(b"/etc/passwd");
    let tree = repository.tree(&[
        ("100644", "blob", &blob, b"a.yaml"),
        ("120000", "blob", &target, b"link.yaml"),
        ("160000", "commit", &"1".repeat(40), b"module"),
    ]);
    repository.commit_tree(&tree, &[], "main", "Links");
    assert_eq!(
        read_main(&repository, &Limits::default())
            .await
            .expect("reads"),
        [
            file("a.yaml", "a: 1\n"),
            file("link.yaml", "<symlink>"),
            file("module", "<submodule>")
        ]
    );
    // A path through a link is no path.
    let error = read(
        &repository.source(),
        &repository.remote(branch("main")),
        "link.yaml",
    )
    .await;
    assert!(matches!(error, Err(SourceError::PathNotFound { .. })));
    let error = read(
        &repository.source(),
        &repository.remote(branch("main")),
        "module",
    )
    .await;
    assert!(matches!(error, Err(SourceError::PathNotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_holds_and_is_named() {
    let repository = Repository::new();
    repository.commit(
        &[
            ("a.yaml", "0123456789"),
            ("b.yaml", "0123456789"),
            ("deep/er/est/c.yaml", "c"),
            (
                "skipped.bin",
                "not a manifest, and longer than any limit of this test",
            ),
        ],
        &[],
        "main",
    );
    let fits = Limits {
        files: 3,
        file_bytes: 10,
        total_bytes: 21,
        directory_depth: 3,
        ..Limits::default()
    };
    assert_eq!(read_main(&repository, &fits).await.expect("fits").len(), 3);
    for (limits, says) in [
        (Limits { files: 2, ..fits }, "the number of manifest files"),
        (
            Limits {
                file_bytes: 9,
                ..fits
            },
            "the size of a.yaml",
        ),
        (
            Limits {
                total_bytes: 20,
                ..fits
            },
            "the size of all manifest files",
        ),
        (
            Limits {
                directory_depth: 2,
                ..fits
            },
            "the depth of deep/er/est",
        ),
    ] {
        let error = read_main(&repository, &limits)
            .await
            .expect_err("over the limit");
        assert!(matches!(error, SourceError::Limit { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_repeats_itself_is_not_walked_to_the_end() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    // 10^12 files in a pack of a few hundred bytes.
    let mut tree = repository.tree(&[("100644", "blob", &blob, b"f.txt")]);
    for _ in 0..12 {
        let names: Vec<[u8; 1]> = (b'0'..=b'9').map(|digit| [digit]).collect();
        let entries: Vec<(&str, &str, &str, &[u8])> = names
            .iter()
            .map(|name| ("040000", "tree", tree.as_str(), &name[..]))
            .collect();
        tree = repository.tree(&entries);
    }
    repository.commit_tree(&tree, &[], "main", "Bomb");
    let limits = Limits {
        files: 100,
        ..Limits::default()
    };
    let error = read_main(&repository, &limits)
        .await
        .expect_err("it is endless");
    assert!(
        error
            .to_string()
            .contains("the number of files of any kind"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_unpacks_to_too_much_is_not_unpacked() {
    let repository = Repository::new();
    let large = "0".repeat(4 << 20);
    repository.commit(&[("a.yaml", "a"), ("large.bin", &large)], &[], "main");
    let limits = SourceLimits {
        object_bytes: 1 << 20,
        ..SourceLimits::default()
    };
    let source = GitSource::new(&repository.cache(), limits, true).expect("made");
    let error = read(&source, &repository.remote(branch("main")), "").await;
    let error = error.err().expect("the object is over the limit");
    assert!(matches!(error, SourceError::Limit { .. }), "{error}");
    assert!(error.to_string().contains("1 MiB"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_says_of_itself_cannot_break_a_status() {
    let repository = Repository::new();
    let tree = repository.tree(&[("100644", "blob", &repository.blob(b"a"), b"a.yaml")]);
    let subject = format!("\u{1b}[31m{}\u{7}", "long ".repeat(100));
    repository.commit_tree(&tree, &[], "main", &subject);
    let tree = read(&repository.source(), &repository.remote(branch("main")), "").await;
    let tree = tree.expect("reads");
    assert!(
        !tree.subject.chars().any(char::is_control),
        "{:?}",
        tree.subject
    );
    assert_eq!(tree.subject.chars().count(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_configuration_of_a_repository_run_nothing() {
    let repository = Repository::new();
    repository.commit(
        &[
            ("a.yaml", "a"),
            (".gitattributes", "* filter=evil\n"),
            (".gitmodules", "[submodule]\n"),
        ],
        &[],
        "main",
    );
    let witness = repository.path().join("ran");
    repository.git(
        &[
            "config",
            "filter.evil.smudge",
            &format!("touch {}", witness.display()),
        ],
        b"",
    );
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    read(&source, &remote, "").await.expect("reads");
    assert!(!Path::new(&witness).exists());
}
