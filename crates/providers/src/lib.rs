//! Clients for other companies' services: the Meta Conversions API, mail servers, and whatever endpoint a job names.
//! Each is one folder. They know nothing of jobs or of the database, they never retry (the queue does), and what they
//! answer is scrubbed and bounded here, where it enters.

mod admission;
mod error;
mod http;
pub mod meta;
mod metrics;
mod scrub;
pub mod smtp;
pub mod webhook;

pub use admission::Admission;
pub use error::{Detail, Error, Source};
pub use metrics::describe as describe_metrics;
