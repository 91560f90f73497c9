//! apalis runs the handlers: this folder alone knows it. Jobs come in through our own `Backend`, outcomes leave
//! through its layer, and apalis' `Storage` trait pushes to Millpond.

mod backend;
mod service;
mod storage;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use apalis::prelude::{WorkerBuilder, WorkerFactory};
use tokio::sync::mpsc;

pub use storage::{JobStorage, StorageError};

use self::{backend::UnitBackend, service::Dispatch};
use super::{
    attempt::Runner,
    claimed::{Settlement, Unit},
};

/// Runs units until the feeder closes their channel and the last one has been handed to the settler.
pub(super) fn run<A: Send + Sync + 'static>(
    queue: &str,
    runner: Arc<Runner<A>>,
    units: mpsc::Receiver<Unit>,
    outcomes: mpsc::Sender<Settlement>,
) -> impl Future<Output = ()> + Send + 'static {
    WorkerBuilder::new(queue)
        .backend(UnitBackend { units, outcomes })
        .build(Dispatch(runner))
        .run()
}
