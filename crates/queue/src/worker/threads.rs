//! The threads that the handlers of one queue run on. A handler that blocks its thread holds up its own queue at most:
//! claims, settlements, time-outs, other queues and health checks run elsewhere.

use std::{
    future::Future,
    io,
    num::NonZero,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

/// The threads of one queue, of which there are more when more of its attempts may run at once.
#[derive(Debug)]
pub(crate) struct QueueThreads {
    queue: Arc<str>,
    present: Mutex<Arc<HandlerThreads>>,
}

impl QueueThreads {
    pub(crate) fn start(queue: Arc<str>, concurrency: usize) -> io::Result<Self> {
        let present = HandlerThreads::start(&queue, concurrency)?;
        Ok(Self {
            queue,
            present: Mutex::new(Arc::new(present)),
        })
    }

    /// Those that new calls run on; whoever runs a call keeps them until it ended.
    pub(crate) fn present(&self) -> Arc<HandlerThreads> {
        Arc::clone(&self.present.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has enough of them for so many attempts from now on. There never become fewer: an idle thread costs nothing.
    pub(crate) fn fit(&self, concurrency: usize) -> io::Result<()> {
        if self.present().count < threads_for(concurrency) {
            let more = Arc::new(HandlerThreads::start(&self.queue, concurrency)?);
            *self.present.lock().unwrap_or_else(PoisonError::into_inner) = more;
        }
        Ok(())
    }
}

/// As many threads as the machine has cores, but no more than attempts run at once.
fn threads_for(concurrency: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    concurrency.clamp(1, cores)
}

/// Threads that handlers run on.
#[derive(Debug)]
pub(crate) struct HandlerThreads {
    count: usize,
    handle: Handle,
    /// Taken at the end.
    runtime: Option<Runtime>,
    /// The runtime of the process, which starts the threads.
    home: Handle,
}

impl HandlerThreads {
    /// Called in the process's runtime.
    fn start(queue: &str, concurrency: usize) -> io::Result<Self> {
        let count = threads_for(concurrency);
        // Where there is no thread to be had, the runtime would panic instead of saying so.
        std::thread::Builder::new().spawn(|| {})?;
        // No drivers: sockets and timers belong to the process's runtime.
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name(format!("handlers-{queue}"))
            .build()?;
        Ok(Self {
            count,
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
