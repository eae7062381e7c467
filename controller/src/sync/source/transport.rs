//! Git's smart protocol over HTTPS, bounded in bytes and in time.
//!
//! gix brings an HTTP back end, but one that follows redirects to any host, counts no bytes, and
//! waits as long as a server keeps sending a byte now and then. This one implements the same
//! trait on `reqwest`: every wait ends when the caller goes away (at its deadline), every byte
//! is counted, credentials go to the named server only, and the first failure is kept as a
//! [`SourceError`], so that it does not have to be guessed from an error text.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::client::{classify, lock};
use super::url::Address;
use super::{Credentials, SourceError};

/// One conversation with one server: what it may use, what it has used, and why it failed.
pub(super) struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    authorization: Option<HeaderValue>,
    byte_limit: u64,
    cancel: CancellationToken,
    client: Client,
    deadline: Instant,
    failure: Mutex<Option<SourceError>>,
    handle: Handle,
    left: Mutex<u64>,
    timeout: Duration,
    /// Host of the proxy.
    via: Option<String>,
}

impl Exchange {
    pub(super) fn new(
        client: Client,
        via: Option<String>,
        address: &Address,
        credentials: Option<&Credentials>,
        timeout: Duration,
        byte_limit: u64,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            shared: Arc::new(Shared {
                address: address.clone(),
                authorization: credentials.map(authorization).transpose()?,
                byte_limit,
                cancel: CancellationToken::new(),
                client,
                deadline: Instant::now() + timeout,
                failure: Mutex::new(None),
                handle: Handle::current(),
                left: Mutex::new(byte_limit),
                timeout,
                via,
            }),
        })
    }

    /// Identifies who asks, to keep the stores of different credentials apart.
    pub(super) fn authorization(&self) -> Option<&[u8]> {
        self.shared
            .authorization
            .as_ref()
            .map(HeaderValue::as_bytes)
    }

    pub(super) fn cancellation(&self) -> CancellationToken {
        self.shared.cancel.clone()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.shared.deadline
    }

    /// The error of a passed deadline.
    pub(super) fn timed_out(&self) -> SourceError {
        self.shared.timed_out()
    }

    /// The error of a caller that went away.
    pub(super) fn interrupted(&self) -> SourceError {
        self.shared.interrupted()
    }

    /// What went wrong underneath, when the Git library only says that something did.
    pub(super) fn take_failure(&self) -> Option<SourceError> {
        lock(&self.shared.failure).take()
    }

    /// An HTTP back end for gix that takes part in this exchange.
    pub(super) fn http(&self) -> HttpRemote {
        HttpRemote {
            shared: self.shared.clone(),
            redirected: None,
        }
    }
}

/// See the module.
pub(super) struct HttpRemote {
    shared: Arc<Shared>,
    redirected: Option<String>,
}

