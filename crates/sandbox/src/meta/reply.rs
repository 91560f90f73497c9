//! An answer before it is sent: alone, or as an entry of a batch.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::error::GraphError;

/// An answer of Graph's.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
        }
    }

    /// Adds a header whose value is JSON.
    pub(super) fn tell(&mut self, name: &'static str, value: &Value) {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

impl From<GraphError> for Reply {
    fn from(error: GraphError) -> Self {
        let mut reply = Self {
            status: error.status(),
            ..Self::ok(error.body())
        };
        if error.is_about_the_token() {
            let value = HeaderValue::from_static(r#"OAuth "Facebook Platform" "invalid_token""#);
            reply.headers.insert(WWW_AUTHENTICATE, value);
        }
        reply
    }
}

impl From<Result<Value, GraphError>> for Reply {
    fn from(told: Result<Value, GraphError>) -> Self {
        match told {
            Ok(body) => Self::ok(body),
            Err(error) => error.into(),
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, self.headers, Json(self.body)).into_response()
    }
}
