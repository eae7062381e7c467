//! One sealing run inside an object: an envelope, or the envelope inside a token that stands alone.

use crate::binding::Binding;
use crate::key_id::KeyId;
use crate::names::Label;
use crate::place::Scope;
use crate::schedule::Commitment;
use crate::sealed_at::SealedAt;
use crate::text::base64url;
use crate::token::AloneEnvelope;

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) origin: Origin,
    pub(crate) binding: Binding,
    pub(crate) template: TemplateClaim,
    pub(crate) sealed_at: SealedAt,
    pub(crate) commitment: Commitment,
    pub(crate) wraps: Vec<NamedWrap>,
}

/// Where a run's envelope stands.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// `spec.envelopes`, under this id.
    Envelope(String),
    /// The token of this entry.
    Entry(String),
}

/// What a run says about the template's text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateClaim {
    Free,
    /// Bound; the digest is not told.
    Bound,
    /// Bound to this digest.
    Digest([u8; 32]),
}

#[derive(Clone, Debug)]
pub(crate) struct NamedWrap {
    pub(crate) label: Option<Label>,
    pub(crate) short_key_id: String,
    /// Only tokens that stand alone name the whole key id.
    pub(crate) key_id: Option<KeyId>,
    pub(crate) bytes: Vec<u8>,
}

impl NamedWrap {
    /// Whether this wrap names a key.
    pub(crate) fn is_for(&self, key: &KeyId) -> bool {
        match &self.key_id {
            Some(named) => named == key,
            None => self.short_key_id == key.short(),
        }
    }
}

/// One envelope or one token that stands alone, as can be told without a key. Place, time and
/// recipients are claims until the object is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// The envelope's id; `None` for a token that stands alone.
    pub id: Option<String>,
    /// The scope.
    pub scope: Scope,
    /// The namespace that is bound; empty when the scope binds none.
    pub namespace: String,
    /// The name that is bound; empty when the scope binds none.
    pub name: String,
    /// The Secret type that is bound.
    pub secret_type: String,
    /// When it was sealed.
    pub sealed_at: SealedAt,
    /// Whether the template's text is bound.
    pub template_bound: bool,
    /// Label, short key id and, where it is told, key id of every recipient.
    pub recipients: Vec<(Option<Label>, String, Option<KeyId>)>,
    /// The keys of the entries that use it, sorted.
    pub entries: Vec<String>,
    /// Those of them that templates may use.
    pub templatable: Vec<String>,
    /// The commitment, 43 characters of base64url: names the run for ever, whoever it is wrapped to.
    pub commitment: String,
}

impl Run {
    pub(crate) fn alone(key: &str, envelope: AloneEnvelope) -> Self {
        let wraps = envelope
            .wraps
            .into_iter()
            .map(|(key_id, bytes)| NamedWrap {
                label: None,
                short_key_id: key_id.short(),
                key_id: Some(key_id),
                bytes,
            })
            .collect();
        Self {
            origin: Origin::Entry(key.to_owned()),
            binding: envelope.binding,
            template: envelope
                .template
                .map_or(TemplateClaim::Free, TemplateClaim::Digest),
            sealed_at: envelope.sealed_at,
            commitment: envelope.commitment,
            wraps,
        }
    }

    /// The envelope of a token that stands alone, without its wraps.
    pub(crate) fn envelope_alone(&self) -> Option<AloneEnvelope> {
        let template = match (&self.origin, self.template) {
            (Origin::Entry(_), TemplateClaim::Digest(digest)) => Some(digest),
            (Origin::Entry(_), _) => None,
            (Origin::Envelope(_), _) => return None,
        };
        Some(AloneEnvelope {
            binding: self.binding.clone(),
            template,
            sealed_at: self.sealed_at,
            commitment: self.commitment,
            wraps: Vec::new(),
        })
    }

    pub(crate) fn info<'a>(&self, entries: impl Iterator<Item = (&'a str, bool)>) -> RunInfo {
        let entries: Vec<_> = entries.collect();
        RunInfo {
            id: match &self.origin {
                Origin::Envelope(id) => Some(id.clone()),
                Origin::Entry(_) => None,
            },
            scope: self.binding.scope,
            namespace: self.binding.namespace.clone(),
            name: self.binding.name.clone(),
            secret_type: self.binding.secret_type.clone(),
            sealed_at: self.sealed_at,
            template_bound: !matches!(self.template, TemplateClaim::Free),
            recipients: self
                .wraps
                .iter()
                .map(|w| (w.label.clone(), w.short_key_id.clone(), w.key_id))
                .collect(),
            entries: entries.iter().map(|(key, _)| (*key).to_owned()).collect(),
            templatable: entries
                .iter()
                .filter(|(_, yes)| *yes)
                .map(|(key, _)| (*key).to_owned())
                .collect(),
            commitment: base64url(&self.commitment.0),
        }
    }
}
