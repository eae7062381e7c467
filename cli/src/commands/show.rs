//! `waxwing show`: everything about sealed values that needs no key.

use std::{
    fmt::Write,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use sealing::{RunInfo, Sealed};
use serde_json::{Value, json};

use super::Format;
use crate::{
    error::CommandError,
    sealed_file::{self, Found},
    session::Session,
};

/// Arguments of `show`.
#[derive(Args)]
#[command(after_help = "Examples:
  waxwing show db.yaml
  waxwing show db.yaml --format json | jq '.objects[].runs[].recipients'

Nothing is opened: places, times and recipients are what the file claims. A claim that does not fit the object's own
place is reported, with exit code 7.")]
pub struct ShowArgs {
    /// File with SealedSecrets (- for standard input)
    pub file: PathBuf,

    /// Form of the answer [default: text]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// Prints what the file says.
pub fn run(args: &ShowArgs, session: &mut Session) -> Result<(), CommandError> {
    let found = sealed_file::read(&args.file)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut misplaced = None;
    let mut objects = Vec::new();
    let mut text = String::new();
    for one in &found {
        let sealed =
            Sealed::parse(&one.text).map_err(|refusals| sealed_file::refused(one, &refusals))?;
        let place = sealed
            .check_place()
            .map_err(|refusals| sealed_file::refused(one, &refusals));
        let runs = sealed.runs();
        objects.push(object(one, &runs, place.is_ok(), now));
        describe(&mut text, one, &runs, place.is_ok(), now);
        if let Err(error) = place {
            misplaced.get_or_insert(error);
        }
    }
    match Format::choose(args.format, session) {
        Format::Json => {
            let whole = json!({ "schemaVersion": 1, "objects": objects });
            session.output.result(format!("{whole:#}\n").as_bytes())?;
        }
        Format::Text => session.output.result(text.as_bytes())?,
    }
    misplaced.map_or(Ok(()), Err)
}

fn object(found: &Found, runs: &[RunInfo], in_place: bool, now: u64) -> Value {
    let template = &found.object.spec.template;
    json!({
        "file": found.location.file,
        "line": found.location.line,
        "document": found.location.document,
        "namespace": found.object.metadata.namespace,
        "name": found.object.metadata.name,
        "type": template.type_.as_deref().unwrap_or("Opaque"),
        "immutable": template.immutable.unwrap_or(false),
        "inPlace": in_place,
        "keys": found.text.entries.keys().collect::<Vec<_>>(),
        "templateKeys": template.data.keys().collect::<Vec<_>>(),
        "runs": runs.iter().map(|run| run_json(run, now)).collect::<Vec<_>>(),
    })
}

fn run_json(run: &RunInfo, now: u64) -> Value {
    json!({
        "envelope": run.id,
        "scope": run.scope.to_string(),
        "namespace": run.namespace,
        "name": run.name,
        "type": run.secret_type,
        "sealedAt": run.sealed_at.to_string(),
        "ageSeconds": now.saturating_sub(run.sealed_at.unix()),
        "templateBound": run.template_bound,
        "commitment": run.commitment,
        "recipients": run.recipients.iter().map(|(label, short, key)| json!({
            "label": label.as_ref().map(ToString::to_string),
            "key": short,
            "fingerprint": key.map(|key| key.fingerprint()),
        })).collect::<Vec<_>>(),
        "entries": run.entries,
        "templatable": run.templatable,
    })
}

fn describe(text: &mut String, found: &Found, runs: &[RunInfo], in_place: bool, now: u64) {
    let template = &found.object.spec.template;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "SealedSecret {}  ({})", found.shown, found.location);
    let _ = writeln!(
        text,
        "  type {}{}",
        template.type_.as_deref().unwrap_or("Opaque"),
        if template.immutable == Some(true) {
            ", immutable"
        } else {
            ""
        }
    );
    if !template.data.is_empty() {
        let _ = writeln!(
            text,
            "  template keys: {}",
            template.data.keys().cloned().collect::<Vec<_>>().join(", ")
        );
    }
    if !in_place {
        let _ = writeln!(text, "  MISPLACED: sealed for another place than this");
    }
    for run in runs {
        let bound = if run.template_bound {
            ", template bound"
        } else {
            ""
        };
        let kind = run.id.as_ref().map_or_else(
            || "self-contained value".to_owned(),
            |id| format!("envelope {id}"),
        );
        let _ = writeln!(
            text,
            "  {kind}: {} {}, sealed {} ({}){bound}",
            run.scope,
            place(run),
            run.sealed_at,
            age(now, run.sealed_at.unix())
        );
        for (label, short, _) in &run.recipients {
            let label = label
                .as_ref()
                .map_or_else(String::new, |label| format!("{label}."));
            let _ = writeln!(text, "    for {label}{short}");
        }
        for key in &run.entries {
            let mark = if run.templatable.contains(key) {
                "  (templatable)"
            } else {
                ""
            };
            let _ = writeln!(text, "    {key}{mark}");
        }
    }
}

fn place(run: &RunInfo) -> String {
    match (run.namespace.as_str(), run.name.as_str()) {
        ("", "") => "anywhere".to_owned(),
        (namespace, "") => namespace.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn age(now: u64, then: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    if then > now.saturating_add(HOUR) {
        return "in the future".to_owned();
    }
    match now.saturating_sub(then) {
        0..MINUTE => "just now".to_owned(),
        seconds @ MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        seconds @ HOUR..DAY => format!("{} h ago", seconds / HOUR),
        seconds => format!("{} d ago", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_well() {
        assert_eq!(age(1000, 990), "just now");
        assert_eq!(age(10_000, 9_000), "16 min ago");
        assert_eq!(age(100_000, 50_000), "13 h ago");
        assert_eq!(age(1_000_000, 0), "11 d ago");
        assert_eq!(age(0, 10_000), "in the future");
    }
}
