//! A SealedSecret opened in memory: what will be the Secret. No I/O.

use crds::{KeyUse, SealedSecret, reasons::Reason};
use kube::ResourceExt as _;
use sealing::{DataValue, Opened, Refusals, Sealed};

use super::{
    error::UnsealError,
    refuse::{self, Policy},
};
use crate::keys::Keyring;

/// One SealedSecret opened in memory, ready to be written. Wiped when dropped; it has no `Debug`.
pub struct Unsealed {
    /// Keys and values of the Secret, sorted.
    pub(super) data: Vec<(String, DataValue)>,
    /// Which keys opened the values.
    pub(super) keys: Vec<KeyUse>,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Unsealed {
    /// Namespace of the Secret.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the Secret.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Judges and opens a SealedSecret.
///
/// # Errors
/// [`UnsealError`] for the whole object, naming each failing entry.
pub fn open(
    sealed: &SealedSecret,
    keyring: &Keyring,
    policy: &Policy,
) -> Result<Unsealed, UnsealError> {
    refuse::refuse(sealed, policy)?;
    let opened = Sealed::parse(&sealed.sealed_text())
        .and_then(|parsed| parsed.open(&keyring.identities()))
        .map_err(|refusals| refused(sealed, keyring, &refusals))?;
    refuse_classical(&opened, keyring, policy)?;
    let data = opened
        .data()
        .map_err(|refusals| refused(sealed, keyring, &refusals))?;
    let active = keyring
        .active()
        .map(|key| *key.identity.recipient().key_id());
    let keys = opened
        .keys_used()
        .into_iter()
        .map(|(id, entries)| KeyUse {
            id: id.short(),
            entries: i64::try_from(entries).unwrap_or(i64::MAX),
            current: Some(id) == active,
        })
        .collect();
    Ok(Unsealed {
        data,
        keys,
        namespace: sealed.namespace().unwrap_or_default(),
        name: sealed.name_any(),
    })
}

fn refuse_classical(
    opened: &Opened,
    keyring: &Keyring,
    policy: &Policy,
) -> Result<(), UnsealError> {
    if policy.allow_classical {
        return Ok(());
    }
    let classical = |id| keyring.suite(id).is_some_and(|suite| !suite.is_hybrid());
    let failing: Vec<(String, String)> = opened
        .values()
        .filter(|value| classical(value.key_id()))
        .map(|value| {
            (
                value.key().to_owned(),
                "sealed to a classical key".to_owned(),
            )
        })
        .collect();
    if failing.is_empty() {
        return Ok(());
    }
    Err(UnsealError {
        reason: Reason::ClassicalKey,
        message: format!(
            "{} sealed to a classical (X25519) key, and this cluster opens hybrid ones only: seal again \
             to the cluster's Active key (waxwing keys fetch, then waxwing seal); or an administrator sets \
             minimumSuite: classical in the controller's configuration",
            entries(&failing)
        ),
        failing,
    })
}

fn refused(sealed: &SealedSecret, keyring: &Keyring, refusals: &Refusals) -> UnsealError {
    let place = format!(
        "{}/{}",
        sealed.namespace().unwrap_or_default(),
        sealed.name_any()
    );
    let reason = Reason::from(refusals.class());
    let mend = match reason {
        Reason::UnknownKey => {
            let ours = keyring.short_ids();
            format!(
                "this cluster holds {}; restore the key that is missing, or seal again to the cluster's \
                 Active key: waxwing keys fetch, then waxwing seal",
                if ours.is_empty() { "no key".to_owned() } else { format!("key {}", ours.join(", ")) }
            )
        }
        Reason::Misplaced => {
            "a value opens only where it was sealed for: seal it again for this namespace, name and type".to_owned()
        }
        Reason::CannotBeUnsealed => {
            "the text was changed after sealing, or is not for this place: take it from Git as it was sealed, \
             or seal the value again"
                .to_owned()
        }
        _ => "waxwing show FILE tells what it holds; seal it again with waxwing seal".to_owned(),
    };
    UnsealError {
        reason,
        message: format!("SealedSecret {place}: {refusals}; {mend}"),
        failing: refusals
            .items()
            .iter()
            .filter_map(|item| Some((item.entry.clone()?, item.detail.clone())))
            .collect(),
    }
}

fn entries(failing: &[(String, String)]) -> String {
    let names: Vec<&str> = failing
        .iter()
        .take(5)
        .map(|(entry, _)| entry.as_str())
        .collect();
    let more = failing.len().saturating_sub(names.len());
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let verb = if failing.len() == 1 { "is" } else { "are" };
    format!("{}{tail} {verb}", names.join(", "))
}
