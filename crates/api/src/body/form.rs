//! Forms that somebody without a key posts: small, read within a pace, each field taken by its name.

use axum::{
    extract::{FromRequest, Request},
    http::header,
};

use super::{read, utf8};
use crate::{error::ApiError, state::ApiState};

/// Largest form.
const LARGEST_BYTES: usize = 16_384;
const FORM: &str = "application/x-www-form-urlencoded";
const NOT_A_FORM: &str = "send the fields as application/x-www-form-urlencoded";

/// The fields of a form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a field that is there once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

impl FromRequest<ApiState> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let media = parts.headers.get(header::CONTENT_TYPE);
        let media = media.and_then(|value| value.to_str().ok());
        let name = media.and_then(|value| value.split(';').next());
        if !name.is_some_and(|name| name.trim().eq_ignore_ascii_case(FORM)) {
            return Err(ApiError::MediaType(NOT_A_FORM));
        }
        let mut share = state.body_room().share();
        let pace = &state.settings().body_pace;
        let bytes = read::whole(body, LARGEST_BYTES, pace, &mut share).await?;
        let fields = url::form_urlencoded::parse(utf8(&bytes)?.as_bytes());
        Ok(Self(fields.into_owned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_is_not_there() {
        let form = |text: &str| {
            Form(
                url::form_urlencoded::parse(text.as_bytes())
                    .into_owned()
                    .collect(),
            )
        };

        assert_eq!(form("a=1&b=%20x").field("b"), Some(" x"));
        assert_eq!(form("a=1&a=2").field("a"), None);
        assert_eq!(form("").field("a"), None);
    }
}
