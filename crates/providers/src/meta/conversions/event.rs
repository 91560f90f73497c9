//! A conversion event as upstream apps send it: Meta's member names, personal data raw or already hashed. None of these
//! types shows personal data in its `Debug` form.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Members that are passed on under the names they came with.
pub type Members = BTreeMap<String, Value>;

/// A conversion event.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// A standard name such as `Purchase`, or one of the app's own with at most 50 characters. Case matters.
    pub event_name: String,
    /// When it happened, in Unix seconds: at most 7 days ago, or 62 days for `physical_store`.
    pub event_time: i64,
    /// Names the business fact; copies of one fact with the same id count once.
    pub event_id: Option<String>,
    /// Where it happened.
    pub action_source: ActionSource,
    /// The page's address; required for `website`.
    pub event_source_url: Option<String>,
    /// The address of the page before it.
    pub referrer_url: Option<String>,
    /// Whom it happened to.
    pub user_data: UserData,
    /// What it was about. `Purchase` needs `value` and `currency`.
    pub custom_data: Option<Members>,
    /// Use it for attribution only.
    pub opt_out: Option<bool>,
    /// `["LDU"]` for Limited Data Use, `[]` for none.
    pub data_processing_options: Option<Vec<String>>,
    /// The country of Limited Data Use: 1 is the USA, 0 lets Meta locate the person.
    pub data_processing_options_country: Option<u32>,
    /// The state of Limited Data Use, such as 1000 for California; 0 lets Meta locate the person.
    pub data_processing_options_state: Option<u32>,
    /// The channel of a `business_messaging` event.
    pub messaging_channel: Option<String>,
    /// What Meta documents for events of apps.
    pub app_data: Option<Members>,
    /// The event that this one adds to.
    pub original_event_data: Option<Members>,
    /// What Meta documents for attributed events.
    pub attribution_data: Option<Members>,
    /// What the person allows, for Google. Where `ad_user_data` is denied, no other destination is sent the event.
    pub consent: Option<Consent>,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_name", &self.event_name)
            .field("event_time", &self.event_time)
            .field("action_source", &self.action_source)
            .finish_non_exhaustive()
    }
}

/// Where a conversion happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionSource {
    /// By mail.
    Email,
    /// On a web site.
    Website,
    /// In an app.
    App,
    /// On the phone.
    PhoneCall,
    /// In a chat.
    Chat,
    /// In a shop.
    PhysicalStore,
    /// By itself, such as a subscription's renewal or a lead's change of status.
    SystemGenerated,
    /// In a messenger.
    BusinessMessaging,
    /// Elsewhere.
    Other,
}

/// What a person allows. What is not told is sent as not told.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// To send data about them for advertising.
    pub ad_user_data: Option<Allowed>,
    /// To show them advertising that goes by it.
    pub ad_personalization: Option<Allowed>,
}

/// Yes or no.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Yes.
    Granted,
    /// No.
    Denied,
}

