//! What the API server answered, sorted by what has to be done about it, in words that are safe to show.
//!
//! An API server quotes what it refuses. For a Secret that can be a value, so answers about Secrets are rebuilt
//! from their reason and field paths and never quoted.

use kube::core::Status;

/// Longest text taken over from an API server, in characters: conditions and events are read by people.
const MESSAGE_LIMIT: usize = 600;

/// A refusal of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What kind of refusal it is.
    pub kind: AnswerKind,
    /// What it said, safe to show.
    pub message: String,
}

/// Kinds of refusals that are treated differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// Other field managers own fields that we apply, by name.
    Conflict(Vec<String>),
    /// The account may not do this.
    Forbidden,
    /// The controller may not act as the account.
    ImpersonationForbidden,
    /// The object is not valid.
    Invalid,
    /// Something that the request names does not exist.
    NotFound {
        /// Plural of the missing object's kind, or of the resource itself.
        resource: String,
        /// Its name.
        name: String,
    },
    /// The namespace is being deleted.
    Terminating,
    /// No answer, an overload or an internal error: may pass by itself.
    Unavailable,
    /// Anything else.
    Other,
}

impl Answer {
    /// Reads the error of a request about an object; `secret` says that the object may hold secret values.
    pub fn of(error: &kube::Error, secret: bool) -> Self {
        let kube::Error::Api(status) = error else {
            return Self {
                kind: AnswerKind::Unavailable,
                message: without_answer(error),
            };
        };
        let kind = kind(status);
        let message = match &kind {
            // These are made of names only, for every kind.
            AnswerKind::Conflict(_)
            | AnswerKind::Forbidden
            | AnswerKind::ImpersonationForbidden
            | AnswerKind::NotFound { .. }
            | AnswerKind::Terminating => shorten(&status.message),
            _ if secret => of_secret(status),
            _ => shorten(&status.message),
        };
        Self { kind, message }
    }

