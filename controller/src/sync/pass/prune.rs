//! The last phase: what the revision no longer has goes, and the parent stops naming where no members are left.

use std::collections::BTreeSet;

use crds::reasons::Reason;
use kube::ResourceExt as _;

use super::{Pass, no_parent};
use crate::sync::inventory::Inventory;
use crate::sync::parent::{Extent, Parent};
use crate::sync::plan::MemberKey;
use crate::sync::problem::Problem;
use crate::sync::prune::{Choice, Pruned, choose, prune, prunes_everything};
use crate::sync::review::Reviewer;

/// What pruning did and left.
#[derive(Default)]
pub(super) struct Pruning {
    pub pruned: Pruned,
    /// Kept, because deleting them deletes more than themselves.
    pub kept: Vec<MemberKey>,
    /// Kinds that could not be looked through, in words.
    pub notes: Vec<String>,
    /// Where members may be left; `None` when nobody looked.
    pub left: Option<Extent>,
}

impl From<Problem> for Pruning {
    fn from(problem: Problem) -> Self {
        let pruned = Pruned {
            deleted: 0,
            problems: vec![problem],
        };
        Self {
            pruned,
            ..Self::default()
        }
    }
}

impl Pass<'_> {
    /// The members as they are before anything is written, where they may be pruned. Refuses a revision that has none
    /// of them: then all would go, and the cause is more often a wrong path or branch than a wish.
    pub(super) async fn members(
        &self,
        reviewer: &Reviewer,
        known: &Extent,
        wanted: &BTreeSet<MemberKey>,
    ) -> Result<Inventory, Problem> {
        if !self.sync.spec.prune || known.kinds.is_empty() {
            return Ok(Inventory::default());
        }
        let kinds = self.kinds().await?;
        let lister = self.lister(reviewer.writer.client());
        let listing = lister.list(known, &kinds, &self.set);
        let inventory = self.within("looking for its objects", listing).await?;
        if !self.sync.spec.allow_empty
            && let Some(goes) = prunes_everything(&inventory, wanted, &self.set)
        {
            return Err(prunes_all(&goes));
        }
        Ok(inventory)
    }

    /// Deletes what the revision no longer has, of these `members`. `all` is where members may be, `extent` where the
    /// revision's are.
    pub(super) async fn prune(
        &self,
        reviewer: &Reviewer,
        members: Inventory,
        all: &Extent,
        wanted: &BTreeSet<MemberKey>,
        extent: &Extent,
        parent: &mut Parent,
    ) -> Pruning {
        let Inventory { members, unknown } = members;
        let itself = (self.account.namespace.as_str(), &*self.sync.name_any());
        let choice = choose(members, wanted, &self.set, itself);
        let left = left(extent, all, &choice, &unknown);
        let Choice { delete, keep } = choice;
        let mut pruned = prune(delete, &reviewer.writer, &self.shared.client).await;
        if pruned.problems.is_empty()
            && let Err(error) = parent.say(&left).await
        {
            pruned.problems.push(no_parent(&error));
        }
        let notes = unknown
            .into_iter()
            .map(|((group, kind), why)| {
                let dot = if group.is_empty() { "" } else { "." };
                format!(
                    "{kind}{dot}{group} could not be looked through for objects to prune ({why})"
                )
            })
            .collect();
        Pruning {
            pruned,
            kept: keep,
            notes,
            left: Some(left),
        }
    }
}

fn prunes_all(goes: &[MemberKey]) -> Problem {
    let count = goes.len();
    let named: Vec<String> = goes.iter().take(3).map(MemberKey::display).collect();
    let more = if count > named.len() { ", …" } else { "" };
    Problem::general(
        Reason::EmptyRevision,
        format!(
            "the revision has none of the objects that this sync made, so all {count} of them would be deleted ({}{more}); \
             nothing was changed. Correct spec.path or spec.source.git.ref; or, if that is meant, set spec.allowEmpty: true \
             until it is done",
            named.join(", ")
        ),
    )
}

/// Where members may be left: those of the revision, those that are kept, those that were deleted just now (they may
/// have finalizers; the pass that no longer finds them forgets their kind), and whatever nobody could look at.
fn left(
    extent: &Extent,
    all: &Extent,
    choice: &Choice,
    unknown: &[((String, String), String)],
) -> Extent {
    let mut left = extent.clone();
    let deleted = choice.delete.iter().map(|member| &member.key);
    for key in choice.keep.iter().chain(deleted) {
        left.kinds.insert((key.group.clone(), key.kind.clone()));
        if !key.namespace.is_empty() {
            left.namespaces.insert(key.namespace.clone());
        }
    }
    for (kind, _) in unknown {
        left.kinds.insert(kind.clone());
        left.namespaces.extend(all.namespaces.iter().cloned());
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(kinds: &[&str], namespaces: &[&str]) -> Extent {
        Extent {
            kinds: kinds
                .iter()
                .map(|kind| (String::new(), (*kind).to_owned()))
                .collect(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_kind_is_forgotten_only_when_no_member_of_it_can_be_left() {
        let (now, all) = (
            extent(&["ConfigMap"], &["a"]),
            extent(&["ConfigMap", "Pod", "Widget"], &["a", "b"]),
        );
        let nothing = Choice::default();
        assert_eq!(left(&now, &all, &nothing, &[]), now);

        let kept = MemberKey {
            group: String::new(),
            kind: "Namespace".into(),
            namespace: String::new(),
            name: "b".into(),
        };
        let keeps = Choice {
            keep: vec![kept],
            ..Choice::default()
        };
        assert_eq!(
            left(&now, &all, &keeps, &[]),
            extent(&["ConfigMap", "Namespace"], &["a"])
        );

        let unknown = [(
            (String::new(), "Widget".to_owned()),
            "its API does not answer".to_owned(),
        )];
        assert_eq!(
            left(&now, &all, &nothing, &unknown),
            extent(&["ConfigMap", "Widget"], &["a", "b"])
        );
    }
}
