//! The Git side of a sync: which commit a reference names, and the files of that commit.
//!
//! ```text
//! url        which addresses may be read          secret     credentials and CA from a Secret
//! resolver   which hosts may be connected to      client     HTTP clients and their errors
//! protocol   listing and shallow fetch            transport  HTTPS, bounded in bytes and time
//! refs       picks the reference from a listing   store      bare object stores on disk
//! files      the files below a path, into memory  error      every way this fails
//! ```
//!
//! There is no work tree: files are read from the object store straight into a
//! [`manifests::Tree`], so names, symbolic links and submodules of a hostile repository have
//! nothing to act on. No `git` process runs (except behind the `file://` of tests), no
//! configuration, hook or credential helper of the machine is read.
//!
//! The store of a repository is shared by all syncs that read it with the same credentials, and
//! is never trusted to say what a sync may see: [`GitSource::resolve`] asks the server each time,
//! with the credentials of that very sync.

mod client;
mod error;
mod files;
mod protocol;
mod refs;
mod resolver;
mod secret;
mod store;
mod transport;
mod url;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use manifests::Tree;
use tokio_util::sync::DropGuard;
use zeroize::Zeroizing;

pub use self::error::SourceError;
pub use self::secret::{from_secret, proxy_from_secret};

use self::client::Clients;
use self::protocol::Connection;
use self::store::Stores;
use self::transport::Exchange;
use self::url::Address;

/// What may come from one repository, at most. Bounds per file and per revision are
/// [`manifests::Limits`].
#[derive(Clone, Copy, Debug)]
pub struct SourceLimits {
    /// Bytes of a listing of references.
    pub listing_bytes: u64,
    /// Bytes of one fetched pack.
    pub pack_bytes: u64,
    /// Bytes of one object of a pack, also of those that no sync reads.
    pub object_bytes: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            listing_bytes: 32 << 20,
            pack_bytes: 512 << 20,
            object_bytes: 128 << 20,
        }
    }
}

/// Reads Git repositories. Cheap to clone; all clones share the object stores.
#[derive(Clone)]
pub struct GitSource {
    stores: Arc<Stores>,
    clients: Arc<Clients>,
    limits: SourceLimits,
    allow_file: bool,
}

/// One repository, the reference wanted of it, and how to reach it.
pub struct Remote {
    /// `https://…`, without userinfo; `file://…` only in tests.
    pub url: String,
    /// Which commit.
    pub reference: Reference,
    /// Sent to the host of `url` only, never to where that redirects.
    pub credentials: Option<Credentials>,
    /// PEM certificates. When given, only these may sign the server's certificate; otherwise the
    /// image's own.
    pub ca: Option<Vec<u8>>,
    /// Reaches the server; directly when `None`.
    pub proxy: Option<Proxy>,
    /// Deadline of each call.
    pub timeout: Duration,
}

/// Which commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The tip of a branch, without `refs/heads/`.
    Branch(String),
    /// One commit by its whole id, 40 or 64 hexadecimal digits.
    Commit(String),
    /// What `HEAD` of the repository names.
    DefaultBranch,
    /// A whole reference name, such as `refs/pull/1/head`.
    Name(String),
    /// The commit of a tag, without `refs/tags/`; annotated tags are followed.
    Tag(String),
}

/// What proves to the server who asks. Holds secrets: no `Debug`, no `Clone`.
pub enum Credentials {
    /// HTTP basic authentication; hosting services take an access token as the password.
    Basic {
        /// User name; many services take any.
        username: Zeroizing<String>,
        /// Password or access token.
        password: Zeroizing<String>,
    },
    /// `Authorization: Bearer`.
    Bearer(Zeroizing<String>),
}

/// An HTTP proxy that tunnels (`CONNECT`, RFC 9110). It sees the server's name and nothing of what is said. Holds
/// secrets: no `Debug`, no `Clone`.
pub struct Proxy {
    /// `http://host:port` or `https://host:port`, without userinfo.
    pub address: String,
    /// User name and password, when it asks for them.
    pub credentials: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

/// A commit, as the server named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Object id of the commit, 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    pub commit: String,
    /// As Flux writes it: `main@sha1:<commit>`, or `sha1:<commit>` for a commit asked for by id.
    pub label: String,
}

/// The files of a revision below a path.
pub struct SourceTree {
    /// The files, relative to the root of the repository, so that errors name them as Git does.
    pub tree: Tree,
    /// Object id of the directory: two revisions with the same id hold the same files there.
    pub subtree_id: String,
    /// `Name <address>` of the commit's author, at most 200 characters.
    pub author: String,
    /// First line of the commit message, at most 200 characters.
    pub subject: String,
}

