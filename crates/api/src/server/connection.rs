//! One connection: hyper's HTTP/1, with the deadlines of `io.rs` under it and the router over it.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    ServerLimits,
    framing::{AmbiguousFraming, Exchange},
    io::Watched,
};
use crate::auth::Peer;

/// What all connections share.
pub(super) struct Connections {
    http: http1::Builder,
    router: Router,
    limits: ServerLimits,
    shutdown: CancellationToken,
    cut: CancellationToken,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        limits: ServerLimits,
        shutdown: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let mut http = http1::Builder::new();
        // hyper's one timer runs from the end of a request to the end of the next head: it is the idle deadline here,
        // and the shorter one for the head itself is kept below it.
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_header_size(limits.header_bytes);
        Self {
            http,
            router,
            limits,
            shutdown,
            cut,
        }
    }

    /// Serves a connection to its end. It ends early, after the request under way, when a stop begins, and at once when
    /// the stop has waited long enough.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + Send + use<> {
        let exchange = Arc::new(Exchange::default());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&exchange), self.limits));
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            if exchange.is_ambiguous() {
                request.extensions_mut().insert(AmbiguousFraming);
            }
            let exchange = Arc::clone(&exchange);
            let answer = router.clone().call(request);
            async move {
                let answer = answer.await;
                exchange.answered();
                answer
            }
        });
        let connection = self.http.serve_connection(io, service);
        let (shutdown, cut) = (self.shutdown.clone(), self.cut.clone());

        async move {
            let mut connection = pin!(connection);
            // The connection is only borrowed, so losing a race costs it nothing.
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection.as_mut() => Some(ended),
                        () = cut.cancelled() => None,
                    }
                }
            };
            if let Some(Err(error)) = ended {
                tracing::debug!(%error, %peer, "a connection ended before its time");
            }
        }
    }
}
