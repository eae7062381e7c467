//! What is wrong with a tree of manifests.

use std::fmt;

use crate::{Location, ObjectId, ReadError, TreeError};

/// One reason why a tree cannot be rendered. Rendering reports all of them at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A file that cannot be read, or a document of it that is no Kubernetes object.
    Read(ReadError),
    /// A kustomization file where plain manifests were asked for.
    Kustomization {
        /// Path of the kustomization file.
        file: String,
    },
    /// An annotation that asks for something that is not built yet. It is never ignored.
    AnnotationNotBuilt {
        /// The object that carries it.
        object: Box<ObjectId>,
        /// The annotation's key.
        key: String,
        /// Where it stands.
        location: Location,
    },
    /// An annotation under the product's own prefix that nothing knows: most likely mistyped.
    AnnotationUnknown {
        /// The object that carries it.
        object: Box<ObjectId>,
        /// The annotation's key.
        key: String,
        /// Where it stands.
        location: Location,
    },
    /// The same object twice.
    Duplicate {
        /// Its identity, as the later one writes it.
        object: Box<ObjectId>,
        /// Where it stands first.
        first: Location,
        /// Where it stands again.
        second: Location,
    },
    /// A symbolic link or a submodule where a manifest or a directory would be read.
    NotAFile {
        /// Its path.
        file: String,
        /// What it is, such as `a symbolic link`.
        what: &'static str,
    },
    /// What was asked for as a directory is something else.
    NotADirectory {
        /// Its path.
        file: String,
        /// What it is, such as `a file`.
        what: &'static str,
    },
    /// A directory's path that no tree may hold.
    Path(TreeError),
    /// The directory does not exist in the tree.
    NoDirectory {
        /// The directory as asked for.
        directory: String,
    },
    /// More than a limit allows.
    Limit {
        /// The file, or the directory, at which it was passed.
        file: String,
        /// What there is too much of, such as `files`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl Problem {
    /// The file that has the problem.
    pub fn file(&self) -> &str {
        match self {
            Self::Read(error) => &error.location.file,
            Self::AnnotationNotBuilt { location, .. }
            | Self::AnnotationUnknown { location, .. }
            | Self::Duplicate {
                second: location, ..
            } => &location.file,
            Self::Kustomization { file }
            | Self::NotAFile { file, .. }
            | Self::NotADirectory { file, .. }
            | Self::Limit { file, .. } => file,
            Self::Path(error) => &error.path,
            Self::NoDirectory { directory } => directory,
        }
    }

    /// The object that has the problem, when it is one object's.
    pub fn object(&self) -> Option<&ObjectId> {
        match self {
            Self::AnnotationNotBuilt { object, .. }
            | Self::AnnotationUnknown { object, .. }
            | Self::Duplicate { object, .. } => Some(object),
            _ => None,
        }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Kustomization { file } => write!(
                f,
                "{file}: rendering a kustomization is not built yet; point the path at a directory of plain manifests, or commit the output of \
                 `kustomize build` and remove this file from it"
            ),
            Self::AnnotationNotBuilt {
                object,
                key,
                location,
            } => write!(
                f,
                "{location}: {object}: annotation {key} asks for something that is not built yet; remove the annotation (it is refused rather \
                 than ignored)"
            ),
            Self::AnnotationUnknown {
                object,
                key,
                location,
            } => {
                write!(
                    f,
                    "{location}: {object}: there is no annotation {key}; correct its spelling or remove it"
                )
            }
            Self::Duplicate {
                object,
                first,
                second,
            } => {
                write!(
                    f,
                    "{second}: {object} stands already at {first}; remove one of the two"
                )
            }
            Self::NotAFile { file, what } => {
                write!(
                    f,
                    "{file}: is {what}, which is never followed; commit the manifest itself in its place"
                )
            }
            Self::NotADirectory { file, what } => write!(
                f,
                "{file}: is {what}, not a directory; point the path at the directory"
            ),
            Self::Path(error) => write!(f, "{error}; correct the path"),
            Self::NoDirectory { directory } => {
                write!(
                    f,
                    "{directory}: there is no such directory in this revision; correct the path"
                )
            }
            Self::Limit { file, what, limit } => {
                write!(
                    f,
                    "{file}: more than {limit} {what}; point the path at a smaller part of the tree"
                )
            }
        }
    }
}
