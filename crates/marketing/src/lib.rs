//! The domain of marketing analytics: which accounts are connected and how they stand, what sync stores of them, what mails
//! say and whether they were sent, and what became of conversion events. All SQL of schema `marketing` stands in `store/`.
//! Knows nothing of kinds of jobs or of HTTP.

pub mod accounts;
pub mod campaigns;
pub mod conversions;
pub mod email;
mod ids;
pub mod inbound;
mod metrics;
pub mod outbound;
pub mod performance;
mod platforms;
pub mod rates;
mod ratios;
pub mod rollups;
pub mod rules;
mod store;
pub mod sync;
mod tenant;
mod words;

pub use metrics::describe as describe_metrics;
pub use platforms::Platforms;
/// What the ad platforms share, for those who reach them through this crate alone.
pub use providers::{Detail as ProviderDetail, Error as ProviderError, platform};
/// The connections that functions of this crate are given.
pub use sqlx::PgPool;
pub use store::StoreError;
pub use words::UnknownWord;
