//! Objects from the JSON of the vectors, and objects sealed on the spot.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeMap;

use sealing::{
    EntryKey, EnvelopeText, Identity, Label, NewEntry, Place, Plaintext, Recipient, Scope,
    SealError, SealedAt, SealedText, SealingRun, seal, seal_self,
};
use serde_json::Value;
use zeroize::Zeroizing;

/// The text of an object as it stands in a vector.
pub fn sealed_text(object: &Value) -> SealedText {
    let spec = &object["spec"];
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let strings = |value: &Value| -> BTreeMap<String, String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    };
    SealedText {
        namespace: string(&object["metadata"]["namespace"]),
        name: string(&object["metadata"]["name"]),
        secret_type: spec["template"]["type"].as_str().map(ToOwned::to_owned),
        template_data: strings(&spec["template"]["data"]),
        envelopes: spec["envelopes"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(id, envelope)| {
                let text = EnvelopeText {
                    binding: string(&envelope["binding"]),
                    sealed_at: string(&envelope["sealedAt"]),
                    template_bound: envelope["templateBound"].as_bool().unwrap_or_default(),
                    commitment: string(&envelope["commitment"]),
                    recipients: strings(&envelope["recipients"]),
                };
                (id.clone(), text)
            })
            .collect(),
        entries: spec["encryptedData"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, entry)| (key.clone(), string(&entry["value"])))
            .collect(),
    }
}

/// One object to be sealed.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub namespace: String,
    pub name: String,
    pub secret_type: Option<String>,
    pub scope: Scope,
    pub sealed_at: u64,
    pub template_data: BTreeMap<String, String>,
    pub bind_template: bool,
    pub templatable: bool,
    /// Key, value, whether in a token that stands alone.
    pub entries: Vec<(String, Vec<u8>, bool)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            namespace: "payments".to_owned(),
            name: "db-credentials".to_owned(),
            secret_type: None,
            scope: Scope::Strict,
            sealed_at: 1_795_287_600,
            template_data: BTreeMap::new(),
            bind_template: false,
            templatable: false,
            entries: vec![("DB_PASSWORD".to_owned(), b"correct horse".to_vec(), false)],
        }
    }
}

impl Wanted {
    pub fn with_entries(entries: &[(&str, &[u8])]) -> Self {
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec(), false))
            .collect();
        Self {
            entries,
            ..Self::default()
        }
    }

    /// Seals it to these recipients, labelled `r0`, `r1`, ….
    pub fn seal(&self, to: &[&Recipient]) -> SealedText {
        self.try_seal(to, true).unwrap()
    }

    pub fn try_seal(
        &self,
        to: &[&Recipient],
        allow_classical: bool,
    ) -> Result<SealedText, SealError> {
        let place = Place::new(&self.namespace, &self.name, self.secret_type.as_deref()).unwrap();
        let recipients = labelled(to);
        let run = SealingRun {
            place: &place,
            scope: self.scope,
            bound_template: self.bind_template.then_some(&self.template_data),
            sealed_at: SealedAt::from_unix(self.sealed_at).unwrap(),
            recipients: &recipients,
            allow_classical,
        };
        let new = |(key, value, _): &(String, Vec<u8>, bool)| NewEntry {
            key: EntryKey::new(key).unwrap(),
            value: Plaintext::new(Zeroizing::new(value.clone())),
            templatable: self.templatable,
        };
        let mut text = SealedText {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            secret_type: self.secret_type.clone(),
            template_data: self.template_data.clone(),
            ..SealedText::default()
        };
        let shared: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| !entry.2)
            .map(new)
            .collect();
        if !shared.is_empty() {
            let sealed = seal(&run, shared)?;
            text.envelopes.insert(sealed.envelope_id, sealed.envelope);
            text.entries.extend(sealed.tokens);
        }
        for entry in self.entries.iter().filter(|entry| entry.2) {
            text.entries
                .insert(entry.0.clone(), seal_self(&run, new(entry))?);
        }
        Ok(text)
    }
}

pub fn labelled(recipients: &[&Recipient]) -> Vec<(Label, Recipient)> {
    recipients
        .iter()
        .enumerate()
        .map(|(i, recipient)| (Label::new(&format!("r{i}")).unwrap(), (*recipient).clone()))
        .collect()
}

pub fn identities(lines: &Value) -> Vec<Identity> {
    lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| Identity::parse(line.as_str().unwrap()).unwrap())
        .collect()
}

pub fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}
