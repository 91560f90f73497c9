//! Millpond over HTTP: keys, scopes, problem documents, health, metrics, and a file a resource in `routes/`. It knows no
//! kinds and no providers; what a request does is done by `queue`.

mod answers;
mod auth;
mod body;
mod csv;
mod error;
mod frame;
mod json;
pub mod metrics;
mod openapi;
mod problem;
mod query;
mod request_id;
mod routes;
mod server;
mod state;

pub use body::Pace;
pub use routes::{probes, router};
pub use server::{ServeError, ServerLimits, serve};
pub use state::{ApiSettings, ApiState};

#[cfg(test)]
mod tests;
