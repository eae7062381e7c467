//! Which commit the source has now, and how it is reached.

use crds::GitSource as GitSpec;
use crds::reasons::Reason;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{Pass, Stop};
use crate::sync::answer::Answer;
use crate::sync::problem::Problem;
use crate::sync::source::{Reference, Remote, Revision, SourceError, from_secret};

impl Pass<'_> {
    /// Asks the remote which commit is wanted: one listing of its references.
    pub(super) async fn resolve(&self) -> Result<(Remote, Revision), Stop> {
        let git = &self.sync.spec.source.git;
        let (mut credentials, mut ca) = (None, None);
        if let Some(reference) = &git.secret_ref {
            let secret = self
                .within("reading the credentials", self.secret(&reference.name))
                .await??;
            (credentials, ca) = from_secret(&secret.data.unwrap_or_default())?;
        }
        let remote = Remote {
            url: git.url.clone(),
            reference: reference(git),
            credentials,
            ca,
            timeout: self.periods.timeout,
        };
        let resolve = self.shared.source.resolve(&remote);
        let revision = self.within("asking the source", resolve).await??;
        Ok((remote, revision))
    }

    async fn secret(&self, name: &str) -> Result<Secret, Problem> {
        let namespace = self.account.namespace.as_str();
        let api: Api<Secret> = Api::namespaced(self.shared.client.clone(), namespace);
        match api.get_opt(name).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => Err(Problem::general(
                Reason::SourceCredentials,
                format!(
                    "spec.source.git.secretRef: there is no Secret {namespace}/{name}; make it with the keys username and \
                     password, or bearerToken: kubectl create secret generic {name} -n {namespace} --from-file=password=FILE …"
                ),
            )),
            Err(error) => {
                let answer = Answer::of(&error, true);
                let reason = if answer.is_transient() {
                    Reason::ApiUnavailable
                } else {
                    Reason::SourceCredentials
                };
                let message = format!(
                    "spec.source.git.secretRef: Secret {namespace}/{name} could not be read: {answer}"
                );
                Err(Problem::general(reason, message))
            }
        }
    }
}

/// The reason of a source's failure, in the words of conditions.
pub(super) fn reason(error: &SourceError) -> Reason {
    match error {
        SourceError::AccessDenied { .. } | SourceError::RepositoryNotFound { .. } => {
            Reason::SourceUnauthorized
        }
        SourceError::AddressBlocked { .. }
        | SourceError::RedirectRefused { .. }
        | SourceError::UrlRefused { .. } => Reason::SourceRefused,
        SourceError::EmptyRepository { .. }
        | SourceError::ReferenceNotFound { .. }
        | SourceError::ReferenceRefused { .. } => Reason::RefNotFound,
        SourceError::Limit { .. } => Reason::SourceTooLarge,
        SourceError::PathNotFound { .. } | SourceError::PathRefused { .. } => Reason::PathNotFound,
        SourceError::SecretRefused { .. } => Reason::SourceCredentials,
        _ => Reason::SourceUnavailable,
    }
}

fn reference(git: &GitSpec) -> Reference {
    let Some(wanted) = &git.reference else {
        return Reference::DefaultBranch;
    };
    if let Some(commit) = &wanted.commit {
        Reference::Commit(commit.clone())
    } else if let Some(name) = &wanted.name {
        Reference::Name(name.clone())
    } else if let Some(tag) = &wanted.tag {
        Reference::Tag(tag.clone())
    } else if let Some(branch) = &wanted.branch {
        Reference::Branch(branch.clone())
    } else {
        Reference::DefaultBranch
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn git(reference: &serde_json::Value) -> GitSpec {
        serde_json::from_value(json!({"url": "https://git.example/app.git", "ref": reference}))
            .unwrap()
    }

    #[test]
    fn each_field_of_ref_asks_for_its_own_kind_of_reference() {
        let cases = [
            (json!({"branch": "main"}), Reference::Branch("main".into())),
            (json!({"tag": "v1"}), Reference::Tag("v1".into())),
            (
                json!({"name": "refs/pull/1/head"}),
                Reference::Name("refs/pull/1/head".into()),
            ),
            (
                json!({"commit": "a".repeat(40)}),
                Reference::Commit("a".repeat(40)),
            ),
            (json!({}), Reference::DefaultBranch),
            (json!(null), Reference::DefaultBranch),
        ];
        for (written, wanted) in cases {
            assert_eq!(reference(&git(&written)), wanted);
        }
    }
}
