//! `waxwing seal -f`: every Secret of a manifest becomes a `SealedSecret`, every other byte stays.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crds::names;
use manifests::{
    Document, Limits, Object, ReadError,
    rewrite::{RewriteError, SealedReplacement, seal_in_place},
};
use sealing::{Label, Place, Recipient, Scope};

use super::{
    Decided, SealArgs, decide, need_piped_stdin, now, object,
    secret::{self, LAST_APPLIED, bad, has_values, is_secret, take_apart},
};
use crate::{
    config::rules,
    error::{Code, CommandError},
    files::{self, Existing},
    session::Session,
};

pub fn run(args: &SealArgs, session: &mut Session) -> Result<(), CommandError> {
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from("-"));
    let from_stdin = file == Path::new("-");
    if from_stdin && (args.in_place || args.write) {
        return Err(CommandError::usage(
            "--in-place and --write need a file, and -f - is standard input",
        ));
    }
    if from_stdin {
        need_piped_stdin("the manifest")?;
    }
    if let Some(output) = &args.output {
        files::refuse_existing(output).map_err(|error| {
            let same = output
                .canonicalize()
                .ok()
                .is_some_and(|output| file.canonicalize().ok() == Some(output));
            if same {
                error.hint("to replace the manifest itself use --in-place")
            } else {
                error
            }
        })?;
    }
    let shown = if from_stdin {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let source = if from_stdin {
        files::read_stdin()?
    } else {
        files::read(&file)?
    };
    let mut documents = manifests::documents(&shown, &source, &Limits::default())
        .map_err(|errors| unreadable(&errors))?;
    let result = seal_documents(args, &documents, &source, &shown, session);
    for object in documents
        .iter_mut()
        .flat_map(|document| &mut document.objects)
    {
        secret::wipe(&mut object.value);
    }
    if let Some(sealed) = result? {
        return write(args, &file, &sealed, from_stdin, session);
    }
    session.output.note(&format!(
        "{shown} holds no Secret with values; nothing to seal"
    ));
    match &args.output {
        Some(output) => files::write(output, &source, Existing::Refuse, 0o644),
        None if args.in_place || args.write => Ok(()),
        None => session.output.result(&source),
    }
}

/// A manifest whose Secrets are sealed.
struct SealedManifest {
    bytes: Vec<u8>,
    /// Names of the Secrets that were sealed.
    names: Vec<String>,
    /// Where `--write` puts it.
    written_to: Option<PathBuf>,
}

fn seal_documents(
    args: &SealArgs,
    documents: &[Document],
    source: &[u8],
    shown: &str,
    session: &mut Session,
) -> Result<Option<SealedManifest>, CommandError> {
    if let Some(incomplete) = documents
        .iter()
        .flat_map(|document| &document.incomplete)
        .find(|one| one.is_secret())
    {
        return Err(
            CommandError::new(Code::BadSecret, format!("{}", incomplete.error))
                .hint("every Secret in the manifest needs metadata.name; nothing was sealed"),
        );
    }
    let mut secrets = Vec::new();
    for object in documents
        .iter()
        .flat_map(|document| &document.objects)
        .filter(|object| is_secret(object))
    {
        if has_values(object) {
            secrets.push(object);
        } else {
            session.output.note(&format!(
                "{}: {} carries no values and stays as it is",
                object.location, object.id
            ));
        }
    }
    if secrets.is_empty() {
        return Ok(None);
    }
    let decided = decide(args, session)?;
    let scope = decided.scope(args);
    let places = secrets
        .iter()
        .map(|object| place(object, args, &decided, scope))
        .collect::<Result<Vec<_>, _>>()?;
    let written_to = if args.write {
        Some(written_to(args, &decided, &secrets)?)
    } else {
        None
    };
    let recipients = decided.recipients(args, session)?;
    let mut replacements = BTreeMap::new();
    let mut templatable_found = vec![false; args.templatable.len()];
    for (object, place) in secrets.iter().zip(&places) {
        let spec = seal_one(
            object,
            place,
            scope,
            args,
            &recipients,
            &mut templatable_found,
            session,
        )?;
        replacements.insert(
            object.index,
            SealedReplacement {
                api_version: names::API_VERSION.to_owned(),
                kind: "SealedSecret".to_owned(),
                namespace: (object.id.namespace.is_none() && !place.namespace().is_empty())
                    .then(|| place.namespace().to_owned()),
                spec,
                remove_annotations: vec![LAST_APPLIED.to_owned()],
            },
        );
    }
    if let Some((name, _)) = args
        .templatable
        .iter()
        .zip(&templatable_found)
        .find(|(_, found)| !**found)
    {
        return Err(CommandError::usage(format!(
            "--templatable {name}: no Secret in {shown} has a value of that key"
        )));
    }
    let bytes = seal_in_place(shown, source, &replacements, &Limits::default()).map_err(
        |error| match error {
            RewriteError::Read(errors) => unreadable(&errors),
            other => CommandError::new(Code::BadSecret, format!("{shown}: {other}"))
                .hint("nothing was written"),
        },
    )?;
    let names = secrets
        .iter()
        .map(|object| object.id.name.clone())
        .collect();
    Ok(Some(SealedManifest {
        bytes,
        names,
        written_to,
    }))
}

