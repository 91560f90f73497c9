//! Limits of the fleet from outside: several processes, some of which are killed, and an endpoint that notes who calls it
//! when. Each promise is judged by what the endpoint saw, as far as it can be.

mod explain;
mod fairness;
pub(crate) mod fleet;
mod keys;
mod queues;
pub(crate) mod receiver;
