//! A small HTTPS server in this process: a certificate made on the spot, one request a
//! connection, answers as each test wants them.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot set its stage has failed"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The request as a client without this header would have sent it.
    pub fn forget(&mut self, name: &str) {
        self.headers
            .retain(|(header, _)| !header.eq_ignore_ascii_case(name));
    }
}

/// What the server answers.
pub enum Answer {
    /// Serve this bare repository with `git upload-pack`, as git-http-backend does.
    Git(PathBuf),
    /// The same, for another request than the one that came.
    GitAs(PathBuf, Request),
    /// A status, headers and no body.
    Status(u16, Vec<(&'static str, String)>),
    /// A beginning of a listing, and then a byte now and then, for ever.
    Drip,
    /// A listing that does not end.
    Flood,
}

/// The server; it ends with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    pub ca: Vec<u8>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let server = Self {
            address: listener.local_addr().expect("bound"),
            ca: made.cert.pem().into_bytes(),
            requests: Arc::default(),
        };
        let (requests, answer) = (server.requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, requests, answer) =
                    (acceptor.clone(), requests.clone(), answer.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let Some(request) = receive(&mut stream).await else {
                        return;
                    };
                    requests.lock().expect("no panic").push(request.clone());
                    respond(&mut stream, &request, answer(&request)).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.address.port())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn receive(stream: &mut TlsStream<TcpStream>) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let mut request = Request {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        body: bytes[head + 4..].to_vec(),
    };
    let length: usize = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn respond(stream: &mut TlsStream<TcpStream>, request: &Request, answer: Answer) {
    const LISTING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    let (answer, request) = match answer {
        Answer::GitAs(repository, request) => (Answer::Git(repository), request),
        answer => (answer, request.clone()),
    };
    let _ = match answer {
        Answer::Git(repository) | Answer::GitAs(repository, _) => {
            let body = upload_pack(&repository, &request).await;
            let kind = if request.method == "GET" {
                "advertisement"
            } else {
                "result"
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\
                 Content-Type: application/x-git-upload-pack-{kind}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            stream.write_all(&body).await
        }
        Answer::Status(status, headers) => {
            use std::fmt::Write;
            let mut head =
                format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: 0\r\n");
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Answer::Drip => {
            let _ = stream.write_all(LISTING.as_bytes()).await;
            let _ = stream
                .write_all(b"001e# service=git-upload-pack\n0000f000")
                .await;
            while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        }
        Answer::Flood => {
            let _ = stream.write_all(LISTING.as_bytes()).await;
            let _ = stream
                .write_all(b"001e# service=git-upload-pack\n0000")
                .await;
            let first = format!("{} HEAD\0side-band-64k\n", "1".repeat(40));
            let first = format!("{:04x}{first}", 4 + first.len());
            let _ = stream.write_all(first.as_bytes()).await;
            let line = format!(
                "{:04x}{} refs/heads/{}\n",
                4 + 40 + 12 + 201,
                "1".repeat(40),
                "x".repeat(200)
            );
            let lines = line.repeat(1000);
            while stream.write_all(lines.as_bytes()).await.is_ok() {}
            Ok(())
        }
    };
}

async fn upload_pack(repository: &PathBuf, request: &Request) -> Vec<u8> {
    let mut command = tokio::process::Command::new("git");
    command.args(["upload-pack", "--stateless-rpc"]);
    let mut body = Vec::new();
    if request.method == "GET" {
        command.arg("--http-backend-info-refs");
        body.extend_from_slice(b"001e# service=git-upload-pack\n0000");
    }
    let mut child = command
        .arg(repository)
        .env(
            "GIT_PROTOCOL",
            request.header("git-protocol").unwrap_or_default(),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let _ = stdin.write_all(&request.body).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("ends");
    body.extend_from_slice(&output.stdout);
    body
}
