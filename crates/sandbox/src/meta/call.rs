//! A call as Graph reads it: parameters come in the query, in a form, in a JSON body, or in all of
//! them at once; lists and objects may be JSON text.

use std::collections::BTreeMap;

use axum::http::{Method, header::CONTENT_TYPE};
use serde_json::Value;
use url::form_urlencoded;

use super::error::GraphError;
use crate::door::Incoming;

/// The version that is shown where the caller names none.
const VERSION: &str = "v26.0";

/// A call whose parameters have been read.
pub(super) struct Call {
    pub(super) method: Method,
    path: String,
    /// Scheme and host, as the caller sees them.
    base: String,
    /// By name; what the body says beats what the query says.
    params: BTreeMap<String, Value>,
    bearer: Option<String>,
}

impl Call {
    /// # Errors
    /// [`GraphError`] when the body is not what its content type says.
    pub(super) fn read(incoming: &Incoming) -> Result<Self, GraphError> {
        let mut params = BTreeMap::new();
        params.extend(form(incoming.uri.query().unwrap_or_default().as_bytes()));
        if !incoming.body.is_empty() {
            let content_type = incoming.header(CONTENT_TYPE.as_str()).unwrap_or_default();
            params.extend(body_params(content_type, &incoming.body)?);
        }
        let host = incoming.header("host").unwrap_or("localhost");
        Ok(Self {
            method: incoming.method.clone(),
            path: incoming.path.clone(),
            base: format!("http://{host}"),
            params,
            bearer: incoming.bearer().map(str::to_owned),
        })
    }

    /// An operation of a batch, which has the batch's token unless it brings its own.
    pub(super) fn part(&self, method: Method, relative_url: &str, body: &str) -> Self {
        let relative_url = relative_url.trim_start_matches('/');
        let (path, query) = relative_url.split_once('?').unwrap_or((relative_url, ""));
        let mut params: BTreeMap<_, _> = form(query.as_bytes()).collect();
        params.extend(form(body.as_bytes()));
        if !params.contains_key("access_token") {
            for name in ["access_token", "appsecret_proof"] {
                if let Some(value) = self.params.get(name) {
                    params
                        .entry(name.to_owned())
                        .or_insert_with(|| value.clone());
                }
            }
        }
        let path = if path.split('/').next().is_some_and(is_version) {
            format!("/{path}")
        } else {
            format!("/{}/{path}", self.version())
        };
        Self {
            method,
            path,
            base: self.base.clone(),
            params,
            bearer: self.bearer.clone(),
        }
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

    /// Whether a person is to be asked for access, by a page.
    pub(super) fn is_dialog(&self) -> bool {
        self.segments().eq(["dialog", "oauth"])
    }

    /// Whether it is many calls in one.
    pub(super) fn is_batch(&self) -> bool {
        self.method == Method::POST
            && self.segments().next().is_none()
            && self.params.contains_key("batch")
    }

    /// A parameter that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// A parameter that is a whole number, or text of one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.params.get(name)? {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64(),
        }
    }

    /// Whether there is such a parameter.
    pub(super) fn has(&self, name: &str) -> bool {
        self.params.contains_key(name)
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

    /// A parameter that is a list of texts: as JSON, or separated by commas.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        if let Some(Value::Array(words)) = self.structure(name) {
            let texts = words.iter().filter_map(Value::as_str);
            return texts.map(str::to_owned).collect();
        }
        let text = self.text(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The access token, from the parameters or the header.
    pub(super) fn token(&self) -> Option<&str> {
        self.text("access_token")
            .or(self.bearer.as_deref())
            .filter(|token| !token.is_empty())
    }

    /// What was asked for, without who asked: for a report that is made later.
    pub(super) fn question(&self) -> Value {
        let asked = self
            .params
            .iter()
            .filter(|(name, _)| !is_left_out(name))
            .map(|(name, value)| (name.clone(), value.clone()));
        Value::Object(asked.collect())
    }

    /// The same call with the parameters of a report, and of its own only these.
    pub(super) fn asking(&self, question: &Value, own: &[&str]) -> Self {
        let asked = question.as_object().into_iter().flatten();
        let kept = self
            .params
            .iter()
            .filter(|(name, _)| own.contains(&name.as_str()));
        let params = asked
            .chain(kept)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            method: self.method.clone(),
            path: self.path.clone(),
            base: self.base.clone(),
            params,
            bearer: self.bearer.clone(),
        }
    }

    /// Where the same call goes on, token and all, as Graph says it.
    pub(super) fn address_with(&self, changed: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(token) = self.token() {
            query.append_pair("access_token", token);
        }
        for (name, value) in &self.params {
            let is_changed = changed.iter().any(|(changed, _)| name == changed);
            if is_changed || is_left_out(name) {
                continue;
            }
            match value {
                Value::String(text) => query.append_pair(name, text),
                value => query.append_pair(name, &value.to_string()),
            };
        }
        query.extend_pairs(changed);
        let path: Vec<_> = self.segments().collect();
        let (base, version) = (&self.base, self.version());
        format!("{base}/{version}/{}?{}", path.join("/"), query.finish())
    }

    fn version(&self) -> &str {
        let first = self.path.split('/').find(|segment| !segment.is_empty());
        first
            .filter(|segment| is_version(segment))
            .unwrap_or(VERSION)
    }
}

/// What is said anew with each call: who asks, and where the list goes on.
fn is_left_out(name: &str) -> bool {
    matches!(
        name,
        "access_token" | "appsecret_proof" | "after" | "before"
    )
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

/// `v26.0` and its like.
fn is_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|number| number.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}
