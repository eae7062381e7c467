//! `waxwing seal --raw`: one value from standard input, one token that stands alone.

use std::collections::BTreeMap;

use sealing::{EntryKey, NewEntry, Place, Plaintext, Scope};

use super::{SealArgs, decide, need_piped_stdin, now, object, values};
use crate::{
    error::{Code, CommandError},
    files,
    session::Session,
};

pub fn run(args: &SealArgs, session: &mut Session) -> Result<(), CommandError> {
    let Some(key) = &args.name else {
        return Err(CommandError::usage("the key of the value is missing")
            .hint("waxwing seal --raw -n NAMESPACE --name NAME KEY < VALUE"));
    };
    let key =
        EntryKey::new(key).map_err(|error| CommandError::new(Code::Grammar, error.to_string()))?;
    if let Some(other) = args.templatable.iter().find(|name| *name != key.as_str()) {
        return Err(CommandError::usage(format!(
            "--templatable {other}: the only value here is {:?}",
            key.as_str()
        )));
    }
    need_piped_stdin("the value")?;
    let decided = decide(args, session)?;
    let scope = decided.scope(args);
    let from_rule = match args.namespace {
        Some(_) => None,
        None => decided.rule_namespace()?,
    };
    let namespace = args.namespace.as_deref().or(from_rule.as_deref());
    if namespace.is_none() && scope != Scope::Cluster {
        return Err(CommandError::new(
            Code::NoNamespace,
            "nothing says for which namespace the token is",
        )
        .hint("name it with -n NAMESPACE, or seal for any namespace with --scope cluster"));
    }
    if args.secret_name.is_none() && scope == Scope::Strict {
        return Err(
            CommandError::usage("nothing says for which Secret the token is")
                .hint("name it with --name NAME, or seal for any name with --scope namespace"),
        );
    }
    let place = Place::new(
        namespace.unwrap_or_default(),
        args.secret_name.as_deref().unwrap_or_default(),
        args.secret_type.as_deref(),
    )
    .map_err(|error| {
        let code = if from_rule.is_some() {
            Code::Config
        } else {
            Code::Grammar
        };
        CommandError::new(code, error.to_string())
    })?;
    let shown = format!("the value of {:?}", key.as_str());
    object::judge_type(place.secret_type(), &shown, session)?;
    let recipients = decided.recipients(args, session)?;
    let mut value = files::read_stdin()?;
    values::notice_newline(&value, "the value", args.trim, session);
    if args.trim {
        value = values::trimmed(value);
    }
    let request = object::Request {
        place: &place,
        scope,
        recipients: &recipients,
        allow_classical: args.recipients.allow_classical,
        bind_template: args.bind_template,
        templatable: &args.templatable,
        sealed_at: now()?,
        shown: &shown,
    };
    let no_template = BTreeMap::new();
    let entry = NewEntry {
        templatable: !args.templatable.is_empty(),
        key,
        value: Plaintext::new(value),
    };
    let token = sealing::seal_self(&object::run(&request, &no_template), entry)
        .map_err(|error| object::failed(&error, &shown))?;
    session.output.result(format!("{token}\n").as_bytes())
}
