//! From values to the `spec` of a `SealedSecret`: the one place where this program seals.

use std::collections::BTreeMap;

use crds::{EncryptedEntry, Envelope, SealedSecretSpec, Template, names};
use sealing::{Label, NewEntry, Place, Recipient, Scope, SealError, SealedAt, SealingRun};
use serde_json::{Map, Value};

use super::values::Values;
use crate::{
    error::{Code, CommandError},
    session::Session,
};

/// Kubernetes' own limit for all values of a Secret together.
const MAX_VALUES: usize = 1024 * 1024;
/// What fits into etcd, with room for the status.
const MAX_OBJECT: usize = 1_200_000;
/// Beyond this, client-side `kubectl apply` fails: it repeats the object in an annotation of at most 256 KiB.
const LARGE_OBJECT: usize = 250_000;

/// Secret types that the controller writes only where its configuration allows them.
const TOKEN_TYPES: [&str; 2] = [
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];

/// What the values of one Secret share.
pub struct Request<'a> {
    pub place: &'a Place,
    pub scope: Scope,
    pub recipients: &'a [(Label, Recipient)],
    pub allow_classical: bool,
    pub bind_template: bool,
    pub templatable: &'a [String],
    pub sealed_at: SealedAt,
    /// How messages name the Secret.
    pub shown: &'a str,
}

/// Seals all values into one envelope and returns the `spec`, its fields in the order in which people read them.
pub fn seal(
    request: &Request<'_>,
    values: Values,
    template: Template,
    session: &mut Session,
) -> Result<Value, CommandError> {
    judge_type(request.place.secret_type(), request.shown, session)?;
    let size: usize = values
        .iter()
        .map(|(key, value)| key.as_str().len() + value.len())
        .sum();
    if size > MAX_VALUES {
        return Err(CommandError::new(
            Code::Limit,
            format!("{}: the values have {size} bytes together; Kubernetes allows a Secret {MAX_VALUES}", request.shown),
        )
        .hint("split it into several Secrets"));
    }
    let entries = values
        .into_iter()
        .map(|(key, value)| {
            let templatable = request.templatable.iter().any(|name| name == key.as_str());
            NewEntry {
                key,
                value,
                templatable,
            }
        })
        .collect();
    let run = run(request, &template.data);
    let sealed = sealing::seal(&run, entries).map_err(|error| failed(&error, request.shown))?;
    let envelope = Envelope {
        binding: sealed.envelope.binding,
        sealed_at: sealed.envelope.sealed_at,
        template_bound: sealed.envelope.template_bound,
        commitment: sealed.envelope.commitment,
        recipients: sealed.envelope.recipients,
    };
    let spec = SealedSecretSpec {
        envelopes: BTreeMap::from([(sealed.envelope_id, envelope)]),
        encrypted_data: sealed
            .tokens
            .into_iter()
            .map(|(key, value)| (key, EncryptedEntry { value }))
            .collect(),
        template,
        ..SealedSecretSpec::default()
    };
    let spec = ordered(&spec)?;
    judge_size(&spec, request.shown, session)?;
    Ok(spec)
}

/// The sealing run of a request.
pub fn run<'a>(
    request: &'a Request<'_>,
    template_data: &'a BTreeMap<String, String>,
) -> SealingRun<'a> {
    SealingRun {
        place: request.place,
        scope: request.scope,
        bound_template: request.bind_template.then_some(template_data),
        sealed_at: request.sealed_at,
        recipients: request.recipients,
        allow_classical: request.allow_classical,
    }
}

/// Why nothing was sealed, with the object's name.
pub fn failed(error: &SealError, shown: &str) -> CommandError {
    let code = match error {
        SealError::Classical(_) | SealError::MixedSuites(_) => Code::Classical,
        SealError::NoRecipients => Code::NoRecipients,
        SealError::NamespaceMissing(_) => Code::NoNamespace,
        SealError::NameMissing
        | SealError::EntryTwice(_)
        | SealError::NothingToSeal
        | SealError::RecipientTwice(..) => Code::Usage,
        SealError::TooManyEntries(_) | SealError::TooManyRecipients(_) => Code::Limit,
        _ => Code::Internal,
    };
    CommandError::new(code, format!("{shown}: {error}"))
}

/// Stops at types that no `SealedSecret` may have, and says which ones need the controller's consent.
pub fn judge_type(
    secret_type: &str,
    shown: &str,
    session: &mut Session,
) -> Result<(), CommandError> {
    if secret_type.starts_with(names::RESERVED_TYPE_PREFIX) {
        return Err(CommandError::new(
            Code::Grammar,
            format!(
                "{shown}: the controller writes no Secret of the type {secret_type:?}: that prefix is its own"
            ),
        ));
    }
    if TOKEN_TYPES.contains(&secret_type) {
        session.output.warn(&format!(
            "{shown}: the controller writes Secrets of the type {secret_type} only when its configuration sets allowTokenTypes"
        ));
    }
    Ok(())
}

fn ordered(spec: &SealedSecretSpec) -> Result<Value, CommandError> {
    let internal = |error: String| CommandError::new(Code::Internal, error);
    let Value::Object(mut fields) =
        serde_json::to_value(spec).map_err(|error| internal(error.to_string()))?
    else {
        return Err(internal("a spec is not an object".to_owned()));
    };
    let mut spec = Map::new();
    for name in ["template", "envelopes", "encryptedData"] {
        if let Some(value) = fields.remove(name) {
            spec.insert(name.to_owned(), value);
        }
    }
    Ok(Value::Object(spec))
}

fn judge_size(spec: &Value, shown: &str, session: &mut Session) -> Result<(), CommandError> {
    let size = spec.to_string().len();
    if size > MAX_OBJECT {
        return Err(CommandError::new(
            Code::Limit,
            format!("{shown}: sealed it has {size} bytes; a cluster stores at most {MAX_OBJECT}"),
        )
        .hint("split it into several Secrets, or seal for fewer recipients"));
    }
    if size > LARGE_OBJECT {
        session.output.warn(&format!(
            "{shown}: sealed it has {size} bytes; client-side `kubectl apply` stops at 256 KiB (use --server-side; a sync is not affected)"
        ));
    }
    Ok(())
}
