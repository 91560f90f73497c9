//! What a body claims to be.

use axum::http::{HeaderMap, header};

use crate::error::ApiError;

/// The form of a body by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// It does not say.
    Absent,
    /// `application/json`.
    Json,
    /// `application/x-ndjson`.
    Lines,
    /// Anything else, or a character set that is not UTF-8.
    Other,
}

impl Media {
    /// Reads `Content-Type`.
    ///
    /// # Errors
    /// When the body is encoded: what it would unfold to has no bound that could be checked here.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(ApiError::MediaType(
                "send the body without a content encoding",
            ));
        }
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        Ok(match (types.next(), types.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => value.to_str().map_or(Self::Other, Self::named),
            (Some(_), Some(_)) => Self::Other,
        })
    }

    fn named(value: &str) -> Self {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_utf8 =
            parts
                .filter_map(|parameter| parameter.split_once('='))
                .all(|(name, value)| {
                    !name.eq_ignore_ascii_case("charset")
                        || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
                });
        if !is_utf8 {
            Self::Other
        } else if name.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if name.eq_ignore_ascii_case("application/x-ndjson") {
            Self::Lines
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn media(value: &'static str) -> Media {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        Media::of(&headers).expect("no content encoding")
    }

    #[test]
    fn json_and_lines_are_known_in_utf_8_alone() {
        assert_eq!(media("application/json"), Media::Json);
        assert_eq!(media("Application/JSON; charset=\"UTF-8\""), Media::Json);
        assert_eq!(media("application/x-ndjson;charset=utf-8"), Media::Lines);
        assert_eq!(media("application/json; charset=utf-16"), Media::Other);
        assert_eq!(media("application/x-www-form-urlencoded"), Media::Other);
        assert_eq!(Media::of(&HeaderMap::new()).ok(), Some(Media::Absent));
    }

    #[test]
    fn an_encoded_body_is_refused_before_it_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));

        assert!(matches!(Media::of(&headers), Err(ApiError::MediaType(_))));
    }
}
