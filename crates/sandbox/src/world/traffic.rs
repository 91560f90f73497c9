//! What one ad does in one hour, as it is seen at a moment: by the hour of the day, the day of the
//! week, the ad's own luck, and by how much of it has arrived yet. A pure function.

use std::ops::Range;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{
    Key, Platform, account,
    calendar::{self, Hour},
    dice::Dice,
    entity::Objective,
    figures::Figures,
    money::{Currency, MICROS},
    spans::Spans,
};

/// How the day's traffic is spread over its hours, in ten thousandths.
const BY_HOUR: [i64; 24] = [
    180, 110, 70, 50, 50, 80, 180, 330, 430, 470, 490, 510, 560, 540, 500, 490, 500, 540, 610, 690,
    760, 780, 670, 410,
];
/// How the week's is spread over its days, Monday first, in thousandths of the average day.
const BY_WEEKDAY: [i64; 7] = [960, 980, 1_000, 1_010, 1_060, 1_040, 950];
/// How the year's is spread over its months, in thousandths of the average.
const BY_MONTH: [i64; 12] = [
    880, 900, 950, 960, 990, 970, 930, 940, 1_000, 1_050, 1_250, 1_180,
];
/// Most conversions of one ad in one hour.
const MOST_CONVERSIONS: i64 = 40;
/// Figures of a running hour come in quarters.
const QUARTER_S: i64 = 900;
const HOUR_S: i64 = 3_600;
/// A time within which clocks change once at most.
const STEADY_HOURS: i64 = 28 * 24;

/// An ad as far as its figures go.
pub(super) struct Traffic {
    dice: Dice,
    platform: Platform,
    currency: Currency,
    zone: Tz,
    /// When it delivers.
    pub(super) spans: Spans,
    is_for_leads: bool,
    /// What it spends on an average day.
    daily_micros: i64,
    /// What a thousand impressions cost.
    cpm_micros: i64,
    /// Clicks of a million impressions, link clicks and conversions of a million clicks.
    click_ppm: i64,
    link_ppm: i64,
    conversion_ppm: i64,
    /// What a purchase is worth on average, in dollars.
    order_usd_micros: i64,
    has_video: bool,
}

impl Traffic {
    /// The traffic of an ad that gets `daily_micros` on an average day.
    pub(super) fn new(
        dice: Dice,
        key: Key,
        objective: Objective,
        daily_micros: i64,
        spans: Spans,
    ) -> Self {
        let (currency, zone) = account::place(key);
        let (click_ppm, conversion_ppm) = match objective {
            Objective::Awareness => ((3_000, 8_000), (500, 4_000)),
            Objective::Traffic => ((12_000, 40_000), (4_000, 15_000)),
            Objective::Engagement => ((10_000, 30_000), (2_000, 8_000)),
            Objective::Leads => ((8_000, 25_000), (40_000, 140_000)),
            Objective::Sales => ((9_000, 28_000), (15_000, 70_000)),
        };
        let between = |about: &str, (low, high)| dice.about(about).between(low, high);
        Self {
            dice: dice.about("hours"),
            platform: key.platform,
            currency,
            zone,
            spans,
            is_for_leads: objective == Objective::Leads,
            daily_micros,
            cpm_micros: currency
                .of_usd(between("cpm", (4 * MICROS, 18 * MICROS)))
                .max(1),
            click_ppm: between("ctr", click_ppm),
            link_ppm: between("links", (600_000, 950_000)),
            conversion_ppm: between("cvr", conversion_ppm),
            order_usd_micros: between("order", (20 * MICROS, 150 * MICROS)),
            has_video: dice.about("video").below(3) == 0,
        }
    }

    /// What it did in the hours, as it is seen at a moment.
    pub(super) fn figures(&self, hours: &Range<Hour>, seen: DateTime<Utc>) -> Figures {
        let seen_s = seen.timestamp();
        let known = hours.start..hours.end.min(calendar::hour_of(seen) + 1);
        let offset = calendar::offset_s(self.zone, known.start);
        // Clocks change months apart: those of a short time change once at most.
        let is_steady = known.end - known.start <= STEADY_HOURS
            && offset == calendar::offset_s(self.zone, known.end);
        let mut sum = Figures::default();
        for hour in self.spans.within(&known) {
            let offset = if is_steady {
                offset
            } else {
                calendar::offset_s(self.zone, hour)
            };
            sum += self.of_hour(hour, offset, seen_s);
        }
        sum
    }

    fn of_hour(&self, hour: Hour, offset_s: i64, seen_s: i64) -> Figures {
        let quarters = ((seen_s - hour * HOUR_S).div_euclid(QUARTER_S)).clamp(0, 4);
        if quarters == 0 {
            return Figures::default();
        }
        let dice = self.dice.of(hour.unsigned_abs());
        let mut figures = self.delivered(dice, self.expected_spend(dice, hour, offset_s));
        if quarters < 4 {
            figures = part(figures, quarters, self.currency);
        }
        let age_hours = (seen_s - (hour + 1) * HOUR_S).div_euclid(HOUR_S);
        let converted = self.converted(dice, figures.clicks, age_hours);
        if age_hours < self.corrected_after(dice) {
            figures += self.invalid(&figures);
        }
        figures + converted
    }