    /// Whether waiting can help although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        self.kind == AnswerKind::Unavailable
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

fn kind(status: &Status) -> AnswerKind {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    if causes
        .clone()
        .any(|cause| cause.reason == "NamespaceTerminating")
    {
        return AnswerKind::Terminating;
    }
    if status.is_forbidden() {
        return if status.message.contains(" cannot impersonate resource ") {
            AnswerKind::ImpersonationForbidden
        } else {
            AnswerKind::Forbidden
        };
    }
    if status.is_conflict() {
        let mut managers: Vec<String> = causes
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .filter_map(|cause| conflicting_manager(&cause.message))
            .collect();
        managers.sort();
        managers.dedup();
        // A conflict of resource versions has no managers: somebody else wrote at the same moment.
        return if managers.is_empty() {
            AnswerKind::Unavailable
        } else {
            AnswerKind::Conflict(managers)
        };
    }
    if status.is_not_found() {
        let details = status.details.as_ref();
        return AnswerKind::NotFound {
            resource: details
                .map(|details| details.kind.clone())
                .unwrap_or_default(),
            name: details
                .map(|details| details.name.clone())
                .unwrap_or_default(),
        };
    }
    if status.is_invalid() || status.code == 400 {
        return AnswerKind::Invalid;
    }
    if status.code == 429 || status.code >= 500 {
        // An admission webhook that fails answers 500 too; it may come back.
        return AnswerKind::Unavailable;
    }
    AnswerKind::Other
}

/// `conflict with "kubectl" using apps/v1` or `conflict with "kubectl" with subresource "scale" using …`.
fn conflicting_manager(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("conflict with \"")?;
    let (manager, _) = rest.split_once('"')?;
    Some(manager.to_owned())
}

fn of_secret(status: &Status) -> String {
    let mut fields: Vec<&str> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .map(|cause| cause.field.as_str())
        .filter(|field| !field.is_empty())
        .collect();
    fields.sort_unstable();
    fields.dedup();
    let reason = if status.reason.is_empty() {
        "an error"
    } else {
        &status.reason
    };
    if fields.is_empty() {
        format!(
            "the API server answered {reason} ({}); its text is not repeated because it may hold a secret value",
            status.code
        )
    } else {
        shorten(&format!(
            "the API server answered {reason} ({}) for {}; its text is not repeated because it may hold a secret value",
            status.code,
            fields.join(", ")
        ))
    }
}

/// Errors below HTTP. What a body could not be read for may quote the body, so only its kind is told.
fn without_answer(error: &kube::Error) -> String {
    match error {
        kube::Error::SerdeError(_)
        | kube::Error::FromUtf8(_)
        | kube::Error::LinesCodecMaxLineLengthExceeded => {
            "the API server's answer could not be read".to_owned()
        }
        other => shorten(&format!("the API server did not answer: {}", chain(other))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        next = source.source();
    }
    text
}

/// One line of at most [`MESSAGE_LIMIT`] characters.
fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_LIMIT {
        return line;
    }
    let mut short: String = line.chars().take(MESSAGE_LIMIT).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(status: serde_json::Value) -> kube::Error {
        let status: Status = serde_json::from_value(status).unwrap();
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn a_conflict_names_its_managers_once() {
        let answer = Answer::of(
            &error(
                json!({"status": "Failure", "code": 409, "reason": "Conflict",
                "message": "Apply failed with 2 conflicts: …",
                "details": {"causes": [
                    {"reason": "FieldManagerConflict", "field": ".spec.replicas",
                     "message": "conflict with \"kubectl\" with subresource \"scale\" using apps/v1"},
                    {"reason": "FieldManagerConflict", "field": ".metadata.labels.a",
                     "message": "conflict with \"waxwing-sync:abcdefghijkl\" using v1"},
                    {"reason": "FieldManagerConflict", "field": ".metadata.labels.b",
                     "message": "conflict with \"waxwing-sync:abcdefghijkl\" using v1"}]}}),
            ),
            false,
        );
        assert_eq!(
            answer.kind,
            AnswerKind::Conflict(vec!["kubectl".into(), "waxwing-sync:abcdefghijkl".into()])
        );
    }

    #[test]
    fn an_answer_about_a_secret_is_never_quoted() {
        let invalid = json!({"status": "Failure", "code": 422, "reason": "Invalid",
            "message": "Secret \"db\" is invalid: data[hunter2]: Invalid value: \"hunter2\"",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "data[x]", "message": "Invalid value: \"hunter2\""}]}});
        let answer = Answer::of(&error(invalid.clone()), true);
        assert!(!answer.message.contains("hunter2"), "{}", answer.message);
        assert!(answer.message.contains("data[x]"));
        let webhook = json!({"status": "Failure", "code": 500, "reason": "InternalError", "message": "webhook: hunter2"});
        assert!(
            !Answer::of(&error(webhook), true)
                .message
                .contains("hunter2")
        );
        assert!(
            Answer::of(&error(invalid), false)
                .message
                .contains("hunter2"),
            "the test's input has it"
        );
    }

    #[test]
    fn impersonation_is_told_from_other_rights() {
        let status = |message: &str| {
            error(
                json!({"status": "Failure", "code": 403, "reason": "Forbidden", "message": message}),
            )
        };
        let impersonation = status(
            "serviceaccounts \"deployer\" is forbidden: User \"system:serviceaccount:waxwing-system:waxwing-controller\" \
             cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"team-a\"",
        );
        assert_eq!(
            Answer::of(&impersonation, false).kind,
            AnswerKind::ImpersonationForbidden
        );
        let plain = status(
            "deployments.apps \"web\" is forbidden: User \"x\" cannot patch resource \"deployments\"",
        );
        assert_eq!(Answer::of(&plain, false).kind, AnswerKind::Forbidden);
    }

    #[test]
    fn a_missing_namespace_a_dying_one_and_an_overload_are_told_apart() {
        let missing = error(
            json!({"status": "Failure", "code": 404, "reason": "NotFound",
            "message": "namespaces \"x\" not found", "details": {"name": "x", "kind": "namespaces"}}),
        );
        assert_eq!(
            Answer::of(&missing, false).kind,
            AnswerKind::NotFound {
                resource: "namespaces".into(),
                name: "x".into()
            }
        );
        let dying = error(
            json!({"status": "Failure", "code": 403, "reason": "Forbidden", "message": "being terminated",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "…", "field": "metadata.namespace"}]}}),
        );
        assert_eq!(Answer::of(&dying, false).kind, AnswerKind::Terminating);
        let overload = error(
            json!({"status": "Failure", "code": 429, "reason": "TooManyRequests", "message": "later"}),
        );
        assert!(Answer::of(&overload, false).is_transient());
    }

    #[test]
    fn long_answers_are_cut_at_a_character() {
        let long = error(
            json!({"status": "Failure", "code": 422, "reason": "Invalid", "message": "ü".repeat(5000)}),
        );
        assert_eq!(
            Answer::of(&long, false).message.chars().count(),
            MESSAGE_LIMIT + 1
        );
    }
}
