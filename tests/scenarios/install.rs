//! What `deploy/` installs, and what a person finds there.

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;
use tests::{
    binaries::Binaries,
    cluster::Kind,
    controller::{Installation, NAMESPACE},
    plane::{Plane, PlaneOptions},
    process::run,
    tools::workspace,
    world::{OURS, World, condition::check},
};

use crate::{plain, shared};

pub fn scenarios() -> Vec<Trial> {
    vec![
        plain(
            "install::the_controller_has_only_the_rights_it_needs",
            the_controller_has_only_the_rights_it_needs,
        ),
        shared(
            "install::our_kinds_are_served_and_explained",
            our_kinds_are_served_and_explained,
        ),
        shared(
            "install::applying_deploy_again_changes_nothing",
            applying_deploy_again_changes_nothing,
        ),
        shared(
            "install::one_key_is_active_and_its_private_half_is_private",
            one_key_is_active,
        ),
        shared(
            "install::keys_fetch_gives_what_the_signer_vouches_for",
            keys_fetch_gives_what_the_signer_vouches_for,
        ),
        shared(
            "install::a_swapped_public_key_is_refused",
            a_swapped_public_key_is_refused,
        ),
        plain(
            "install::both_programs_tell_their_version",
            both_programs_tell_their_version,
        ),
        shared(
            "install::metrics_and_health_are_served",
            metrics_and_health_are_served,
        ),
    ]
}

/// Asked of the API server as the controller's own account, right after `kubectl apply -k deploy` on an empty cluster.
async fn the_controller_has_only_the_rights_it_needs() -> Result<()> {
    let plane = Plane::own(PlaneOptions::default()).await?;
    let cluster = plane.cluster();
    let installation = Installation::apply(cluster).await?;
    let may = async |question: &str| -> Result<bool> {
        let words: Vec<&str> = ["auth", "can-i"]
            .into_iter()
            .chain(question.split(' '))
            .collect();
        let answer = cluster
            .kubectl_with(&installation.kubeconfig, &words, None)
            .await?;
        Ok(answer.stdout.trim() == "yes")
    };
    for needed in [
        "create secrets --namespace default",
        "patch manifestsyncs --subresource status --namespace default",
        "create subjectaccessreviews.authorization.k8s.io",
        "update secrets --namespace waxwing-system",
        "get customresourcedefinitions/sealedsecrets.waxwing.dev",
    ] {
        check(
            may(needed).await?,
            &format!("the controller to be allowed to {needed}"),
        )?;
    }
    for denied in [
        "impersonate serviceaccounts --namespace default",
        "impersonate users",
        "impersonate groups",
        "patch sealedsecrets --namespace default",
        "create manifestsyncs --namespace default",
        "create configmaps --namespace default",
        "create pods --namespace default",
        "create deployments.apps --namespace default",
        "create serviceaccounts --subresource token --namespace default",
        "create clusterrolebindings",
        "patch customresourcedefinitions/sealedsecrets.waxwing.dev",
        "get customresourcedefinitions/other.example.com",
    ] {
        check(
            !may(denied).await?,
            &format!("the controller not to be allowed to {denied}"),
        )?;
    }
    // Consent is given per namespace, and holds there only.
    let binding = [
        "create",
        "rolebinding",
        "waxwing-impersonate",
        "--namespace=default",
    ];
    let account = format!("--serviceaccount={NAMESPACE}:{}", installation.account);
    let role = ["--clusterrole=waxwing-impersonate", &account];
    cluster
        .kubectl(&[&binding[..], &role[..]].concat())
        .await?
        .ok()?;
    check(
        may("impersonate serviceaccounts --namespace default").await?,
        "consent to hold",
    )?;
    check(
        !may("impersonate serviceaccounts --namespace kube-system").await?,
        "it to hold nowhere else",
    )
}

