//! A body that somebody without a key sends and that is signed: its bytes as they came, before anything reads them.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;

use super::{Share, read};
use crate::{error::ApiError, state::ApiState};

/// The bytes of a body of at most so many.
pub(crate) struct RawBody<const LARGEST_BYTES: usize> {
    pub(crate) bytes: Bytes,
    /// The room that it takes, for as long as it is at work.
    _share: Share,
}

impl<const LARGEST_BYTES: usize> FromRequest<ApiState> for RawBody<LARGEST_BYTES> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let mut share = state.body_room().share();
        let pace = &state.settings().body_pace;
        let bytes = read::whole(request.into_body(), LARGEST_BYTES, pace, &mut share).await?;
        Ok(Self {
            bytes,
            _share: share,
        })
    }
}
