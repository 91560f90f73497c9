//! What TikTok calls the states of things: each sort has words of its own.

use crate::world::{Effective, Entity, Kind, Status};

const EFFECTIVE: [Effective; 10] = [
    Effective::Active,
    Effective::Paused,
    Effective::CampaignPaused,
    Effective::AdSetPaused,
    Effective::Archived,
    Effective::Deleted,
    Effective::Disapproved,
    Effective::InReview,
    Effective::WithIssues,
    Effective::Ended,
];

/// Which states are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    NotDeleted,
    /// This one, as the sort calls it.
    Only(&'static str),
}

impl Wanted {
    /// `None` for what is no state of that sort; those of other sorts begin otherwise.
    pub(super) fn read(text: &str, of: Kind) -> Option<Self> {
        let word = text.strip_prefix(prefix(of))?.strip_prefix("_STATUS_")?;
        match word {
            "ALL" => Some(Self::All),
            "NOT_DELETE" => Some(Self::NotDeleted),
            _ => EFFECTIVE
                .into_iter()
                .map(|effective| word_for(of, effective))
                .find(|known| *known == word)
                .map(Self::Only),
        }
    }

    pub(super) fn admits(self, entity: &Entity) -> bool {
        match self {
            Self::All => true,
            Self::NotDeleted => entity.effective != Effective::Deleted,
            Self::Only(word) => word_for(entity.key.kind, entity.effective) == word,
        }
    }
}

/// What has become of something.
pub(super) fn secondary(entity: &Entity) -> String {
    let kind = entity.key.kind;
    format!(
        "{}_STATUS_{}",
        prefix(kind),
        word_for(kind, entity.effective)
    )
}

/// What it was set to.
pub(super) fn operation(entity: &Entity) -> &'static str {
    match entity.status {
        Status::Active | Status::Disapproved | Status::InReview | Status::WithIssues => "ENABLE",
        Status::Paused | Status::Archived | Status::Deleted => "DISABLE",
    }
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "CAMPAIGN",
        Kind::AdSet => "ADGROUP",
        _ => "AD",
    }
}

fn word_for(kind: Kind, effective: Effective) -> &'static str {
    match (effective, kind) {
        // A campaign has no end of its own.
        (Effective::Active | Effective::Ended, Kind::Campaign) => "ENABLE",
        (Effective::Active, _) => "DELIVERY_OK",
        (Effective::Ended, Kind::AdSet) => "TIME_DONE",
        (Effective::Ended, _) => "DONE",
        (Effective::Paused | Effective::Archived, _) => "DISABLE",
        (Effective::CampaignPaused, _) => "CAMPAIGN_DISABLE",
        (Effective::AdSetPaused, _) => "ADGROUP_DISABLE",
        (Effective::Deleted, _) => "DELETE",
        (Effective::Disapproved, _) => "AUDIT_DENY",
        (Effective::InReview, _) => "AUDIT",
        (Effective::WithIssues, Kind::Campaign) => "BUDGET_EXCEED",
        (Effective::WithIssues, _) => "CAMPAIGN_EXCEED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_begins_with_its_sort() {
        let read = Wanted::read;

        assert_eq!(
            read("CAMPAIGN_STATUS_ALL", Kind::Campaign),
            Some(Wanted::All)
        );
        assert_eq!(
            read("AD_STATUS_DELETE", Kind::Ad),
            Some(Wanted::Only("DELETE"))
        );
        assert_eq!(
            read("ADGROUP_STATUS_CAMPAIGN_DISABLE", Kind::AdSet),
            Some(Wanted::Only("CAMPAIGN_DISABLE"))
        );
        assert_eq!(read("CAMPAIGN_STATUS_ALL", Kind::Ad), None);
        assert_eq!(read("ADGROUP_STATUS_ALL", Kind::Ad), None);
        assert_eq!(read("STATUS_ALL", Kind::Campaign), None);
        assert_eq!(read("CAMPAIGN_STATUS_NOTHING", Kind::Campaign), None);
    }
}