impl Http for HttpRemote {
    type Headers = HeaderReader;
    type ResponseBody = BodyReader;
    type PostBody = RequestBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<HeaderReader, BodyReader>> {
        let headers = header_map(headers);
        let tail = url.strip_prefix(base_url).unwrap_or(url);
        let (response, base) = self
            .shared
            .get(url, &headers, tail)
            .map_err(|error| gix::Error::from_error(self.shared.fail(error)))?;
        if base.is_some() {
            self.redirected = base;
        }
        let exchange = Arc::new(Mutex::new(Pending::answered(response)));
        Ok(GetResponse {
            headers: HeaderReader::new(&self.shared, &exchange),
            body: BodyReader::new(&self.shared, &exchange),
        })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<HeaderReader, BodyReader, RequestBody>> {
        let exchange = Arc::new(Mutex::new(Pending {
            request: Some((url.to_owned(), header_map(headers))),
            ..Pending::default()
        }));
        Ok(PostResponse {
            post_body: RequestBody {
                exchange: exchange.clone(),
            },
            headers: HeaderReader::new(&self.shared, &exchange),
            body: BodyReader::new(&self.shared, &exchange),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

/// A request that is sent when its answer is first read, and the parts of the answer.
#[derive(Default)]
struct Pending {
    request: Option<(String, HeaderMap)>,
    body: Vec<u8>,
    headers: Option<Vec<u8>>,
    response: Option<Response>,
}

impl Pending {
    fn answered(response: Response) -> Self {
        let mut pending = Self::default();
        pending.answer(response);
        pending
    }

    fn answer(&mut self, response: Response) {
        let mut lines = Vec::new();
        for (name, value) in response.headers() {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        self.headers = Some(lines);
        self.response = Some(response);
    }

    fn send(&mut self, shared: &Shared) -> io::Result<()> {
        if let Some((url, headers)) = self.request.take() {
            let body = std::mem::take(&mut self.body);
            let response = shared
                .post(&url, headers, body)
                .map_err(|error| shared.fail(error))?;
            self.answer(response);
        }
        Ok(())
    }
}

/// Collects the body of a request: some lines of negotiation.
pub(super) struct RequestBody {
    exchange: Arc<Mutex<Pending>>,
}

impl Write for RequestBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let body = &mut lock(&self.exchange).body;
        if body.len() + bytes.len() > MAX_REQUEST {
            return Err(io::Error::other("the request is too large"));
        }
        body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers of an answer, one a line.
pub(super) struct HeaderReader {
    shared: Arc<Shared>,
    exchange: Arc<Mutex<Pending>>,
    lines: Option<io::Cursor<Vec<u8>>>,
}

impl HeaderReader {
    fn new(shared: &Arc<Shared>, exchange: &Arc<Mutex<Pending>>) -> Self {
        Self {
            shared: shared.clone(),
            exchange: exchange.clone(),
            lines: None,
        }
    }
}

impl Read for HeaderReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

impl BufRead for HeaderReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.lines.is_none() {
            let mut pending = lock(&self.exchange);
            pending.send(&self.shared)?;
            self.lines = Some(io::Cursor::new(pending.headers.take().unwrap_or_default()));
        }
        self.lines.as_mut().map_or(Ok(&[]), BufRead::fill_buf)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of an answer, counted against the exchange.
pub(super) struct BodyReader {
    shared: Arc<Shared>,
    exchange: Arc<Mutex<Pending>>,
    response: Option<Response>,
    chunk: Bytes,
}

impl BodyReader {
    fn new(shared: &Arc<Shared>, exchange: &Arc<Mutex<Pending>>) -> Self {
        Self {
            shared: shared.clone(),
            exchange: exchange.clone(),
            response: None,
            chunk: Bytes::new(),
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.response.is_none() {
            let mut pending = lock(&self.exchange);
            pending.send(&self.shared)?;
            self.response = pending.response.take();
        }
        while self.chunk.is_empty() {
            let Some(response) = &mut self.response else {
                break;
            };
            match self.shared.chunk(response) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => break,
                Err(error) => return Err(self.shared.fail(error)),
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.chunk.split_to(amount.min(self.chunk.len()));
    }
}

impl Shared {
    /// The answer to a GET, and the base address when a redirect led to it.
    fn get(
        &self,
        url: &str,
        headers: &HeaderMap,
        tail: &str,
    ) -> Result<(Response, Option<String>), SourceError> {
        let mut target = self.parse(url)?;
        let mut base = None;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(Method::GET, &target, headers.clone());
            let response = self.send(&target, request)?;
            if !response.status().is_redirection() {
                return Ok((self.accept(&target, response)?, base));
            }
            target = self
                .address
                .redirect(&target, response.headers().get(LOCATION), tail)?;
            base = target.as_str().strip_suffix(tail).map(str::to_owned);
        }
        Err(self.redirect_refused(&format!("more than {MAX_REDIRECTS} times")))
    }

    fn post(&self, url: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Response, SourceError> {
        let url = self.parse(url)?;
        let request = self.request(Method::POST, &url, headers).body(body);
        let response = self.send(&url, request)?;
        if response.status().is_redirection() {
            return Err(self.redirect_refused("in the middle of a fetch"));
        }
        self.accept(&url, response)
    }

    fn parse(&self, url: &str) -> Result<Url, SourceError> {
        Url::parse(url).map_err(|error| SourceError::Protocol {
            url: self.address.to_string(),
            why: error.to_string(),
        })
    }

    fn request(&self, method: Method, url: &Url, headers: HeaderMap) -> RequestBuilder {
        let request = self.client.request(method, url.clone()).headers(headers);
        match &self.authorization {
            // Never to where a redirect led.
            Some(authorization) if self.address.is_origin_of(url) => {
                request.header(AUTHORIZATION, authorization.clone())
            }
            _ => request,
        }
    }

    fn send(&self, url: &Url, request: RequestBuilder) -> Result<Response, SourceError> {
        let host = url.host_str().unwrap_or_default();
        self.wait(request.send())?
            .map_err(|error| classify(host, self.via.as_deref(), &error))
    }

    fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, SourceError> {
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let chunk = self
            .wait(response.chunk())?
            .map_err(|error| classify(&host, self.via.as_deref(), &error))?;
        if let Some(chunk) = &chunk {
            let mut left = lock(&self.left);
            *left = left
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| SourceError::Limit {
                    what: format!("what {} sends", self.address),
                    limit: format!("{} MiB", self.byte_limit >> 20),
                    mend: "Take large files out of the repository, or sync from a smaller one"
                        .to_owned(),
                })?;
        }
        Ok(chunk)
    }

    /// Waits for the network, but not for a caller that is gone, as it is when its deadline has
    /// passed.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, SourceError> {
        self.handle.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(self.interrupted()),
                value = future => Ok(value),
            }
        })
    }

    fn accept(&self, target: &Url, response: Response) -> Result<Response, SourceError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = self.address.to_string();
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SourceError::AccessDenied {
                host: target.host_str().unwrap_or_default().to_owned(),
                status: status.as_u16(),
                had_credentials: self.authorization.is_some(),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE => SourceError::RepositoryNotFound {
                url,
                status: status.as_u16(),
            },
            _ => SourceError::Status {
                url,
                status: status.as_u16(),
                retry_after: response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .map(Duration::from_secs),
            },
        })
    }

    /// Keeps the first failure for [`Exchange::take_failure`] and makes an error that the Git
    /// library passes on.
    fn fail(&self, error: SourceError) -> io::Error {
        let text = error.to_string();
        lock(&self.failure).get_or_insert(error);
        io::Error::other(text)
    }

    fn redirect_refused(&self, why: &str) -> SourceError {
        SourceError::RedirectRefused {
            url: self.address.to_string(),
            why: why.to_owned(),
        }
    }

    fn timed_out(&self) -> SourceError {
        SourceError::Timeout {
            url: self.address.to_string(),
            after: self.timeout,
        }
    }

    fn interrupted(&self) -> SourceError {
        SourceError::Interrupted {
            url: self.address.to_string(),
        }
    }
}

/// Redirects that are followed, one after the other.
const MAX_REDIRECTS: usize = 5;
/// Bytes of a request: one line per commit that the store has.
const MAX_REQUEST: usize = 1 << 20;
fn authorization(credentials: &Credentials) -> Result<HeaderValue, SourceError> {
    let text = match credentials {
        Credentials::Basic { username, password } => {
            let pair = Zeroizing::new(format!("{}:{}", username.as_str(), password.as_str()));
            let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
            Zeroizing::new(format!("Basic {}", encoded.as_str()))
        }
        Credentials::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.as_str())),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SourceError::SecretRefused {
        why: "its credentials cannot be an HTTP header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_map(headers: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    headers
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.as_ref().split_once(':')?;
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_str(value.trim()).ok()?,
            ))
        })
        .collect()
}

fn read_buffered(reader: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let length = available.len().min(buffer.len());
    buffer[..length].copy_from_slice(&available[..length]);
    reader.consume(length);
    Ok(length)
}
