//! Headers that users give to a call. Those that steer the connection, name the host or carry our signature are ours.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::PROVIDER;
use crate::error::{Detail, Error};

/// Most headers of one call.
const HEADERS_LIMIT: usize = 64;

/// Longest value of one header, in bytes.
const VALUE_LIMIT: usize = 8 * 1024;

/// Hop-by-hop headers, and those that the client writes itself.
const RESERVED: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Names of headers that belong to the signature begin with this.
const SIGNATURE_PREFIX: &str = "webhook-";

/// Parts of names whose values are secrets; an `Idempotency-Key` is none.
const SECRET_PARTS: [&str; 7] = [
    "auth",
    "cookie",
    "key",
    "password",
    "secret",
    "signature",
    "token",
];

/// The headers as they are sent.
///
/// # Errors
/// [`Error::Rejected`] that names the header.
pub(super) fn of_user(headers: &BTreeMap<String, String>) -> Result<HeaderMap, Error> {
    if headers.len() > HEADERS_LIMIT {
        return Err(refuse("too many headers"));
    }
    let mut sent = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let Ok(header) = HeaderName::try_from(name.as_str()) else {
            return Err(refuse(&format!("header {name:?} has no valid name")));
        };
        let is_ours =
            RESERVED.contains(&header.as_str()) || header.as_str().starts_with(SIGNATURE_PREFIX);
        if is_ours {
            return Err(refuse(&format!("header {header} must not be given")));
        }
        let value = HeaderValue::try_from(value.as_str())
            .ok()
            .filter(|value| value.len() <= VALUE_LIMIT)
            .ok_or_else(|| refuse(&format!("header {header} has no valid value")))?;
        if sent.insert(header.clone(), value).is_some() {
            return Err(refuse(&format!("header {header} is given twice")));
        }
    }
    Ok(sent)
}

/// The values that an endpoint must not be able to get into our logs by quoting them.
pub(super) fn secret_values(headers: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !name.starts_with("idempotency") && SECRET_PARTS.iter().any(|part| name.contains(part))
        })
        // The scheme of an `Authorization` header is no secret.
        .map(|(_, value)| value.rsplit(' ').next().unwrap_or(value))
}

fn refuse(message: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, message, &[]),
    }
}
