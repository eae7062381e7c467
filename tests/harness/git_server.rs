//! Git over https: `git http-backend` behind a small TLS server.
//!
//! Authentication, outages and counts are the server's; the protocol (fetch and push, versions 0 to 2) is Git's own.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{janitor, process::free_ports, repository::Repository, tls::ServerTls};

/// Who may read and write.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Everybody.
    #[default]
    Anonymous,
    /// HTTP basic authentication (RFC 7617).
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

/// What clients asked for, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Listings of refs for a fetch: `ls-refs` of protocol 2, the advertisement before it.
    pub listings: u32,
    /// Requests for objects. One fetch may take several rounds, each counted.
    pub fetches: u32,
    /// Pushes.
    pub pushes: u32,
    /// Requests turned away for want of credentials.
    pub denied: u32,
}

/// A Git server with its own certificate authority, on a port of its own. Stops when dropped.
pub struct GitServer {
    shared: Arc<Shared>,
    port: u16,
    ca: String,
    acceptor: TlsAcceptor,
    running: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    directory: PathBuf,
    access: Mutex<Access>,
    counts: Mutex<Counts>,
}

impl GitServer {
    /// Starts one that everybody may use.
    pub async fn start() -> Result<Self> {
        Self::start_with(Access::Anonymous).await
    }

    /// Starts one.
    pub async fn start_with(access: Access) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("git-")
            .tempdir_in(janitor::root())?
            .keep();
        fs::create_dir(directory.join("repositories")).context("a directory for repositories")?;
        let tls = ServerTls::generate(&[])?;
        fs::write(directory.join("ca.crt"), &tls.ca)
            .context("writing the Git server's authority")?;
        let certificate = CertificateDer::from_pem_slice(tls.certificate.as_bytes())
            .context("the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
            .context("the key of the certificate")?;
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .context("the TLS configuration of the Git server")?;
        let shared = Shared {
            directory,
            access: Mutex::new(access),
            counts: Mutex::default(),
        };
        let [port] = free_ports()?;
        let server = Self {
            shared: Arc::new(shared),
            port,
            ca: tls.ca,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            running: Mutex::new(None),
        };
        server.resume().await?;
        Ok(server)
    }

    /// Listens (again), on the same port as before.
    pub async fn resume(&self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .with_context(|| format!("listening on port {}", self.port))?;
        let serving = serve(listener, self.acceptor.clone(), self.shared.clone());
        let old = lock(&self.running).replace(tokio::spawn(serving));
        if old.is_some() {
            bail!("the Git server was running already");
        }
        Ok(())
    }

    /// Goes away: open connections break, new ones are refused.
    pub async fn pause(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.abort();
            // Ends with "cancelled"; awaited so that the port is closed when this returns.
            drop(running.await);
        }
    }

    /// A new, empty repository, and the place to commit to it from.
    pub async fn repository(&self, name: &str) -> Result<Repository> {
        Repository::create(
            &self
                .shared
                .directory
                .join("repositories")
                .join(format!("{name}.git")),
            self.url(name),
        )
        .await
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("https://127.0.0.1:{}/{repository}.git", self.port)
    }

    /// The certificate authority, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The same, as a file.
    pub fn ca_file(&self) -> PathBuf {
        self.shared.directory.join("ca.crt")
    }

    /// Changes who may read and write.
    pub fn set_access(&self, access: Access) {
        *lock(&self.shared.access) = access;
    }

    /// What was asked for so far.
    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.abort();
        }
        drop(fs::remove_dir_all(&self.shared.directory));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Aborted with this task, so a paused server leaves no connection half alive.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            // The client's going away mid-request is its own affair.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let access = lock(&self.access).clone();
        if let Some(challenge) = access.challenge(request.headers()) {
            lock(&self.counts).denied += 1;
            let mut refusal = text(StatusCode::UNAUTHORIZED, "credentials needed\n");
            if let Ok(challenge) = challenge.parse() {
                refusal
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, challenge);
            }
            return refusal;
        }
        self.backend(request)
            .await
            .unwrap_or_else(|error| text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")))
    }

    /// One request through `git http-backend`, a CGI program (RFC 3875).
    async fn backend(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .context("reading the request")?
            .to_bytes();
        let header = |name: &str| {
            head.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        self.count(&head.method, path, query, header("git-protocol"), &body);

        let mut git = tokio::process::Command::new("git");
        isolate(&mut git, &self.directory);
        git.arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.directory.join("repositories"))
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", head.method.as_str())
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            // A named user is what `http-backend` wants before it accepts a push.
            .env("REMOTE_USER", "tests")
            .env("REMOTE_ADDR", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = git.spawn().context("starting `git http-backend`")?;
        let mut stdin = child.stdin.take().context("a pipe to `git http-backend`")?;
        // In parallel with reading: both sides may have more to say than a pipe holds.
        let feed = tokio::spawn(async move { drop(stdin.write_all(&body).await) });
        let output = child
            .wait_with_output()
            .await
            .context("running `git http-backend`")?;
        feed.await.context("feeding `git http-backend`")?;
        response(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn count(&self, method: &Method, path: &str, query: &str, protocol: &str, body: &[u8]) {
        let mut counts = lock(&self.counts);
        let says = |word: &[u8]| body.windows(word.len()).any(|window| window == word);
        if method == Method::GET && path.ends_with("/info/refs") {
            // In version 2 this only tells what the server can do; the listing is a request of its own.
            if query.contains("git-upload-pack") && !protocol.contains("version=2") {
                counts.listings += 1;
            }
        } else if path.ends_with("/git-upload-pack") {
            // Git compresses only long requests, and `ls-refs` is short: a compressed one asks for objects.
            if says(b"command=ls-refs") {
                counts.listings += 1;
            } else {
                counts.fetches += 1;
            }
        } else if path.ends_with("/git-receive-pack") {
            counts.pushes += 1;
        }
    }
}

impl Access {
    /// The challenge to answer with when the credentials are not the right ones.
    fn challenge(&self, headers: &http::HeaderMap) -> Option<&'static str> {
        let (scheme, wanted) = match self {
            Self::Anonymous => return None,
            Self::Basic { user, password } => {
                let pair = format!("{user}:{password}");
                (
                    "Basic realm=\"git\"",
                    format!("Basic {}", Base64::encode_string(pair.as_bytes())),
                )
            }
            Self::Bearer(token) => ("Bearer realm=\"git\"", format!("Bearer {token}")),
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        (given != Some(wanted.as_str())).then_some(scheme)
    }
}

/// Keeps a `git` child away from the configuration of the person who runs the tests.
pub(crate) fn isolate(git: &mut tokio::process::Command, home: &Path) {
    git.env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    // Set when the tests run inside a Git hook; they would point every command at another repository.
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_QUARANTINE_PATH",
    ] {
        git.env_remove(name);
    }
}

/// Splits what a CGI program printed into header fields and body.
fn response(output: &[u8]) -> Result<Response<Full<Bytes>>> {
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("no header in the answer of Git")?;
    let head = std::str::from_utf8(&output[..end]).context("the header in the answer of Git")?;
    let fields: BTreeMap<String, &str> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let mut response = Response::builder();
    for (name, value) in &fields {
        response = match (name.as_str(), value.split(' ').next()) {
            ("status", Some(code)) => {
                response.status(code.parse::<u16>().context("the status of Git's answer")?)
            }
            _ => response.header(name, *value),
        };
    }
    response
        .body(Full::new(Bytes::copy_from_slice(&output[end + 4..])))
        .context("the answer of Git")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
