//! Asking a cluster for its `SealingKeys`: the only code of this program that opens a socket.

use crds::SealingKey;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    error::{Code, CommandError},
    session::Session,
    terminal::printable,
};

/// What a cluster answered.
pub struct Answer {
    /// The context that was used, when there is a kubeconfig.
    pub context: Option<String>,
    /// Every `SealingKey`.
    pub keys: Vec<SealingKey>,
}

/// Reads all `SealingKeys`. The async runtime and the TLS provider exist from here on only.
pub fn sealing_keys(context: Option<&str>, session: &Session) -> Result<Answer, CommandError> {
    session.need_network("reading a cluster's keys")?;
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::new(Code::Internal, format!("cannot start: {error}")))?
        .block_on(read(context))
}

async fn read(context: Option<&str>) -> Result<Answer, CommandError> {
    let unusable = |error: String| {
        CommandError::new(
            Code::Cluster,
            format!("there is no usable kubeconfig: {}", printable(&error)),
        )
        .hint("see `kubectl config get-contexts`; KUBECONFIG names the file, --context the entry")
    };
    let (config, used) = match Kubeconfig::read() {
        Ok(kubeconfig) => {
            let used = context
                .map(str::to_owned)
                .or_else(|| kubeconfig.current_context.clone());
            let options = KubeConfigOptions {
                context: context.map(str::to_owned),
                ..KubeConfigOptions::default()
            };
            let config = Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| unusable(error.to_string()))?;
            (config, used)
        }
        Err(error) if context.is_some() => return Err(unusable(error.to_string())),
        // In a pod there is no kubeconfig, but a service account.
        Err(_) => (
            Config::infer()
                .await
                .map_err(|error| unusable(error.to_string()))?,
            None,
        ),
    };
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| unusable(error.to_string()))?;
    let list = Api::<SealingKey>::all(client)
        .list(&ListParams::default())
        .await
        .map_err(|error| unanswered(&error, &server))?;
    Ok(Answer {
        context: used,
        keys: list.items,
    })
}

fn unanswered(error: &kube::Error, server: &str) -> CommandError {
    if let kube::Error::Api(status) = error {
        let found = CommandError::new(
            Code::Cluster,
            format!(
                "{server} does not give its SealingKeys: {}",
                printable(&status.message)
            ),
        );
        return match status.code {
            404 => found.hint("Waxwing is not installed there: kubectl apply -k deploy"),
            401 => found.hint("your credentials for this cluster are not valid: check them with `kubectl auth whoami`"),
            403 => found.hint("you may not list sealingkeys.waxwing.dev; the installation lets every authenticated user read them"),
            _ => found,
        };
    }
    CommandError::new(
        Code::Cluster,
        format!("{server} cannot be asked: {}", printable(&chain(error))),
    )
    .hint("check with `kubectl cluster-info`; --context chooses another cluster")
}

/// An error with its causes: the reason of a failed connection is the last one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
