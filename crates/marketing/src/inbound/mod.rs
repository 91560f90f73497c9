//! What platforms tell of their own accord: their events are checked, stored with the jobs that look after them, and turned
//! into leads and engagements. Whom calls are made as is `accounts`' matter.

mod engagement;
mod events;
mod handshake;
mod leads;
mod listing;
mod people;
mod prune;
mod signature;
mod split;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use engagement::{Engagement, EngagementKind};
pub use events::{InboundEvent, Subject};
pub(crate) use leads::place as place_of_answers;
pub use leads::{LeadSource, LeadStanding, NewLead};
pub use listing::{LeadAnswer, LeadFilter, StoredLead};
pub use people::{ForgottenPerson, KnownOfPerson};
pub use prune::{PrunedInbound, RetainedInbound};
pub use signature::SIGNATURE_HEADER;
pub use subscriptions::PageSubscription;

use crate::accounts::Accounts;
pub use crate::ids::{InboundEventId, LeadId};

/// Most bytes of what a platform sends at once.
pub const LARGEST_BYTES: usize = 5 << 20;

/// Events of platforms, and what was made of them; cheap to clone. No `Debug`: it holds keys.
#[derive(Clone)]
pub struct Inbound(Accounts);

impl Accounts {
    /// What platforms tell of accounts of their own accord.
    #[must_use]
    pub fn inbound(&self) -> Inbound {
        Inbound(self.clone())
    }
}
