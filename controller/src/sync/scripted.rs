//! A scripted API server for unit tests: answers each request from a function, and keeps what was asked.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

/// A request as the script sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `PATCH /api/v1/namespaces/prod/configmaps/a`.
    pub line: String,
    /// Everything behind the question mark.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, `null` when there is none.
    pub body: Value,
}

/// What was asked so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Asked>>>);

impl Log {
    /// All requests, in order.
    pub fn all(&self) -> Vec<Asked> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Method and path of those that would have changed something: no dry runs, no questions.
    pub fn writes(&self) -> Vec<String> {
        self.all()
            .into_iter()
            .filter(|asked| !asked.line.starts_with("GET ") && !asked.query.contains("dryRun=All"))
            .filter(|asked| !asked.line.contains("accessreviews"))
            .map(|asked| asked.line)
            .collect()
    }
}

/// A client whose requests are answered by `answer` with a status code and a body.
pub fn client(
    answer: impl Fn(&Asked) -> (u16, Value) + Clone + Send + Sync + 'static,
) -> (Client, Log) {
    let log = Log::default();
    let kept = log.clone();
    let service = service_fn(move |request: Request<Body>| {
        let (answer, kept) = (answer.clone(), kept.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let asked = Asked {
                line: format!("{} {}", parts.method, parts.uri.path()),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                headers: parts.headers,
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            let (code, body) = answer(&asked);
            kept.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(asked);
            let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap()));
            *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
            Ok::<_, kube::Error>(response)
        }
    });
    (Client::new(service, "default"), log)
}

/// A refusal.
pub fn failure(code: u16, reason: &str, message: &str, details: &Value) -> (u16, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message, "details": details});
    (code, body)
}

/// A conflict of field managers.
pub fn conflict(manager: &str) -> (u16, Value) {
    let causes = json!({"causes": [{"reason": "FieldManagerConflict", "field": ".data.a",
        "message": format!("conflict with \"{manager}\" using v1")}]});
    failure(409, "Conflict", "Apply failed with 1 conflict", &causes)
}

/// The answer to a `LocalSubjectAccessReview`.
pub fn review(asked: &Asked, allowed: bool) -> (u16, Value) {
    let body = json!({"kind": "LocalSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {}, "spec": asked.body["spec"], "status": {"allowed": allowed}});
    (201, body)
}
