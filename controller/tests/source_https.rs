//! Reading over HTTPS: what is sent to whom, and what each failure says.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot set its stage has failed"
)]

mod repository;
mod server;

use std::fmt::Write;
use std::time::{Duration, Instant};

use controller::sync::source::{
    Credentials, GitSource, Reference, Remote, Revision, SourceError, SourceLimits,
};
use manifests::Limits;
use zeroize::Zeroizing;

use self::repository::{Repository, branch, file, listing, packs, read};
use self::server::{Answer, Server};

fn basic() -> Credentials {
    Credentials::Basic {
        username: Zeroizing::new("git".to_owned()),
        password: Zeroizing::new("hunter2".to_owned()),
    }
}

fn remote(server: &Server, path: &str, credentials: Option<Credentials>) -> Remote {
    Remote {
        url: server.url(path),
        reference: branch("main"),
        credentials,
        ca: Some(server.ca.clone()),
        proxy: None,
        timeout: Duration::from_secs(20),
    }
}

fn sample() -> Repository {
    let repository = Repository::new();
    repository.commit(&[("a.yaml", "a: 1\n")], &[], "main");
    repository
}

fn source(repository: &Repository) -> GitSource {
    GitSource::new(&repository.cache(), SourceLimits::default(), false).expect("made")
}

