//! Every statement on schema `marketing`, a file a table, and what keeps a silent database from holding its caller.

pub(crate) mod accounts;
pub(crate) mod api_calls;
pub(crate) mod cache;
pub(crate) mod connections;
pub(crate) mod conversion_events;
pub(crate) mod data_deletions;
pub(crate) mod email_sends;
pub(crate) mod endings;
pub(crate) mod entities;
pub(crate) mod entity_changes;
pub(crate) mod events;
pub(crate) mod freshness;
pub(crate) mod history;
pub(crate) mod insight_days;
pub(crate) mod insights;
pub(crate) mod oauth_states;
pub(crate) mod report_runs;
pub(crate) mod sealed;
mod session;
pub(crate) mod social_insights;
pub(crate) mod syncs;
pub(crate) mod watches;

pub use session::StoreError;
pub(crate) use session::{LONG_DEADLINE, Session, within, within_deadline};
