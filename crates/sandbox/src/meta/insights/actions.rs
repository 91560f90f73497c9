//! Actions: what people did, by type and by attribution window. Several types tell the same
//! purchases and the same leads: who adds them up counts them several times.

use serde_json::{Map, Value, json};

use crate::{
    meta::{call::Call, error::GraphError},
    world::{Figures, MICROS, decimal},
};

const PURCHASES: [&str; 4] = [
    "purchase",
    "omni_purchase",
    "offsite_conversion.fb_pixel_purchase",
    "onsite_web_purchase",
];
const LEADS: [&str; 3] = [
    "lead",
    "onsite_conversion.lead_grouped",
    "offsite_conversion.fb_pixel_lead",
];

/// A time after a click or a view within which a conversion counts for it. Where nobody asks, those
/// of seven days after clicks and of one day after views count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Click1,
    Click7,
    Click28,
    View1,
    /// A day after an engaged view.
    Engaged1,
    /// As the ad set is set, which is also `value`.
    Default,
}

/// How often something happened, and how often of that after a view.
#[derive(Debug, Clone, Copy)]
struct Count {
    all: i64,
    after_view: i64,
}

impl Window {
    /// Those that a call asks for.
    ///
    /// # Errors
    /// [`GraphError`] for one that there is not, or not any more.
    pub(super) fn of(call: &Call) -> Result<Vec<Self>, GraphError> {
        let words = call.words("action_attribution_windows");
        let windows = words.iter().map(|word| {
            Ok(match word.as_str() {
                "1d_click" => Self::Click1,
                "7d_click" => Self::Click7,
                "28d_click" => Self::Click28,
                "1d_view" => Self::View1,
                "1d_ev" => Self::Engaged1,
                "default" => Self::Default,
                _ => {
                    let what = "has a window that is not valid";
                    return Err(GraphError::bad_param("action_attribution_windows", what));
                }
            })
        });
        windows.collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Click1 => "1d_click",
            Self::Click7 => "7d_click",
            Self::Click28 => "28d_click",
            Self::View1 => "1d_view",
            Self::Engaged1 => "1d_ev",
            Self::Default => "default",
        }
    }

    fn share(self, count: Count) -> i64 {
        let after_click = count.all - count.after_view;
        match self {
            Self::Click1 => after_click * 4 / 5,
            Self::Click7 => after_click,
            Self::Click28 => after_click + after_click / 10,
            Self::View1 => count.after_view,
            Self::Engaged1 => count.after_view / 3,
            Self::Default => count.all,
        }
    }
}

/// `actions`; `None` when nobody did anything.
pub(super) fn counts(figures: &Figures, windows: &[Window]) -> Option<Value> {
    let once = |all| Count { all, after_view: 0 };
    let engagement = figures.link_clicks
        + figures.video_views
        + figures.likes
        + figures.comments
        + figures.shares;
    let simple = [
        ("link_click", figures.link_clicks),
        ("video_view", figures.video_views),
        ("post_reaction", figures.likes),
        ("comment", figures.comments),
        ("post", figures.shares),
        ("post_engagement", engagement),
        ("page_engagement", engagement),
    ];
    let simple = simple.map(|(name, all)| (name, once(all)));
    let purchases = purchases(figures);
    let leads = Count {
        all: figures.lead_millis / 1_000,
        after_view: (figures.view_conversion_millis / 1_000 - purchases.after_view).max(0),
    };
    let entries = simple
        .into_iter()
        .chain(PURCHASES.map(|name| (name, purchases)))
        .chain(LEADS.map(|name| (name, leads)));
    list(entries, windows, |count| count.to_string())
}

/// `action_values`: what purchases were worth, by the same overlapping types.
pub(super) fn values(figures: &Figures, windows: &[Window]) -> Option<Value> {
    let purchases = purchases(figures);
    let worth = Count {
        all: figures.revenue_micros,
        after_view: part(figures.revenue_micros, purchases.after_view, purchases.all),
    };
    let entries = PURCHASES.map(|name| (name, worth));
    list(entries.into_iter(), windows, short)
}

