//! `http.request`: a call to an endpoint that the payload names.

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::webhook::ChosenBy;
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    App,
    call::{Call, call_until_stopped},
    error::Error,
};

/// A call to an endpoint. It may run twice: the endpoint gets the same `idempotency-key`, and `webhook-id` where there is
/// a secret, on every attempt and replay.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["method"], "properties": { "method": { "enum": ["GET", "HEAD"] } } },
    "then" = { "properties": { "body": { "type": "null" } } },
))]
pub(super) struct HttpRequest {
    /// Where: an https address that is not in a network of ours.
    #[schemars(length(min = 1, max = 4_096), regex(pattern = "^https?://"))]
    url: String,
    /// How.
    #[serde(default)]
    method: Method,
    /// Headers beside those of the connection and of the signature.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    headers: BTreeMap<String, String>,
    /// What is sent, as JSON; a text is sent as a JSON text too.
    #[schemars(with = "Option<serde_json::Value>")]
    body: Option<Box<RawValue>>,
    /// The name of a configured secret, which the call is signed with as a Standard Webhook.
    #[schemars(length(min = 1, max = 100))]
    secret: Option<String>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Job for HttpRequest {
    const KIND: &'static str = "http.request";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        call_until_stopped(ctx, self.into_call()?).await
    }
}

impl HttpRequest {
    fn into_call(self) -> Result<Call, Error> {
        if self.body.is_some() && matches!(self.method, Method::Get | Method::Head) {
            let problem = "must not be given for GET and HEAD";
            return Err(Error::Payload {
                pointer: "/body",
                problem,
            });
        }
        Ok(Call {
            url: self.url,
            method: self.method.as_str(),
            headers: self.headers,
            body: self.body.map_or_else(Bytes::new, |body| {
                Bytes::copy_from_slice(body.get().as_bytes())
            }),
            secret: self.secret,
            chosen_by: ChosenBy::Requester,
        })
    }
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::schema_accepts;

    const URL: &str = "https://app.example.com/hook";

    fn call(payload: &str) -> Result<Call, Error> {
        serde_json::from_str::<HttpRequest>(payload)
            .expect("it decodes")
            .into_call()
    }

    #[test]
    fn the_schema_takes_what_the_handler_takes() {
        let accepts = |payload: Value| schema_accepts::<HttpRequest>(&payload);

        assert!(accepts(json!({ "url": URL })));
        assert!(accepts(
            json!({ "url": URL, "method": "PUT", "body": "text", "secret": null })
        ));
        assert!(accepts(
            json!({ "url": URL, "headers": { "x-tenant": "acme" }, "body": [1, 2] })
        ));
        assert!(accepts(
            json!({ "url": URL, "method": "GET", "body": null })
        ));
        assert!(accepts(json!({ "url": "http://127.0.0.1:3000/" })));
        assert!(!accepts(json!({ "url": "app.example.com/hook" })));
        assert!(!accepts(json!({ "url": "gopher://app.example.com/" })));
        assert!(!accepts(json!({ "method": "GET" })));
        assert!(!accepts(json!({ "url": URL, "method": "TRACE" })));
        assert!(!accepts(json!({ "url": URL, "method": "GET", "body": {} })));
        assert!(!accepts(json!({ "url": URL, "headers": { "x": 1 } })));
        assert!(!accepts(json!({ "url": URL, "header": {} })));
    }

    #[test]
    fn the_body_is_sent_byte_for_byte() {
        let call = call(r#"{"url": "https://a.example", "body": {"b": 1.50,  "a": "\u00e4"}}"#);

        let call = call.expect("sound");
        assert_eq!(call.body, r#"{"b": 1.50,  "a": "\u00e4"}"#.as_bytes());
        assert_eq!(call.method, "POST");
    }

    #[test]
    fn no_body_goes_with_a_method_that_has_none() {
        let refused = call(r#"{"url": "https://a.example", "method": "GET", "body": 1}"#);
        let taken = call(r#"{"url": "https://a.example", "method": "GET", "body": null}"#);

        assert!(matches!(
            refused,
            Err(Error::Payload {
                pointer: "/body",
                ..
            })
        ));
        assert!(taken.is_ok_and(|call| call.body.is_empty() && call.method == "GET"));
    }
}
