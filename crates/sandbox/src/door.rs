//! What every server for a platform does with a call before its own work: reads it whole, writes it
//! down, and lets a fault or an outage have its way. The work itself computes figures, so it runs
//! where it keeps nobody waiting.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use tokio::task;
use url::form_urlencoded;

use crate::{
    faults::{HttpFault, Voice, play},
    http::{self, Peer},
    ledger::ProviderCall,
    shared::Shared,
    world::Platform,
};

/// Largest body that is taken: a thousand conversion events have room in it many times over.
const MOST_BODY_BYTES: usize = 16 << 20;
/// Parameters that are not written down.
const SECRETS: [&str; 16] = [
    "access_token",
    "appsecret_proof",
    "assertion",
    "auth_code",
    "client_secret",
    "code",
    "code_verifier",
    "fb_exchange_token",
    "input_token",
    "oauth_token",
    "oauth_verifier",
    "refresh_token",
    "secret",
    "state",
    "token",
    "token_secret",
];

/// A call that has been read whole.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// The provider's own path, without what stands before it here.
    pub(crate) path: String,
    /// As it was sent, query included.
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The number that the ledger knows it by among its platform's calls.
    pub(crate) number: u64,
    /// When it arrived, by the world's clock.
    pub(crate) at: DateTime<Utc>,
}

impl Incoming {
    /// The parameters of the query, in their order.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        pairs(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The parameters of a body that is a form, in their order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// A server for a platform.
pub(crate) struct Server {
    pub(crate) platform: Platform,
    /// What stands before its paths here, `/linkedin` for one; empty for none.
    pub(crate) mount: &'static str,
    /// How it says what faults make it say.
    pub(crate) voice: Voice,
    /// Its work.
    pub(crate) answer: fn(&Shared, &Incoming) -> Response,
}

impl Server {
    /// Answers a call.
    pub(crate) async fn serve(
        &self,
        shared: Arc<Shared>,
        peer: Peer,
        request: Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let body = match http::read_body(body, MOST_BODY_BYTES).await {
            Ok(body) => body,
            Err(status) => return status.into_response(),
        };
        let path = parts.uri.path();
        let path = path.strip_prefix(self.mount).unwrap_or(path).to_owned();
        let fault = self.fault(&shared, &path);
        let at = shared.world.now();
        let number = shared.ledger.add_call(ProviderCall {
            at,
            platform: self.platform,
            method: parts.method.to_string(),
            path: path.clone(),
            query: without_secrets(parts.uri.query().unwrap_or_default()),
            body_bytes: body.len(),
            fault: fault.as_ref().map(HttpFault::kind),
        });
        let incoming = Incoming {
            method: parts.method,
            path,
            uri: parts.uri,
            headers: parts.headers,
            body,
            number,
            at,
        };
        let answer = self.answer;
        play(fault, self.voice, &peer, async move {
            task::spawn_blocking(move || answer(&shared, &incoming))
                .await
                .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        })
        .await
    }

    /// A platform that is down has nothing left that could go wrong.
    fn fault(&self, shared: &Shared, path: &str) -> Option<HttpFault> {
        if shared.limits.is_down(self.platform) {
            return Some(HttpFault::Html { status: 503 });
        }
        shared.faults.take_platform(self.platform, path)
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn without_secrets(query: &str) -> String {
    let kept = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !SECRETS.contains(&name.as_ref()));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_written_down() {
        let query = "fields=id%2Cname&access_token=fake&after=abc&appsecret_proof=00";

        assert_eq!(without_secrets(query), "fields=id%2Cname&after=abc");
    }
}
