//! `waxwing seal NAME`: a new `SealedSecret` made of single values.

use crds::{Template, names};
use sealing::{Place, Scope};
use serde_json::json;

use super::{Decided, SealArgs, decide, now, object};
use crate::{
    error::{Code, CommandError},
    files::{self, Existing},
    session::Session,
};

pub fn run(args: SealArgs, session: &mut Session) -> Result<(), CommandError> {
    let Some(name) = args.name.clone() else {
        return Err(CommandError::usage("the name of the new Secret is missing")
            .hint("waxwing seal NAME -n NAMESPACE --prompt KEY")
            .hint("a whole manifest is sealed with -f FILE, or -f - for standard input"));
    };
    if args.values.is_empty() {
        return Err(CommandError::usage(format!("there is no value to seal for {name:?}"))
            .hint("--prompt KEY, --from-literal KEY=VALUE, --from-file [KEY=]PATH, --from-env-file FILE or --generate KEY")
            .hint("a whole manifest is sealed with -f FILE, or -f - for standard input"));
    }
    if let Some(output) = &args.output {
        files::refuse_existing(output)?;
    }
    let decided = decide(&args, session)?;
    let scope = decided.scope(&args);
    let place = place(&args, &decided, &name, scope)?;
    let shown = if place.namespace().is_empty() {
        format!("Secret {}", place.name())
    } else {
        format!("Secret {}/{}", place.namespace(), place.name())
    };
    object::judge_type(place.secret_type(), &shown, session)?;
    let recipients = decided.recipients(&args, session)?;
    let secret_type = args.secret_type.clone();
    let values = args.values.collect(args.trim, session)?;
    if let Some(missing) = args
        .templatable
        .iter()
        .find(|name| !values.keys().any(|key| key.as_str() == **name))
    {
        return Err(CommandError::usage(format!(
            "--templatable {missing}: there is no value of that key"
        )));
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
    let template = Template {
        type_: secret_type,
        ..Template::default()
    };
    let spec = object::seal(&request, values, template, session)?;
    let mut metadata = json!({ "name": place.name() });
    if !place.namespace().is_empty() {
        metadata["namespace"] = place.namespace().into();
    }
    let sealed = json!({
        "apiVersion": names::API_VERSION,
        "kind": "SealedSecret",
        "metadata": metadata,
        "spec": spec,
    });
    let text = manifests::write_yaml(&sealed);
    match &args.output {
        Some(output) => files::write(output, text.as_bytes(), Existing::Refuse, 0o644),
        None => session.output.result(text.as_bytes()),
    }
}

/// Where the values belong: flags, then the rule.
fn place(
    args: &SealArgs,
    decided: &Decided,
    name: &str,
    scope: Scope,
) -> Result<Place, CommandError> {
    let from_rule = match args.namespace {
        Some(_) => None,
        None => decided.rule_namespace()?,
    };
    let namespace = args.namespace.as_deref().or(from_rule.as_deref());
    if name.is_empty() {
        return Err(CommandError::new(
            Code::Grammar,
            "the name of the Secret is empty",
        ));
    }
    if namespace.is_none() && scope != Scope::Cluster {
        return Err(CommandError::new(
            Code::NoNamespace,
            format!("nothing says in which namespace {name:?} belongs"),
        )
        .hint("name it with -n NAMESPACE, or seal it for any namespace with --scope cluster"));
    }
    Place::new(
        namespace.unwrap_or_default(),
        name,
        args.secret_type.as_deref(),
    )
    .map_err(|error| {
        let code = if from_rule.is_some() {
            Code::Config
        } else {
            Code::Grammar
        };
        CommandError::new(code, error.to_string())
    })
}
