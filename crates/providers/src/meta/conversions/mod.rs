//! Conversion events: what an upstream app sends ([`Event`]), and what Meta gets of it ([`ServerEvent`]) once [`prepare()`]
//! has checked it, normalised it and hashed the personal data in it.

mod custom_data;
mod event;
mod normalise;
mod places;
mod prepare;
#[cfg(test)]
mod tests;
mod user_data;

pub use event::{ActionSource, Allowed, Consent, Event, Members, OneOrMany, Scalar, UserData};
pub use prepare::{Prepared, Refused, ServerEvent, prepare};
