//! Accepts connections for both servers: bounded in number, tracked, and ended with the sandbox.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Most connections open at once on one address; later ones are closed at once.
const MOST_CONNECTIONS: usize = 1_024;
/// The wait after a failed accept, which mostly means that the process is out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the tasks of a sandbox share: who counts them, and what ends them.
#[derive(Clone, Default)]
pub(crate) struct Life {
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Serves every connection of `listener` in a task of its own until the sandbox stops.
pub(crate) async fn accept<F, Fut>(listener: TcpListener, life: Life, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        // Both branches are cancel-safe.
        let accepted = tokio::select! {
            () = life.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, addr) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            continue;
        };
        // Small answers wait for no acknowledgement; a connection that refuses this works all the
        // same.
        let _ = stream.set_nodelay(true);
        let connection = serve(stream, addr);
        life.tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
}
