//! Actions: what people did because of ads. Meta tells the same purchase under several types and by several windows, so one
//! type is chosen, and of windows that lie in each other the widest: they are never added up.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

use super::refused;
use crate::{
    error::Error,
    platform::{ConversionChoice, members},
};

/// Types that tell purchases, the first choice first.
const PURCHASES: [&str; 3] = [
    "omni_purchase",
    "purchase",
    "offsite_conversion.fb_pixel_purchase",
];

/// Types that tell leads, the first choice first.
const LEADS: [&str; 4] = [
    "lead",
    "onsite_conversion.lead_grouped",
    "offsite_conversion.fb_pixel_lead",
    "leadgen_grouped",
];

/// How actions are counted in one query.
pub(super) struct Counting<'q> {
    choice: &'q ConversionChoice,
    /// Windows that do not overlap; none: what each ad set is set to.
    windows: Vec<&'q str>,
}

/// What a row counts as conversions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Converted {
    pub(super) conversions: Decimal,
    pub(super) revenue: Decimal,
    pub(super) leads: Decimal,
}

impl<'q> Counting<'q> {
    /// # Errors
    /// [`Error::Rejected`] for a window that cannot be added to the others.
    pub(super) fn new(
        choice: &'q ConversionChoice,
        attribution: &'q [String],
    ) -> Result<Self, Error> {
        Ok(Self {
            choice,
            windows: widest(attribution)?,
        })
    }

    /// Conversions, what they were worth, and leads. `None` for numbers that cannot be read.
    pub(super) fn converted(&self, row: &Value) -> Option<Converted> {
        let (actions, values) = (row.get("actions"), row.get("action_values"));
        let chosen = match &self.choice.conversions {
            Some(chosen) => Some(chosen.as_str()),
            None => first_there(actions, &PURCHASES),
        };
        let worth = match &self.choice.revenue {
            Some(worth) => Some(worth.as_str()),
            // Of the same actions that are counted.
            None => chosen.or_else(|| first_there(values, &PURCHASES)),
        };
        Some(Converted {
            conversions: self.amount(actions, chosen)?,
            revenue: self.amount(values, worth)?,
            leads: self.amount(actions, first_there(actions, &LEADS))?,
        })
    }

    fn amount(&self, list: Option<&Value>, chosen: Option<&str>) -> Option<Decimal> {
        let Some(entry) = chosen.and_then(|chosen| entry(list, chosen)) else {
            return Some(Decimal::ZERO);
        };
        let number = |name: &str| {
            let number = members::number(entry.get(name)).ok()?;
            Some(number.unwrap_or_default())
        };
        if self.windows.is_empty() {
            return number("value");
        }
        self.windows
            .iter()
            .copied()
            .try_fold(Decimal::ZERO, |sum, window| {
                sum.checked_add(number(window)?)
            })
    }
}

/// How often something happened that has one type alone.
pub(super) fn count(row: &Value, action: &str) -> Option<i64> {
    match entry(row.get("actions"), action) {
        None => Some(0),
        Some(entry) => {
            let number = members::number(entry.get("value")).ok()?;
            Some(members::count(number))
        }
    }
}

fn entry<'v>(list: Option<&'v Value>, action: &str) -> Option<&'v Value> {
    let entries = list?.as_array()?;
    entries
        .iter()
        .find(|entry| members::text(entry, "action_type") == Some(action))
}

