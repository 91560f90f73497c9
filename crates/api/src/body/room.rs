//! Room for the bodies of all requests together: many large ones at once must not take the process's memory.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Room is handed out in pieces of this size.
const PIECE_BYTES: usize = 4_096;
/// When those may return for whom there was none.
const RETRY: Duration = Duration::from_secs(1);

/// The room of a process.
pub(crate) struct BodyRoom(Arc<Semaphore>);

impl BodyRoom {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PIECE_BYTES)))
    }

    /// A share for one body, without any room yet.
    pub(crate) fn share(&self) -> Share {
        Share {
            room: Arc::clone(&self.0),
            taken: None,
        }
    }
}

/// The room that one body takes, for as long as this lives.
pub(crate) struct Share {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes it large enough for so many bytes in all.
    ///
    /// # Errors
    /// [`ApiError::Overloaded`] when that much is not there.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = bytes.div_ceil(PIECE_BYTES).saturating_sub(held);
        if lacking == 0 {
            return Ok(());
        }
        let lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room)
            .try_acquire_many_owned(lacking)
            .map_err(|_| ApiError::Overloaded { retry_after: RETRY })?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_the_room_and_give_it_back() {
        let room = BodyRoom::new(4 * PIECE_BYTES);
        let (mut one, mut other) = (room.share(), room.share());

        assert!(one.hold(1).is_ok());
        assert!(one.hold(3 * PIECE_BYTES).is_ok());
        assert!(other.hold(PIECE_BYTES).is_ok());
        assert!(matches!(
            other.hold(PIECE_BYTES + 1),
            Err(ApiError::Overloaded { .. })
        ));
        drop(one);
        assert!(other.hold(4 * PIECE_BYTES).is_ok());
    }
}
