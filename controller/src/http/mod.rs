//! `/livez`, `/readyz` and `/metrics` on one listener, for the kubelet and a monitoring system.
//! Nothing here opens, changes or reveals anything.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Says whether the controller does its work; the writing end of `/readyz`.
#[derive(Clone)]
pub struct Readiness {
    missing: watch::Sender<Option<String>>,
}

impl Readiness {
    /// Not ready yet, for a reason that `/readyz` shows.
    pub fn not_yet(why: &str) -> Self {
        Self {
            missing: watch::Sender::new(Some(why.to_owned())),
        }
    }

    /// From now on `/readyz` answers 200.
    pub fn ready(&self) {
        self.missing.send_replace(None);
    }

    /// From now on `/readyz` answers 503 with the reason.
    pub fn unready(&self, why: &str) {
        self.missing.send_replace(Some(why.to_owned()));
    }

    /// Whether the controller is ready now.
    pub fn is_ready(&self) -> bool {
        self.missing.borrow().is_none()
    }

    /// Returns once the controller is ready.
    pub async fn wait_ready(&self) {
        // The sender lives as long as `self`, so this does not end early.
        let _ = self.missing.subscribe().wait_for(Option::is_none).await;
    }
}

/// Serves until the token is cancelled; then finishes the requests at hand.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router(registry, readiness))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// The routes.
pub fn router(registry: Arc<Registry>, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing.borrow().clone();
    match missing {
        None => "ok\n".into_response(),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        )
            .into_response(),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let mut response = text.into_response();
            response.headers_mut().insert(CONTENT_TYPE, OPENMETRICS);
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use crate::metrics::{Kind, Metrics, Outcome};

    struct Running {
        base: String,
        metrics: Metrics,
        readiness: Readiness,
        shutdown: CancellationToken,
        server: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let readiness = Readiness::not_yet("the caches are not filled");
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(
            listener,
            Arc::new(registry),
            readiness.clone(),
            shutdown.clone(),
        ));
        Running {
            base,
            metrics,
            readiness,
            shutdown,
            server,
        }
    }

    async fn ask(running: &Running, path: &str) -> (u16, String, String) {
        let response = reqwest::get(format!("{}{path}", running.base))
            .await
            .expect("answers");
        let status = response.status().as_u16();
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        (status, kind, response.text().await.expect("text"))
    }

    #[tokio::test]
    async fn readiness_follows_its_handle_and_liveness_does_not() {
        let running = start().await;
        let (status, _, text) = ask(&running, "/readyz").await;
        assert_eq!(
            (status, text.as_str()),
            (503, "not ready: the caches are not filled\n")
        );
        assert_eq!(ask(&running, "/livez").await.0, 200);

        running.readiness.ready();
        running.readiness.wait_ready().await;
        assert_eq!(ask(&running, "/readyz").await.0, 200);

        running.readiness.unready("shutting down");
        assert!(!running.readiness.is_ready());
        let (status, _, text) = ask(&running, "/readyz").await;
        assert_eq!((status, text.as_str()), (503, "not ready: shutting down\n"));
        assert_eq!(ask(&running, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_text() {
        let running = start().await;
        running
            .metrics
            .reconciled(Kind::ManifestSync, Outcome::Succeeded);
        let (status, kind, text) = ask(&running, "/metrics").await;
        assert_eq!(status, 200);
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        assert!(
            text.contains("waxwing_reconciles_total{kind=\"ManifestSync\",result=\"Succeeded\"} 1"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_nothing() {
        let running = start().await;
        assert_eq!(ask(&running, "/").await.0, 404);
        assert_eq!(ask(&running, "/v1/verify").await.0, 404);
    }

    #[tokio::test]
    async fn the_server_ends_when_told_to() {
        let running = start().await;
        running.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), running.server)
            .await
            .expect("ends")
            .expect("does not panic")
            .expect("without an error");
    }
}
