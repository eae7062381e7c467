//! From text to [`Sealed`]: counts first, then the grammar of everything in the object, whoever is
//! asked to open it, then the template. Every problem is reported, not only the first.

use std::collections::{BTreeMap, BTreeSet};

use crate::binding::Binding;
use crate::limits::{MAX_ENTRIES, MAX_ENVELOPES, MAX_RECIPIENTS, MAX_VALUES_BYTES};
use crate::names::{EntryKey, Label};
use crate::object::run::{NamedWrap, Origin, Run, TemplateClaim};
use crate::object::{Entry, EnvelopeText, Sealed, SealedText, open};
use crate::place::Place;
use crate::refusal::{Class, Refusal, Refusals};
use crate::schedule::Commitment;
use crate::sealed_at::SealedAt;
use crate::template::{self, Template};
use crate::text::{from_base64url, is_base32, shown};
use crate::token::{Token, is_envelope_id};

impl Sealed {
    /// Checks counts, grammar and the template (its language, consent and sizes). Uses no key.
    ///
    /// Refuses with [`Class::Limit`] and [`Class::Malformed`], together with the
    /// [`Class::Misplaced`] of whatever could be read.
    pub fn parse(text: &SealedText) -> Result<Self, Refusals> {
        Refusals::check(counts(text))?;
        let mut problems = Vec::new();

        let place = Place::new(&text.namespace, &text.name, text.secret_type.as_deref());
        if let Err(error) = &place {
            problems.push(Refusal::object(Class::Malformed, error.to_string()));
        }
        let digest = template::digest(&text.template_data);
        if digest.is_none() {
            problems.push(Refusal::object(
                Class::Malformed,
                "template.data is too long",
            ));
        }
        let mut runs = Vec::new();
        for (id, envelope) in &text.envelopes {
            runs.extend(parse_envelope(id, envelope, &mut problems));
        }
        let entries = parse_entries(text, &mut runs, &mut problems);
        let template = parse_template(&text.template_data, &text.entries, &entries, &mut problems);

        let (Ok(place), Some(template_digest)) = (place, digest) else {
            return Err(Refusals::check(problems)
                .err()
                .unwrap_or_else(Refusals::cannot_be_unsealed));
        };
        if !problems.is_empty() {
            problems.extend(open::misplaced(&place, &template_digest, &runs));
        }
        Refusals::check(problems)?;
        Ok(Self {
            place,
            template,
            template_digest,
            runs,
            entries,
        })
    }
}

fn counts(text: &SealedText) -> Vec<Refusal> {
    let mut problems = Vec::new();
    let mut check = |what: &str, count: usize, most: usize| {
        if count > most {
            problems.push(Refusal::object(
                Class::Limit,
                format!("{count} {what}, at most {most} are allowed"),
            ));
        }
    };
    check("entries", text.entries.len(), MAX_ENTRIES);
    check("envelopes", text.envelopes.len(), MAX_ENVELOPES);
    check(
        "keys in template.data",
        text.template_data.len(),
        MAX_ENTRIES,
    );
    for (id, envelope) in &text.envelopes {
        let count = envelope.recipients.len();
        if count > MAX_RECIPIENTS {
            let detail = format!("{count} recipients, at most {MAX_RECIPIENTS} are allowed");
            problems.push(Refusal::envelope(Class::Limit, id, detail));
        }
    }
    problems
}

/// `None` when something is wrong, which is then among the problems.
fn parse_envelope(id: &str, text: &EnvelopeText, problems: &mut Vec<Refusal>) -> Option<Run> {
    let before = problems.len();
    let mut malformed =
        |detail: String| problems.push(Refusal::envelope(Class::Malformed, id, detail));

    if !is_envelope_id(id) {
        malformed("the envelope's id is not 8 characters of a-z and 2-7".to_owned());
    }
    let binding = Binding::parse(&text.binding);
    if binding.is_none() {
        malformed(format!(
            "binding {:?} is not `strict:<namespace>/<name>:<type>`, `namespace:<namespace>:<type>` or `cluster:<type>`",
            shown(&text.binding)
        ));
    }
    let sealed_at =
        SealedAt::parse(&text.sealed_at).map_err(|error| malformed(format!("sealedAt: {error}")));
    let commitment = from_base64url(&text.commitment)
        .and_then(|bytes| bytes.try_into().ok())
        .map(Commitment);
    if commitment.is_none() {
        malformed("the commitment is not 43 characters of base64url".to_owned());
    }
    if text.recipients.is_empty() {
        malformed("the envelope has no recipient".to_owned());
    }
    let mut wraps = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, wrap) in &text.recipients {
        match parse_recipient(name, wrap) {
            Err(why) => malformed(format!("recipient {:?}: {why}", shown(name))),
            Ok(wrap) if !seen.insert(wrap.short_key_id.clone()) => {
                malformed(format!(
                    "recipient {name:?}: the envelope names this key twice"
                ));
            }
            Ok(wrap) => wraps.push(wrap),
        }
    }
    let (Some(binding), Ok(sealed_at), Some(commitment)) = (binding, sealed_at, commitment) else {
        return None;
    };
    (problems.len() == before).then(|| Run {
        origin: Origin::Envelope(id.to_owned()),
        binding,
        template: if text.template_bound {
            TemplateClaim::Bound
        } else {
            TemplateClaim::Free
        },
        sealed_at,
        commitment,
        wraps,
    })
}

