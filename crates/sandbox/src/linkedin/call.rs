//! A call as LinkedIn reads it: the headers that every call has, and the parameters of the query, which may have been
//! tunnelled through the body of a POST.

use std::collections::BTreeMap;

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    error::ApiError,
    restli::{Node, decode},
    versions,
};
use crate::door::Incoming;

/// Longest query that a GET can have.
const MOST_QUERY_BYTES: usize = 4_096;

/// A call whose headers are as they should be.
pub(super) struct Call<'c> {
    pub(super) incoming: &'c Incoming,
    /// The parameters as they were sent, encoded.
    params: BTreeMap<&'c str, &'c str>,
}

impl<'c> Call<'c> {
    /// # Errors
    /// 411, 405 and 414 for what is no GET and not tunnelled either, 400 and 426 for versions, 400 for the rest.
    pub(super) fn read(incoming: &'c Incoming) -> Result<Self, ApiError> {
        let query = query(incoming)?;
        check_version(incoming, incoming.at)?;
        if incoming.header("x-restli-protocol-version") != Some("2.0.0") {
            return Err(ApiError::illegal(
                "Invalid Rest.li protocol version: the header X-Restli-Protocol-Version has to be 2.0.0",
            ));
        }
        let mut params = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if params.insert(name, value).is_some() {
                return Err(ApiError::invalid_param(
                    name,
                    "The param is there more than once",
                ));
            }
        }
        Ok(Self { incoming, params })
    }

    /// # Errors
    /// QUERY_PARAM_NOT_ALLOWED for a parameter that is not one of these.
    pub(super) fn allow(&self, names: &[&str]) -> Result<(), ApiError> {
        let other = self.params.keys().find(|name| !names.contains(name));
        match other {
            Some(other) => Err(ApiError::unknown_param(other)),
            None => Ok(()),
        }
    }

    /// A parameter as it was sent, encoded.
    pub(super) fn raw(&self, name: &str) -> Option<&'c str> {
        self.params.get(name).copied()
    }

    /// A parameter that is a text.
    ///
    /// # Errors
    /// PARAM_INVALID for what is none.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let raw = self.raw(name);
        raw.map(|raw| decode(raw).ok_or_else(|| ApiError::bad_syntax(name)))
            .transpose()
    }

    /// A parameter that is a whole number, not below zero.
    ///
    /// # Errors
    /// PARAM_INVALID for what is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let raw = self.raw(name);
        raw.map(|raw| raw.parse().map_err(|_| ApiError::bad_syntax(name)))
            .transpose()
    }

    /// A parameter in the syntax of Rest.li.
    ///
    /// # Errors
    /// PARAM_INVALID for what is against it.
    pub(super) fn node(&self, name: &str) -> Result<Option<Node>, ApiError> {
        let raw = self.raw(name);
        raw.map(|raw| Node::read(raw).ok_or_else(|| ApiError::bad_syntax(name)))
            .transpose()
    }

    /// A thing with those of its members that `fields` names, or with all of them where nobody says
    /// which. Commas are of the syntax: encoded ones are part of a name.
    pub(super) fn project(&self, thing: Value) -> Value {
        match (thing, self.raw("fields")) {
            (Value::Object(mut members), Some(fields)) => {
                members.retain(|name, _| fields.split(',').any(|field| field == name));
                Value::Object(members)
            }
            (thing, _) => thing,
        }
    }

    /// All parameters but these, as they were sent.
    pub(super) fn question(&self, without: &[&str]) -> String {
        let pairs = self
            .params
            .iter()
            .filter(|(name, _)| !without.contains(name))
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// The query, wherever it is.
fn query(incoming: &Incoming) -> Result<&str, ApiError> {
    let in_address = incoming.uri.query().unwrap_or_default();
    if incoming.method == Method::GET {
        if in_address.len() > MOST_QUERY_BYTES {
            return Err(ApiError::query_too_long());
        }
        return Ok(in_address);
    }
    if incoming.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    if incoming.header("content-length").is_none() && incoming.header("transfer-encoding").is_none()
    {
        return Err(ApiError::length_required());
    }
    if incoming.header("x-http-method-override") != Some("GET") {
        return Err(ApiError::method_not_allowed());
    }
    let kind = incoming.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") || !in_address.is_empty() {
        return Err(ApiError::illegal(
            "A tunnelled query is the body of the request, with the content type application/x-www-form-urlencoded",
        ));
    }
    str::from_utf8(&incoming.body)
        .map_err(|_| ApiError::illegal("The body of the request is not a query"))
}

pub(super) fn check_version(incoming: &Incoming, now: DateTime<Utc>) -> Result<(), ApiError> {
    let version = incoming
        .header("linkedin-version")
        .ok_or_else(ApiError::no_version)?;
    if versions::is_active(version, now) {
        Ok(())
    } else {
        Err(ApiError::no_such_version(version))
    }
}
