//! What HTTP enqueueing is measured against: an axum handler that takes a body, hands it to a bare group commit, and
//! answers 201. No keys, no checks, no deadlines.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, extract::State, http::StatusCode, routing::post, serve::ListenerExt};
use queue::{Database, bench::GroupCommit};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The handler behind a port, as long as it lives.
pub(super) struct BareHttp {
    /// Where it is.
    pub(super) addr: SocketAddr,
    _serving: AbortOnDropHandle<io::Result<()>>,
}

impl BareHttp {
    /// Starts it on a free port.
    pub(super) async fn start(db: &Database) -> io::Result<Self> {
        let router = Router::new()
            .route("/", post(store))
            .with_state(GroupCommit::start(db));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // A socket that refuses is closed already.
            let _ = stream.set_nodelay(true);
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "what is bare has no deadlines; only the benchmark's own load reaches it"
        )]
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            addr,
            _serving: AbortOnDropHandle::new(serving),
        })
    }
}

async fn store(State(commit): State<GroupCommit>, body: String) -> StatusCode {
    match commit.store(body).await {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
