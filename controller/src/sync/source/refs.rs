//! Picking the commit of a reference from a listing.

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use gix::hash::Kind;
use gix::protocol::handshake::Ref;

use super::url::Address;
use super::{Reference, Revision, SourceError};

impl Reference {
    /// Whether the reference can be asked for (`git check-ref-format`), before a server is.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        let refuse = |why: String| Err(SourceError::ReferenceRefused { why });
        let (field, name) = match self {
            Self::DefaultBranch => return Ok(()),
            Self::Commit(id) => {
                return match ObjectId::from_hex(id.as_bytes()) {
                    Ok(_) if id.bytes().all(|b| !b.is_ascii_uppercase()) => Ok(()),
                    _ => refuse(
                        "`commit` is not a whole commit id; write all 40 (or 64) lower-case \
                         hexadecimal digits, as `git rev-parse` prints them"
                            .to_owned(),
                    ),
                };
            }
            Self::Branch(_) => ("branch", self.full_name()),
            Self::Name(name) if !name.starts_with("refs/") => {
                return refuse(
                    "`name` is not a whole reference name; it begins with refs/, such as \
                     refs/heads/main"
                        .to_owned(),
                );
            }
            Self::Name(_) => ("name", self.full_name()),
            Self::Tag(_) => ("tag", self.full_name()),
        };
        match gix::validate::reference::name(name.as_str().into()) {
            Ok(_) if name.len() <= MAX_NAME => Ok(()),
            _ => refuse(format!(
                "`{field}` is not a name that Git allows (git check-ref-format)"
            )),
        }
    }

    /// The whole name to ask the server for. A commit has none: `HEAD` stands for it, because
    /// the question is only whether the server answers.
    pub(super) fn full_name(&self) -> String {
        match self {
            Self::Branch(branch) => format!("refs/heads/{branch}"),
            Self::Commit(_) | Self::DefaultBranch => "HEAD".to_owned(),
            Self::Name(name) => name.clone(),
            Self::Tag(tag) => format!("refs/tags/{tag}"),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Branch(branch) => format!("branch {branch:?}"),
            Self::Commit(id) => format!("commit {id}"),
            Self::DefaultBranch => "default branch".to_owned(),
            Self::Name(name) => format!("reference {name:?}"),
            Self::Tag(tag) => format!("tag {tag:?}"),
        }
    }
}

/// The commit that a listing gives for a reference. Annotated tags are followed to the commit.
pub(super) fn pick(reference: &Reference, listing: &[Ref]) -> Option<Revision> {
    if let Reference::Commit(id) = reference {
        let id = ObjectId::from_hex(id.as_bytes()).ok()?;
        return Some(revision(None, id));
    }
    let wanted = reference.full_name();
    listing.iter().find_map(|candidate| {
        let (name, object, target) = match candidate {
            Ref::Direct {
                full_ref_name,
                object,
            }
            | Ref::Peeled {
                full_ref_name,
                object,
                ..
            } => (full_ref_name, *object, None),
            Ref::Symbolic {
                full_ref_name,
                object,
                target,
                ..
            } => (full_ref_name, *object, Some(target)),
            Ref::Unborn { .. } => return None,
        };
        (name.as_bstr() == wanted.as_str()).then(|| {
            let label = match reference {
                Reference::Branch(name) | Reference::Tag(name) | Reference::Name(name) => {
                    name.clone()
                }
                Reference::Commit(_) | Reference::DefaultBranch => {
                    short(target.map_or_else(|| BStr::new("HEAD"), |target| target.as_bstr()))
                }
            };
            revision(Some(&label), object)
        })
    })
}

/// Why a reference is not in the listing of everything.
pub(super) fn not_found(address: &Address, reference: &Reference, listing: &[Ref]) -> SourceError {
    let url = address.to_string();
    let names = listing.iter().filter_map(|entry| match entry {
        Ref::Direct { full_ref_name, .. }
        | Ref::Peeled { full_ref_name, .. }
        | Ref::Symbolic { full_ref_name, .. } => Some(full_ref_name.as_bstr()),
        Ref::Unborn { .. } => None,
    });
    let prefix: &[u8] = match reference {
        Reference::Tag(_) => b"refs/tags/",
        Reference::Name(_) => b"refs/",
        _ => b"refs/heads/",
    };
    let (mut any, mut nearest) = (false, Vec::new());
    for name in names {
        any = true;
        if nearest.len() < 5
            && let Some(rest) = name.strip_prefix(prefix)
        {
            nearest.push(match reference {
                Reference::Name(_) => printable(name),
                _ => printable(rest.as_bstr()),
            });
        }
    }
    if any {
        SourceError::ReferenceNotFound {
            url,
            reference: reference.describe(),
            nearest,
        }
    } else {
        SourceError::EmptyRepository { url }
    }
}