/// `purchase_roas`.
pub(super) fn roas(figures: &Figures) -> Option<Value> {
    (figures.revenue_micros > 0 && figures.spend_micros > 0).then(|| {
        let roas = part(figures.revenue_micros, MICROS, figures.spend_micros);
        json!([{ "action_type": "omni_purchase", "value": decimal(roas, 6) }])
    })
}

/// `cost_per_action_type`.
pub(super) fn costs(figures: &Figures) -> Option<Value> {
    let each = [
        ("link_click", figures.link_clicks),
        ("purchase", purchases(figures).all),
        ("omni_purchase", purchases(figures).all),
        ("lead", figures.lead_millis / 1_000),
    ];
    let entries: Vec<_> = each
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| {
            let cost = decimal(figures.spend_micros / count, 6);
            json!({ "action_type": name, "value": cost })
        })
        .collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// A list with one entry of a type of its own.
pub(super) fn single(name: &str, count: i64) -> Option<Value> {
    (count > 0).then(|| json!([{ "action_type": name, "value": count.to_string() }]))
}

/// Views lead to purchases and leads alike.
fn purchases(figures: &Figures) -> Count {
    let all = figures.purchase_millis() / 1_000;
    let after_view = part(
        figures.view_conversion_millis / 1_000,
        figures.purchase_millis(),
        figures.conversion_millis,
    );
    Count { all, after_view }
}

fn list(
    entries: impl Iterator<Item = (&'static str, Count)>,
    windows: &[Window],
    text: impl Fn(i64) -> String,
) -> Option<Value> {
    let shown: Vec<_> = entries
        .filter(|(_, count)| count.all > 0)
        .map(|(name, count)| {
            let mut entry = Map::new();
            entry.insert("action_type".to_owned(), json!(name));
            entry.insert("value".to_owned(), json!(text(count.all)));
            for window in windows {
                let share = window.share(count);
                if share > 0 {
                    entry.insert(window.name().to_owned(), json!(text(share)));
                }
            }
            Value::Object(entry)
        })
        .collect();
    (!shown.is_empty()).then_some(Value::Array(shown))
}

/// `amount` × `part` ÷ `whole`, cut; 0 for no whole.
fn part(amount: i64, part: i64, whole: i64) -> i64 {
    let scaled = i128::from(amount) * i128::from(part);
    let cut = scaled.checked_div(i128::from(whole)).unwrap_or_default();
    i64::try_from(cut).unwrap_or(i64::MAX)
}

/// An amount without needless zeros, as values of actions are told: `512.4`.
fn short(micros: i64) -> String {
    let text = decimal(micros, 6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures {
            link_clicks: 187,
            conversion_millis: 6_000,
            view_conversion_millis: 1_000,
            revenue_micros: 512_400_000,
            spend_micros: 84_370_000,
            ..Figures::default()
        }
    }

    #[test]
    fn the_same_purchases_stand_under_several_types() {
        let windows = [Window::Click7, Window::View1];

        let actions = counts(&figures(), &windows).expect("actions");

        let told = actions.as_array().expect("a list");
        let purchases: Vec<_> = told
            .iter()
            .filter(|entry| entry["value"] == "6")
            .map(|entry| entry["action_type"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(purchases, PURCHASES);
        let purchase = told.iter().find(|entry| entry["action_type"] == "purchase");
        assert_eq!(purchase.expect("it")["7d_click"], "5");
        assert_eq!(purchase.expect("it")["1d_view"], "1");
    }

    #[test]
    fn values_are_decimals_in_major_units() {
        let values = values(&figures(), &[]).expect("values");

        assert_eq!(values[0]["value"], "512.4");
        assert_eq!(roas(&figures()).expect("roas")[0]["value"], "6.073248");
        assert_eq!(counts(&Figures::default(), &[]), None);
    }
}
