//! Calls to endpoints that others chose: signed as Standard Webhooks, and never to an address inside our own network.
//! [`Caller`] makes the call, [`OutboundPolicy`] says where it may go, [`Signer`] proves that it comes from us.

mod caller;
mod endpoints;
mod guard;
mod headers;
mod resolver;
mod sign;
#[cfg(test)]
mod tests;

pub use caller::{CallAnswer, CallRequest, Caller};
pub use guard::{ChosenBy, OutboundPolicy, Refusal, is_forbidden};
pub use sign::{Received, Signer, Unverified};

/// The provider's name in errors and metrics.
const PROVIDER: &str = "webhook";
