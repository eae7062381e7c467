//! HTTP clients, and what their errors mean.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use sha2::{Digest, Sha256};

use super::SourceError;
use super::resolver::{GuardedResolver, ResolveError};

/// HTTP clients, one per certificate authority, so that connections are reused between polls.
#[derive(Default)]
pub(super) struct Clients {
    by_ca: Mutex<BTreeMap<Option<[u8; 32]>, Client>>,
}

impl Clients {
    /// A client that trusts the certificates in `ca` (PEM) only, or the system's without.
    pub(super) fn with_ca(&self, ca: Option<&[u8]>) -> Result<Client, SourceError> {
        let key = ca.map(|pem| Sha256::digest(pem).into());
        let mut by_ca = lock(&self.by_ca);
        if let Some(client) = by_ca.get(&key) {
            return Ok(client.clone());
        }
        if by_ca.len() >= MAX_CLIENTS {
            by_ca.clear();
        }
        let client = build_client(ca)?;
        by_ca.insert(key, client.clone());
        Ok(client)
    }
}

/// The cause at the bottom of a `reqwest` error, in words that say what to do.
pub(super) fn classify(host: &str, error: &reqwest::Error) -> SourceError {
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

fn build_client(ca: Option<&[u8]>) -> Result<Client, SourceError> {
    let mut builder = Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(GuardedResolver);
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
