//! Git's smart protocol: listing references, and fetching one commit without its history.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::BString;
use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{self, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::{Transport, connect, http};
use gix::protocol::transport::{Service, client};
use gix::protocol::{Handshake, LsRefsCommand};

use super::transport::Exchange;
use super::url::Address;
use super::{Reference, SourceError, SourceLimits};

/// A server that has said what it can do.
pub(super) struct Connection<'a> {
    address: &'a Address,
    exchange: &'a Exchange,
    handshake: Handshake,
    transport: Box<dyn Transport>,
}

impl<'a> Connection<'a> {
    /// Connects and shakes hands.
    pub(super) fn open(address: &'a Address, exchange: &'a Exchange) -> Result<Self, SourceError> {
        let fail = |error: gix::Error| failure(address, exchange, &error);
        let url = gix::url::parse(address.to_string().as_str()).map_err(fail)?;
        let mut transport: Box<dyn Transport> = match address.file_path() {
            Some(path) if !path.is_dir() => {
                return Err(SourceError::Protocol {
                    url: address.to_string(),
                    why: "there is no such directory".to_owned(),
                });
            }
            Some(_) => connect::connect(
                url,
                connect::Options {
                    version: Protocol::V2,
                    ..connect::Options::default()
                },
            )
            .map_err(fail)?,
            None => Box::new(http::Transport::new_http(
                exchange.http(),
                url,
                Protocol::V2,
                false,
            )),
        };
        let handshake = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            // Credentials are in the exchange; a credential helper of the machine never runs.
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        )
        .map_err(fail)?;
        Ok(Self {
            address,
            exchange,
            handshake,
            transport,
        })
    }

    /// The references that a reference may mean; servers of protocol 2 send only those.
    pub(super) fn list(self, reference: &Reference) -> Result<Vec<Ref>, SourceError> {
        let mut prefixes = RefPrefixes::new();
        prefixes.extend([BString::from(reference.full_name())]);
        self.ls_refs(Some(prefixes))
    }

    /// All references.
    pub(super) fn list_all(self) -> Result<Vec<Ref>, SourceError> {
        self.ls_refs(None)
    }

    fn ls_refs(mut self, prefixes: Option<RefPrefixes>) -> Result<Vec<Ref>, SourceError> {
        let listing = match self.handshake.refs.take() {
            Some(listing) => listing,
            None => LsRefsCommand::new(prefixes, &self.handshake.capabilities, agent())
                .invoke_blocking(&mut self.transport, &mut Discard, false)
                .map_err(|error| failure(self.address, self.exchange, &error))?,
        };
        self.end();
        Ok(listing)
    }

    /// Fetches one commit with all its files and none of its history.
    pub(super) fn fetch(
        mut self,
        repository: &gix::Repository,
        commit: ObjectId,
        label: &str,
        bounds: &SourceLimits,
        interrupt: &AtomicBool,
    ) -> Result<(), SourceError> {
        let fail = |error: gix::Error| {
            let too_large = error.is_resource_exhausted();
            let error = failure(self.address, self.exchange, &error);
            match &error {
                SourceError::Protocol { .. } if too_large => SourceError::Limit {
                    what: format!("a file of {label}, wherever it lies,"),
                    limit: format!("{} MiB", bounds.object_bytes >> 20),
                    mend: "Take it out of the repository (of the tip; history is not fetched)"
                        .to_owned(),
                },
                // What upload-pack says of an object that it does not have or does not give away.
                SourceError::Protocol { why, .. } if why.contains("not our ref") => {
                    SourceError::ReferenceNotFound {
                        url: self.address.to_string(),
                        reference: format!("{label} (any more)"),
                        nearest: Vec::new(),
                    }
                }
                _ => error,
            }
        };
        let shallow_file = repository.shallow_file().map_err(fail)?;
        let haves = read_shallow(&shallow_file);
        let packs = repository.objects.store_ref().path().join("pack");
        let objects = repository.objects.clone();
        gix::protocol::fetch(
            &mut OneCommit { commit, haves },
            |reader, progress, interrupt| {
                let written = gix::odb::pack::Bundle::write_to_directory(
                    reader,
                    Some(&packs),
                    progress,
                    interrupt,
                    Some(objects),
                    repository.object_hash(),
                    gix::odb::pack::bundle::write::Options {
                        alloc_limit_bytes: usize::try_from(bounds.object_bytes).ok(),
                        ..Default::default()
                    },
                )?;
                // The file that keeps `git gc` away from the pack; nothing collects here.
                if let Some(keep) = written.keep_path {
                    std::fs::remove_file(keep).map_err(gix::Error::from_error)?;
                }
                Ok(true)
            },
            Discard,
            interrupt,
            Context {
                handshake: &mut self.handshake,
                transport: &mut self.transport,
                user_agent: agent(),
                trace_packetlines: false,
            },
            Options {
                shallow_file,
                shallow: &Shallow::DepthAtRemote(std::num::NonZeroU32::MIN),
                tags: Tags::None,
                reject_shallow_remote: false,
            },
        )
        .map_err(fail)?;
        self.end();
        Ok(())
    }

    /// Says goodbye, where the transport has someone to say it to.
    fn end(mut self) {
        let ended: Result<(), client::Error> =
            gix::protocol::indicate_end_of_interaction(&mut self.transport, false);
        // All that was wanted has arrived; a server that is gone already changes nothing.
        drop(ended);
    }
}

/// Wants one commit, has what earlier fetches brought.
struct OneCommit {
    commit: ObjectId,
    haves: Vec<ObjectId>,
}

impl Negotiate for OneCommit {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate {
            remote_ref_target_known: vec![false],
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        arguments.want(self.commit);
        true
    }

    /// One round is enough: what we have is a handful of commits, all named at once, and those
    /// that the server does not know (any more) it ignores.
    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        for commit in &self.haves {
            arguments.have(commit);
        }
        let round = negotiate::Round {
            haves_sent: self.haves.len(),
            in_vain: 0,
            haves_to_send: self.haves.len(),
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

/// The commits of earlier fetches: each was fetched without history, so each is listed in the
/// store's `shallow` file.
fn read_shallow(file: &Path) -> Vec<ObjectId> {
    std::fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| ObjectId::from_hex(line.as_bytes()).ok())
        .collect()
}

fn agent() -> gix::protocol::command::Feature {
    (
        "agent",
        Some(concat!("git/waxwing-", env!("CARGO_PKG_VERSION")).into()),
    )
}

/// The cause that the exchange has kept, else what the Git library says.
fn failure(address: &Address, exchange: &Exchange, error: &gix::Error) -> SourceError {
    exchange
        .take_failure()
        .unwrap_or_else(|| SourceError::Protocol {
            url: address.to_string(),
            why: chain(error),
        })
}

/// What the Git library says, from the outermost cause to the innermost, once each.
pub(super) fn chain(error: &gix::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.iter_errors() {
        let part = one_line(&cause.to_string());
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    one_line(&parts.join(": "))
}

/// A text that may come from the server, as one line of a status: no control characters, and
/// not much of it.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > MAX_TEXT {
        line = line.chars().take(MAX_TEXT - 1).collect();
        line.push('…');
    }
    line
}

/// Characters of foreign text in an error or a status.
const MAX_TEXT: usize = 300;
