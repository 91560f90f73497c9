//! Request bodies: read whole, within a size and a pace, and taken as what their `Content-Type` says.

mod form;
mod media;
mod raw;
mod read;
mod room;

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use bytes::Bytes;

pub(crate) use form::Form;
pub(crate) use raw::RawBody;
pub use read::Pace;
pub(crate) use room::{BodyRoom, Share};

use crate::{error::ApiError, json::Object};
use media::Media;

const NOT_JSON: &str = "send the body as application/json in UTF-8";
const NOT_JSON_OR_LINES: &str =
    "send the body as application/json or application/x-ndjson in UTF-8";

/// A body that arrived whole.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    bytes: Bytes,
    media: Media,
}

/// A batch in either of its forms.
pub(crate) enum Batch<'a> {
    /// One JSON document.
    Json(Object<'a>),
    /// A JSON document a line.
    Lines(&'a [u8]),
}

impl RequestBody {
    /// Reads a body into its share of the room, refusing early what could only be refused later.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: Body,
        limit_bytes: usize,
        pace: &Pace,
        share: &mut Share,
    ) -> Result<Self, ApiError> {
        let media = Media::of(headers)?;
        let bytes = read::whole(body, limit_bytes, pace, share).await?;
        Ok(Self { bytes, media })
    }

    /// The members of a JSON object.
    pub(crate) fn object(&self) -> Result<Object<'_>, ApiError> {
        match self.media {
            Media::Json => Object::parse(utf8(&self.bytes)?),
            Media::Absent | Media::Lines | Media::Other => Err(ApiError::MediaType(NOT_JSON)),
        }
    }

    /// The members of a JSON object; of an empty one where nothing was sent.
    pub(crate) fn object_or_nothing(&self) -> Result<Object<'_>, ApiError> {
        if self.bytes.is_empty() {
            Object::parse("{}")
        } else {
            self.object()
        }
    }

    /// Refuses members where none is expected.
    pub(crate) fn nothing(&self) -> Result<(), ApiError> {
        self.object_or_nothing()?.finish()
    }

    /// A batch, as JSON or as lines.
    pub(crate) fn batch(&self) -> Result<Batch<'_>, ApiError> {
        match self.media {
            Media::Json => Ok(Batch::Json(Object::parse(utf8(&self.bytes)?)?)),
            Media::Lines => Ok(Batch::Lines(&self.bytes)),
            Media::Absent | Media::Other => Err(ApiError::MediaType(NOT_JSON_OR_LINES)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let body = parts.extensions.remove::<Self>();
        body.ok_or(ApiError::Wiring(
            "a handler without admission asked for its body",
        ))
    }
}

/// The text of a body or of a line of it.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|error| ApiError::MalformedBody {
        detail: format!("the body is not UTF-8 from byte {} on", error.valid_up_to()),
        errors: Vec::new(),
    })
}
