//! Accounts that are synced: real processes, the production clients, and the sandbox's platforms over HTTP. What is stored is
//! compared with what the sandbox itself exports of its world, row by row.

mod changes;
mod conversions;
mod crash;
mod fleet;
mod history;
mod reading;
pub(crate) mod scene;
mod truth;
mod watch;
mod year;
