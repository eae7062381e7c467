//! Which rule of the configuration holds for a path, and what its templates make of it.

use std::path::{Component, Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Config, Rule};
use crate::error::{Code, CommandError};

/// The rule for a target: the one with the most literal path segments among those whose glob matches.
///
/// `target` is absolute. A path outside of the configuration's directory has no rule. Two rules that match equally
/// well are an error: whichever won, somebody would be surprised.
pub fn rule_for<'a>(config: &'a Config, target: &Path) -> Result<Option<&'a Rule>, CommandError> {
    let Ok(relative) = target.strip_prefix(&config.directory) else {
        return Ok(None);
    };
    let mut best: Option<(usize, &Rule)> = None;
    let mut tie = None;
    for rule in &config.rules {
        let matcher = compile(&rule.path).map_err(|why| {
            CommandError::new(
                Code::Config,
                format!("{}: path: {why}", config.at(rule.line)),
            )
        })?;
        if !matcher.is_match(relative) {
            continue;
        }
        let literal = literal_segments(&rule.path);
        match best {
            Some((most, _)) if literal < most => {}
            Some((most, other)) if literal == most => tie = Some((other, rule)),
            _ => {
                best = Some((literal, rule));
                tie = None;
            }
        }
    }
    if let Some((one, other)) = tie {
        return Err(CommandError::new(
            Code::RuleTie,
            format!(
                "two rules hold equally for {}: {:?} ({}) and {:?} ({})",
                relative.display(),
                one.path,
                config.at(one.line),
                other.path,
                config.at(other.line)
            ),
        )
        .hint("the rule with more literal path segments wins: make one of them say more"));
    }
    Ok(best.map(|(_, rule)| rule))
}

/// The namespace that the rule's template makes for a target, or why it makes none.
pub fn namespace(
    config: &Config,
    rule: &Rule,
    target: &Path,
) -> Result<Option<String>, CommandError> {
    let Some(template) = &rule.namespace else {
        return Ok(None);
    };
    let below_root = target.strip_prefix(&config.root).unwrap_or(target);
    let directories: Vec<&str> = below_root
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let mut made = String::new();
    for piece in pieces(template).map_err(|why| CommandError::new(Code::Config, why))? {
        match piece {
            Piece::Text(text) => made.push_str(text),
            Piece::Placeholder(inner) => {
                let number =
                    directory_number(inner).map_err(|why| CommandError::new(Code::Config, why))?;
                let Some(name) = directories.get(number - 1) else {
                    return Err(CommandError::new(
                        Code::Config,
                        format!(
                            "the rule at {} takes the namespace from directory {number}, and {} lies in only {}",
                            config.at(rule.line),
                            below_root.display(),
                            directories.len()
                        ),
                    )
                    .hint("say the namespace with -n, or name the target with -o"));
                };
                made.push_str(name);
            }
        }
    }
    Ok(Some(made))
}

/// The file that `--write` makes, relative to the target's directory.
pub fn output(rule: &Rule, name: &str) -> Result<Option<String>, CommandError> {
    let Some(template) = &rule.output else {
        return Ok(None);
    };
    let mut made = String::new();
    for piece in pieces(template).map_err(|why| CommandError::new(Code::Config, why))? {
        match piece {
            Piece::Text(text) => made.push_str(text),
            Piece::Placeholder(_) => made.push_str(name),
        }
    }
    Ok(Some(made))
}

/// A gitignore-style glob as a matcher of relative paths: without a slash it matches at any depth, a leading slash
/// anchors, and what matches a directory matches everything below it.
pub fn compile(pattern: &str) -> Result<GlobSet, String> {
    let directory_only = pattern.ends_with('/');
    let inner = pattern.trim_end_matches('/');
    if inner.is_empty() {
        return Err("the glob is empty".to_owned());
    }
    let anchored = inner.trim_start_matches('/').contains('/') || inner.starts_with('/');
    let inner = inner.trim_start_matches('/');
    let base = if anchored {
        inner.to_owned()
    } else {
        format!("**/{inner}")
    };
    let glob = |text: &str| {
        GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| error.kind().to_string())
    };
    let mut set = GlobSetBuilder::new();
    if !directory_only {
        set.add(glob(&base)?);
    }
    set.add(glob(&format!("{base}/**"))?);
    set.build().map_err(|error| error.kind().to_string())
}