/// Bytes of a reference name, at most; servers refuse longer ones long before.
const MAX_NAME: usize = 255;

fn revision(label: Option<&str>, id: ObjectId) -> Revision {
    let hash = match id.kind() {
        Kind::Sha256 => "sha256",
        _ => "sha1",
    };
    Revision {
        commit: id.to_string(),
        label: match label {
            Some(label) => format!("{label}@{hash}:{id}"),
            None => format!("{hash}:{id}"),
        },
    }
}

/// A reference name as people write it.
fn short(name: &BStr) -> String {
    printable(name.strip_prefix(b"refs/heads/").unwrap_or(name).as_bstr())
}

/// Names come from the server and end up in a status: text only, and not much of it.
fn printable(name: &BStr) -> String {
    name.to_str_lossy()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "1111111111111111111111111111111111111111";
    const TAG: &str = "2222222222222222222222222222222222222222";

    fn id(hex: &str) -> ObjectId {
        ObjectId::from_hex(hex.as_bytes()).expect("an id")
    }

    fn listing() -> Vec<Ref> {
        vec![
            Ref::Symbolic {
                full_ref_name: "HEAD".into(),
                target: "refs/heads/main".into(),
                tag: None,
                object: id(MAIN),
            },
            Ref::Direct {
                full_ref_name: "refs/heads/main-old".into(),
                object: id(TAG),
            },
            Ref::Direct {
                full_ref_name: "refs/heads/main".into(),
                object: id(MAIN),
            },
            Ref::Peeled {
                full_ref_name: "refs/tags/v1".into(),
                tag: id(TAG),
                object: id(MAIN),
            },
        ]
    }

    #[test]
    fn each_kind_of_reference_names_its_commit_and_label() {
        for (reference, label) in [
            (
                Reference::Branch("main".into()),
                format!("main@sha1:{MAIN}"),
            ),
            (Reference::DefaultBranch, format!("main@sha1:{MAIN}")),
            (Reference::Tag("v1".into()), format!("v1@sha1:{MAIN}")),
            (
                Reference::Name("refs/heads/main".into()),
                format!("refs/heads/main@sha1:{MAIN}"),
            ),
            (Reference::Commit(MAIN.into()), format!("sha1:{MAIN}")),
        ] {
            let revision = pick(&reference, &listing()).expect("found");
            assert_eq!(revision.commit, MAIN, "{reference:?}");
            assert_eq!(revision.label, label, "{reference:?}");
        }
        assert_eq!(pick(&Reference::Branch("mai".into()), &listing()), None);
        assert_eq!(pick(&Reference::Tag("main".into()), &listing()), None);
    }

    #[test]
    fn a_missing_reference_names_what_is_there() {
        let address = Address::parse("https://h.example/r.git", false).expect("accepted");
        let error = not_found(&address, &Reference::Branch("mian".into()), &listing());
        let text = error.to_string();
        assert!(text.contains("branch \"mian\""), "{text}");
        assert!(text.contains("it has main-old, main"), "{text}");
        assert!(matches!(
            not_found(&address, &Reference::DefaultBranch, &[]),
            SourceError::EmptyRepository { .. }
        ));
    }

    #[test]
    fn references_that_git_does_not_allow_are_refused_before_asking() {
        for bad in [
            Reference::Branch(String::new()),
            Reference::Branch("a..b".into()),
            Reference::Branch("a b".into()),
            Reference::Branch("a\nb".into()),
            Reference::Branch("x".repeat(300)),
            Reference::Tag("v1^{}".into()),
            Reference::Tag("v*".into()),
            Reference::Name("main".into()),
            Reference::Name("refs/../x".into()),
            Reference::Commit("1234".into()),
            Reference::Commit("HEAD".into()),
            Reference::Commit("A".repeat(40)),
        ] {
            assert!(
                matches!(bad.check(), Err(SourceError::ReferenceRefused { .. })),
                "{bad:?}"
            );
        }
        for good in [
            Reference::DefaultBranch,
            Reference::Branch("feature/x-1".into()),
            Reference::Tag("v1.2.3".into()),
            Reference::Name("refs/pull/1/head".into()),
            Reference::Commit("a".repeat(40)),
            Reference::Commit("0".repeat(64)),
        ] {
            assert!(good.check().is_ok(), "{good:?}");
        }
    }
}
