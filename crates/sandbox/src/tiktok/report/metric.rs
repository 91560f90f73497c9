//! Metrics: every value is text, also where it is a number, and `-` where there is none.

use crate::world::{Currency, Figures, Kind, MICROS, decimal};

/// What stands for no value.
pub(super) const NOTHING: &str = "-";

/// A metric. Names and ids are metrics too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Counted(&'static str, Count),
    About(&'static str, About),
}

/// What a number is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Spend,
    Impressions,
    Clicks,
    /// Clicks of a hundred impressions.
    ClickRate,
    CostOfClick,
    CostOfThousand,
    Reach,
    Frequency,
    /// What the campaign is optimised for, whatever it is.
    Conversions,
    CostOfConversion,
    /// Conversions of a hundred clicks.
    ConversionRate,
    Purchases,
    /// What the purchases were worth.
    Revenue,
    WorthOfPurchase,
    /// What the purchases were worth for each unit spent.
    ReturnOnSpend,
    VideoViews,
    Likes,
    Comments,
    Shares,
}

/// What a text says of the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Currency,
    AdvertiserName,
    ObjectiveType,
    Id(Kind),
    Name(Kind),
}

const COUNTED: [(&str, Count); 21] = [
    ("spend", Count::Spend),
    ("impressions", Count::Impressions),
    ("clicks", Count::Clicks),
    ("ctr", Count::ClickRate),
    ("cpc", Count::CostOfClick),
    ("cpm", Count::CostOfThousand),
    ("reach", Count::Reach),
    ("frequency", Count::Frequency),
    ("conversion", Count::Conversions),
    ("cost_per_conversion", Count::CostOfConversion),
    ("conversion_rate", Count::ConversionRate),
    ("complete_payment", Count::Purchases),
    ("total_purchase_value", Count::Revenue),
    // The value of complete payments, in spite of its name.
    ("total_complete_payment_rate", Count::Revenue),
    ("value_per_complete_payment", Count::WorthOfPurchase),
    ("complete_payment_roas", Count::ReturnOnSpend),
    ("video_play_actions", Count::VideoViews),
    ("likes", Count::Likes),
    ("comments", Count::Comments),
    ("shares", Count::Shares),
    ("total_purchase", Count::Purchases),
];
const ABOUT: [(&str, About); 9] = [
    ("currency", About::Currency),
    ("advertiser_name", About::AdvertiserName),
    ("objective_type", About::ObjectiveType),
    ("campaign_id", About::Id(Kind::Campaign)),
    ("campaign_name", About::Name(Kind::Campaign)),
    ("adgroup_id", About::Id(Kind::AdSet)),
    ("adgroup_name", About::Name(Kind::AdSet)),
    ("ad_id", About::Id(Kind::Ad)),
    ("ad_name", About::Name(Kind::Ad)),
];

impl Metric {
    /// The metric of that name, if there is one at that level.
    pub(super) fn find(name: &str, level: Kind) -> Option<Self> {
        let counted = COUNTED.into_iter().find(|(known, _)| *known == name);
        if let Some((name, count)) = counted {
            return Some(Self::Counted(name, count));
        }
        let (name, about) = ABOUT.into_iter().find(|(known, _)| *known == name)?;
        about.is_told_at(level).then_some(Self::About(name, about))
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counted(name, _) | Self::About(name, _) => name,
        }
    }

    /// Whether it is told where people are told apart, too.
    pub(super) fn is_of_people(self) -> bool {
        match self {
            Self::Counted(_, count) => matches!(
                count,
                Count::Spend
                    | Count::Impressions
                    | Count::Clicks
                    | Count::ClickRate
                    | Count::CostOfClick
                    | Count::CostOfThousand
                    | Count::Conversions
                    | Count::CostOfConversion
                    | Count::ConversionRate
            ),
            Self::About(..) => true,
        }
    }
}

impl About {
    /// What stands below a row's thing is not told of it.
    fn is_told_at(self, level: Kind) -> bool {
        let depth = |kind: Kind| match kind {
            Kind::Campaign => 1,
            Kind::AdSet => 2,
            Kind::Ad => 3,
            _ => 0,
        };
        match self {
            Self::Currency | Self::AdvertiserName => true,
            Self::ObjectiveType => level != Kind::Account,
            Self::Id(kind) | Self::Name(kind) => depth(kind) <= depth(level),
        }
    }
}

