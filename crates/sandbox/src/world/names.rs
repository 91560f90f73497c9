//! Names as people give them: with umlauts, quotes, per cent signs and emoji, and now and then the
//! same one twice.

use super::{Key, Kind, dice::Dice};

const SEASONS: [&str; 12] = [
    "Autumn sale",
    "Spring launch",
    "Été à Paris",
    "Winter 50 % off",
    "Brand",
    "Retargeting",
    "Prospecting",
    "Dad's Day",
    "Größen & Maße",
    "新生活キャンペーン",
    "Lookalike 1%",
    "\"Last chance\"",
];
const PLACES: [&str; 8] = ["US", "DE", "UK", "JP", "All", "Nordics", "DACH", "Test 🧪"];
const GROUPS: [&str; 6] = [
    "Women 25-34",
    "Men 25-34",
    "Broad",
    "Website visitors 30d",
    "Newsletter",
    "Cart < 7 days",
];
const FORMATS: [&str; 6] = [
    "Video 15s",
    "Carousel",
    "Static A",
    "Static B",
    "Story",
    "Reel",
];

/// The name of anything but an account.
pub(super) fn of(dice: Dice, key: Key) -> String {
    let dice = dice.about("name");
    let number = key.n + 1;
    match key.kind {
        Kind::Account => String::new(),
        Kind::Campaign => {
            let (season, place) = (dice.of(1).pick(&SEASONS), dice.of(2).pick(&PLACES));
            format!("{season} | {place} #{number}")
        }
        // Nothing forbids that two are called alike.
        Kind::AdSet => dice.of(1).pick(&GROUPS).to_owned(),
        Kind::Ad => format!(
            "{} v{}",
            dice.of(1).pick(&FORMATS),
            dice.of(2).between(1, 9)
        ),
        Kind::Creative => format!("Creative {number}"),
        Kind::Audience => format!("{} {number}", dice.of(1).pick(&GROUPS)),
        Kind::LeadForm => format!("Lead form {number}"),
        Kind::Pixel => format!("Pixel {number}"),
        Kind::Page => format!("Page of account {}", key.account + 1),
        Kind::InstagramAccount => format!("fake_shop_{}", key.account + 1),
        Kind::FundingInstrument => format!("Card {number}"),
    }
}
