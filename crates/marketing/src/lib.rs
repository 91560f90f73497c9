//! The domain of marketing analytics: what mails say and whether they were sent, and what became of conversion events.
//! All SQL of schema `marketing` stands in `store/`. Knows nothing of kinds of jobs or of HTTP.

pub mod conversions;
pub mod email;
mod store;

/// The connections that functions of this crate are given.
pub use sqlx::PgPool;
pub use store::StoreError;
