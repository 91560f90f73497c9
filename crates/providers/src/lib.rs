//! Clients for other companies' services: ad platforms, mail servers, and whatever endpoint a job names.
//! Each is one folder. They know nothing of jobs or of the database, they never retry (the queue does), and what they
//! answer is scrubbed and bounded here, where it enters.

mod admission;
mod error;
pub mod google_ads;
mod http;
pub mod linkedin;
pub mod mail;
pub mod meta;
mod metrics;
pub mod platform;
pub mod resend;
mod scrub;
pub mod smtp;
pub mod tiktok;
pub mod webhook;
pub mod x;

pub use admission::Admission;
pub use error::{Detail, Error, Source};
pub use metrics::describe as describe_metrics;
