//! As whom a sync writes, and what that account may do.
//!
//! A sync writes as a ServiceAccount of its own namespace, by impersonation. Impersonating any account at all
//! would be cluster-admin, so the controller may do it only in namespaces that opted in with a `RoleBinding`.

use std::collections::BTreeMap;

use crds::names;
use http::HeaderValue;
use http::header::HeaderName;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use tower::service_fn;

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Account {
    /// The account that `client` acts as: the API server says who that is. Outside a cluster it may be no ServiceAccount;
    /// then it is `otherwise`.
    pub async fn of(client: &Client, otherwise: &Self) -> Self {
        let who: Api<SelfSubjectReview> = Api::all(client.clone());
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let answer = who.create(&dry, &SelfSubjectReview::default()).await;
        let user = answer
            .ok()
            .and_then(|review| review.status?.user_info?.username);
        user.as_deref()
            .and_then(Self::named)
            .unwrap_or_else(|| otherwise.clone())
    }

    /// Reads the user name of a ServiceAccount.
    fn named(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The user name that the API server knows it by.
    pub fn user(&self) -> String {
        format!("{ACCOUNT_PREFIX}{}:{}", self.namespace, self.name)
    }

    /// The groups that every ServiceAccount of its namespace is in.
    fn groups(&self) -> Vec<String> {
        vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.namespace),
            "system:authenticated".to_owned(),
        ]
    }

    /// A client that acts as this account over the connections of `client`.
    ///
    /// Only the user is named. The API server adds the groups of the account itself then; naming them would need
    /// the right to impersonate *groups*, which no `RoleBinding` can give for one namespace.
    pub fn impersonate(&self, client: &Client) -> Result<Client, http::header::InvalidHeaderValue> {
        let user = HeaderValue::try_from(self.user())?;
        let inner = client.clone();
        let service = service_fn(move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert(IMPERSONATE_USER, user.clone());
            let inner = inner.clone();
            async move { inner.send(request).await }
        });
        Ok(Client::new(service, self.namespace.clone()))
    }

    /// What to type so that the controller may act as accounts of this namespace.
    pub fn opt_in(&self, controller: &Self) -> String {
        format!(
            "kubectl create rolebinding {role} --clusterrole={role} --serviceaccount={}:{} -n {}",
            controller.namespace,
            controller.name,
            self.namespace,
            role = names::IMPERSONATE_CLUSTER_ROLE
        )
    }

    /// What to type so that this account may write objects of a resource (`deployments.apps`), in a namespace or,
    /// for `None`, in the cluster.
    pub fn grant(&self, resource: &str, namespace: Option<&str>) -> String {
        let name = format!("{}-{}", self.name, resource.replace('.', "-"));
        let verbs = "get,list,create,patch,delete";
        let account = format!("{}:{}", self.namespace, self.name);
        match namespace {
            Some(namespace) => format!(
                "kubectl create role {name} --verb={verbs} --resource={resource} -n {namespace} && kubectl create \
                 rolebinding {name} --role={name} --serviceaccount={account} -n {namespace}"
            ),
            None => format!(
                "kubectl create clusterrole {name} --verb={verbs} --resource={resource} && kubectl create \
                 clusterrolebinding {name} --clusterrole={name} --serviceaccount={account}"
            ),
        }
    }
}

const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// One question to the API server: may the account do this?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// API group of the resource.
    pub group: &'static str,
    /// Plural of the resource.
    pub resource: &'static str,
    /// Verb.
    pub verb: &'static str,
    /// Namespace.
    pub namespace: String,
    /// One object; `None` for all of the namespace.
    pub name: Option<String>,
}

/// Asks what one account may do, each question once. Lives as long as one pass: rights change.
pub struct Access {
    client: Client,
    account: Account,
    answers: tokio::sync::Mutex<BTreeMap<Question, bool>>,
}

impl Access {
    /// `client` is the controller's own: an account needs no right to be asked about.
    pub fn new(client: Client, account: Account) -> Self {
        Self {
            client,
            account,
            answers: tokio::sync::Mutex::default(),
        }
    }

