//! Taking out of a Secret what others put in. Apply alone never removes it.

use crds::{SealedSecret, names};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    error::UnsealError,
    facts::SecretFacts,
    fields::STRING_DATA,
    ownership,
    write::{Unsealer, api_error, key_of},
};

impl Unsealer {
    /// Removes foreign keys and claims from the Secret of a SealedSecret that was just applied, and
    /// returns what its metadata says then. `None`: the Secret changed meanwhile, look again.
    pub(super) async fn remove_foreign_keys(
        &self,
        sealed: &SealedSecret,
        facts: SecretFacts,
    ) -> Result<Option<SecretFacts>, UnsealError> {
        let merges = ownership::merges(&sealed.spec.ownership);
        let mut now = facts;
        if let Some(patch) = data_patch(&now).filter(|_| !merges) {
            let Some(after) = self.patch_foreign(sealed, &Patch::Merge(patch)).await? else {
                return Ok(None);
            };
            now = after;
        }
        if let Some(patch) = claims_patch(&now, merges) {
            let patch: json_patch::Patch = serde_json::from_value(patch)
                .map_err(|error| api_error("building a patch", &kube::Error::SerdeError(error)))?;
            let Some(after) = self.patch_foreign(sealed, &Patch::Json(patch)).await? else {
                return Ok(None);
            };
            now = after;
        }
        Ok(Some(now))
    }

    async fn patch_foreign(
        &self,
        sealed: &SealedSecret,
        patch: &Patch<Value>,
    ) -> Result<Option<SecretFacts>, UnsealError> {
        let (namespace, name) = key_of(sealed);
        let params = PatchParams {
            field_manager: Some(names::UNSEAL_MANAGER.into()),
            ..PatchParams::default()
        };
        let secrets = self.secrets(&namespace);
        match secrets.patch_metadata(&name, &params, patch).await {
            Ok(secret) => Ok(Some(SecretFacts::of(&secret))),
            // The object changed under the patch (409), its test failed (422), or it is gone (404).
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(None),
            Err(error) => {
                let doing = format!("removing keys of others from Secret {namespace}/{name}");
                Err(api_error(&doing, &error))
            }
        }
    }
}

/// Removes the data keys of others. A merge patch, because removing what is not there any more is
/// no error in it; the resourceVersion makes it apply to what was looked at only.
fn data_patch(facts: &SecretFacts) -> Option<Value> {
    let ours = |key: &str| {
        facts
            .owned
            .as_ref()
            .is_some_and(|owned| owned.has_data_key(key))
    };
    let foreign = facts.foreign_keys.iter().map(|(key, _)| key);
    let data: serde_json::Map<String, Value> = foreign
        .filter(|key| !ours(key))
        .map(|key| (key.clone(), Value::Null))
        .collect();
    (!data.is_empty())
        .then(|| json!({"metadata": {"resourceVersion": facts.resource_version}, "data": data}))
}

/// Removes claims on `stringData`: they stay when the key is gone, and would look like drift for ever.
fn claims_patch(facts: &SecretFacts, merges: bool) -> Option<Value> {
    // Secret keys have neither `~` nor `/`: nothing to escape in a JSON pointer.
    let claim = |entry: usize| format!("/metadata/managedFields/{entry}/fieldsV1/f:{STRING_DATA}");
    let paths: Vec<String> = if merges {
        let contested = facts.contested_keys().into_iter();
        contested
            .map(|(entry, key)| format!("{}/f:{key}", claim(entry)))
            .collect()
    } else {
        facts
            .string_data_claims
            .iter()
            .map(|(entry, _)| claim(*entry))
            .collect()
    };
    if paths.is_empty() {
        return None;
    }
    let test =
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": facts.resource_version});
    let removals = paths
        .into_iter()
        .map(|path| json!({"op": "remove", "path": path}));
    Some(std::iter::once(test).chain(removals).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unseal::fields::FieldSet;

    fn facts() -> SecretFacts {
        let mut owned = FieldSet::default();
        owned.insert(&["data", "ours"]);
        let kubectl = |key: &str| (key.to_owned(), "kubectl".to_owned());
        SecretFacts {
            uid: "u".into(),
            resource_version: "7".into(),
            labelled: true,
            sealed_by: None,
            ownership: None,
            adopt_allowed: false,
            controller: None,
            deleting: false,
            owned: Some(owned),
            foreign_keys: vec![kubectl("ours"), kubectl("added")],
            string_data_claims: vec![(2, vec!["added".into(), "ours".into()])],
        }
    }

    #[test]
    fn only_the_keys_of_others_are_removed() {
        assert_eq!(
            data_patch(&facts()),
            Some(json!({"metadata": {"resourceVersion": "7"}, "data": {"added": null}}))
        );
    }

    #[test]
    fn where_we_merge_only_the_claims_on_our_keys_go() {
        let path = |patch: &Value, at: usize| patch[at]["path"].as_str().unwrap().to_owned();
        let whole = claims_patch(&facts(), false).unwrap();
        assert_eq!(
            path(&whole, 1),
            "/metadata/managedFields/2/fieldsV1/f:stringData"
        );
        let merged = claims_patch(&facts(), true).unwrap();
        assert_eq!(
            path(&merged, 1),
            "/metadata/managedFields/2/fieldsV1/f:stringData/f:ours"
        );
        assert_eq!(merged.as_array().unwrap().len(), 2);
    }
}