/// A number as text. `sells` says whether there is anything to buy: where only leads are collected
/// purchases have no value, and not one of zero.
pub(super) fn text(count: Count, figures: &Figures, currency: Currency, sells: bool) -> String {
    let money = |micros| decimal(micros, currency.decimals());
    let purchases = figures.purchase_millis();
    match count {
        Count::Spend => money(figures.spend_micros),
        Count::Impressions => figures.impressions.to_string(),
        Count::Clicks => figures.clicks.to_string(),
        Count::ClickRate => quotient(figures.clicks, 100 * MICROS, figures.impressions),
        Count::CostOfClick => quotient(figures.spend_micros, 1, figures.clicks),
        Count::CostOfThousand => quotient(figures.spend_micros, 1_000, figures.impressions),
        Count::Reach => figures.reach().to_string(),
        Count::Frequency => quotient(figures.impressions, MICROS, figures.reach()),
        Count::Conversions => (figures.conversion_millis / 1_000).to_string(),
        Count::CostOfConversion => quotient(figures.spend_micros, 1_000, figures.conversion_millis),
        Count::ConversionRate => quotient(figures.conversion_millis, MICROS / 10, figures.clicks),
        Count::Purchases | Count::Revenue | Count::WorthOfPurchase | Count::ReturnOnSpend
            if !sells =>
        {
            NOTHING.to_owned()
        }
        Count::Purchases => (purchases / 1_000).to_string(),
        Count::Revenue => money(figures.revenue_micros),
        Count::WorthOfPurchase => quotient(figures.revenue_micros, 1_000, purchases),
        Count::ReturnOnSpend => quotient(figures.revenue_micros, MICROS, figures.spend_micros),
        Count::VideoViews => figures.video_views.to_string(),
        Count::Likes => figures.likes.to_string(),
        Count::Comments => figures.comments.to_string(),
        Count::Shares => figures.shares.to_string(),
    }
}

/// `amount` × `factor` ÷ `by` micros to the nearest hundredth. There is none by zero.
fn quotient(amount: i64, factor: i64, by: i64) -> String {
    if by == 0 {
        return NOTHING.to_owned();
    }
    let micros = i128::from(amount) * i128::from(factor) / i128::from(by);
    let half_a_hundredth = MICROS / 200;
    let nearest = i64::try_from(micros).unwrap_or(i64::MAX - half_a_hundredth) + half_a_hundredth;
    decimal(nearest, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row that the documents show.
    const SHOWN: Figures = Figures {
        impressions: 10_452,
        clicks: 231,
        link_clicks: 0,
        video_views: 0,
        likes: 0,
        comments: 0,
        shares: 0,
        spend_micros: 84_370_000,
        conversion_millis: 6_000,
        view_conversion_millis: 0,
        lead_millis: 0,
        revenue_micros: 512_400_000,
    };

    fn told(name: &str, figures: &Figures, sells: bool) -> String {
        match Metric::find(name, Kind::Campaign) {
            Some(Metric::Counted(_, count)) => text(count, figures, Currency::Usd, sells),
            found => panic!("{name} is {found:?}"),
        }
    }

    #[test]
    fn numbers_are_texts_and_shares_are_per_cent() {
        let shown = [
            ("spend", "84.37"),
            ("impressions", "10452"),
            ("clicks", "231"),
            ("conversion", "6"),
            ("cost_per_conversion", "14.06"),
            ("total_purchase_value", "512.40"),
            ("total_complete_payment_rate", "512.40"),
            ("ctr", "2.21"),
            ("cpc", "0.37"),
            ("cpm", "8.07"),
            ("conversion_rate", "2.60"),
        ];

        for (name, value) in shown {
            assert_eq!(told(name, &SHOWN, true), value, "{name}");
        }
    }

    #[test]
    fn there_is_no_value_where_nothing_is_sold_and_no_cost_of_nothing() {
        let nothing = Figures::default();

        assert_eq!(told("total_purchase_value", &SHOWN, false), "-");
        assert_eq!(told("cost_per_conversion", &nothing, true), "-");
        assert_eq!(told("total_purchase_value", &nothing, true), "0.00");
        assert_eq!(told("conversion", &nothing, true), "0");
    }

    #[test]
    fn nothing_is_told_of_what_stands_below() {
        let find = |name| Metric::find(name, Kind::AdSet);

        assert!(find("campaign_name").is_some() && find("adgroup_name").is_some());
        assert_eq!(find("ad_name"), None);
        assert_eq!(find("nothing"), None);
    }
}
