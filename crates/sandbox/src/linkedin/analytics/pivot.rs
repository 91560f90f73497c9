//! Pivots: what figures are told apart by.

use crate::world::Kind;

/// A pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pivot {
    /// Accounts, campaign groups, campaigns or creatives.
    Things(Kind),
    /// What counts conversions.
    Conversion,
    /// The people who saw the ads.
    Members(MemberTrait),
}

/// What people are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberTrait {
    Company,
    Country,
    JobTitle,
    Industry,
    Seniority,
}

impl Pivot {
    /// The pivot of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ACCOUNT" => Self::Things(Kind::Account),
            "CAMPAIGN_GROUP" => Self::Things(Kind::Campaign),
            "CAMPAIGN" => Self::Things(Kind::AdSet),
            "CREATIVE" => Self::Things(Kind::Ad),
            "CONVERSION" => Self::Conversion,
            "MEMBER_COMPANY" => Self::Members(MemberTrait::Company),
            "MEMBER_COUNTRY_V2" => Self::Members(MemberTrait::Country),
            "MEMBER_JOB_TITLE" => Self::Members(MemberTrait::JobTitle),
            "MEMBER_INDUSTRY" => Self::Members(MemberTrait::Industry),
            "MEMBER_SENIORITY" => Self::Members(MemberTrait::Seniority),
            _ => return None,
        })
    }

    pub(super) fn is_of_members(self) -> bool {
        matches!(self, Self::Members(_))
    }
}

/// How far down something stands: accounts above all.
pub(super) fn depth(kind: Kind) -> u8 {
    match kind {
        Kind::Account => 0,
        Kind::Campaign => 1,
        Kind::AdSet => 2,
        _ => 3,
    }
}