async fn our_kinds_are_served_and_explained(world: &World) -> Result<()> {
    for field in [
        "sealedsecret.spec.encryptedData",
        "sealedsecret.spec.ownership.mode",
        "sealingkey.spec.fingerprint",
        "manifestsync.spec.source.git.url",
        "manifestsync.spec.serviceAccountName",
        "manifestsync.status.failing.message",
    ] {
        let explained = world
            .cluster()
            .kubectl(&["explain", field])
            .await?
            .ok()?
            .stdout;
        let description = explained
            .split("DESCRIPTION:")
            .nth(1)
            .unwrap_or_default()
            .trim();
        check(
            !description.is_empty() && !description.contains("<empty>"),
            &format!("`kubectl explain {field}` to describe it, not: {explained}"),
        )?;
    }
    for short in ["wss", "sk", "msync", "waxwing"] {
        world
            .cluster()
            .kubectl(&["get", short, "--namespace", &world.namespace])
            .await?
            .ok()?;
    }
    Ok(())
}

async fn applying_deploy_again_changes_nothing(world: &World) -> Result<()> {
    let deploy = workspace().join("deploy");
    let deploy = deploy.to_str().context("a path in UTF-8")?;
    // The Deployment is scaled to nothing here, which is a difference; `--dry-run` leaves it so.
    let again = world
        .cluster()
        .kubectl(&["apply", "--dry-run=server", "--kustomize", deploy])
        .await?
        .ok()?;
    let changed: Vec<&str> = again
        .stdout
        .lines()
        .filter(|line| !line.contains("unchanged") && !line.starts_with("deployment.apps/"))
        .collect();
    check(
        changed.is_empty(),
        &format!("nothing to be changed, not: {changed:?}"),
    )
}

async fn one_key_is_active(world: &World) -> Result<()> {
    let keys = world
        .cluster()
        .list(&Kind::of(OURS, "SealingKey"), None)
        .await?;
    let active: Vec<_> = keys
        .iter()
        .filter(|key| key["spec"]["state"] == "Active")
        .collect();
    check(
        active.len() == 1,
        &format!("one Active key, not {}", active.len()),
    )?;
    let [key] = active.as_slice() else {
        unreachable!("checked above")
    };
    let spec = &key["spec"];
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    check(
        text("publicKey").starts_with("age1"),
        "a recipient in age's form",
    )?;
    check(text("fingerprint").starts_with("SHA256:"), "a fingerprint")?;
    check(
        text("signer").starts_with("ssh-ed25519 "),
        "the signer's public key",
    )?;
    check(
        !serde_json::to_string(&key)?.contains("AGE-SECRET-KEY"),
        "no private key in a SealingKey",
    )?;

    // Anybody who is logged in may read it, and nobody of them the private half.
    let anybody = ["--as", "somebody", "--as-group", "system:authenticated"];
    let read = [&["get", "sealingkeys"], &anybody[..]].concat();
    world.cluster().kubectl(&read).await?.ok()?;
    let private = [&["get", "secrets", "--namespace", NAMESPACE], &anybody[..]].concat();
    world.cluster().kubectl(&private).await?.exits(1)?;
    Ok(())
}

async fn keys_fetch_gives_what_the_signer_vouches_for(world: &World) -> Result<()> {
    let keys = world
        .cluster()
        .list(&Kind::of(OURS, "SealingKey"), None)
        .await?;
    let active = keys
        .iter()
        .find(|key| key["spec"]["state"] == "Active")
        .context("an Active key")?;
    let spec = &active["spec"];
    world
        .waxwing
        .run(&["keys", "fetch", "-o", "cluster.pub"])
        .await?
        .ok()?;
    let file =
        std::fs::read_to_string(world.directory.join("cluster.pub")).context("the fetched file")?;
    let recipients: Vec<&str> = file
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    check(
        recipients == [spec["publicKey"].as_str().unwrap_or_default()],
        "the Active key, and no other",
    )?;
    let said = world
        .waxwing
        .run(&["keys", "fingerprint", "cluster.pub"])
        .await?
        .ok()?
        .stdout;
    let fingerprint = spec["fingerprint"].as_str().unwrap_or_default();
    check(
        said.contains(fingerprint),
        &format!("`keys fingerprint` to say {fingerprint}, not: {said}"),
    )?;

    // ssh-keygen is the field's own reader of the signer's line.
    let signer = world.directory.join("signer.pub");
    std::fs::write(&signer, spec["signer"].as_str().unwrap_or_default())
        .context("the signer's line")?;
    let ssh = std::process::Command::new("ssh-keygen")
        .arg("-l")
        .arg("-f")
        .arg(&signer)
        .output();
    let ssh = ssh.context("running ssh-keygen (Debian: apt-get install openssh-client)")?;
    let ssh = String::from_utf8_lossy(&ssh.stdout).into_owned();
    let signer = ssh
        .split(' ')
        .nth(1)
        .context("a fingerprint from ssh-keygen")?;
    check(
        said.contains(signer),
        &format!("`keys fingerprint` to say {signer} of the signer, not: {said}"),
    )
}

