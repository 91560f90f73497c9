//! The signals that end a process: the first one drains it, the second one ends it at once.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::failure::FAILED;

/// What is done before the process ends at once.
type LastAct = Box<dyn FnOnce() + Send>;

/// Listens for signals as long as it lives.
pub(crate) struct Shutdown {
    token: CancellationToken,
    last_act: Arc<Mutex<Option<LastAct>>>,
    _listener: AbortOnDropHandle<()>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT; with `hangup` also for the end of the terminal. A service must not: whoever
    /// starts it with `nohup` wants it to go on.
    pub(crate) fn listen(hangup: bool) -> io::Result<Self> {
        let mut signals = Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.then(|| signal(SignalKind::hangup())).transpose()?,
        };
        let token = CancellationToken::new();
        let last_act = Arc::new(Mutex::new(None::<LastAct>));
        let (asked, act) = (token.clone(), Arc::clone(&last_act));
        let listener = tokio::spawn(async move {
            signals.next().await;
            tracing::info!(
                "stopping: running jobs may finish; a second signal ends the process at once"
            );
            asked.cancel();
            signals.next().await;
            tracing::warn!("ended at once by a second signal");
            let act = act.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(act) = act {
                act();
            }
            std::process::exit(i32::from(FAILED));
        });
        Ok(Self {
            token,
            last_act,
            _listener: AbortOnDropHandle::new(listener),
        })
    }

    /// Cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Does this before a second signal ends the process; it must be quick.
    pub(crate) fn before_exit(&self, act: impl FnOnce() + Send + 'static) {
        *self.last_act.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) {
        let Self {
            interrupt,
            terminate,
            hangup,
        } = self;
        let hung_up = async {
            match hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        // All are cancel-safe: a signal that was not received is received by the next call.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}