impl GitSource {
    /// Prepares a directory for object stores below `cache_dir`, which is made when missing.
    ///
    /// What earlier processes left there is removed; the directory of a process that still runs
    /// is not.
    ///
    /// # Errors
    /// [`SourceError::Store`] when the directory cannot be made or written.
    pub fn new(
        cache_dir: &Path,
        limits: SourceLimits,
        allow_file: bool,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            stores: Arc::new(Stores::open(cache_dir)?),
            clients: Arc::new(Clients::default()),
            limits,
            allow_file,
        })
    }

    /// Asks the server which commit the reference names. One listing, nothing is fetched.
    ///
    /// A commit asked for by its id is not looked for here (servers list tips only), but the
    /// server is asked all the same: the answer proves that these credentials may read it.
    ///
    /// # Errors
    /// Everything but `Limit` on files, `Path…` and `Store`.
    pub async fn resolve(&self, remote: &Remote) -> Result<Revision, SourceError> {
        remote.reference.check()?;
        let address = Address::parse(&remote.url, self.allow_file)?;
        let exchange = self.exchange(remote, &address, self.limits.listing_bytes)?;
        let reference = remote.reference.clone();
        supervise(exchange, move |exchange, _| {
            let listing = Connection::open(&address, exchange)?.list(&reference)?;
            match refs::pick(&reference, &listing) {
                Some(revision) => Ok(revision),
                None => Err(missing(&address, exchange, &reference)),
            }
        })
        .await
    }

    /// The files of a revision below `path` (empty: all), fetched one commit deep when the store
    /// does not have it.
    ///
    /// Callers of the same repository wait for each other, so that one fetch serves them all.
    /// Symbolic links, submodules and names that no manifest may have are recorded in the tree
    /// as refused; what they mean is for rendering to say.
    ///
    /// # Errors
    /// All of [`SourceError`]; `revision` must come from [`GitSource::resolve`] of the same
    /// remote.
    pub async fn tree(
        &self,
        remote: &Remote,
        revision: &Revision,
        path: &str,
        limits: &manifests::Limits,
    ) -> Result<SourceTree, SourceError> {
        let directory = files::Directory::parse(path)?;
        let address = Address::parse(&remote.url, self.allow_file)?;
        let exchange = self.exchange(remote, &address, self.limits.pack_bytes)?;
        let store = self.stores.of(&address, exchange.authorization(), revision);
        let waited = tokio::time::timeout(remote.timeout, store.lock()).await;
        let held = waited.map_err(|_| exchange.timed_out())?;
        let (revision, limits, bounds) = (revision.clone(), *limits, self.limits);
        supervise(exchange, move |exchange, interrupt| {
            // Held by this thread and not by the caller: a pass that is given up must not let the
            // next one into a store that is still being written.
            let _held = held;
            let work = || {
                let repository = store.open(&bounds)?;
                let commit = store::object_id(&revision.commit)?;
                if !store::has_commit(&repository, commit) {
                    Connection::open(&address, exchange)?.fetch(
                        &repository,
                        commit,
                        &revision.label,
                        &bounds,
                        interrupt,
                    )?;
                }
                files::read(
                    &repository,
                    commit,
                    &revision,
                    &directory,
                    &limits,
                    interrupt,
                )
            };
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Err(SourceError::Protocol {
                    url: address.to_string(),
                    why: "the Git library gave up on what the repository holds".to_owned(),
                })
            });
            if matches!(
                outcome,
                Err(SourceError::Protocol { .. } | SourceError::Store { .. })
            ) {
                // Whatever is wrong with the store, the next pass starts from an empty one.
                store.discard();
            }
            outcome
        })
        .await
    }

    fn exchange(
        &self,
        remote: &Remote,
        address: &Address,
        byte_limit: u64,
    ) -> Result<Exchange, SourceError> {
        let (client, via) = self
            .clients
            .reaching(remote.ca.as_deref(), remote.proxy.as_ref())?;
        Exchange::new(
            client,
            via,
            address,
            remote.credentials.as_ref(),
            remote.timeout,
            byte_limit,
        )
    }
}

/// Runs blocking Git work under its deadline. When the deadline passes, or the caller goes away,
/// the work is told to stop and ends on its own shortly after.
async fn supervise<T: Send + 'static>(
    exchange: Exchange,
    work: impl FnOnce(&Exchange, &AtomicBool) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let stop = Stop {
        interrupt: interrupt.clone(),
        _network: exchange.cancellation().drop_guard(),
    };
    let (timed_out, interrupted) = (exchange.timed_out(), exchange.interrupted());
    let deadline = exchange.deadline();
    let thread = tokio::task::spawn_blocking(move || work(&exchange, &interrupt));
    let outcome = match tokio::time::timeout_at(deadline, thread).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(interrupted),
        Err(_) => Err(timed_out),
    };
    drop(stop);
    outcome
}

/// Stops the work of [`supervise`] when dropped.
struct Stop {
    interrupt: Arc<AtomicBool>,
    _network: DropGuard,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }
}

/// Why a reference is not there: a second listing, of everything, tells an empty repository from
/// a mistyped name.
fn missing(address: &Address, exchange: &Exchange, reference: &Reference) -> SourceError {
    match Connection::open(address, exchange).and_then(Connection::list_all) {
        Ok(listing) => refs::not_found(address, reference, &listing),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sendable<T: Send>(_: &T) {}

    #[tokio::test]
    async fn passes_on_any_thread_can_wait_for_a_repository() {
        let cache = tempfile::tempdir().expect("a directory");
        let source = GitSource::new(cache.path(), SourceLimits::default(), false).expect("made");
        let remote = Remote {
            url: "http://a.example/r".to_owned(),
            reference: Reference::DefaultBranch,
            credentials: None,
            ca: None,
            proxy: None,
            timeout: Duration::from_secs(1),
        };
        let revision = Revision {
            commit: "1".repeat(40),
            label: "x".to_owned(),
        };
        let limits = manifests::Limits::default();
        let (resolving, reading) = (
            source.resolve(&remote),
            source.tree(&remote, &revision, "", &limits),
        );
        sendable(&resolving);
        sendable(&reading);
        assert!(matches!(
            resolving.await,
            Err(SourceError::UrlRefused { .. })
        ));
        assert!(matches!(reading.await, Err(SourceError::UrlRefused { .. })));
    }
}
