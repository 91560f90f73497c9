//! The threads that the handlers of one queue run on. A handler that blocks its thread holds up its own queue at most:
//! claims, settlements, time-outs, other queues and health checks run elsewhere.

use std::{
    future::Future,
    io,
    num::NonZero,
    pin::Pin,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

/// The threads of one queue in one process.
#[derive(Debug)]
pub(crate) struct HandlerThreads {
    handle: Handle,
    /// Taken at the end.
    runtime: Option<Runtime>,
    /// The runtime of the process, which starts the threads.
    home: Handle,
}

impl HandlerThreads {
    /// As many threads as the machine has cores, but no more than jobs run at once. Called in the process's runtime.
    pub(crate) fn start(queue: &str, concurrency: usize) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // No drivers: sockets and timers belong to the process's runtime.
        let runtime = Builder::new_multi_thread()
            .worker_threads(concurrency.clamp(1, cores))
            .thread_name(format!("handlers-{queue}"))
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            home: Handle::current(),
        })
    }

    /// A handler's call, to be [spawned](Self::spawn) here.
    pub(crate) fn at_home<T>(&self, call: BoxFuture<'static, T>) -> AtHome<T> {
        AtHome {
            home: self.home.clone(),
            call: Some(call),
        }
    }

    /// Runs a call on these threads.
    pub(crate) fn spawn<F>(&self, call: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(call)
    }
}

impl Drop for HandlerThreads {
    /// Waits for nobody: a handler may block its thread for ever.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A call whose sockets, timers and tasks belong to the process's runtime wherever it is polled: what it leaves in a
/// pool serves other queues too, and must not hang on threads that this queue's handlers can block.
pub(crate) struct AtHome<T> {
    home: Handle,
    /// Taken when it is dropped.
    call: Option<BoxFuture<'static, T>>,
}

impl<T> Future for AtHome<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let _home = this.home.enter();
        this.call
            .as_mut()
            .expect("the call is there until it is dropped")
            .as_mut()
            .poll(cx)
    }
}

impl<T> Drop for AtHome<T> {
    /// A connection that the call held goes back to its pool by a task.
    fn drop(&mut self) {
        let _home = self.home.enter();
        drop(self.call.take());
    }
}
