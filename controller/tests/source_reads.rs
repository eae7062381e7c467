//! Reading revisions of real repositories, honest ones.

mod repository;

use controller::sync::source::{GitSource, Reference, SourceError, SourceLimits};
use manifests::Limits;

use self::repository::{Repository, branch, file, listing, packs, read, remote};

#[tokio::test(flavor = "multi_thread")]
async fn the_tip_of_a_branch_is_read_with_its_author_and_subject() {
    let repository = Repository::new();
    let commit = repository.commit(
        &[
            ("README.md", "not a manifest"),
            ("app/a.yaml", "a: 1\n"),
            ("b.json", "{}"),
        ],
        &[],
        "main",
    );
    let source = repository.source();
    let remote = repository.remote(branch("main"));

    let revision = source.resolve(&remote).await.expect("resolves");
    assert_eq!(revision.commit, commit);
    assert_eq!(revision.label, format!("main@sha1:{commit}"));
    assert_eq!(
        packs(&repository.cache()),
        Vec::<std::path::PathBuf>::new(),
        "nothing is fetched yet"
    );

    let tree = source
        .tree(&remote, &revision, "", &Limits::default())
        .await
        .expect("reads");
    assert_eq!(
        listing(&tree),
        [file("app/a.yaml", "a: 1\n"), file("b.json", "{}")]
    );
    assert_eq!(tree.author, "Ada Example <ada@example.com>");
    assert_eq!(tree.subject, "Change it");
    assert_eq!(
        tree.subtree_id,
        repository.git(&["rev-parse", "main^{tree}"], b"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_not_fetched() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.yaml", "first")], &[], "main");
    repository.commit(&[("a.yaml", "second")], &[&first], "main");
    let source = repository.source();
    let tree = read(&source, &repository.remote(branch("main")), "").await;
    assert_eq!(listing(&tree.expect("reads")), [file("a.yaml", "second")]);
    let store = packs(&repository.cache());
    let store = store[0].ancestors().nth(3).expect("a store").to_owned();
    let has = |id: &str| {
        std::process::Command::new("git")
            .args(["cat-file", "-e", id])
            .env("GIT_DIR", &store)
            .stderr(std::process::Stdio::null())
            .status()
            .expect("git runs")
            .success()
    };
    assert!(has(&repository.git(&["rev-parse", "main"], b"")));
    assert!(!has(&first), "the parent was fetched too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_tip_makes_no_new_pack_and_a_new_one_makes_one() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.yaml", "1"), ("b.yaml", "same")], &[], "main");
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    for _ in 0..3 {
        read(&source, &remote, "").await.expect("reads");
    }
    assert_eq!(packs(&repository.cache()).len(), 1);

    let second = repository.commit(&[("a.yaml", "2"), ("b.yaml", "same")], &[&first], "main");
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(
        listing(&tree),
        [file("a.yaml", "2"), file("b.yaml", "same")]
    );
    assert_eq!(packs(&repository.cache()).len(), 2);
    assert_eq!(
        source.resolve(&remote).await.expect("resolves").commit,
        second
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_is_followed_also_to_an_unrelated_history() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.yaml", "1")], &[], "main");
    repository.commit(&[("a.yaml", "2")], &[&first], "main");
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    read(&source, &remote, "").await.expect("reads");

    repository.git(&["update-ref", "refs/heads/main", &first], b"");
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "1")]);

    let other = repository.commit(&[("other.yaml", "3")], &[], "main");
    repository.git(&["reflog", "expire", "--expire=now", "--all"], b"");
    repository.git(&["gc", "--quiet", "--prune=now"], b"");
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("other.yaml", "3")]);
    assert_eq!(
        source.resolve(&remote).await.expect("resolves").commit,
        other
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_says_so() {
    let repository = Repository::new();
    for reference in [
        branch("main"),
        Reference::DefaultBranch,
        Reference::Tag("v1".into()),
    ] {
        let error = repository
            .source()
            .resolve(&repository.remote(reference))
            .await
            .expect_err("nothing there");
        assert!(
            matches!(error, SourceError::EmptyRepository { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("Push a first commit"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_reference_is_named_with_what_is_there() {
    let repository = Repository::new();
    repository.commit(&[("a.yaml", "1")], &[], "main");
    repository.commit(&[("a.yaml", "1")], &[], "production");
    repository.git(&["tag", "v1", "main"], b"");
    let source = repository.source();
    for (reference, says) in [
        (
            branch("prod"),
            "has no branch \"prod\"; it has main, production",
        ),
        (Reference::Tag("v2".into()), "has no tag \"v2\"; it has v1"),
        (
            Reference::Name("refs/pull/1/head".into()),
            "has no reference \"refs/pull/1/head\"; it has refs/heads/main",
        ),
    ] {
        let error = source
            .resolve(&repository.remote(reference))
            .await
            .expect_err("not there")
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_commits_names_and_the_default_branch_lead_to_their_commit() {
    let repository = Repository::new();
    let first = repository.commit(&[("a.yaml", "1")], &[], "main");
    let second = repository.commit(&[("a.yaml", "2")], &[&first], "main");
    repository.git(&["tag", "light", &first], b"");
    repository.git(&["tag", "-a", "-m", "annotated", "v1", &first], b"");
    repository.git(
        &["tag", "-a", "-m", "a tag of a tag", "v1-again", "v1"],
        b"",
    );
    repository.git(&["update-ref", "refs/pull/7/head", &first], b"");
    let source = repository.source();
    for (reference, commit, label) in [
        (Reference::Tag("light".into()), &first, "light@sha1:"),
        (Reference::Tag("v1".into()), &first, "v1@sha1:"),
        (Reference::Tag("v1-again".into()), &first, "v1-again@sha1:"),
        (
            Reference::Name("refs/pull/7/head".into()),
            &first,
            "refs/pull/7/head@sha1:",
        ),
        (Reference::Commit(first.clone()), &first, "sha1:"),
        (Reference::DefaultBranch, &second, "main@sha1:"),
    ] {
        let remote = repository.remote(reference);
        let revision = source.resolve(&remote).await.expect("resolves");
        assert_eq!(revision.label, format!("{label}{commit}"));
        let tree = read(&source, &remote, "").await.expect("reads");
        let content = if *commit == first { "1" } else { "2" };
        assert_eq!(listing(&tree), [file("a.yaml", content)], "{label}");
    }
    let tag = repository.git(&["rev-parse", "v1"], b"");
    let error = read(&source, &repository.remote(Reference::Commit(tag)), "").await;
    let error = error.err().expect("a tag is no commit");
    assert!(
        error.to_string().contains("is a tag, not a commit"),
        "{error}"
    );
    assert!(error.is_terminal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subdirectory_is_read_alone_and_keeps_its_id_while_others_change() {
    let repository = Repository::new();
    let first = repository.commit(
        &[
            ("prod/app/a.yaml", "a"),
            ("prod/b.yml", "b"),
            ("test/a.yaml", "t"),
        ],
        &[],
        "main",
    );
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    let before = read(&source, &remote, "./prod/").await.expect("reads");
    assert_eq!(
        listing(&before),
        [file("prod/app/a.yaml", "a"), file("prod/b.yml", "b")]
    );
    repository.commit(
        &[
            ("prod/app/a.yaml", "a"),
            ("prod/b.yml", "b"),
            ("test/a.yaml", "changed"),
        ],
        &[&first],
        "main",
    );
    let after = read(&source, &remote, "prod").await.expect("reads");
    assert_eq!(before.subtree_id, after.subtree_id);

    for (path, says) in [
        ("pord", "not a directory of main@sha1:"),
        ("prod/ap", "it has prod/app"),
        ("prod/b.yml", "not a directory"),
    ] {
        let error = read(&source, &remote, path)
            .await
            .err()
            .expect("not there")
            .to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains(path), "{error}");
    }
    assert!(matches!(
        read(&source, &remote, "prod/../test").await,
        Err(SourceError::PathRefused { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_of_one_repository_share_one_fetch() {
    let repository = Repository::new();
    repository.commit(&[("a/a.yaml", "a"), ("b/b.yaml", "b")], &[], "main");
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    let (a, b) = tokio::join!(read(&source, &remote, "a"), read(&source, &remote, "b"));
    assert_eq!(listing(&a.expect("reads")), [file("a/a.yaml", "a")]);
    assert_eq!(listing(&b.expect("reads")), [file("b/b.yaml", "b")]);
    assert_eq!(packs(&repository.cache()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_many_packs_is_made_anew() {
    let repository = Repository::new();
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    let mut parent = repository.commit(&[("a.yaml", "start")], &[], "main");
    let mut most = 0;
    for number in 0..25 {
        read(&source, &remote, "").await.expect("reads");
        most = most.max(packs(&repository.cache()).len());
        let content = format!("number {number}");
        parent = repository.commit(&[("a.yaml", &content)], &[&parent], "main");
    }
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "number 24")]);
    assert_eq!(most, 21);
    assert!(packs(&repository.cache()).len() < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_made_anew() {
    let repository = Repository::new();
    repository.commit(&[("a.yaml", "a")], &[], "main");
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    read(&source, &remote, "").await.expect("reads");
    for pack in packs(&repository.cache()) {
        std::fs::remove_file(&pack).expect("removes");
        std::fs::write(&pack, b"PACK").expect("writes");
    }
    let damaged = read(&source, &remote, "").await;
    assert!(damaged.is_err(), "the damage is not noticed");
    let tree = read(&source, &remote, "")
        .await
        .expect("the next pass reads");
    assert_eq!(listing(&tree), [file("a.yaml", "a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sha256_repositories_are_read() {
    let repository = Repository::with_format("sha256");
    let commit = repository.commit(&[("a.yaml", "a")], &[], "main");
    assert_eq!(commit.len(), 64);
    let source = repository.source();
    let remote = repository.remote(branch("main"));
    let revision = source.resolve(&remote).await.expect("resolves");
    assert_eq!(revision.label, format!("main@sha256:{commit}"));
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_dead_processes_go_and_those_of_running_ones_stay() {
    let repository = Repository::new();
    repository.commit(&[("a.yaml", "a")], &[], "main");
    let cache = repository.cache();
    let stale = cache.join("repositories-stale");
    std::fs::create_dir_all(stale.join("1.git")).expect("makes");
    std::fs::write(stale.join("lock"), b"").expect("writes");
    std::fs::write(cache.join("unrelated"), b"").expect("writes");

    let running = repository.source();
    assert!(!stale.exists());
    assert!(cache.join("unrelated").exists());
    let remote = repository.remote(branch("main"));
    read(&running, &remote, "").await.expect("reads");

    let second = repository.source();
    read(&running, &remote, "").await.expect("still reads");
    assert_eq!(packs(&cache).len(), 1);
    drop((running, second));
    assert_eq!(packs(&cache).len(), 0, "a clean end leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_refused_unless_allowed_and_a_missing_one_is_named() {
    let repository = Repository::new();
    repository.commit(&[("a.yaml", "a")], &[], "main");
    let source = GitSource::new(&repository.cache(), SourceLimits::default(), false).expect("made");
    let error = source
        .resolve(&repository.remote(branch("main")))
        .await
        .expect_err("refused");
    assert!(matches!(error, SourceError::UrlRefused { .. }), "{error}");
    assert!(error.is_terminal());

    let gone = remote("file:///nonexistent/repository.git", branch("main"));
    let error = repository
        .source()
        .resolve(&gone)
        .await
        .expect_err("not there");
    assert!(error.to_string().contains("no such directory"), "{error}");
    assert!(!error.is_terminal());
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, b"").expect("writes");
    let error = GitSource::new(&blocked.join("cache"), SourceLimits::default(), false);
    let error = error.err().expect("a file is in the way").to_string();
    assert!(error.contains("--cache-dir"), "{error}");
    assert!(error.contains(&*blocked.to_string_lossy()), "{error}");
}
