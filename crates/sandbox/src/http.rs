//! The HTTP side of the sandbox: which path belongs to which stand-in, and how one connection is
//! served. Not
//! `axum::serve`: that has no deadlines, and a fault must be able to reset the connection it came
//! by.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{self, Body, Bytes},
    http::StatusCode,
    routing,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, time};
use tokio_util::sync::CancellationToken;

use crate::{
    control, google, linkedin, meta, receiver, resend, shared::Shared, smtp::Mailbox, tiktok, x,
};

/// Longest wait for a request's header, hence also the longest an idle connection is kept.
const HEADER_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for a request's body.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// What a stopping sandbox gives an answer that is on its way.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// The connection that a request came by.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    resets: Arc<AtomicBool>,
}

impl Peer {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            resets: Arc::default(),
        }
    }

    /// Makes the connection end with a TCP reset instead of a close.
    pub(crate) fn reset_at_end(&self) {
        self.resets.store(true, Ordering::Relaxed);
    }
}

/// All paths of the HTTP side. Whatever nobody else claims is Meta's, whose unknown paths answer in
/// Meta's way.
pub(crate) fn router(shared: Arc<Shared>, mailbox: Arc<Mailbox>) -> Router {
    Router::new()
        .nest("/_control", control::routes())
        .route("/hooks/{name}", routing::any(receiver::receive))
        .route("/resend/emails", routing::post(resend::send))
        .route("/google_ads/{*path}", routing::any(google::answer))
        .route("/linkedin/{*path}", routing::any(linkedin::answer))
        .route("/tiktok/{*path}", routing::any(tiktok::answer))
        .route("/x/{*path}", routing::any(x::answer))
        .fallback(meta::answer)
        .layer(Extension(mailbox))
        .with_state(shared)
}

/// Serves one connection until it ends or the sandbox stops.
pub(crate) async fn serve(
    stream: TcpStream,
    addr: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let peer = Peer::new(addr);
    let service = TowerToHyperService::new(router.layer(Extension(peer.clone())));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .serve_connection(TokioIo::new(stream), service);

    // Both branches are cancel-safe: a connection is a future that can be polled on.
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            time::timeout(STOP_GRACE, &mut connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }

    if peer.resets.load(Ordering::Relaxed) {
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::warn!(%error, "cannot reset a connection as the fault asked");
        }
    }
}

/// Reads a request's body, whole.
///
/// # Errors
/// The status to refuse it with: too large, or too slow.
pub(crate) async fn read_body(body: Body, most_bytes: usize) -> Result<Bytes, StatusCode> {
    match time::timeout(BODY_WAIT, body::to_bytes(body, most_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Either the limit was passed or the caller left, and who left reads no status.
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