    fn expected_spend(&self, dice: Dice, hour: Hour, offset_s: i64) -> i64 {
        let local_hour = hour + offset_s.div_euclid(HOUR_S);
        let of_day = BY_HOUR[local_hour.rem_euclid(24) as usize];
        let day = local_hour.div_euclid(24);
        // The first day of 1970 was a Thursday. A month is a twelfth of a year here: this is called
        // for every hour.
        let of_week = BY_WEEKDAY[(day + 3).rem_euclid(7) as usize];
        let of_year = BY_MONTH[(day.rem_euclid(1_461) % 365 * 12 / 365) as usize];
        let luck = dice.of(1).between(700, 1_300);
        self.daily_micros / 10_000 * of_day * of_week / 1_000 * of_year / 1_000 * luck / 1_000
    }

    /// What is shown and clicked for that spend. Whatever does not come out even is left to chance,
    /// so that small ads have their share in the end.
    fn delivered(&self, dice: Dice, spend_micros: i64) -> Figures {
        let thousandths = spend_micros.saturating_mul(MICROS) / self.cpm_micros;
        let impressions = (thousandths + dice.of(2).between(0, 999)) / 1_000;
        let share = |of: i64, ppm: i64, number: u64| {
            (of * ppm + dice.of(number).between(0, MICROS - 1)) / MICROS
        };
        let clicks = share(impressions, self.click_ppm, 3).min(impressions);
        let cost = impressions * self.cpm_micros / 1_000;
        let change = dice.of(4).between(0, self.currency.minor_micros() - 1);
        Figures {
            impressions,
            clicks,
            link_clicks: share(clicks, self.link_ppm, 5).min(clicks),
            video_views: if self.has_video {
                share(impressions, 240_000, 6)
            } else {
                0
            },
            likes: share(impressions, 2_500, 7),
            comments: share(impressions, 250, 8),
            shares: share(impressions, 150, 9),
            spend_micros: self.currency.rounded(cost + change),
            ..Figures::default()
        }
    }

    /// Hours after which traffic that was not real has been taken back; 0 for the eleven hours of
    /// twelve without any.
    fn corrected_after(&self, dice: Dice) -> i64 {
        let dice = dice.of(10);
        let (earliest, latest) = self.platform.correction_hours();
        if dice.of(1).below(12) == 0 {
            dice.of(2).between(earliest, latest)
        } else {
            0
        }
    }

    fn invalid(&self, figures: &Figures) -> Figures {
        Figures {
            impressions: figures.impressions / 12,
            clicks: i64::from(figures.clicks > 0),
            spend_micros: self.currency.rounded(figures.spend_micros / 12),
            ..Figures::default()
        }
    }

    /// The conversions of these clicks that have arrived when the hour has been over for so long.
    fn converted(&self, dice: Dice, clicks: i64, age_hours: i64) -> Figures {
        let chance = dice.of(11);
        let count = (clicks * self.conversion_ppm + chance.between(0, MICROS - 1)) / MICROS;
        let mut sum = Figures::default();
        for number in 0..count.clamp(0, MOST_CONVERSIONS) {
            let one = chance.of(number.unsigned_abs());
            if self.arrives_after(one) <= age_hours {
                sum += self.conversion(one);
            }
        }
        sum
    }

    fn conversion(&self, dice: Dice) -> Figures {
        let millis = match self.platform {
            Platform::GoogleAds => dice.of(1).pick(&[1_000, 1_000, 500, 667, 250]),
            Platform::Meta | Platform::LinkedIn | Platform::TikTok | Platform::X => 1_000,
        };
        let by_view = dice.of(2).below(6) == 0;
        let usd = self.order_usd_micros * dice.of(3).between(500, 1_500) / 1_000;
        let worth = self.currency.of_usd(usd * millis / 1_000);
        Figures {
            conversion_millis: millis,
            view_conversion_millis: if by_view { millis } else { 0 },
            lead_millis: if self.is_for_leads { millis } else { 0 },
            revenue_micros: if self.is_for_leads { 0 } else { worth },
            ..Figures::default()
        }
    }

    /// Hours from the end of its hour until a conversion arrives: most at once, some within the
    /// platform's window.
    fn arrives_after(&self, dice: Dice) -> i64 {
        let latest = self.platform.restated_days() * 24 - 24;
        match dice.of(4).below(100) {
            0..60 => -1,
            60..82 => dice.of(5).between(0, 24),
            82..94 => dice.of(5).between(24, 168),
            _ => dice.of(5).between(168, latest),
        }
    }
}

/// The first quarters of an hour.
fn part(whole: Figures, quarters: i64, currency: Currency) -> Figures {
    Figures {
        impressions: whole.impressions * quarters / 4,
        clicks: whole.clicks * quarters / 4,
        link_clicks: whole.link_clicks * quarters / 4,
        video_views: whole.video_views * quarters / 4,
        likes: whole.likes * quarters / 4,
        comments: whole.comments * quarters / 4,
        shares: whole.shares * quarters / 4,
        spend_micros: currency.rounded(whole.spend_micros * quarters / 4),
        ..Figures::default()
    }
}
