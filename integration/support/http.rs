//! A plain HTTP client.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Status, and body as text.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// `None` when nobody listens.
pub(crate) async fn get(url: &str) -> Option<Answer> {
    send(http::Request::get(url).body(Full::default()).unwrap()).await
}

/// `None` when nobody listens.
pub(crate) async fn post(url: &str, content_type: &str, body: Vec<u8>) -> Option<Answer> {
    let request = http::Request::post(url).header("content-type", content_type);
    send(request.body(Full::from(body)).unwrap()).await
}

async fn send(request: http::Request<Full<Bytes>>) -> Option<Answer> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some(Answer { status, text: String::from_utf8_lossy(&body).into_owned() })
}