/// Refuses a namespace template that could never make a namespace.
pub fn check_namespace_template(template: &str) -> Result<(), String> {
    for piece in pieces(template)? {
        if let Piece::Placeholder(inner) = piece {
            directory_number(inner)?;
        }
    }
    Ok(())
}

/// Refuses an output template that leads out of the target's directory, or knows a placeholder that we do not.
pub fn check_output_template(template: &str) -> Result<(), String> {
    for piece in pieces(template)? {
        if let Piece::Placeholder(inner) = piece
            && inner != "name"
        {
            return Err(format!(
                "{{{inner}}} is not a placeholder: there is only {{name}}"
            ));
        }
    }
    let path = Path::new(template);
    if template.is_empty()
        || !path
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
    {
        return Err(format!(
            "{template:?} is not a path below the target's own directory"
        ));
    }
    Ok(())
}

/// Segments without a wildcard.
fn literal_segments(pattern: &str) -> usize {
    pattern
        .split('/')
        .filter(|segment| !segment.is_empty() && !segment.contains(['*', '?', '[', '{']))
        .count()
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let Some(length) = rest[start..].find('}') else {
            return Err(format!("{template:?} has a {{ without its }}"));
        };
        pieces.push(Piece::Placeholder(&rest[start + 1..start + length]));
        rest = &rest[start + length + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn directory_number(inner: &str) -> Result<usize, String> {
    match inner
        .strip_prefix("dir:")
        .and_then(|number| number.parse::<usize>().ok())
    {
        Some(0) => {
            Err("{dir:N} counts from 1, the first directory below the repository's root".to_owned())
        }
        Some(number) => Ok(number),
        None => Err(format!(
            "{{{inner}}} is not a placeholder: there is only {{dir:N}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        compile(pattern).is_ok_and(|set| set.is_match(path))
    }

    #[test]
    fn globs_match_as_gitignore_does() {
        assert!(matches(
            "clusters/prod/**",
            "clusters/prod/payments/db.yaml"
        ));
        assert!(!matches("clusters/prod/**", "clusters/production/db.yaml"));
        assert!(matches("apps/*/base/**", "apps/shop/base/db.yaml"));
        assert!(!matches("apps/*/base/**", "apps/shop/more/base/db.yaml"));
        assert!(matches("*.secret.yaml", "deep/down/db.secret.yaml"));
        assert!(matches("/top.yaml", "top.yaml"));
        assert!(!matches("/top.yaml", "below/top.yaml"));
        assert!(matches("clusters/prod", "clusters/prod/payments/db.yaml"));
        assert!(matches("base/", "apps/base/db.yaml"));
        assert!(!matches("base/", "apps/base"));
        assert!(matches("**", "anything/at/all.yaml"));
    }

    fn config(rules: &str) -> Config {
        let text = format!("version: 1\nrules:\n{rules}");
        match super::super::file::parse(
            &text,
            ".waxwing.yaml",
            Path::new("/repo"),
            Path::new("/repo"),
        ) {
            Ok(config) => config,
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn the_rule_with_more_literal_segments_wins_and_a_tie_is_an_error() {
        let config = config(
            "  - { path: \"**\", scope: cluster }\n  - { path: \"clusters/prod/**\", scope: strict }\n  - { path: \"clusters/*/payments/**\" }\n",
        );
        let rule = rule_for(&config, Path::new("/repo/clusters/prod/db.yaml"));
        assert_eq!(
            rule.ok().flatten().map(|rule| rule.path.as_str()),
            Some("clusters/prod/**")
        );
        let Err(CommandError::Failed(failure)) =
            rule_for(&config, Path::new("/repo/clusters/prod/payments/db.yaml"))
        else {
            panic!("no tie")
        };
        assert_eq!(failure.code, Code::RuleTie);
        assert!(
            failure.message.contains(":4") && failure.message.contains(":5"),
            "{failure}"
        );
    }

    #[test]
    fn templates_take_directories_and_names() {
        let config = config(
            "  - { path: \"**\", namespace: \"team-{dir:2}\", output: \"{name}.sealed.yaml\" }\n",
        );
        let rule = &config.rules[0];
        let made = namespace(&config, rule, Path::new("/repo/clusters/payments/db.yaml"));
        assert_eq!(made.ok().flatten().as_deref(), Some("team-payments"));
        assert!(namespace(&config, rule, Path::new("/repo/clusters/db.yaml")).is_err());
        assert_eq!(
            output(rule, "db").ok().flatten().as_deref(),
            Some("db.sealed.yaml")
        );
    }
}