async fn a_swapped_public_key_is_refused(world: &World) -> Result<()> {
    world
        .waxwing
        .run(&["keys", "fetch", "-o", "cluster.pub"])
        .await?
        .ok()?;
    let said = world
        .waxwing
        .run(&["keys", "fingerprint", "cluster.pub"])
        .await?
        .ok()?
        .stdout;
    let keys = world
        .cluster()
        .list(&Kind::of(OURS, "SealingKey"), None)
        .await?;
    let active = keys
        .iter()
        .find(|key| key["spec"]["state"] == "Active")
        .context("an Active key")?;
    let own = active["spec"]["fingerprint"].as_str().unwrap_or_default();
    let signer = said
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:") && *word != own);
    let signer = signer.with_context(|| format!("the signer's fingerprint in: {said}"))?;
    let config = format!(
        "version: 1\nclusters:\n  test: {{ recipients: cluster.pub, signer: \"{signer}\" }}\nrules:\n  - {{ path: \"**\", cluster: [test] }}\n"
    );
    std::fs::write(world.directory.join(".waxwing.yaml"), config).context("the configuration")?;
    std::fs::write(
        world.directory.join("secret.yaml"),
        world.secret("db", &[("password", "x")]),
    )
    .context("input")?;
    world
        .waxwing
        .run(&["trust", "--cluster", "test", signer])
        .await?
        .ok()?;
    world
        .waxwing
        .run(&["seal", "-f", "secret.yaml", "-o", "good.yaml"])
        .await?
        .ok()?;

    // An attacker with write access to the repository puts a key of their own in.
    let theirs = world
        .waxwing
        .run(&["keys", "generate", "-o", "theirs.key"])
        .await?
        .ok()?
        .stdout;
    let ours = active["spec"]["publicKey"].as_str().unwrap_or_default();
    let file =
        std::fs::read_to_string(world.directory.join("cluster.pub")).context("the fetched file")?;
    std::fs::write(
        world.directory.join("cluster.pub"),
        file.replace(ours, theirs.trim()),
    )
    .context("the swap")?;
    world
        .waxwing
        .run(&["seal", "-f", "secret.yaml", "-o", "bad.yaml"])
        .await?
        .exits(4)?;
    check(
        !world.directory.join("bad.yaml").exists(),
        "nothing to be written",
    )
}

async fn metrics_and_health_are_served(world: &World) -> Result<()> {
    for path in ["/livez", "/readyz"] {
        let (status, _) = world.controller.get(path).await?;
        check(
            status == 200,
            &format!("{path} to answer 200, not {status}"),
        )?;
    }
    let (status, metrics) = world.controller.get("/metrics").await?;
    check(
        status == 200 && metrics.contains("waxwing_"),
        &format!("metrics of ours, not {status}: {metrics}"),
    )?;
    let (status, _) = world.controller.get("/decrypt").await?;
    check(status == 404, "no other endpoint")?;
    let account = json!(world.controller.installation().account);
    check(
        account == "waxwing-controller",
        "the account that deploy/ documents",
    )
}

async fn both_programs_tell_their_version() -> Result<()> {
    let binaries = Binaries::ready()?;
    for program in [&binaries.waxwing, &binaries.controller] {
        let mut command = tokio::process::Command::new(program);
        let said = run(command.arg("--version"), None).await?.ok()?.stdout;
        check(
            said.contains(env!("CARGO_PKG_VERSION")),
            &format!("the version, not: {said}"),
        )?;
    }
    Ok(())
}
