//! The main job as a user does it: seal, commit, push, and the Secret is there, and stays what it is.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use tests::{
    cluster::{Cluster, Kind},
    git_server::GitServer,
    repository::BRANCH,
    wait::{Seen, until},
};

use crate::stage::{Stage, chapter, say, time};

/// Where the demo's objects live.
pub const NAMESPACE: &str = "waxwing-demo";

/// For a step of the controller.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the demo tells about the run at its end.
pub struct Told {
    /// From the push to the Secret.
    pub delivered: Duration,
    /// From the hand edit to the sealed value.
    pub repaired: Duration,
}

/// The whole story. `controller` is the account that the controller runs as, `NAMESPACE:NAME`.
pub async fn tell(
    stage: &mut Stage,
    cluster: &Cluster,
    git: &GitServer,
    controller: &str,
) -> Result<Told> {
    chapter("Seal: with the cluster's public key, on a developer's machine");
    stage.run(&["mkdir", "-p", ".waxwing", "app"]).await?;
    stage
        .run(&["waxwing", "keys", "fetch", "-o", ".waxwing/demo.pub"])
        .await?;
    let value = fresh_value()?;
    stage.write("db.yaml", &SECRET.replace("VALUE", &value), &[&value])?;
    stage
        .run(&[
            "waxwing",
            "seal",
            "-f",
            "db.yaml",
            "-r",
            ".waxwing/demo.pub",
            "-o",
            "app/db.sealed.yaml",
        ])
        .await?;
    stage.run(&["rm", "db.yaml"]).await?;
    stage
        .run(&["waxwing", "show", "app/db.sealed.yaml"])
        .await?;
    stage.write("app/shop.yaml", DEPLOYMENT, &[])?;

    chapter("Commit and push: what is in Git opens nowhere but in the cluster");
    stage.run(&["git", "add", "."]).await?;
    stage
        .run(&[
            "git",
            "commit",
            "--quiet",
            "--message",
            "The shop and its sealed database password",
        ])
        .await?;
    stage
        .run(&["git", "push", "--quiet", "origin", BRANCH])
        .await?;

    chapter(
        "Sync: an administrator lets the namespace be synced, and connects the repository, once",
    );
    stage.write("../tenant.yaml", TENANT, &[])?;
    stage
        .run(&["kubectl", "apply", "-f", "../tenant.yaml"])
        .await?;
    let serves = format!("--serviceaccount={controller}");
    let role = "--clusterrole=waxwing-impersonate";
    let name = "waxwing-impersonate";
    stage
        .run(&[
            "kubectl",
            "create",
            "rolebinding",
            name,
            "--namespace",
            NAMESPACE,
            role,
            &serves,
        ])
        .await?;
    let ca: Vec<String> = git
        .ca()
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let ca = ca.concat();
    let sync = SYNC.replace("URL", &git.url("shop")).replace("CA\n", &ca);
    stage.write("../sync.yaml", &sync, &[git.ca().trim(), ca.trim_end()])?;
    let pushed = Instant::now();
    stage
        .run(&["kubectl", "apply", "-f", "../sync.yaml"])
        .await?;
    wait_for_value(cluster, &value).await?;
    let delivered = pushed.elapsed();
    let ready = "--for=condition=Ready";
    let in_time = format!("--timeout={}s", PATIENCE.as_secs());
    stage
        .run(&[
            "kubectl",
            "wait",
            ready,
            "manifestsync/shop",
            "--namespace",
            NAMESPACE,
            &in_time,
        ])
        .await?;
    let ours = "manifestsyncs,sealedsecrets,secrets,deployments";
    stage
        .run(&["kubectl", "get", ours, "--namespace", NAMESPACE])
        .await?;
    say(&format!(
        "\nSecret {NAMESPACE}/db holds the sealed password ({} bytes, compared without showing them), {} after the \
         sync was created.",
        value.len(),
        time(delivered)
    ));

    chapter("Drift: somebody edits the Secret by hand");
    let edit = r#"{"stringData": {"password": "changed by hand"}}"#;
    stage
        .run(&[
            "kubectl",
            "patch",
            "secret",
            "db",
            "--namespace",
            NAMESPACE,
            "--patch",
            edit,
        ])
        .await?;
    let edited = Instant::now();
    wait_for_value(cluster, &value).await?;
    let repaired = edited.elapsed();
    say(&format!(
        "\nRepaired: the sealed password was back {} after kubectl returned.",
        time(repaired)
    ));

    chapter("A mistake: somebody pushes a plain Secret");
    let plain = fresh_value()?;
    stage.write(
        "app/oops.yaml",
        &SECRET
            .replace("VALUE", &plain)
            .replace("name: db", "name: oops"),
        &[&plain],
    )?;
    stage.run(&["git", "add", "app/oops.yaml"]).await?;
    stage
        .run(&["git", "commit", "--quiet", "--message", "A new Secret"])
        .await?;
    stage
        .run(&["git", "push", "--quiet", "origin", BRANCH])
        .await?;
    let refused = wait_for_sync(cluster, "the revision to be refused", |sync| {
        sync["status"]["failing"][0]["reason"] == "PlaintextSecret"
    })
    .await?;
    let reason = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}{"\n"}{range .status.failing[*]}{.file}: {.object}: {.message}{"\n"}{end}"#;
    stage
        .run(&[
            "kubectl",
            "get",
            "manifestsync",
            "shop",
            "--namespace",
            NAMESPACE,
            "--output",
            reason,
        ])
        .await?;
    if refused.to_string().contains(&plain) {
        bail!("the status of the ManifestSync holds the value");
    }
    let missing = stage
        .attempt(&["kubectl", "get", "secret", "oops", "--namespace", NAMESPACE])
        .await?;
    if missing.code == Some(0) {
        bail!("the plain Secret was applied");
    }
    stage.run(&["git", "revert", "--no-edit", "HEAD"]).await?;
    stage
        .run(&["git", "push", "--quiet", "origin", BRANCH])
        .await?;
    let head = stage.run(&["git", "rev-parse", "HEAD"]).await?.stdout;
    wait_for_sync(cluster, "the reverted revision to be applied", |sync| {
        sync["status"]["lastAppliedRevision"]
            .as_str()
            .is_some_and(|revision| revision.contains(head.trim()))
    })
    .await?;
    stage
        .run(&[
            "kubectl",
            "get",
            "manifestsync",
            "shop",
            "--namespace",
            NAMESPACE,
        ])
        .await?;
    Ok(Told {
        delivered,
        repaired,
    })
}

