//! The service at the heart of an apalis worker: one worker runs many kinds, dispatched by name.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::error::Error;
use futures::{FutureExt, future::BoxFuture};
use tower::Service;

use super::backend::UnitRequest;
use crate::worker::{attempt::Runner, claimed::Settlement};

/// Runs a unit's handler.
pub(super) struct Dispatch<A>(pub(super) Arc<Runner<A>>);

impl<A> Clone for Dispatch<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Send + Sync + 'static> Service<UnitRequest> for Dispatch<A> {
    type Response = Vec<Settlement>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Vec<Settlement>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: UnitRequest) -> Self::Future {
        let runner = Arc::clone(&self.0);
        async move { Ok(runner.run(request.args).await) }.boxed()
    }
}
