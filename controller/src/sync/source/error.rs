//! Why a revision could not be had from its repository, with what mends it.

use std::net::IpAddr;
use std::time::Duration;

use crds::reasons::Reason;

/// Why a repository could not be listed, fetched or read.
///
/// No variant ever carries a credential: addresses with userinfo are refused before anything else
/// is done with them, and headers never enter an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// 401 or 403: there are no credentials, or the server does not take them.
    #[error("{host} refused access to the repository (HTTP {status}): {}", access_mend(*.had_credentials))]
    AccessDenied {
        /// Host name of the server.
        host: String,
        /// The HTTP status, 401 or 403.
        status: u16,
        /// Whether the ManifestSync named a Secret with credentials.
        had_credentials: bool,
    },
    /// The address lies in a range that no sync may reach: link-local and cloud metadata services.
    #[error(
        "{host} is {address}, a link-local or cloud metadata address; no sync may connect there. Use the address of a Git server"
    )]
    AddressBlocked {
        /// Host name as asked for.
        host: String,
        /// The blocked address it stands for.
        address: IpAddr,
    },
    /// Nothing answers at the server's address.
    #[error(
        "cannot connect to {host}: {why}. Check the host and port of spec.source.git.url and the network policies of the controller's namespace"
    )]
    Connect {
        /// Host name of the server.
        host: String,
        /// The operating system's reason, such as `connection refused`.
        why: String,
    },
    /// The server's name does not resolve.
    #[error("cannot resolve {host}: {why}. Check the host of spec.source.git.url")]
    Dns {
        /// Host name as asked for.
        host: String,
        /// The resolver's reason.
        why: String,
    },
    /// The repository has no commit yet.
    #[error("{url} is empty: it has no branch and no tag. Push a first commit")]
    EmptyRepository {
        /// The repository.
        url: String,
    },
    /// The work was stopped because the controller is shutting down, or the pass was given up.
    #[error("stopped before {url} was read; the next pass starts anew")]
    Interrupted {
        /// The repository.
        url: String,
    },
    /// A bound on what may come from a repository was met.
    #[error("{what} is over the limit of {limit}. {mend}")]
    Limit {
        /// What grew too large, with its place.
        what: String,
        /// The bound, with its unit.
        limit: String,
        /// What to do.
        mend: String,
    },
    /// A file's name is one that no manifest may have, such as `..`; only a repository made by hand
    /// has one.
    #[error(
        "{path:?} of {revision} {why}. Remove it from the repository: nothing of this revision is applied"
    )]
    NameRefused {
        /// The path, with what is not text replaced.
        path: String,
        /// The revision's label.
        revision: String,
        /// What is wrong with it.
        why: String,
    },
    /// `spec.path` names nothing, or a file, in the revision.
    #[error("spec.path {path:?} is not a directory of {revision}{}", hint(.nearest))]
    PathNotFound {
        /// The path as asked for.
        path: String,
        /// The revision's label.
        revision: String,
        /// Directories that are there, at most five.
        nearest: Vec<String>,
    },
    /// `spec.path` leaves the repository or is not a plain relative path.
    #[error("spec.path {path:?} is not accepted: {why}")]
    PathRefused {
        /// The path as asked for.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server and the Git library did not understand each other.
    #[error("reading {url} failed: {why}")]
    Protocol {
        /// The repository.
        url: String,
        /// The library's reason.
        why: String,
    },
    /// The proxy does not answer, or does not reach the server.
    #[error(
        "cannot reach {host} through the proxy {proxy}: {why}. Check the Secret of spec.source.git.proxySecretRef, and whether the proxy may connect there"
    )]
    Proxy {
        /// Host name of the proxy.
        proxy: String,
        /// Host name of the server.
        host: String,
        /// The reason, such as `connection refused`.
        why: String,
    },
    /// The proxy does not take the credentials, or asks for some (407).
    #[error(
        "the proxy {proxy} refused access (HTTP 407): check `username` and `password` in the Secret of spec.source.git.proxySecretRef"
    )]
    ProxyDenied {
        /// Host name of the proxy.
        proxy: String,
    },
    /// The Secret with the proxy cannot be used.
    #[error("the Secret of spec.source.git.proxySecretRef cannot be used: {why}")]
    ProxyRefused {
        /// Which key, and what is wrong with it; never a value.
        why: String,
    },
    /// The server sent the client elsewhere, in a way that is not followed.
    #[error("{url} redirects {why}. Write the final address in spec.source.git.url")]
    RedirectRefused {
        /// The repository.
        url: String,
        /// Where to, or why that is not followed.
        why: String,
    },
    /// The branch, tag, name or commit is not in the repository.
    #[error("{url} has no {reference}{}", hint(.nearest))]
    ReferenceNotFound {
        /// The repository.
        url: String,
        /// Kind and name, such as `branch "main"`.
        reference: String,
        /// What the repository does have, at most five.
        nearest: Vec<String>,
    },
    /// `spec.source.git.ref` is not a reference that can be asked for.
    #[error("spec.source.git.ref is not accepted: {why}")]
    ReferenceRefused {
        /// What is wrong with it.
        why: String,
    },
    /// 404: the path is wrong, or the server hides what the credentials may not see.
    #[error(
        "{url} is not a repository (HTTP {status}), or these credentials may not see it: check spec.source.git.url and the Secret of spec.source.git.secretRef"
    )]
    RepositoryNotFound {
        /// The repository.
        url: String,
        /// The HTTP status, 404 or 410.
        status: u16,
    },
    /// The Secret that `spec.source.git.secretRef` names cannot be used.
    #[error("the Secret of spec.source.git.secretRef cannot be used: {why}")]
    SecretRefused {
        /// What is wrong, naming keys and never values.
        why: String,
    },
    /// The server answered with a status that is not one of the above.
    #[error("{url} answered HTTP {status}{}", retry_hint(*.retry_after))]
    Status {
        /// The repository.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server asks to wait, from `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The cache directory cannot be used.
    #[error(
        "the object store at {path} failed: {why}. Check the space and the permissions of the controller's --cache-dir"
    )]
    Store {
        /// Directory of the store.
        path: String,
        /// The operating system's or the library's reason.
        why: String,
    },
    /// The deadline of the phase passed.
    #[error("{url} was not read within {after:?} (spec.timeout)")]
    Timeout {
        /// The repository.
        url: String,
        /// The deadline.
        after: Duration,
    },
    /// No TLS session with the server could be made.
    #[error("no TLS session with {host}: {why}")]
    Tls {
        /// Host name of the server.
        host: String,
        /// The reason and what mends it.
        why: String,
    },
    /// `spec.source.git.url` is not an address that a sync may read.
    #[error("spec.source.git.url is not accepted: {why}")]
    UrlRefused {
        /// What is wrong and what to write instead; never the address itself, which may hold a
        /// password.
        why: String,
    },
}