fn seal_one(
    object: &Object,
    place: &Place,
    scope: Scope,
    args: &SealArgs,
    recipients: &[(Label, Recipient)],
    templatable_found: &mut [bool],
    session: &mut Session,
) -> Result<serde_json::Value, CommandError> {
    let mut parts = take_apart(object, args.trim, session)?;
    if parts.template.type_.is_none() {
        parts.template.type_.clone_from(&args.secret_type);
    }
    for (name, found) in args.templatable.iter().zip(templatable_found) {
        *found |= parts.values.keys().any(|key| key.as_str() == name);
    }
    let shown = format!("{}: {}", object.location, object.id);
    let request = object::Request {
        place,
        scope,
        recipients,
        allow_classical: args.recipients.allow_classical,
        bind_template: args.bind_template,
        templatable: &args.templatable,
        sealed_at: now()?,
        shown: &shown,
    };
    object::seal(&request, parts.values, parts.template, session)
}

/// Where one Secret belongs. The manifest says it; `-n` and the rule fill a gap, and must not contradict.
fn place(
    object: &Object,
    args: &SealArgs,
    decided: &Decided,
    scope: Scope,
) -> Result<Place, CommandError> {
    let at = || object.location_of(&["metadata", "namespace"]);
    let written = object
        .id
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty());
    let (namespace, from_rule) = match (written, args.namespace.as_deref()) {
        (Some(written), Some(flag)) if written != flag => {
            return Err(CommandError::new(
                Code::Disagreement,
                format!(
                    "{}: {}: the manifest says namespace {written:?}, and -n says {flag:?}",
                    at(),
                    object.id
                ),
            )
            .hint("leave out -n, or correct the manifest"));
        }
        (Some(written), None) => {
            // A template that makes no namespace of this path is no contradiction: the manifest says enough.
            if let Ok(Some(expected)) = decided.rule_namespace()
                && expected != written
                && let Some((config, rule)) = decided.rule()
            {
                return Err(CommandError::new(
                    Code::Disagreement,
                    format!(
                        "{}: {}: the manifest says namespace {written:?}, and the rule at {} says {expected:?}",
                        at(),
                        object.id,
                        config.at(rule.line)
                    ),
                )
                .hint("correct the manifest or the rule, or say which one you mean with -n"));
            }
            (Some(written.to_owned()), false)
        }
        (_, Some(flag)) => (Some(flag.to_owned()), false),
        (None, None) => (decided.rule_namespace()?, true),
    };
    if namespace.is_none() && scope != Scope::Cluster {
        return Err(CommandError::new(
            Code::NoNamespace,
            format!("{}: {}: nothing says in which namespace it belongs", object.location, object.id),
        )
        .hint("add metadata.namespace, name it with -n NAMESPACE, or seal for any namespace with --scope cluster"));
    }
    let in_manifest = object
        .value
        .get("type")
        .and_then(serde_json::Value::as_str)
        .filter(|text| !text.is_empty());
    if let (Some(written), Some(flag)) = (in_manifest, args.secret_type.as_deref())
        && written != flag
    {
        return Err(CommandError::new(
            Code::Disagreement,
            format!(
                "{}: {}: the manifest says type {written:?}, and --type says {flag:?}",
                object.location_of(&["type"]),
                object.id
            ),
        ));
    }
    let secret_type = in_manifest.or(args.secret_type.as_deref());
    Place::new(
        namespace.as_deref().unwrap_or_default(),
        &object.id.name,
        secret_type,
    )
    .map_err(|error| {
        let from_flag = args.namespace.is_some() && written.is_none();
        if from_rule {
            CommandError::new(Code::Config, error.to_string())
        } else if from_flag && matches!(error, sealing::PlaceError::Namespace(_)) {
            CommandError::new(Code::Grammar, format!("-n: {error}"))
        } else {
            bad(&object.location, object, &error.to_string())
        }
    })
}