/// Whom a conversion happened to: at least one member, and not only weak ones. What is to be hashed may come hashed.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserData {
    /// Mail addresses.
    pub em: Option<OneOrMany>,
    /// Phone numbers with their country code.
    pub ph: Option<OneOrMany>,
    /// First names.
    #[serde(rename = "fn")]
    pub first_name: Option<OneOrMany>,
    /// Last names.
    pub ln: Option<OneOrMany>,
    /// Gender: `f` or `m`.
    pub ge: Option<OneOrMany>,
    /// Date of birth.
    pub db: Option<OneOrMany>,
    /// Year of birth.
    pub doby: Option<OneOrMany>,
    /// Month of birth.
    pub dobm: Option<OneOrMany>,
    /// Day of birth.
    pub dobd: Option<OneOrMany>,
    /// City.
    pub ct: Option<OneOrMany>,
    /// State, in the USA by its two-letter code or name.
    pub st: Option<OneOrMany>,
    /// Postal code.
    pub zp: Option<OneOrMany>,
    /// Country by its ISO 3166-1 code or English name.
    pub country: Option<OneOrMany>,
    /// The app's own ids of the person.
    pub external_id: Option<OneOrMany>,
    /// The person's address on the internet, never our server's. Not hashed.
    pub client_ip_address: Option<OneOrMany>,
    /// The person's browser; required for `website`. Not hashed.
    pub client_user_agent: Option<OneOrMany>,
    /// The click's id. Not hashed; made from `fbclid` in `event_source_url` when it is missing.
    pub fbc: Option<OneOrMany>,
    /// The browser's id. Not hashed.
    pub fbp: Option<OneOrMany>,
    /// Not hashed.
    pub subscription_id: Option<OneOrMany>,
    /// Not hashed.
    pub fb_login_id: Option<OneOrMany>,
    /// Not hashed.
    pub lead_id: Option<OneOrMany>,
    /// Not hashed.
    pub anon_id: Option<OneOrMany>,
    /// Not hashed.
    pub madid: Option<OneOrMany>,
    /// Not hashed.
    pub page_id: Option<OneOrMany>,
    /// Not hashed.
    pub page_scoped_user_id: Option<OneOrMany>,
    /// Not hashed.
    pub ctwa_clid: Option<OneOrMany>,
    /// Not hashed.
    pub ig_account_id: Option<OneOrMany>,
    /// Not hashed.
    pub ig_sid: Option<OneOrMany>,
    /// The click's id, for Google. Not hashed, as those that follow.
    pub gclid: Option<OneOrMany>,
    /// The click's id in an app, for Google.
    pub gbraid: Option<OneOrMany>,
    /// The click's id on the way from an app to the web, for Google.
    pub wbraid: Option<OneOrMany>,
    /// The click's id, for TikTok.
    pub ttclid: Option<OneOrMany>,
    /// The browser's id, for TikTok.
    pub ttp: Option<OneOrMany>,
    /// The click's id, for LinkedIn.
    pub li_fat_id: Option<OneOrMany>,
    /// The click's id, for X.
    pub twclid: Option<OneOrMany>,
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserData(hidden)")
    }
}

/// A single value or a list of them; `null` in a list counts as nothing.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// A single value.
    One(Scalar),
    /// A list.
    Many(Vec<Option<Scalar>>),
}

impl OneOrMany {
    /// The values that are there, each with its place in the list if there is a list.
    pub(crate) fn values(&self) -> Vec<(Option<usize>, &Scalar)> {
        match self {
            Self::One(value) => vec![(None, value)],
            Self::Many(values) => values
                .iter()
                .enumerate()
                .filter_map(|(place, value)| Some((Some(place), value.as_ref()?)))
                .collect(),
        }
    }
}

impl fmt::Debug for OneOrMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneOrMany(hidden)")
    }
}

/// Text or a whole number: ids, postal codes and years come as either.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
}

impl Scalar {
    /// The value as text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn personal_data_is_not_shown() {
        let event: Event = serde_json::from_value(json!({
            "event_name": "Lead", "event_time": 1_763_640_000, "action_source": "other",
            "event_source_url": "https://example.com/?mail=canary",
            "user_data": {"em": "canary@example.com", "ph": ["canary"]},
            "custom_data": {"note": "canary"}
        }))
        .expect("an event");

        let shown = format!("{event:?} {:?} {:?}", event.user_data, event.user_data.em);

        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("Lead"));
    }

    #[test]
    fn members_may_be_one_value_or_several_or_null() {
        let user_data: UserData = serde_json::from_value(json!({
            "em": "a@example.com", "ph": ["1", null, 2], "fn": null, "zp": 94_043
        }))
        .expect("user data");

        assert_eq!(user_data.em.expect("em").values().len(), 1);
        assert_eq!(user_data.ph.expect("ph").values().len(), 2);
        assert!(user_data.first_name.is_none());
        assert_eq!(user_data.zp.expect("zp").values()[0].1.text(), "94043");
    }

    #[test]
    fn unknown_members_are_refused() {
        let unknown = |value| serde_json::from_value::<Event>(value).is_err();

        assert!(unknown(
            json!({"event_name": "Lead", "event_time": 1, "action_source": "other",
            "user_data": {}, "even_id": "typo"})
        ));
        assert!(unknown(
            json!({"event_name": "Lead", "event_time": 1, "action_source": "other",
            "user_data": {"email": "a@example.com"}})
        ));
        assert!(unknown(
            json!({"event_name": "Lead", "event_time": 1, "action_source": "others",
            "user_data": {}})
        ));
    }
}
