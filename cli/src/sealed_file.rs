//! `SealedSecrets` as they lie in a file.

use std::{fmt::Write, path::Path};

use crds::{SealedSecret, names};
use manifests::{Limits, Location};
use sealing::{Class, Refusals, SealedText};

use crate::{
    error::{Code, CommandError},
    files,
};

/// One of them.
pub struct Found {
    /// Where it stands.
    pub location: Location,
    /// `namespace/name`, or the name alone.
    pub shown: String,
    /// Its format's text.
    pub text: SealedText,
    /// The object.
    pub object: SealedSecret,
}

/// All `SealedSecrets` of a file (`-` is standard input), at least one.
pub fn read(path: &Path) -> Result<Vec<Found>, CommandError> {
    let (bytes, shown) = if path == Path::new("-") {
        (files::read_stdin()?, "standard input".to_owned())
    } else {
        (files::read(path)?, path.display().to_string())
    };
    let documents = manifests::documents(&shown, &bytes, &Limits::default()).map_err(|errors| {
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CommandError::new(Code::Unparsable, text.join("\n"))
    })?;
    let mut found = Vec::new();
    for document in documents {
        if let Some(incomplete) = document
            .incomplete
            .iter()
            .find(|one| one.kind.as_deref() == Some("SealedSecret"))
        {
            return Err(CommandError::new(
                Code::Malformed,
                incomplete.error.to_string(),
            ));
        }
        for object in document.objects {
            if object.id.kind != "SealedSecret" || object.id.group != names::GROUP {
                continue;
            }
            let location = object.location.clone();
            let shown = match &object.id.namespace {
                Some(namespace) => format!("{namespace}/{}", object.id.name),
                None => object.id.name.clone(),
            };
            let sealed: SealedSecret = serde_json::from_value(object.value).map_err(|error| {
                CommandError::new(
                    Code::Malformed,
                    format!("{location}: SealedSecret {shown}: {error}"),
                )
            })?;
            found.push(Found {
                location,
                shown,
                text: sealed.sealed_text(),
                object: sealed,
            });
        }
    }
    if found.is_empty() {
        return Err(CommandError::new(
            Code::NothingSealed,
            format!("{shown} holds no SealedSecret"),
        )
        .hint("a Secret becomes one with `waxwing seal -f FILE`"));
    }
    Ok(found)
}

/// A refusal of the format as an error of a command.
pub fn refused(found: &Found, refusals: &Refusals) -> CommandError {
    let code = match refusals.class() {
        Class::Limit => Code::Limit,
        Class::Malformed => Code::Malformed,
        Class::Misplaced => Code::Misplaced,
        Class::UnknownKey => Code::UnknownKey,
        Class::CannotBeUnsealed => Code::CannotBeUnsealed,
    };
    let mut message = format!(
        "{}: SealedSecret {}: {}",
        found.location,
        found.shown,
        refusals.class()
    );
    for item in refusals.items() {
        message.push_str("\n  ");
        if let Some(envelope) = &item.envelope {
            let _ = write!(message, "envelope {envelope}: ");
        }
        if let Some(entry) = &item.entry {
            let _ = write!(message, "{entry}: ");
        }
        message.push_str(&item.detail);
    }
    let error = CommandError::new(code, message);
    match refusals.class() {
        Class::Misplaced => error.hint("it opens only under the namespace, name and type it was sealed for: put it back, or seal the value anew"),
        Class::UnknownKey => error.hint("`waxwing show FILE` names the keys it is sealed for"),
        Class::Malformed => error.hint("restore the file from Git, or seal the value anew"),
        _ => error,
    }
}