/// The one file that the rule's `output` names for all Secrets of the manifest.
fn written_to(
    args: &SealArgs,
    decided: &Decided,
    secrets: &[&Object],
) -> Result<PathBuf, CommandError> {
    let file = args.file.as_deref().unwrap_or_else(|| Path::new("-"));
    let Some((config, rule)) = decided.rule() else {
        return Err(CommandError::new(
            Code::Config,
            format!(
                "--write needs a rule with `output`, and no rule holds for {}",
                file.display()
            ),
        )
        .hint("name the file with -o, or replace the manifest with --in-place"));
    };
    let mut made = Vec::new();
    for object in secrets {
        let Some(name) = rules::output(rule, &object.id.name)? else {
            return Err(CommandError::new(
                Code::Config,
                format!(
                    "--write needs `output` in the rule at {}",
                    config.at(rule.line)
                ),
            )
            .hint("name the file with -o, or replace the manifest with --in-place"));
        };
        if !made.contains(&name) {
            made.push(name);
        }
    }
    let [name] = made.as_slice() else {
        return Err(CommandError::usage(format!(
            "{} holds {} Secrets, and the rule's `output` names a file for each: {}",
            file.display(),
            secrets.len(),
            made.join(", ")
        ))
        .hint("name one file with -o, or replace the manifest with --in-place"));
    };
    let path = file.parent().unwrap_or_else(|| Path::new("")).join(name);
    files::refuse_existing(&path)?;
    Ok(path)
}

fn write(
    args: &SealArgs,
    file: &Path,
    sealed: &SealedManifest,
    from_stdin: bool,
    session: &mut Session,
) -> Result<(), CommandError> {
    let count = sealed.names.len();
    let what = if count == 1 {
        format!("the Secret {:?}", sealed.names[0])
    } else {
        format!("{count} Secrets")
    };
    if args.in_place {
        files::write(file, &sealed.bytes, Existing::Replace, 0o644)?;
        session
            .output
            .tell(&format!("sealed {what} in {}", file.display()));
        return Ok(());
    }
    let Some(path) = args.output.as_ref().or(sealed.written_to.as_ref()) else {
        return session.output.result(&sealed.bytes);
    };
    files::write(path, &sealed.bytes, Existing::Refuse, 0o644)?;
    session
        .output
        .tell(&format!("sealed {what} into {}", path.display()));
    if !from_stdin {
        session.output.note(&format!(
            "{} still holds the plaintext: do not commit it",
            file.display()
        ));
    }
    Ok(())
}

fn unreadable(errors: &[ReadError]) -> CommandError {
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    CommandError::new(Code::Unparsable, text.join("\n")).hint("nothing was sealed")
}
