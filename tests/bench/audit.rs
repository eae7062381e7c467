//! The API server's own account of what was asked of it: who, what, and when it was answered.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// The audit log of a plane, read from some moment on.
pub struct AuditLog {
    file: PathBuf,
    offset: u64,
}

/// One answered request.
#[derive(Debug)]
pub struct Request {
    /// Whose credentials it came with; not whom they impersonated.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// With its subresource: `sealedsecrets/status`.
    pub resource: String,
    /// HTTP status.
    pub code: u64,
    /// When the answer was complete, by the API server's clock.
    pub answered: Timestamp,
}

impl AuditLog {
    /// From now on.
    pub fn from_now(file: &Path) -> Result<Self> {
        let offset = file.metadata().context("the audit log")?.len();
        Ok(Self {
            file: file.to_owned(),
            offset,
        })
    }

    /// What was answered since the last call.
    pub fn news(&mut self) -> Result<Vec<Request>> {
        let mut log = File::open(&self.file).context("opening the audit log")?;
        log.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text)
            .context("reading the audit log")?;
        // The last line may still be growing.
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.offset += u64::try_from(whole)?;
        text[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(Request::parse)
            .collect()
    }
}

impl Request {
    fn parse(line: &[u8]) -> Result<Self> {
        let event: Value = serde_json::from_slice(line).context("a line of the audit log")?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let mut resource = text("/objectRef/resource").unwrap_or("-").to_owned();
        if let Some(subresource) = text("/objectRef/subresource") {
            resource = format!("{resource}/{subresource}");
        }
        Ok(Self {
            user: text("/user/username").unwrap_or_default().to_owned(),
            verb: text("/verb").unwrap_or_default().to_owned(),
            resource,
            code: event
                .pointer("/responseStatus/code")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            answered: text("/stageTimestamp")
                .and_then(|time| time.parse().ok())
                .context("a line of the audit log has a time")?,
        })
    }

    /// Whether it wrote (or tried to). Reviews are questions that are asked by POST: who am I, what may I do.
    pub fn is_write(&self) -> bool {
        let reads = matches!(self.verb.as_str(), "get" | "list" | "watch");
        !reads && !self.resource.ends_with("reviews")
    }

    /// Whether it belongs to leader election.
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }
}

/// How many of each kind, as text.
pub fn tally<'a>(requests: impl IntoIterator<Item = &'a Request>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for request in requests {
        let kind = format!("{} {} {}", request.verb, request.resource, request.code);
        *counts.entry(kind).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} x {kind}"))
        .collect();
    if counts.is_empty() {
        "none".to_owned()
    } else {
        counts.join(", ")
    }
}
