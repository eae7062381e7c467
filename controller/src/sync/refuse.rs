//! What a ManifestSync may not ask for, judged from its spec alone.

use crds::ManifestSyncSpec;
use crds::reasons::Reason;

use super::access::Account;

/// The account of a sync, or why it is refused before anything is fetched: only a change of the spec helps.
pub fn account(
    spec: &ManifestSyncSpec,
    namespace: &str,
    default: Option<&str>,
) -> Result<Account, (Reason, String)> {
    let not_built = spec.not_built_yet();
    if !not_built.is_empty() {
        let (fields, it) = if not_built.len() == 1 {
            ("a field", "it")
        } else {
            ("fields", "them")
        };
        return Err((
            Reason::NotBuilt,
            format!(
                "the spec has {fields} that this version does not do yet: {}. Nothing is synced, because leaving {it} out \
                 silently would be something else than what was asked for; remove {it}",
                not_built.join(", ")
            ),
        ));
    }
    named(spec, namespace, default).ok_or_else(|| {
        (
            Reason::ServiceAccountRequired,
            format!(
                "spec.serviceAccountName is not set and the controller has no defaultServiceAccount: name a ServiceAccount \
                 of namespace {namespace} whose rights are to be used"
            ),
        )
    })
}

/// The account that a spec names, or the default.
pub fn named(spec: &ManifestSyncSpec, namespace: &str, default: Option<&str>) -> Option<Account> {
    let name = spec.service_account_name.as_deref().or(default)?;
    Some(Account {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(extra: &serde_json::Value) -> ManifestSyncSpec {
        let mut spec = json!({"source": {"git": {"url": "https://git.example/app.git"}}});
        for (key, value) in extra.as_object().unwrap() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn every_field_that_is_not_built_is_named() {
        let spec =
            spec(&json!({"serviceAccountName": "deployer", "wait": true, "namePrefix": "x-"}));
        let (reason, message) = account(&spec, "team-a", None).unwrap_err();
        assert_eq!(reason, Reason::NotBuilt);
        assert!(
            message.contains("spec.wait") && message.contains("spec.namePrefix"),
            "{message}"
        );
    }

    #[test]
    fn ssh_is_refused_by_name() {
        let mut spec = spec(&json!({"serviceAccountName": "deployer"}));
        spec.source.git.url = "git@git.example:team/app.git".into();
        let (reason, message) = account(&spec, "team-a", None).unwrap_err();
        assert_eq!(reason, Reason::NotBuilt);
        assert!(message.contains("spec.source.git.url"), "{message}");
    }

    #[test]
    fn a_sync_without_account_needs_a_default() {
        let (reason, message) = account(&spec(&json!({})), "team-a", None).unwrap_err();
        assert_eq!(reason, Reason::ServiceAccountRequired);
        assert!(
            message.contains("spec.serviceAccountName") && message.contains("team-a"),
            "{message}"
        );
        let found = account(&spec(&json!({})), "team-a", Some("sync")).unwrap();
        assert_eq!(found.to_string(), "team-a/sync");
        let own = account(
            &spec(&json!({"serviceAccountName": "own"})),
            "team-a",
            Some("sync"),
        )
        .unwrap();
        assert_eq!(
            own.to_string(),
            "team-a/own",
            "an account is always of the sync's own namespace"
        );
    }
}
