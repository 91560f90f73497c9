//! The people who saw the ads: approximate, later than all other figures, and nothing that is of few people alone.

use chrono::TimeDelta;

use super::pivot::MemberTrait;
use crate::world::Figures;

/// How much later than all others these figures come.
pub(super) const DELAY: TimeDelta = TimeDelta::hours(18);
/// Fewer events than these are not told.
const FEWEST: i64 = 3;

/// Groups of people, each with its share of what all did, in per cent. Who is left belongs to no group that is told.
pub(super) fn groups(by: MemberTrait) -> &'static [(&'static str, i64)] {
    match by {
        MemberTrait::Company => &[
            ("urn:li:organization:1001", 21),
            ("urn:li:organization:1002", 13),
            ("urn:li:organization:1003", 8),
            ("urn:li:organization:1004", 2),
        ],
        MemberTrait::Country => &[
            ("urn:li:geo:103644278", 48),
            ("urn:li:geo:101282230", 22),
            ("urn:li:geo:101165590", 17),
            ("urn:li:geo:101355337", 9),
        ],
        MemberTrait::JobTitle => &[
            ("urn:li:title:9", 16),
            ("urn:li:title:25", 12),
            ("urn:li:title:39", 11),
            ("urn:li:title:100", 4),
        ],
        MemberTrait::Industry => &[
            ("urn:li:industry:4", 37),
            ("urn:li:industry:6", 19),
            ("urn:li:industry:43", 12),
        ],
        MemberTrait::Seniority => &[
            ("urn:li:seniority:3", 28),
            ("urn:li:seniority:4", 26),
            ("urn:li:seniority:5", 18),
            ("urn:li:seniority:8", 5),
        ],
    }
}

/// A group's share of figures: what is too little to be told is none.
pub(super) fn share(figures: &Figures, percent: i64) -> Figures {
    let of = |count: i64| {
        let part = count * percent / 100;
        if part < FEWEST { 0 } else { part }
    };
    Figures {
        impressions: of(figures.impressions),
        clicks: of(figures.clicks),
        link_clicks: of(figures.link_clicks),
        video_views: of(figures.video_views),
        likes: of(figures.likes),
        comments: of(figures.comments),
        shares: of(figures.shares),
        spend_micros: figures.spend_micros * percent / 100,
        conversion_millis: of(figures.conversion_millis / 1_000) * 1_000,
        lead_millis: of(figures.lead_millis / 1_000) * 1_000,
        ..Figures::default()
    }
}
