//! Where manifests come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::SUBDOMAIN;

/// Where manifests come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// A Git repository.
    pub git: GitSource,
}

/// A Git repository, and which commit of it.
// The rules for `url` stand on the object: the API server repeats a text that breaks its own rule, and this one may hold a password.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.url.matches('^(https|ssh|file)://') || self.url.matches('^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:')", "url begins with https://, ssh:// or file://, or has the form git@host:path"),
    validation = ("!self.url.matches('^https://[^/]*@')", "credentials belong into the Secret that secretRef names, not into url")
)]
pub struct GitSource {
    /// Its URL, `https://…`. `ssh://…` and `git@host:path` are not built yet; `file://…` works only where the controller's
    /// configuration allows it. Credentials belong into `secretRef`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,

    /// Which commit: at most one of its fields. The remote's default branch when unset.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRef>,

    /// Secret of this namespace: `username` and `password`, or `bearerToken`, and `ca.crt` for a private certificate
    /// authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,

    /// Secret of this namespace with the `address` of an HTTP proxy (`http://proxy.example:3128`), and `username` and
    /// `password` where it asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,

    /// Not built yet: read submodules too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodules: Option<bool>,

    /// Not built yet: sync only what a known signer has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
}

/// Which commit of a repository.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.branch), has(self.tag), has(self.semver), has(self.name), has(self.commit)].filter(set, set).size() <= 1",
    "set one of branch, tag, semver, name and commit"
))]
pub struct GitRef {
    /// The newest commit of a branch, for example `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub branch: Option<String>,

    /// The commit of a tag, for example `v1.2.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub tag: Option<String>,

    /// Not built yet: the commit of the highest tag in a range, for example `>=1.2 <2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub semver: Option<String>,

    /// The commit of a full reference name, for example `refs/heads/main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^refs/"))]
    pub name: Option<String>,

    /// One commit, by its full hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub commit: Option<String>,
}

/// Another object of the same namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
}

/// Whose signature a revision needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// What must be signed.
    pub mode: VerifyMode,
    /// Secret of this namespace with the public keys (SSH or PGP) of those who may sign.
    pub secret_ref: LocalReference,
}

/// What must be signed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum VerifyMode {
    /// The commit.
    #[default]
    Head,
    /// The tag.
    Tag,
    /// Both.
    Both,
}
