//! Kubeconfig files with one cluster, one user and one context, `test`.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context as _, Result};
use base64ct::{Base64, Encoding as _};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

/// The name of the context in every file that [`write`](fn@write) makes.
pub const CONTEXT: &str = "test";

/// Writes one, readable by its owner only.
pub fn write(file: &Path, url: &str, ca: &str, token: &str) -> Result<()> {
    let authority = Base64::encode_string(ca.as_bytes());
    // JSON is YAML.
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    });
    write_text(file, &text.to_string())
}

/// Writes a kubeconfig's text, readable by its owner only.
pub(crate) fn write_text(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut open = options
        .open(file)
        .with_context(|| format!("writing {}", file.display()))?;
    open.write_all(text.as_bytes())
        .with_context(|| format!("writing {}", file.display()))
}

/// A client from one.
pub async fn client(file: &Path) -> Result<Client> {
    let text =
        Kubeconfig::read_from(file).with_context(|| format!("reading {}", file.display()))?;
    let config = Config::from_custom_kubeconfig(text, &KubeConfigOptions::default())
        .await
        .context("a kubeconfig")?;
    Client::try_from(config).context("a client")
}
