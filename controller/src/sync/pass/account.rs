//! As whom a pass asks and applies, and the ManifestSync as the parent of its members.

use crds::ManifestSync;
use crds::reasons::Reason;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};

use super::{Pass, no_parent};
use crate::sync::access::Access;
use crate::sync::answer::{Answer, AnswerKind};
use crate::sync::inventory::Lister;
use crate::sync::parent::{Extent, Parent};
use crate::sync::problem::Problem;
use crate::sync::review::Reviewer;
use crate::sync::ssa::Writer;

impl Pass<'_> {
    /// Who asks and applies. Checked before anything else is asked, so that a missing account or opt-in is told once
    /// and not for every object.
    pub(super) async fn reviewer(&self) -> Result<Reviewer, Problem> {
        let account = &self.account;
        let client = self.impersonated()?;
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.shared.client.clone(), &account.namespace);
        if let Ok(None) = accounts.get_metadata_opt(&account.name).await {
            return Err(Problem::general(
                Reason::ServiceAccountMissing,
                format!(
                    "ServiceAccount {account} does not exist: kubectl create serviceaccount {} -n {}, and give it the rights \
                     to apply what the revision holds",
                    account.name, account.namespace
                ),
            ));
        }
        self.acts(&client).await?;
        Ok(Reviewer {
            access: Access::new(self.shared.client.clone(), account.clone()),
            account: account.clone(),
            controller: self.shared.controller.clone(),
            unsealer: self.shared.unsealer.clone(),
            writer: Writer::new(client, self.set.clone()),
            syncs: self.shared.sync_names(),
            set: self.set.clone(),
        })
    }

    /// Whether the controller may act as the account: asks, as the account, who it is. Nothing is made by that.
    async fn acts(&self, client: &Client) -> Result<(), Problem> {
        let api: Api<SelfSubjectReview> = Api::all(client.clone());
        let question = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let Err(error) = api.create(&question, &SelfSubjectReview::default()).await else {
            return Ok(());
        };
        let answer = Answer::of(&error, false);
        match answer.kind {
            AnswerKind::ImpersonationForbidden => Err(Problem::general(
                Reason::ImpersonationDenied,
                format!(
                    "the controller may not act as ServiceAccount {}: namespace {} has not opted in. To opt in: {}",
                    self.account,
                    self.account.namespace,
                    self.account.opt_in(&self.shared.controller)
                ),
            )),
            AnswerKind::Unavailable => {
                Err(Problem::general(Reason::ApiUnavailable, answer.message))
            }
            // An account that may not even ask who it is may still apply.
            _ => Ok(()),
        }
    }

    pub(super) fn impersonated(&self) -> Result<Client, Problem> {
        self.account.impersonate(&self.shared.client).map_err(|_| {
            Problem::general(
                Reason::ServiceAccountMissing,
                format!(
                    "{:?} is not the name of a ServiceAccount",
                    self.account.name
                ),
            )
        })
    }

    pub(super) fn lister(&self, account: Client) -> Lister {
        Lister {
            own: self.shared.client.clone(),
            account,
            only_namespaces: !self.shared.settings.watched.is_cluster(),
        }
    }

    /// The parent as it is now: a copy that lags behind our own last write would forget kinds.
    pub(super) async fn parent(&self) -> Result<(Parent, Extent), Problem> {
        let api: Api<ManifestSync> =
            Api::namespaced(self.shared.client.clone(), &self.account.namespace);
        let live = api
            .get_metadata(&self.sync.name_any())
            .await
            .map_err(|error| no_parent(&error))?;
        let mut said = Extent::read(&live.metadata);
        // The annotation names the others.
        said.namespaces.insert(self.account.namespace.clone());
        Ok((Parent::new(api, &live.metadata, self.set.clone()), said))
    }
}
