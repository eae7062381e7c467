//! One thing that is wrong with a revision, as `status.failing` tells it.

use crds::FailingObject;
use crds::reasons::Reason;
use manifests::{Location, ObjectId};

/// What is wrong: where, why, and what mends it. Never holds a value of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why, in one word.
    pub reason: Reason,
    /// The object, as people name it.
    pub object: Option<String>,
    /// The file, with the line where one is known.
    pub file: Option<String>,
    /// What, where, why, and what mends it.
    pub message: String,
    /// A key that arrives may mend it.
    pub waits_for_key: bool,
}

impl Problem {
    /// A problem of one object of the revision.
    pub fn of(
        reason: Reason,
        id: &ObjectId,
        location: &Location,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            object: Some(id.to_string()),
            file: Some(location.to_string()),
            message: message.into(),
            waits_for_key: false,
        }
    }

    /// A problem of the whole.
    pub fn general(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            object: None,
            file: None,
            message: message.into(),
            waits_for_key: false,
        }
    }

    /// A problem of an object in the cluster that is not in the revision.
    pub fn live(reason: Reason, object: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            object: Some(object.into()),
            ..Self::general(reason, message)
        }
    }

    /// As the status carries it.
    pub fn failing(&self) -> FailingObject {
        FailingObject {
            object: self.object.clone(),
            file: self.file.clone(),
            reason: self.reason.to_string(),
            message: self.message.clone(),
        }
    }
}

/// `apps/db.yaml:12:3 (document 1): Secret payments/db: …`, as far as each is known.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for place in [&self.file, &self.object].into_iter().flatten() {
            if !self.message.contains(place.as_str()) {
                write!(f, "{place}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

impl From<manifests::Problem> for Problem {
    fn from(problem: manifests::Problem) -> Self {
        let reason = match problem {
            manifests::Problem::Duplicate { .. } => Reason::DuplicateObject,
            manifests::Problem::NoDirectory { .. }
            | manifests::Problem::NotADirectory { .. }
            | manifests::Problem::Path(_) => Reason::PathNotFound,
            manifests::Problem::Limit { .. } => Reason::SourceTooLarge,
            _ => Reason::RenderFailed,
        };
        let file = match &problem {
            manifests::Problem::Read(error) => error.location.to_string(),
            manifests::Problem::AnnotationNotBuilt { location, .. }
            | manifests::Problem::AnnotationUnknown { location, .. }
            | manifests::Problem::Duplicate {
                second: location, ..
            } => location.to_string(),
            _ => problem.file().to_owned(),
        };
        Self {
            reason,
            object: problem.object().map(ToString::to_string),
            file: Some(file),
            message: problem.to_string(),
            waits_for_key: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_line_and_once() {
        let broken = b"apiVersion: v1\nkind: [\n";
        let Err(errors) = manifests::read("a/b.yaml", broken, &manifests::Limits::default()) else {
            panic!("it is broken")
        };
        let problem = Problem::from(manifests::Problem::Read(errors[0].clone()));
        assert!(problem.file.as_ref().unwrap().starts_with("a/b.yaml:"));
        assert_eq!(
            problem.to_string().matches("a/b.yaml").count(),
            1,
            "{problem}"
        );
    }
}
