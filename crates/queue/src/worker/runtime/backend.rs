//! Our apalis `Backend`: forwards what the feeder claimed, and hands outcomes to the settler in a layer outside of
//! everything else, so that panics and time-outs inside reach it as outcomes too.

use std::task::{Context, Poll};

use apalis_core::{
    backend::Backend,
    codec::NoopCodec,
    error::Error,
    poller::Poller,
    request::Request,
    worker::{Context as WorkerContext, Worker},
};
use apalis_sql::context::SqlContext;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use tokio::sync::mpsc;
use tower::{Layer, Service};

use crate::worker::claimed::{Settlement, Unit};

/// A unit as apalis sees it.
pub(super) type UnitRequest = Request<Unit, SqlContext>;

/// Where units come from and outcomes go.
pub(super) struct UnitBackend {
    pub(super) units: mpsc::Receiver<Unit>,
    pub(super) outcomes: mpsc::Sender<Settlement>,
}

impl Backend<UnitRequest> for UnitBackend {
    type Stream = BoxStream<'static, Result<Option<UnitRequest>, Error>>;
    type Layer = Settling;
    type Codec = NoopCodec<Vec<u8>>;

    fn poll(self, _worker: &Worker<WorkerContext>) -> Poller<Self::Stream, Settling> {
        // The stream never yields an error: apalis would go on without the job.
        let stream = futures::stream::unfold(self.units, |mut units| async move {
            let unit = units.recv().await?;
            Some((
                Ok(Some(Request::new_with_ctx(unit, SqlContext::new()))),
                units,
            ))
        });
        // No heartbeat, since leases are renewed elsewhere: one that has always ended, so that the runtime ends with the
        // stream. It is polled anew each time, which a future that ends once would not bear.
        let heartbeat = futures::future::poll_fn(|_| Poll::Ready(()));
        Poller::new_with_layer(stream.boxed(), heartbeat, Settling(self.outcomes))
    }
}

/// Hands outcomes to the settler.
#[derive(Clone)]
pub(super) struct Settling(mpsc::Sender<Settlement>);

impl<S> Layer<S> for Settling {
    type Service = SettlingService<S>;

    fn layer(&self, inner: S) -> SettlingService<S> {
        SettlingService {
            inner,
            outcomes: self.0.clone(),
        }
    }
}

/// A service whose answers go to the settler.
#[derive(Clone)]
pub(super) struct SettlingService<S> {
    inner: S,
    outcomes: mpsc::Sender<Settlement>,
}

impl<S> Service<UnitRequest> for SettlingService<S>
where
    S: Service<UnitRequest, Response = Vec<Settlement>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = ();
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: UnitRequest) -> Self::Future {
        let (outcomes, attempt) = (self.outcomes.clone(), self.inner.call(request));
        async move {
            for settlement in attempt.await? {
                let id = settlement.id;
                if outcomes.send(settlement).await.is_err() {
                    // The settler outlives the runtime, so this is a bug; the job is rescued when its lease runs out.
                    tracing::error!(job.id = %id, "an outcome could not be handed to the settler");
                }
            }
            Ok(())
        }
        .boxed()
    }
}
