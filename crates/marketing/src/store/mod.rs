//! Every statement on schema `marketing`, a file a table, and what keeps a silent database from holding its caller.

pub(crate) mod conversion_events;
pub(crate) mod email_sends;
mod session;

pub use session::StoreError;
pub(crate) use session::{Session, within_deadline};