/// The Secret's value is the sealed one. It is compared here and never printed.
async fn wait_for_value(cluster: &Cluster, value: &str) -> Result<()> {
    let wanted = Base64::encode_string(value.as_bytes());
    until("Secret db to hold the sealed value", PATIENCE, async || {
        let secret = cluster
            .object(&Kind::of("v1", "Secret"), Some(NAMESPACE), "db")
            .await?;
        let Some(secret) = secret else {
            let sync = cluster
                .object(
                    &Kind::of("waxwing.dev/v1alpha1", "ManifestSync"),
                    Some(NAMESPACE),
                    "shop",
                )
                .await?;
            let status = sync
                .map(|sync| sync["status"].to_string())
                .unwrap_or_default();
            return Ok(Seen::NotYet(format!(
                "no such Secret; the ManifestSync's status: {status}"
            )));
        };
        let same = secret["data"]["password"] == wanted.as_str();
        Ok(if same {
            Seen::Yes(())
        } else {
            Seen::NotYet("another value".to_owned())
        })
    })
    .await
}

async fn wait_for_sync(
    cluster: &Cluster,
    what: &str,
    holds: impl Fn(&serde_json::Value) -> bool,
) -> Result<serde_json::Value> {
    until(what, PATIENCE, async || {
        let sync = cluster
            .object(
                &Kind::of("waxwing.dev/v1alpha1", "ManifestSync"),
                Some(NAMESPACE),
                "shop",
            )
            .await?;
        let sync = sync.context("the ManifestSync is gone")?;
        Ok(if holds(&sync) {
            Seen::Yes(sync)
        } else {
            Seen::NotYet(sync["status"].to_string())
        })
    })
    .await
}

/// A password nobody has seen before: 24 characters from the operating system's randomness.
fn fresh_value() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 18];
    let random = Path::new("/dev/urandom");
    std::fs::File::open(random)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(Base64::encode_string(&bytes))
}

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: waxwing-demo
type: Opaque
stringData:
  user: shop
  password: VALUE
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: waxwing-demo
spec:
  replicas: 1
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: registry.k8s.io/pause:3.10
          envFrom:
            - secretRef: {name: db}
";

const TENANT: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: waxwing-demo
---
# The account that the sync writes as: what it may do is what the repository may do.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: deployer
  namespace: waxwing-demo
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: deployer
  namespace: waxwing-demo
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: edit
subjects:
  - kind: ServiceAccount
    name: deployer
    namespace: waxwing-demo
";

const SYNC: &str = "\
# The demo's Git server has a certificate authority of its own.
apiVersion: v1
kind: Secret
metadata:
  name: git
  namespace: waxwing-demo
stringData:
  ca.crt: |
CA
---
apiVersion: waxwing.dev/v1alpha1
kind: ManifestSync
metadata:
  name: shop
  namespace: waxwing-demo
spec:
  source:
    git:
      url: URL
      ref: {branch: main}
      secretRef: {name: git}
  path: app
  interval: 2s
  serviceAccountName: deployer
";
