//! From [`Sealed`] to [`Opened`]: claims against the object's own place, own wraps, and only then
//! keys.

use std::collections::BTreeMap;

use crate::binding::Binding;
use crate::entry::SealedEntry;
use crate::header::Header;
use crate::key::Identity;
use crate::object::opened::{Opened, OpenedRun, OpenedValue};
use crate::object::run::{NamedWrap, Origin, Run, TemplateClaim};
use crate::object::{Entry, Sealed};
use crate::place::Place;
use crate::refusal::{Class, Refusal, Refusals};
use crate::stack::clean_after;
use crate::wrap;

impl Sealed {
    /// Compares the claim of every envelope with the object's own place. Needs no key and proves
    /// nothing: a forged claim fails when it is opened.
    ///
    /// Refuses with [`Class::Misplaced`].
    pub fn check_place(&self) -> Result<(), Refusals> {
        Refusals::check(misplaced(&self.place, &self.template_digest, &self.runs))
    }

    /// Opens everything, or nothing. `keys` are ours, the newest first: of several wraps for us
    /// they are tried in this order. A key that no wrap names is never tried.
    ///
    /// Refuses, before a key is used, with [`Class::Malformed`] (a wrap for one of our keys),
    /// [`Class::Misplaced`] and [`Class::UnknownKey`], all problems together; then with
    /// [`Class::CannotBeUnsealed`], which says no more.
    pub fn open(&self, keys: &[&Identity]) -> Result<Opened, Refusals> {
        let mut problems = misplaced(&self.place, &self.template_digest, &self.runs);
        let own: Vec<Vec<(&Identity, &NamedWrap)>> =
            self.runs.iter().map(|run| own_wraps(run, keys)).collect();
        for (i, (run, wraps)) in self.runs.iter().zip(&own).enumerate() {
            for (key, wrap) in wraps {
                if let Err(why) = wrap::check(&wrap.bytes, key.recipient().suite()) {
                    let detail = format!("recipient {}: {why}", wrap.short_key_id);
                    problems.push(about(run, Class::Malformed, detail));
                }
            }
            // An envelope that nobody refers to is waiting to be dropped and needs no key.
            let used = self.entries.iter().any(|entry| entry.run == i);
            if used && wraps.is_empty() {
                problems.push(about(run, Class::UnknownKey, unknown_key(run)));
            }
        }
        Refusals::check(problems)?;
        clean_after(|| self.open_entries(&own)).ok_or_else(Refusals::cannot_be_unsealed)
    }

    fn open_entries(&self, own: &[Vec<(&Identity, &NamedWrap)>]) -> Option<Opened> {
        let mut runs = BTreeMap::new();
        let mut values = Vec::with_capacity(self.entries.len());
        for Entry {
            key,
            run: index,
            sealed,
        } in &self.entries
        {
            if !runs.contains_key(index) {
                runs.insert(*index, self.open_run(*index, &own[*index], sealed)?);
            }
            let run = runs.get(index)?;
            let value = sealed.open(&run.derived, &run.header, key)?;
            values.push(OpenedValue::new(
                key,
                value,
                sealed.templatable(),
                run.key_id,
            ));
        }
        let runs = runs.into_values().collect();
        Some(Opened::new(
            self.place.clone(),
            self.template.clone(),
            runs,
            values,
        ))
    }

    fn open_run(
        &self,
        index: usize,
        own: &[(&Identity, &NamedWrap)],
        entry: &SealedEntry,
    ) -> Option<OpenedRun> {
        let run = &self.runs[index];
        // Built from the object's own place and template; of the claim only scope and time enter.
        let binding = Binding::of(run.binding.scope, &self.place);
        let template = match run.template {
            TemplateClaim::Free => None,
            TemplateClaim::Bound | TemplateClaim::Digest(_) => Some(&self.template_digest),
        };
        let header = Header::new(&binding, template, run.sealed_at);
        own.iter().find_map(|(key, wrap)| {
            let data_key = wrap::unwrap(key, &wrap.bytes, &header, &run.commitment)?;
            Some(OpenedRun {
                origin: run.origin.clone(),
                derived: data_key.derive(&header),
                header: header.clone(),
                data_key,
                key_id: *key.recipient().key_id(),
                suite: key.recipient().suite(),
                alone: run
                    .envelope_alone()
                    .map(|envelope| (envelope, entry.clone())),
            })
        })
    }
}

/// The problems of every claim that is not the object's own place.
pub(crate) fn misplaced(place: &Place, template_digest: &[u8; 32], runs: &[Run]) -> Vec<Refusal> {
    let mut problems = Vec::new();
    for run in runs {
        let here = Binding::of(run.binding.scope, place);
        if run.binding != here {
            problems.push(about(
                run,
                Class::Misplaced,
                format!("sealed for `{}`, found at `{here}`", run.binding),
            ));
        }
        if matches!(&run.template, TemplateClaim::Digest(sealed) if sealed != template_digest) {
            let detail = "sealed for another text of template.data; seal the value again, or put the text back";
            problems.push(about(run, Class::Misplaced, detail.to_owned()));
        }
    }
    problems
}

/// Our wraps of a run, in the order of our keys.
fn own_wraps<'a>(run: &'a Run, keys: &[&'a Identity]) -> Vec<(&'a Identity, &'a NamedWrap)> {
    keys.iter()
        .flat_map(|key| {
            run.wraps
                .iter()
                .filter(|wrap| wrap.is_for(key.recipient().key_id()))
                .map(|wrap| (*key, wrap))
        })
        .collect()
}

fn unknown_key(run: &Run) -> String {
    let names: Vec<String> = run
        .wraps
        .iter()
        .map(|wrap| match &wrap.label {
            Some(label) => format!("{label}.{}", wrap.short_key_id),
            None => wrap.short_key_id.clone(),
        })
        .collect();
    format!(
        "sealed to {}, none of which is one of these keys",
        names.join(", ")
    )
}

fn about(run: &Run, class: Class, detail: String) -> Refusal {
    match &run.origin {
        Origin::Envelope(id) => Refusal::envelope(class, id, detail),
        Origin::Entry(key) => Refusal::entry(class, key, detail),
    }
}
