//! The members of a sync as they are in the cluster: metadata only, one list for each kind.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::ListParams;

use super::answer::Answer;
use super::discovery::{Kind, Kinds, Lookup};
use super::members::ApplySet;
use super::parent::Extent;
use super::plan::MemberKey;
use super::review::PARALLEL;
use super::ssa;

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// A live object that carries the label of a sync.
#[derive(Clone, Debug)]
pub struct Member {
    /// What tells it apart.
    pub key: MemberKey,
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub meta: ObjectMeta,
}

/// Everything that could be listed, and what could not.
#[derive(Default)]
pub struct Inventory {
    /// Objects that carry the label. Whether they are *ours* is for [`ApplySet::owns`] to say.
    pub members: Vec<Member>,
    /// Kinds that could not be listed, each with the reason. Nothing is known about their members.
    pub unknown: Vec<((String, String), String)>,
}

/// Lists what carries the label of a sync.
pub struct Lister {
    /// The controller's own client, tried first.
    pub own: Client,
    /// A client that acts as the sync's account, for kinds that the controller itself may not list.
    pub account: Client,
    /// Lists single namespaces instead of the whole cluster (a controller that works in some only).
    pub only_namespaces: bool,
}

impl Lister {
    /// Lists the members in an extent. A kind that the cluster no longer has, has no members.
    pub async fn list(&self, extent: &Extent, kinds: &Kinds, set: &ApplySet) -> Inventory {
        let mut inventory = Inventory::default();
        let mut served = Vec::new();
        for (group, kind) in &extent.kinds {
            match kinds.of_any_version(group, kind) {
                Lookup::Served(found) if found.can("list") => served.push(found),
                Lookup::Served(_) => {
                    inventory.unknown.push((
                        (group.clone(), kind.clone()),
                        "its objects cannot be listed".to_owned(),
                    ));
                }
                Lookup::Unavailable => {
                    inventory.unknown.push((
                        (group.clone(), kind.clone()),
                        "its API does not answer".to_owned(),
                    ));
                }
                Lookup::Missing => {}
            }
        }
        let lists: Vec<_> = stream::iter(served)
            .map(|kind| async move {
                let listed = self.kind(&kind, &extent.namespaces, set).await;
                (kind, listed)
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        for (kind, listed) in lists {
            match listed {
                Ok(metas) => inventory
                    .members
                    .extend(metas.into_iter().map(|meta| member(&kind, meta))),
                Err(answer) => inventory.unknown.push((
                    (kind.resource.group.clone(), kind.resource.kind.clone()),
                    answer.message,
                )),
            }
        }
        inventory
    }

    async fn kind(
        &self,
        kind: &Kind,
        namespaces: &BTreeSet<String>,
        set: &ApplySet,
    ) -> Result<Vec<ObjectMeta>, Answer> {
        if !(kind.namespaced && self.only_namespaces) {
            match pages(&self.own, kind, None, set).await {
                Err(kube::Error::Api(status)) if status.is_forbidden() && kind.namespaced => {}
                Err(kube::Error::Api(status)) if status.is_forbidden() => {
                    return pages(&self.account, kind, None, set)
                        .await
                        .map_err(|error| Answer::of(&error, true));
                }
                other => return other.map_err(|error| Answer::of(&error, true)),
            }
        }
        let mut metas = Vec::new();
        for namespace in namespaces {
            let listed = match pages(&self.own, kind, Some(namespace), set).await {
                Err(kube::Error::Api(status)) if status.is_forbidden() => {
                    pages(&self.account, kind, Some(namespace), set).await
                }
                other => other,
            };
            metas.extend(listed.map_err(|error| Answer::of(&error, true))?);
        }
        Ok(metas)
    }
}

async fn pages(
    client: &Client,
    kind: &Kind,
    namespace: Option<&str>,
    set: &ApplySet,
) -> Result<Vec<ObjectMeta>, kube::Error> {
    let api = ssa::api(client.clone(), &kind.resource, namespace);
    let mut params = ListParams::default().labels(&set.selector()).limit(PAGE);
    let mut metas = Vec::new();
    loop {
        let page = api.list_metadata(&params).await?;
        metas.extend(page.items.into_iter().map(|item| item.metadata));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(metas),
        }
    }
}

fn member(kind: &Kind, meta: ObjectMeta) -> Member {
    Member {
        key: MemberKey {
            group: kind.resource.group.clone(),
            kind: kind.resource.kind.clone(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        },
        kind: kind.clone(),
        meta,
    }
}