fn parse_recipient(name: &str, wrap: &str) -> Result<NamedWrap, String> {
    let Some((label, short_key_id)) = name.split_once('.') else {
        return Err("it has no label; it reads `label.short-key-id`".to_owned());
    };
    let label = Label::new(label).map_err(|error| error.to_string())?;
    if !is_base32(short_key_id, 8) {
        return Err("its short key id is not 13 characters of a-z and 2-7".to_owned());
    }
    let bytes = from_base64url(wrap)
        .ok_or("its wrap is not base64url without padding, line breaks or spaces")?;
    Ok(NamedWrap {
        label: Some(label),
        short_key_id: short_key_id.to_owned(),
        key_id: None,
        bytes,
    })
}

/// The entries that could be read. Appends the runs of tokens that stand alone.
fn parse_entries(
    text: &SealedText,
    runs: &mut Vec<Run>,
    problems: &mut Vec<Refusal>,
) -> Vec<Entry> {
    let envelopes: BTreeMap<String, usize> = runs
        .iter()
        .enumerate()
        .filter_map(|(i, run)| match &run.origin {
            Origin::Envelope(id) => Some((id.clone(), i)),
            Origin::Entry(_) => None,
        })
        .collect();
    let mut entries = Vec::new();
    for (key, token) in &text.entries {
        if let Err(error) = EntryKey::new(key) {
            problems.push(Refusal::entry(Class::Malformed, key, error.to_string()));
            continue;
        }
        match Token::parse(token) {
            Err((class, why)) => problems.push(Refusal::entry(class, key, why)),
            Ok(Token::Alone { envelope, entry }) => {
                entries.push(Entry {
                    key: key.clone(),
                    run: runs.len(),
                    sealed: entry,
                });
                runs.push(Run::alone(key, *envelope));
            }
            Ok(Token::Shared { envelope, entry }) => match envelopes.get(&envelope) {
                Some(&run) => entries.push(Entry {
                    key: key.clone(),
                    run,
                    sealed: entry,
                }),
                // An envelope that is there but could not be read is reported once, as itself.
                None if text.envelopes.contains_key(&envelope) => {}
                None => {
                    let detail = format!("the object has no envelope {envelope}");
                    problems.push(Refusal::entry(Class::Malformed, key, detail));
                }
            },
        }
    }
    entries
}

fn parse_template(
    texts: &BTreeMap<String, String>,
    tokens: &BTreeMap<String, String>,
    entries: &[Entry],
    problems: &mut Vec<Refusal>,
) -> Template {
    let template = match Template::parse(texts) {
        Ok(template) => template,
        Err(errors) => {
            problems.extend(
                errors
                    .into_iter()
                    .map(|error| Refusal::object(Class::Malformed, error.0)),
            );
            return Template::default();
        }
    };
    let sealed: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| (entry.key.as_str(), &entry.sealed))
        .collect();
    for key in template.keys().filter(|key| tokens.contains_key(*key)) {
        let detail =
            format!("template.data {key:?}: an entry has this key too; rename one of them");
        problems.push(Refusal::object(Class::Malformed, detail));
    }
    for (file, key) in template.uses() {
        let detail = match sealed.get(key) {
            Some(entry) if entry.templatable() => continue,
            Some(_) => format!(
                "entry {key:?} was not sealed for use in templates; seal its value again with `--templatable {key}`"
            ),
            // An entry that is there but could not be read is reported as itself.
            None if tokens.contains_key(key) => continue,
            None => format!("there is no entry {key:?}"),
        };
        problems.push(Refusal::object(
            Class::Malformed,
            format!("template.data {file:?}: {detail}"),
        ));
    }
    // By padded lengths, also for the entries: whether an object is refused for its size must not
    // tell anyone the length of a value, and whoever can write templates can fill up the rest.
    if !template.is_empty() {
        let longest = |key: &str| sealed.get(key).map_or(0, |entry| entry.longest_value());
        let values = entries.iter().fold(0_usize, |sum, entry| {
            sum.saturating_add(entry.sealed.longest_value())
        });
        let total = values.saturating_add(template.longest(longest));
        if total > MAX_VALUES_BYTES {
            let detail = format!(
                "the entries and what template.data makes of them can have up to {total} bytes, counting every value at its padded length and every encoder at its worst; a Secret holds {MAX_VALUES_BYTES}"
            );
            problems.push(Refusal::object(Class::Limit, detail));
        }
    }
    template
}