fn first_there(list: Option<&Value>, preferred: &[&'static str]) -> Option<&'static str> {
    let mut preferred = preferred.iter().copied();
    preferred.find(|action| entry(list, action).is_some())
}

/// Of each sort of window the widest: a window of seven days holds the one of one day, while nothing counts both as after a
/// click and as after a view.
fn widest(attribution: &[String]) -> Result<Vec<&str>, Error> {
    let mut widest: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
    for window in attribution.iter().map(String::as_str) {
        let (days, after) = parts(window).ok_or_else(|| {
            refused(
                "an attribution window is none of 1d_click, 7d_click, 28d_click, 1d_view, 1d_ev",
            )
        })?;
        let known = widest.entry(after).or_insert((days, window));
        if days > known.0 {
            *known = (days, window);
        }
    }
    Ok(widest.into_values().map(|(_, window)| window).collect())
}

/// The days of a window, and after what it is: `7d_click`.
fn parts(window: &str) -> Option<(u32, &str)> {
    let (days, after) = window.split_once("d_")?;
    let days = days.parse().ok()?;
    matches!(after, "click" | "view" | "ev").then_some((days, after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({
            "actions": [
                {"action_type": "link_click", "value": "187"},
                {"action_type": "purchase", "value": "6", "1d_click": "4", "7d_click": "5", "1d_view": "1"},
                {"action_type": "omni_purchase", "value": "6", "1d_click": "4", "7d_click": "5", "1d_view": "1"},
                {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "6"},
                {"action_type": "lead", "value": "2"},
                {"action_type": "onsite_conversion.lead_grouped", "value": "2"}
            ],
            "action_values": [
                {"action_type": "purchase", "value": "512.4", "7d_click": "400.4", "1d_view": "112"},
                {"action_type": "omni_purchase", "value": "512.4", "7d_click": "400.4", "1d_view": "112"}
            ]
        })
    }

    fn converted(row: &Value, choice: &ConversionChoice, windows: &[&str]) -> [String; 3] {
        let windows: Vec<String> = windows.iter().map(|window| (*window).to_owned()).collect();
        let counting = Counting::new(choice, &windows).expect("known windows");
        let counted = counting.converted(row).expect("numbers");
        [counted.conversions, counted.revenue, counted.leads].map(|amount| amount.to_string())
    }

    #[test]
    fn the_types_of_one_purchase_are_never_added_up() {
        let counted = converted(&row(), &ConversionChoice::default(), &[]);

        assert_eq!(counted, ["6", "512.4", "2"]);
    }

    #[test]
    fn the_first_choice_that_is_there_counts() {
        let pixel = json!({"actions": [
            {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "3"},
            {"action_type": "leadgen_grouped", "value": "1"}
        ]});

        let counted = converted(&pixel, &ConversionChoice::default(), &[]);

        assert_eq!(counted, ["3", "0", "1"]);
    }

    #[test]
    fn another_type_can_be_chosen_and_its_worth_goes_with_it() {
        let choice = ConversionChoice {
            conversions: Some("lead".to_owned()),
            revenue: None,
        };
        let both = ConversionChoice {
            revenue: Some("purchase".to_owned()),
            ..choice.clone()
        };

        assert_eq!(converted(&row(), &choice, &[]), ["2", "0", "2"]);
        assert_eq!(converted(&row(), &both, &[]), ["2", "512.4", "2"]);
    }

    #[test]
    fn windows_of_two_sorts_are_added_and_those_of_one_sort_are_not() {
        let any = ConversionChoice::default();

        assert_eq!(converted(&row(), &any, &["7d_click", "1d_view"])[0], "6");
        assert_eq!(converted(&row(), &any, &["1d_click", "7d_click"])[0], "5");
        assert_eq!(
            converted(&row(), &any, &["7d_click", "1d_view"])[1],
            "512.4"
        );
        assert_eq!(converted(&row(), &any, &["1d_ev"])[0], "0");
    }

    #[test]
    fn a_window_that_is_not_known_is_refused() {
        for window in ["skan_click", "default", "d_click", "7d_tap", "click"] {
            let windows = [window.to_owned()];
            let choice = ConversionChoice::default();

            let refused = Counting::new(&choice, &windows).err();

            assert!(matches!(refused, Some(Error::Rejected { .. })), "{window}");
        }
    }

    #[test]
    fn no_actions_are_zero_and_nonsense_is_not() {
        let choice = ConversionChoice::default();
        let nonsense = json!({"actions": [{"action_type": "purchase", "value": "many"}]});

        assert_eq!(converted(&json!({}), &choice, &[]), ["0", "0", "0"]);
        let counting = Counting::new(&choice, &[]).expect("no windows");
        assert_eq!(counting.converted(&nonsense), None);
        assert_eq!(count(&nonsense, "purchase"), None);
        assert_eq!(count(&json!({"actions": null}), "comment"), Some(0));
    }
}
