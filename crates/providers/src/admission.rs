//! What lets a request out: whoever keeps a quota stands behind it, and a client asks before each request.

use std::future::Future;

use crate::error::Error;

/// Lets requests out one by one.
pub trait Admission: Sync {
    /// Held while a request is under way.
    type Pass: Send;

    /// Waits until one more request may go out.
    ///
    /// # Errors
    /// [`Error::Postponed`] where none may for longer than is worth waiting.
    fn admit(&self) -> impl Future<Output = Result<Self::Pass, Error>> + Send;
}
