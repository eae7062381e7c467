//! The text of `.waxwing.yaml`: what stands in it, and every way in which that can be wrong.

use std::{collections::BTreeMap, path::Path};

use sealing::{KeyId, Label, Scope};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Options, Spanned};

use super::{Cluster, Config, Recovery, Rule, nearest::nearest, rules};
use crate::error::{Code, CommandError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    version: Spanned<u64>,
    #[serde(default)]
    clusters: BTreeMap<String, Spanned<RawCluster>>,
    recovery: Option<Spanned<RawRecovery>>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
    check: Option<RawCheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCluster {
    recipients: String,
    signer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecovery {
    recipients: String,
    #[serde(default)]
    fingerprints: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    path: String,
    #[serde(default, deserialize_with = "one_or_many")]
    cluster: Vec<String>,
    namespace: Option<String>,
    scope: Option<String>,
    output: Option<String>,
    deny: Option<String>,
}

/// What the gate reads. Its shape is judged here so that a typing error is found by every command.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    warn: Vec<String>,
    #[serde(default)]
    allow: Vec<Spanned<RawAllow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAllow {
    rule: String,
    path: String,
    reason: String,
    expires: String,
}

/// Reads the text of a configuration. `shown` names it in messages; `directory` and `root` are absolute.
pub fn parse(
    text: &str,
    shown: &str,
    directory: &Path,
    root: &Path,
) -> Result<Config, CommandError> {
    let raw: RawConfig = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| unreadable(&error, shown))?;
    let fault =
        |line: u64, why: String| CommandError::new(Code::Config, format!("{shown}:{line}: {why}"));
    if raw.version.value != 1 {
        return Err(fault(
            raw.version.referenced.line(),
            format!("version {} is not known here", raw.version.value),
        )
        .hint("this waxwing reads version 1; a newer one may be needed"));
    }
    let mut clusters = BTreeMap::new();
    for (name, entry) in raw.clusters {
        let line = entry.referenced.line();
        let cluster = entry.value;
        let label = Label::new(&name).map_err(|error| fault(line, error.to_string()))?;
        if name == Label::recovery().to_string() || name == Label::key().to_string() {
            return Err(fault(
                line,
                format!("a cluster cannot be called {name:?}: that label has another meaning"),
            ));
        }
        if let Some(signer) = &cluster.signer {
            crate::trust::parse_signer_fingerprint(signer)
                .map_err(|why| fault(line, format!("signer: {why}")))?;
        }
        clusters.insert(
            name,
            Cluster {
                label,
                recipients: directory.join(&cluster.recipients),
                recipients_shown: beside(shown, &cluster.recipients),
                signer: cluster.signer,
                line,
            },
        );
    }
    let recovery = raw
        .recovery
        .map(|entry| {
            let line = entry.referenced.line();
            let recovery = entry.value;
            let fingerprints = recovery
                .fingerprints
                .iter()
                .map(|text| {
                    KeyId::parse_fingerprint(text).map_err(|_| {
                        fault(
                            line,
                            format!(
                                "{text:?} is not a key's fingerprint: SHA256: and 43 characters"
                            ),
                        )
                        .hint("print it with `waxwing keys fingerprint FILE`")
                    })
                })
                .collect::<Result<_, _>>()?;
            Ok(Recovery {
                recipients: directory.join(&recovery.recipients),
                recipients_shown: beside(shown, &recovery.recipients),
                fingerprints,
                line,
            })
        })
        .transpose()?;
    let rules = raw
        .rules
        .into_iter()
        .map(|entry| rule(entry, &clusters, &fault))
        .collect::<Result<_, CommandError>>()?;
    if let Some(check) = raw.check {
        judge_check(&check, &fault)?;
    }
    Ok(Config {
        shown: shown.to_owned(),
        directory: directory.to_owned(),
        root: root.to_owned(),
        clusters,
        recovery,
        rules,
    })
}

fn rule(
    entry: Spanned<RawRule>,
    clusters: &BTreeMap<String, Cluster>,
    fault: &impl Fn(u64, String) -> CommandError,
) -> Result<Rule, CommandError> {
    let line = entry.referenced.line();
    let raw = entry.value;
    rules::compile(&raw.path).map_err(|why| fault(line, format!("path {:?}: {why}", raw.path)))?;
    for name in &raw.cluster {
        if !clusters.contains_key(name) {
            let error = fault(
                line,
                format!("the rule seals for {name:?}, which is not under `clusters`"),
            );
            return Err(match nearest(name, clusters.keys().map(String::as_str)) {
                Some(close) => error.hint(format!("did you mean {close:?}?")),
                None => error,
            });
        }
    }
    let scope = raw
        .scope
        .as_deref()
        .map(|text| {
            text.parse::<Scope>()
                .map_err(|error| fault(line, error.to_string()))
        })
        .transpose()?;
    if let Some(template) = &raw.namespace {
        rules::check_namespace_template(template)
            .map_err(|why| fault(line, format!("namespace: {why}")))?;
    }
    if let Some(template) = &raw.output {
        rules::check_output_template(template)
            .map_err(|why| fault(line, format!("output: {why}")))?;
    }
    Ok(Rule {
        path: raw.path,
        clusters: raw.cluster,
        namespace: raw.namespace,
        scope,
        output: raw.output,
        deny: raw.deny,
        line,
    })
}

fn judge_check(
    check: &RawCheck,
    fault: &impl Fn(u64, String) -> CommandError,
) -> Result<(), CommandError> {
    for allow in &check.allow {
        let line = allow.referenced.line();
        let allow = &allow.value;
        rules::compile(&allow.path)
            .map_err(|why| fault(line, format!("path {:?}: {why}", allow.path)))?;
        if allow.reason.trim().is_empty() {
            return Err(fault(line, "an exception needs a reason".to_owned()));
        }
        if allow.rule.trim().is_empty() {
            return Err(fault(line, "an exception needs a rule".to_owned()));
        }
        allow.expires.parse::<jiff::civil::Date>().map_err(|_| {
            fault(
                line,
                format!(
                    "{:?} is not a day: expires is written YYYY-MM-DD",
                    allow.expires
                ),
            )
        })?;
    }
    if let Some(both) = check.deny.iter().find(|rule| check.warn.contains(rule)) {
        return Err(CommandError::new(
            Code::Config,
            format!("check: {both:?} stands under deny and under warn"),
        ));
    }
    Ok(())
}

fn options() -> Options {
    serde_saphyr::options! { emit_comments: false }
}

/// The parser's error in our form. The configuration holds no values, so its words may be quoted.
fn unreadable(error: &serde_saphyr::Error, shown: &str) -> CommandError {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(location) if location.line() > 0 => {
            format!("{shown}:{}:{}", location.line(), location.column())
        }
        _ => shown.to_owned(),
    };
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let found = CommandError::new(
                Code::Config,
                format!("{place}: there is no field {field:?} here"),
            );
            match nearest(field, expected.iter().copied()) {
                Some(close) => found.hint(format!("did you mean {close:?}?")),
                None => found.hint(format!("the fields are: {}", expected.join(", "))),
            }
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => CommandError::new(
            Code::Config,
            format!("{place}: the field {field:?} is missing"),
        ),
        other => {
            let words = other.to_string();
            let first = words.lines().next().unwrap_or_default().to_owned();
            CommandError::new(Code::Config, format!("{place}: {first}"))
        }
    }
}

/// A path of the configuration as seen from where the configuration is named.
fn beside(shown: &str, path: &str) -> String {
    match Path::new(shown).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.join(path).display().to_string(),
        _ => path.to_owned(),
    }
}

/// `cluster: prod` and `cluster: [prod, staging]` mean what they look like.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a cluster's name or a list of them")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = items.next_element()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests;