impl SourceError {
    /// The reason for a condition of the `ManifestSync`.
    pub fn reason(&self) -> Reason {
        match self {
            Self::AccessDenied { .. } | Self::ProxyDenied { .. } => Reason::SourceUnauthorized,
            Self::AddressBlocked { .. }
            | Self::RedirectRefused { .. }
            | Self::UrlRefused { .. } => Reason::SourceRefused,
            Self::Limit { .. } => Reason::SourceTooLarge,
            Self::PathNotFound { .. } | Self::PathRefused { .. } => Reason::PathNotFound,
            Self::EmptyRepository { .. }
            | Self::ReferenceNotFound { .. }
            | Self::ReferenceRefused { .. } => Reason::RefNotFound,
            Self::ProxyRefused { .. } | Self::SecretRefused { .. } => Reason::SourceCredentials,
            Self::NameRefused { .. } => Reason::RenderFailed,
            Self::Timeout { .. } => Reason::TimedOut,
            Self::Connect { .. }
            | Self::Dns { .. }
            | Self::Interrupted { .. }
            | Self::Protocol { .. }
            | Self::Proxy { .. }
            | Self::RepositoryNotFound { .. }
            | Self::Status { .. }
            | Self::Store { .. }
            | Self::Tls { .. } => Reason::SourceUnavailable,
        }
    }

    /// Whether only a change of the ManifestSync can help (`Stalled`), so that trying again with
    /// the same specification is useless.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::PathRefused { .. } | Self::ReferenceRefused { .. } | Self::UrlRefused { .. }
        )
    }

    /// How long the server asked to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn access_mend(had_credentials: bool) -> &'static str {
    if had_credentials {
        "it does not take the credentials of the Secret that spec.source.git.secretRef names, or \
         they may not read this repository. Renew the token in that Secret"
    } else {
        "it needs credentials. Name a Secret with `username` and `password`, or `bearerToken`, in \
         spec.source.git.secretRef"
    }
}

fn hint(nearest: &[String]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!("; it has {}", nearest.join(", "))
    }
}

fn retry_hint(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!(" and asks to wait {} s", after.as_secs())
    })
}