async fn refusal(server: &Server, credentials: Option<Credentials>) -> SourceError {
    let cache = tempfile::tempdir().expect("a directory");
    let source = GitSource::new(cache.path(), SourceLimits::default(), false).expect("made");
    let error = source.resolve(&remote(server, "/r.git", credentials)).await;
    let error = error.expect_err("it must not work");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_read_with_its_credentials_and_authority() {
    let repository = sample();
    let path = repository.path();
    let server = Server::start(move |request| {
        // base64 of git:hunter2
        if request.header("authorization") == Some("Basic Z2l0Omh1bnRlcjI=") {
            Answer::Git(path.clone())
        } else {
            Answer::Status(401, Vec::new())
        }
    })
    .await;
    let source = source(&repository);
    let with = remote(&server, "/team/r.git", Some(basic()));
    let tree = read(&source, &with, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "a: 1\n")]);
    let seen: Vec<String> = server
        .requests()
        .iter()
        .map(|request| format!("{} {}", request.method, request.target))
        .collect();
    assert_eq!(
        seen,
        [
            "GET /team/r.git/info/refs?service=git-upload-pack",
            "POST /team/r.git/git-upload-pack",
            "GET /team/r.git/info/refs?service=git-upload-pack",
            "POST /team/r.git/git-upload-pack",
        ],
        "a listing is one GET and one POST, and so is a fetch"
    );

    read(&source, &with, "").await.expect("reads");
    assert_eq!(
        server.requests().len(),
        6,
        "an unchanged tip is listed and not fetched"
    );
    assert_eq!(packs(&repository.cache()).len(), 1);

    // Whoever cannot list cannot read, whatever is in the store already.
    let without = remote(&server, "/team/r.git", None);
    assert!(matches!(
        source.resolve(&without).await,
        Err(SourceError::AccessDenied {
            had_credentials: false,
            ..
        })
    ));
    let known = source.resolve(&with).await.expect("resolves");
    let wrong = Credentials::Bearer(Zeroizing::new("guessed".to_owned()));
    for other in [without, remote(&server, "/team/r.git", Some(wrong))] {
        assert!(matches!(
            source.tree(&other, &known, "", &Limits::default()).await,
            Err(SourceError::AccessDenied { .. })
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_is_sent_as_one() {
    let repository = sample();
    let path = repository.path();
    let server = Server::start(move |request| {
        if request.header("authorization") == Some("Bearer tok.en") {
            Answer::Git(path.clone())
        } else {
            Answer::Status(401, Vec::new())
        }
    })
    .await;
    let bearer = Credentials::Bearer(Zeroizing::new("tok.en".to_owned()));
    let remote = remote(&server, "/r.git", Some(bearer));
    let tree = read(&source(&repository), &remote, "")
        .await
        .expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "a: 1\n")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_there_is_named() {
    let repository = sample();
    let path = repository.path();
    let server = Server::start(move |_| Answer::Git(path.clone())).await;
    let source = source(&repository);

    // Pushed over between the listing and the fetch.
    let tip = remote(&server, "/r.git", None);
    let revision = source.resolve(&tip).await.expect("resolves");
    repository.commit(&[("a.yaml", "a: 2\n")], &[], "main");
    repository.git(&["gc", "--quiet", "--prune=now"], b"");
    let error = source.tree(&tip, &revision, "", &Limits::default()).await;
    let error = error.err().expect("it is gone");
    assert!(
        matches!(error, SourceError::ReferenceNotFound { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&revision.label), "{error}");
    assert!(!error.is_terminal(), "the next pass finds the new tip");
    let tree = read(&source, &tip, "").await.expect("reads the new tip");
    assert_eq!(listing(&tree), [file("a.yaml", "a: 2\n")]);

    // Never there.
    let unknown = Remote {
        reference: Reference::Commit("1".repeat(40)),
        ..remote(&server, "/r.git", None)
    };
    let error = read(&source, &unknown, "").await.err().expect("not there");
    assert!(
        matches!(error, SourceError::ReferenceNotFound { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&"1".repeat(40)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_protocol_is_spoken_too() {
    let repository = sample();
    let path = repository.path();
    let server = Server::start(move |request| {
        let mut old = request.clone();
        old.forget("git-protocol");
        Answer::GitAs(path.clone(), old)
    })
    .await;
    let remote = remote(&server, "/r.git", None);
    let source = source(&repository);
    let tree = read(&source, &remote, "").await.expect("reads");
    assert_eq!(listing(&tree), [file("a.yaml", "a: 1\n")]);
    let error = source
        .resolve(&Remote {
            reference: Reference::Tag("v9".into()),
            ..remote
        })
        .await
        .expect_err("not there");
    assert!(
        matches!(error, SourceError::ReferenceNotFound { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_status_says_what_to_do() {
    for (status, headers, says) in [
        (401, vec![], "Name a Secret with `username` and `password`"),
        (403, vec![], "Name a Secret with `username` and `password`"),
        (404, vec![], "is not a repository (HTTP 404)"),
        (
            429,
            vec![("Retry-After", "17".to_owned())],
            "asks to wait 17 s",
        ),
        (500, vec![], "answered HTTP 500"),
        (200, vec![("Content-Type", "text/html".to_owned())], "smart"),
    ] {
        let server = Server::start(move |_| Answer::Status(status, headers.clone())).await;
        let error = refusal(&server, None).await;
        assert!(error.to_string().contains(says), "{status}: {error}");
        assert!(!error.is_terminal(), "{status}");
        let wait = (status == 429).then(|| Duration::from_secs(17));
        assert_eq!(error.retry_after(), wait);
    }
    let server = Server::start(|_| Answer::Status(401, Vec::new())).await;
    let error = refusal(&server, Some(basic())).await;
    assert!(
        error.to_string().contains("does not take the credentials"),
        "{error}"
    );
    assert!(error.to_string().contains("secretRef"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_without_the_credentials() {
    let repository = sample();
    let path = repository.path();
    let target = Server::start(move |_| Answer::Git(path.clone())).await;
    let location = format!(
        "{}/info/refs?service=git-upload-pack",
        target.url("/moved.git")
    );
    let server =
        Server::start(move |_| Answer::Status(301, vec![("Location", location.clone())])).await;
    let mut both = server.ca.clone();
    both.extend_from_slice(&target.ca);
    let remote = Remote {
        ca: Some(both),
        ..remote(&server, "/r.git", Some(basic()))
    };
    let tree = read(&source(&repository), &remote, "")
        .await
        .expect("follows");
    assert_eq!(listing(&tree), [file("a.yaml", "a: 1\n")]);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
    assert!(!target.requests().is_empty());
    for request in target.requests() {
        assert_eq!(request.header("authorization"), None, "{}", request.target);
        assert!(
            request.target.starts_with("/moved.git/"),
            "{}",
            request.target
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_elsewhere_are_refused() {
    for (location, says) in [
        (
            "http://127.0.0.1/r.git/info/refs?service=git-upload-pack",
            "away from https",
        ),
        (
            "https://169.254.169.254/r.git/info/refs?service=git-upload-pack",
            "169.254.169.254",
        ),
        ("/login", "login page"),
        (
            "/r.git/info/refs?service=git-upload-pack",
            "more than 5 times",
        ),
    ] {
        let server =
            Server::start(move |_| Answer::Status(302, vec![("Location", location.to_owned())]))
                .await;
        let error = refusal(&server, Some(basic())).await;
        assert!(error.to_string().contains(says), "{location}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_connection_from_being_made_is_told_apart() {
    let server = Server::start(|_| Answer::Status(500, Vec::new())).await;
    let cache = tempfile::tempdir().expect("a directory");
    let source = GitSource::new(cache.path(), SourceLimits::default(), false).expect("made");
    let other = Server::start(|_| Answer::Status(500, Vec::new())).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let closed = free.local_addr().expect("bound").port();
    drop(free);
    let with = |url: String, ca: &[u8]| Remote {
        url,
        ca: Some(ca.to_vec()),
        ..remote(&server, "/r.git", None)
    };
    for (remote, says) in [
        (with(server.url("/r.git"), &other.ca), "`ca.crt`"),
        (
            Remote {
                ca: None,
                ..remote(&server, "/r.git", None)
            },
            "`ca.crt`",
        ),
        (
            with(
                format!("https://127.0.0.2:{}/r.git", server.address.port()),
                &server.ca,
            ),
            "cannot connect to 127.0.0.2",
        ),
        (
            with(format!("https://127.0.0.1:{closed}/r.git"), &server.ca),
            "refused",
        ),
        (
            with("https://no-such-host.invalid/r.git".to_owned(), &server.ca),
            "cannot resolve no-such-host.invalid",
        ),
        (
            with(server.url("/r.git"), b"not a certificate"),
            "no PEM certificate",
        ),
    ] {
        let error = source.resolve(&remote).await.expect_err(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_drips_meets_the_deadline() {
    let server = Server::start(|_| Answer::Drip).await;
    let cache = tempfile::tempdir().expect("a directory");
    let source = GitSource::new(cache.path(), SourceLimits::default(), false).expect("made");
    let remote = Remote {
        timeout: Duration::from_millis(700),
        ..remote(&server, "/r.git", None)
    };
    let started = Instant::now();
    let error = source.resolve(&remote).await.expect_err("it never ends");
    assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("spec.timeout"), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_and_a_pack_without_end_meet_their_limits() {
    let server = Server::start(|_| Answer::Flood).await;
    let repository = sample();
    let limits = SourceLimits {
        listing_bytes: 1 << 20,
        pack_bytes: 64 << 10,
        ..SourceLimits::default()
    };
    let source = GitSource::new(&repository.cache(), limits, false).expect("made");
    let error = source
        .resolve(&remote(&server, "/r.git", None))
        .await
        .expect_err("it never ends");
    assert!(matches!(error, SourceError::Limit { .. }), "{error}");
    assert!(error.to_string().contains("1 MiB"), "{error}");

    // Text that does not compress: a generator of Marsaglia (xorshift64).
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = String::new();
    for _ in 0..40_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(noise, "{state:016x}").expect("memory");
    }
    repository.commit(&[("a.yaml", "a"), ("noise.bin", &noise)], &[], "main");
    let path = repository.path();
    let server = Server::start(move |_| Answer::Git(path.clone())).await;
    let error = read(&source, &remote(&server, "/r.git", None), "").await;
    let error = error.err().expect("it is over the limit");
    assert!(matches!(error, SourceError::Limit { .. }), "{error}");
    assert_eq!(packs(&repository.cache()).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_frees_the_store() {
    let server = Server::start(|_| Answer::Drip).await;
    let cache = tempfile::tempdir().expect("a directory");
    let source = GitSource::new(cache.path(), SourceLimits::default(), false).expect("made");
    let revision = Revision {
        commit: "1".repeat(40),
        label: "main@sha1:1".to_owned(),
    };
    let slow = remote(&server, "/r.git", None);
    for callers in 1..=2 {
        let limits = Limits::default();
        let reading = source.tree(&slow, &revision, "", &limits);
        let arrived = async {
            while server.requests().len() < callers {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // The second caller gets as far as the server only when the store is free again.
        tokio::select! {
            outcome = reading => panic!("it ended: {:?}", outcome.err()),
            () = arrived => {}
        }
    }
}
