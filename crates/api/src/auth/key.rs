//! The key that a request presents. What does not look like a key is never looked up.

use axum::http::{HeaderMap, HeaderValue, header};

const X_API_KEY: &str = "x-api-key";
/// What every key begins with.
const PREFIX: &str = "mp_";
/// Longest text that is looked up.
const LONGEST: usize = 128;

/// What a request says of its key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presented<'a> {
    /// It has no key.
    Nothing,
    /// It has more than one, or one that no key can look like.
    Unsound,
    /// It has this one, known or not.
    Secret(&'a str),
}

/// Reads `Authorization: Bearer mp_…` or `X-API-Key: mp_…`; both, or one twice, is unsound.
pub(super) fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut bearer = headers.get_all(header::AUTHORIZATION).iter();
    let mut api_key = headers.get_all(X_API_KEY).iter();
    let secret = match (bearer.next(), bearer.next(), api_key.next(), api_key.next()) {
        (None, None, None, None) => return Presented::Nothing,
        (Some(value), None, None, None) => bearer_token(value),
        (None, None, Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    match secret {
        Some(secret) if is_sound(secret) => Presented::Secret(secret),
        _ => Presented::Unsound,
    }
}

fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn is_sound(secret: &str) -> bool {
    secret.starts_with(PREFIX)
        && secret.len() <= LONGEST
        && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        let bearer = headers(&[("authorization", "bearer mp_abc")]);
        let api_key = headers(&[("x-api-key", "mp_abc")]);

        assert_eq!(presented(&bearer), Presented::Secret("mp_abc"));
        assert_eq!(presented(&api_key), Presented::Secret("mp_abc"));
        assert_eq!(presented(&HeaderMap::new()), Presented::Nothing);
    }

    #[test]
    fn two_keys_wrong_schemes_blanks_and_foreign_keys_are_unsound() {
        for pairs in [
            &[("authorization", "Bearer mp_a"), ("x-api-key", "mp_a")][..],
            &[("x-api-key", "mp_a"), ("x-api-key", "mp_a")],
            &[("authorization", "Basic mp_a")],
            &[("authorization", "mp_a")],
            &[("authorization", "Bearer  mp_a")],
            &[("x-api-key", "mp_a b")],
            &[("x-api-key", "sk_a")],
            &[("x-api-key", "")],
        ] {
            assert_eq!(presented(&headers(pairs)), Presented::Unsound, "{pairs:?}");
        }
    }
}
