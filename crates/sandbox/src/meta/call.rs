//! A call as Graph reads it: parameters come in the query, in a form, in a JSON body, or in all of
//! them at once; lists and objects may be JSON text.

use std::collections::HashMap;

use axum::http::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};
use serde_json::Value;
use url::form_urlencoded;

use super::error::GraphError;

/// A call whose parameters have been read.
pub(super) struct Call {
    pub(super) method: Method,
    path: String,
    /// By name; what the body says beats what the query says.
    params: HashMap<String, Value>,
    bearer: Option<String>,
}

impl Call {
    /// # Errors
    /// [`GraphError`] when the body is not what its content type says.
    pub(super) fn read(parts: &Parts, body: &[u8]) -> Result<Self, GraphError> {
        let mut params = HashMap::new();
        let query = parts.uri.query().unwrap_or_default();
        params.extend(form(query.as_bytes()));
        if !body.is_empty() {
            let content_type = header(parts, CONTENT_TYPE.as_str()).unwrap_or_default();
            params.extend(body_params(content_type, body)?);
        }
        let bearer = header(parts, AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::to_owned);
        Ok(Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            params,
            bearer,
        })
    }

    /// The path's segments without the version.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        let mut segments = self
            .path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .peekable();
        let _version = segments.next_if(|segment| is_version(segment));
        segments
    }

    /// A parameter that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// A parameter that is a list or an object, or JSON text of one; `None` when it is missing or
    /// is neither.
    pub(super) fn structure(&self, name: &str) -> Option<Value> {
        let value = match self.params.get(name)? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            value => value.clone(),
        };
        (value.is_array() || value.is_object()).then_some(value)
    }

    /// The access token, from the parameters or the header.
    pub(super) fn token(&self) -> Option<&str> {
        self.text("access_token")
            .or(self.bearer.as_deref())
            .filter(|token| !token.is_empty())
    }
}

fn body_params(content_type: &str, body: &[u8]) -> Result<Vec<(String, Value)>, GraphError> {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(form(body).collect());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) if content_type.starts_with("application/json") => {
            Ok(members.into_iter().collect())
        }
        Ok(_) | Err(_) => Err(GraphError::unreadable_body()),
    }
}

fn form(text: &[u8]) -> impl Iterator<Item = (String, Value)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
}

fn header<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// `v26.0` and its like.
fn is_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|number| number.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}
