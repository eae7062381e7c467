//! HTTP clients, and what their errors mean.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, Url};
use sha2::{Digest, Sha256};

use super::resolver::{GuardedResolver, ResolveError, is_blocked};
use super::{Proxy, SourceError};

/// HTTP clients, one per certificate authority and proxy, so that connections are reused between polls.
#[derive(Default)]
pub(super) struct Clients {
    /// By a digest of what each is made of.
    known: Mutex<BTreeMap<[u8; 32], Client>>,
}

impl Clients {
    /// A client that trusts the certificates in `ca` (PEM) only, or the system's without, and reaches servers through
    /// the proxy, if there is one; and the host of that proxy.
    pub(super) fn reaching(
        &self,
        ca: Option<&[u8]>,
        proxy: Option<&Proxy>,
    ) -> Result<(Client, Option<String>), SourceError> {
        let proxy = proxy.map(|proxy| Ok::<_, SourceError>((proxy, address(proxy)?)));
        let proxy = proxy.transpose()?;
        let via = proxy
            .as_ref()
            .map(|(_, url)| url.host_str().unwrap_or_default().to_owned());
        let key = digest(ca, proxy.as_ref().map(|(proxy, _)| *proxy));
        let mut known = lock(&self.known);
        if let Some(client) = known.get(&key) {
            return Ok((client.clone(), via));
        }
        if known.len() >= MAX_CLIENTS {
            known.clear();
        }
        let client = build_client(ca, proxy)?;
        known.insert(key, client.clone());
        Ok((client, via))
    }
}

/// The cause at the bottom of a `reqwest` error, in words that say what to do.
pub(super) fn classify(host: &str, via: Option<&str>, error: &reqwest::Error) -> SourceError {
    let host = host.to_owned();
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<ResolveError>() {
            return match error.clone() {
                ResolveError::Blocked { host, address } => {
                    SourceError::AddressBlocked { host, address }
                }
                ResolveError::Lookup { host, why } => SourceError::Dns { host, why },
            };
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return SourceError::Tls {
                host,
                why: describe_tls(error),
            };
        }
    }
    if error.is_timeout() {
        return SourceError::Connect {
            host,
            why: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
    }
    let why = causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(proxy) = via
        && error.is_connect()
    {
        let proxy = proxy.to_owned();
        // hyper-util's words for 407; a proxy's own text is not among them.
        return if why.contains("proxy authorization required") {
            SourceError::ProxyDenied { proxy }
        } else {
            SourceError::Proxy { proxy, host, why }
        };
    }
    if error.is_connect() {
        SourceError::Connect { host, why }
    } else {
        SourceError::Connect {
            host,
            why: format!("the connection broke: {why}"),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half-done behind these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that are kept; beyond, all are made anew.
const MAX_CLIENTS: usize = 64;
/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a client is made of; the password of a proxy enters as a part of a hash only.
fn digest(ca: Option<&[u8]>, proxy: Option<&Proxy>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| {
        hash.update([u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(ca);
    part(proxy.map(|proxy| proxy.address.as_bytes()));
    let credentials = proxy.and_then(|proxy| proxy.credentials.as_ref());
    part(credentials.map(|(username, _)| username.as_bytes()));
    part(credentials.map(|(_, password)| password.as_bytes()));
    hash.finalize().into()
}

/// The address of a proxy, read and judged: what no sync may connect to, no proxy may be.
fn address(proxy: &Proxy) -> Result<Url, SourceError> {
    let refused = |why: &str| SourceError::ProxyRefused {
        why: why.to_owned(),
    };
    let url = Url::parse(&proxy.address).map_err(|_| refused("`address` is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(
            "`address` does not begin with http:// or https://; other kinds of proxies are not built",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "`address` holds credentials; they belong into the keys `username` and `password`",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    match literal {
        Ok(address) if is_blocked(address) => Err(SourceError::AddressBlocked {
            host: host.to_owned(),
            address,
        }),
        _ => Ok(url),
    }
}

fn build_client(ca: Option<&[u8]>, proxy: Option<(&Proxy, Url)>) -> Result<Client, SourceError> {
    let mut builder = Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(GuardedResolver);
    if let Some((proxy, url)) = proxy {
        let why = "`address` is not that of a proxy".to_owned();
        let mut via = reqwest::Proxy::https(url).map_err(|_| SourceError::ProxyRefused { why })?;
        if let Some((username, password)) = &proxy.credentials {
            via = via.basic_auth(username, password);
        }
        builder = builder.proxy(via);
    }
    let refused = |why: String| SourceError::SecretRefused { why };
    if let Some(pem) = ca {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| refused("`ca.crt` holds no PEM certificate".to_owned()))?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| {
        let why = causes(&error)
            .last()
            .map_or_else(|| error.to_string(), ToString::to_string);
        match ca {
            Some(_) => refused(format!("`ca.crt` holds no usable certificate: {why}")),
            None => SourceError::Tls {
                host: "any server".to_owned(),
                why: format!("the image's certificates cannot be read: {why}"),
            },
        }
    })
}

/// An error and everything below it. `io::Error` hides what it wraps from `source`.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

fn describe_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        // A bad signature is the same at heart: an authority of that name, with another key.
        rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature,
        ) => "its certificate is signed by an authority that is not known here. Put that \
             authority's certificate (PEM) as `ca.crt` into the Secret of spec.source.git.secretRef"
            .to_owned(),
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "its certificate is for another name. Use a name of the certificate in \
             spec.source.git.url"
            .to_owned(),
        rustls::Error::InvalidCertificate(
            Certificate::Expired | Certificate::ExpiredContext { .. },
        ) => "its certificate has expired; renew it on the server".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(address: &str) -> String {
        let proxy = Proxy {
            address: address.to_owned(),
            credentials: None,
        };
        match Clients::default().reaching(None, Some(&proxy)) {
            Ok(_) => panic!("{address} is accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_proxy_is_judged_like_a_server_and_never_quoted_where_it_holds_a_password() {
        for (address, says) in [
            ("proxy.example:3128", "http://"),
            ("socks5://proxy.example", "http://"),
            ("nonsense", "not a URL"),
            ("http://user:hunter2@proxy.example", "`username`"),
            ("http://169.254.169.254:80", "169.254.169.254"),
            ("http://[fe80::1]:80", "fe80::1"),
        ] {
            let why = why(address);
            assert!(why.contains(says), "{address}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn another_password_is_another_client() {
        let proxy = |password: &str| Proxy {
            address: "http://proxy.example:3128".to_owned(),
            credentials: Some((
                zeroize::Zeroizing::new("robot".to_owned()),
                zeroize::Zeroizing::new(password.to_owned()),
            )),
        };
        let (one, two) = (proxy("one"), proxy("two"));
        assert_ne!(digest(None, Some(&one)), digest(None, Some(&two)));
        assert_ne!(digest(None, Some(&one)), digest(None, None));
        assert_eq!(digest(None, Some(&one)), digest(None, Some(&proxy("one"))));
    }
}
