//! Which commit the source has now, and how it is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::GitSource as GitSpec;
use crds::reasons::Reason;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use zeroize::Zeroize as _;

use super::{Pass, Stop};
use crate::sync::answer::Answer;
use crate::sync::problem::Problem;
use crate::sync::source::{
    Reference, Remote, Revision, SourceError, from_secret, proxy_from_secret,
};

/// Which field names the Secret, and the command that makes one.
#[derive(Clone, Copy)]
struct Named<'a> {
    field: &'a str,
    name: &'a str,
    make: &'a str,
}

impl Pass<'_> {
    /// Asks the remote which commit is wanted: one listing of its references.
    pub(super) async fn resolve(&self) -> Result<(Arc<Remote>, Revision), Stop> {
        let remote = self.remote().await?;
        let resolve = self.shared.source.resolve(&remote);
        match self.within("asking the source", resolve).await? {
            Ok(revision) => Ok((remote, revision)),
            Err(error) => {
                if matches!(
                    error,
                    SourceError::AccessDenied { .. }
                        | SourceError::ProxyDenied { .. }
                        | SourceError::RepositoryNotFound { .. }
                        | SourceError::Tls { .. }
                ) {
                    self.shared.secrets.refused(&self.uid());
                }
                Err(error.into())
            }
        }
    }

    /// How the source is reached. Its Secrets are read when they changed, not at each poll.
    pub(super) async fn remote(&self) -> Result<Arc<Remote>, Stop> {
        let git = &self.sync.spec.source.git;
        let namespace = self.account.namespace.clone();
        let references = [&git.secret_ref, &git.proxy_secret_ref];
        let names: BTreeSet<(String, String)> = references
            .into_iter()
            .flatten()
            .map(|reference| (namespace.clone(), reference.name.clone()))
            .collect();
        let (uid, generation) = (self.uid(), self.sync.metadata.generation);
        let sync = ObjectRef::new(&self.sync.name_any()).within(&namespace);
        let secrets = &self.shared.secrets;
        if let Some(kept) = secrets.kept(&uid, sync, generation, names) {
            return Ok(kept);
        }
        let mut versions = BTreeMap::new();
        let (mut credentials, mut ca, mut proxy) = (None, None, None);
        if let Some(reference) = &git.secret_ref {
            let by = Named {
                field: "spec.source.git.secretRef",
                name: &reference.name,
                make: "the keys username and password, or bearerToken: kubectl create secret generic NAME -n NAMESPACE \
                       --from-literal=username=git --from-file=password=FILE",
            };
            let mut secret = self.secret(by, &mut versions).await?;
            let read = from_secret(secret.data.as_ref().unwrap_or(&BTreeMap::new()));
            wipe(&mut secret);
            (credentials, ca) = read?;
        }
        if let Some(reference) = &git.proxy_secret_ref {
            let by = Named {
                field: "spec.source.git.proxySecretRef",
                name: &reference.name,
                make: "the key address and, where the proxy asks for them, username and password: kubectl create secret \
                       generic NAME -n NAMESPACE --from-literal=address=http://proxy.example:3128",
            };
            let mut secret = self.secret(by, &mut versions).await?;
            let read = proxy_from_secret(secret.data.as_ref().unwrap_or(&BTreeMap::new()));
            wipe(&mut secret);
            proxy = Some(read?);
        }
        let remote = Arc::new(Remote {
            url: git.url.clone(),
            reference: reference(git),
            credentials,
            ca,
            proxy,
            timeout: self.periods.timeout,
        });
        secrets.keep(&uid, generation, versions, remote.clone());
        Ok(remote)
    }

    async fn secret(
        &self,
        named: Named<'_>,
        versions: &mut BTreeMap<(String, String), String>,
    ) -> Result<Secret, Stop> {
        let reading = self.read(named);
        let secret = self.within("reading the credentials", reading).await??;
        let name = (self.account.namespace.clone(), named.name.to_owned());
        versions.insert(name, secret.resource_version().unwrap_or_default());
        Ok(secret)
    }

    async fn read(&self, named: Named<'_>) -> Result<Secret, Problem> {
        let Named { field, name, make } = named;
        let namespace = self.account.namespace.as_str();
        let api: Api<Secret> = Api::namespaced(self.shared.client.clone(), namespace);
        match api.get_opt(name).await {
            Ok(Some(secret)) => Ok(secret),
            Ok(None) => {
                let make = make.replace("NAMESPACE", namespace).replace("NAME", name);
                Err(Problem::general(
                    Reason::SourceCredentials,
                    format!("{field}: there is no Secret {namespace}/{name}; make it with {make}"),
                ))
            }
            Err(error) => {
                let answer = Answer::of(&error, true);
                let reason = if answer.is_transient() {
                    Reason::ApiUnavailable
                } else {
                    Reason::SourceCredentials
                };
                let message =
                    format!("{field}: Secret {namespace}/{name} could not be read: {answer}");
                Err(Problem::general(reason, message))
            }
        }
    }

    pub(super) fn uid(&self) -> String {
        self.sync.uid().unwrap_or_default()
    }
}

/// What was read of it is kept in types that are wiped; the rest goes now.
fn wipe(secret: &mut Secret) {
    for value in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        value.0.zeroize();
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
