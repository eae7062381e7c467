//! Which fields of a `ManifestSync` ask for something that the controller does not do yet.

use super::{DeletionPolicy, ManifestSyncSpec, PlaintextPolicy, Render, UnsealPolicy};

impl ManifestSyncSpec {
    /// Paths of the fields that ask for something that the controller does not do yet, with the value where only that value
    /// is not built: `spec.render: Kustomize`. Empty when everything that is asked for is done.
    ///
    /// A switch that is `false` asks for nothing, and neither does an empty list: they are not named.
    #[must_use]
    pub fn not_built_yet(&self) -> Vec<String> {
        let git = &self.source.git;
        let asks = |switch: Option<bool>| switch == Some(true);
        let has_drift_mode = self
            .drift
            .as_ref()
            .is_some_and(|drift| drift.mode.is_some());
        let has_drift_ignore = self
            .drift
            .as_ref()
            .is_some_and(|drift| !drift.ignore.is_empty());
        let fields = [
            ("spec.source.git.url: ssh", git.is_ssh()),
            (
                "spec.source.git.ref.semver",
                git.reference
                    .as_ref()
                    .is_some_and(|reference| reference.semver.is_some()),
            ),
            ("spec.source.git.submodules", asks(git.submodules)),
            ("spec.source.git.verify", git.verify.is_some()),
            ("spec.render: Kustomize", self.render == Render::Kustomize),
            (
                "spec.deletionPolicy: WaitForTermination",
                self.deletion_policy == DeletionPolicy::WaitForTermination,
            ),
            ("spec.drift.mode", has_drift_mode),
            ("spec.drift.ignore", has_drift_ignore),
            (
                "spec.unsealPolicy: Isolate",
                self.unseal_policy == UnsealPolicy::Isolate,
            ),
            (
                "spec.plaintextSecrets: Warn",
                self.plaintext_secrets == PlaintextPolicy::Warn,
            ),
            (
                "spec.plaintextSecrets: Allow",
                self.plaintext_secrets == PlaintextPolicy::Allow,
            ),
            ("spec.targetNamespace", self.target_namespace.is_some()),
            ("spec.namePrefix", self.name_prefix.is_some()),
            ("spec.nameSuffix", self.name_suffix.is_some()),
            ("spec.commonMetadata", self.common_metadata.is_some()),
            ("spec.patches", !self.patches.is_empty()),
            ("spec.images", !self.images.is_empty()),
            ("spec.components", !self.components.is_empty()),
            ("spec.substitute", !self.substitute.is_empty()),
            ("spec.substituteFrom", !self.substitute_from.is_empty()),
            ("spec.dependsOn", !self.depends_on.is_empty()),
            ("spec.wait", asks(self.wait)),
            ("spec.healthChecks", !self.health_checks.is_empty()),
            ("spec.healthCheckExprs", !self.health_check_exprs.is_empty()),
            ("spec.restartOnChange", asks(self.restart_on_change)),
            ("spec.force", asks(self.force)),
            ("spec.windows", !self.windows.is_empty()),
        ];
        fields
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(path, _)| path.to_owned())
            .collect()
    }
}

impl super::GitSource {
    /// Whether the URL asks for SSH: `ssh://…`, or the short form `git@host:path`.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        self.url.starts_with("ssh://")
            || (!self.url.contains("://") && self.url.contains('@') && self.url.contains(':'))
    }

    /// Whether the URL is a directory of the controller's own file system, `file://…`.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.url.starts_with("file://")
    }
}