    /// The verbs that the account lacks to apply SealedSecrets in a namespace; empty when it may. Asked before
    /// anything of a SealedSecret is opened, so that nobody learns from a sync whether ciphertext that its account
    /// could not even store opens.
    pub async fn missing_for_sealed_secrets(
        &self,
        namespace: &str,
    ) -> Result<Vec<&'static str>, kube::Error> {
        let mut missing = Vec::new();
        for verb in ["create", "patch"] {
            let question = Question {
                group: names::GROUP,
                resource: "sealedsecrets",
                verb,
                namespace: namespace.to_owned(),
                name: None,
            };
            if !self.may(question).await? {
                missing.push(verb);
            }
        }
        Ok(missing)
    }

    /// Whether the account may update this Secret: its consent to adopting it.
    pub async fn may_update_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<bool, kube::Error> {
        self.may(Question {
            group: "",
            resource: "secrets",
            verb: "update",
            namespace: namespace.to_owned(),
            name: Some(name.to_owned()),
        })
        .await
    }

    async fn may(&self, question: Question) -> Result<bool, kube::Error> {
        // Held across the request on purpose: of many who ask the same, one asks the API server.
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.get(&question) {
            return Ok(*answer);
        }
        // The local review, which needs no right outside of that namespace. It works for one that does not exist yet.
        let api: Api<LocalSubjectAccessReview> =
            Api::namespaced(self.client.clone(), &question.namespace);
        let review = api
            .create(&PostParams::default(), &review(&self.account, &question))
            .await?;
        let allowed = review
            .status
            .is_some_and(|status| status.allowed && status.denied != Some(true));
        answers.insert(question, allowed);
        Ok(allowed)
    }
}

fn review(account: &Account, question: &Question) -> LocalSubjectAccessReview {
    LocalSubjectAccessReview {
        metadata: ObjectMeta {
            namespace: Some(question.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: SubjectAccessReviewSpec {
            user: Some(account.user()),
            groups: Some(account.groups()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(question.group.to_owned()),
                resource: Some(question.resource.to_owned()),
                verb: Some(question.verb.to_owned()),
                namespace: Some(question.namespace.clone()),
                name: question.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..LocalSubjectAccessReview::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted;
    use super::*;

    fn deployer() -> Account {
        Account {
            namespace: "team-a".into(),
            name: "deployer".into(),
        }
    }

    #[tokio::test]
    async fn the_account_is_named_and_its_groups_are_not() {
        let (client, log) = scripted::client(|_| {
            (
                200,
                json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}),
            )
        });
        let client = deployer().impersonate(&client).unwrap();
        let api: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client);
        api.get("x").await.unwrap();
        let headers = &log.all()[0].headers;
        assert_eq!(
            headers["impersonate-user"],
            "system:serviceaccount:team-a:deployer"
        );
        assert!(
            !headers.contains_key("impersonate-group"),
            "no RoleBinding could allow it"
        );
    }

    #[tokio::test]
    async fn each_right_is_asked_for_once_and_create_does_not_stand_for_patch() {
        let (client, log) = scripted::client(|asked| {
            let verb = &asked.body["spec"]["resourceAttributes"]["verb"];
            scripted::review(asked, verb == "create")
        });
        let access = Access::new(client, deployer());
        for _ in 0..3 {
            assert_eq!(
                access.missing_for_sealed_secrets("prod").await.unwrap(),
                ["patch"]
            );
        }
        let all = log.all();
        assert_eq!(all.len(), 2);
        for asked in all {
            assert!(
                asked
                    .line
                    .contains("/namespaces/prod/localsubjectaccessreviews"),
                "{}",
                asked.line
            );
            let spec = &asked.body["spec"];
            assert_eq!(spec["user"], "system:serviceaccount:team-a:deployer");
            assert_eq!(spec["resourceAttributes"]["namespace"], "prod");
            assert_eq!(spec["resourceAttributes"]["resource"], "sealedsecrets");
        }
    }

    #[test]
    fn a_user_name_is_read_as_it_is_written() {
        assert_eq!(Account::named(&deployer().user()), Some(deployer()));
        assert_eq!(Account::named("kubernetes-admin"), None);
    }

    #[test]
    fn commands_can_be_typed_as_they_stand() {
        let controller = Account {
            namespace: "waxwing-system".into(),
            name: "waxwing-controller".into(),
        };
        assert_eq!(
            deployer().opt_in(&controller),
            "kubectl create rolebinding waxwing-impersonate --clusterrole=waxwing-impersonate \
             --serviceaccount=waxwing-system:waxwing-controller -n team-a"
        );
        assert_eq!(
            deployer().grant("sealedsecrets.waxwing.dev", Some("prod")),
            "kubectl create role deployer-sealedsecrets-waxwing-dev --verb=get,list,create,patch,delete \
             --resource=sealedsecrets.waxwing.dev -n prod && kubectl create rolebinding \
             deployer-sealedsecrets-waxwing-dev --role=deployer-sealedsecrets-waxwing-dev \
             --serviceaccount=team-a:deployer -n prod"
        );
    }
}
