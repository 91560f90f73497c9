//! From an event as it came to an event that Meta takes, or to every reason why it does not. Meta refuses a whole batch
//! for one bad event, so whatever it would refuse is refused here first.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    custom_data,
    event::{ActionSource, Allowed, Event, Members},
    user_data,
};

/// Longest name of an app's own events, in characters.
const NAME_LIMIT: usize = 50;

/// Oldest event that is taken.
const OLDEST: TimeDelta = TimeDelta::days(7);

/// Oldest event of a shop that is taken.
const OLDEST_IN_STORE: TimeDelta = TimeDelta::days(62);

/// How far a sender's clock may be ahead of ours. Meta takes a minute at most, so these events happen "now".
const LARGEST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Unix seconds reach this in the year 5138, milliseconds reached it in 1973.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// An event that Meta takes, as far as anybody can tell beforehand.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The event as it is sent.
    pub event: ServerEvent,
    /// What is not sent, each as a JSON Pointer into the event and a reason; never a value.
    pub left_out: Vec<String>,
}

/// Why an event is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be sent: {}", listed(.reasons))]
pub struct Refused {
    /// Every reason: a JSON Pointer into the event, and a message.
    pub reasons: Vec<(String, String)>,
    /// The event was right once, and has become too old for the provider.
    pub expired: bool,
}

/// An event in the form that goes to Meta: personal data hashed, everything checked.
#[derive(Clone, Serialize)]
pub struct ServerEvent {
    event_name: String,
    event_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    action_source: ActionSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source_url: Option<String>,
    user_data: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_data: Option<Members>,
    /// Members that are passed on as they are.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl ServerEvent {
    /// The id that copies of this event share.
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// When it happened, in Unix seconds.
    pub fn event_time(&self) -> i64 {
        self.event_time
    }
}

impl std::fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerEvent")
            .field("event_name", &self.event_name)
            .field("event_time", &self.event_time)
            .finish_non_exhaustive()
    }
}

/// Checks, normalises and hashes an event. `now` decides whether it is too old.
///
/// # Errors
/// [`Refused`], with every reason at once.
pub fn prepare(event: &Event, now: DateTime<Utc>) -> Result<Prepared, Refused> {
    let mut report = Report::default();

    check_name(event, &mut report);
    let event_time = check_time(event, now, &mut report);
    let event_source_url = check_url(event, &mut report);
    let mut user_data =
        user_data::to_send(&event.user_data, now.date_naive(), &mut report.left_out);
    if let Some(fbc) = click_id(event, &user_data) {
        user_data.insert("fbc".to_owned(), Value::String(fbc));
    }
    check_people(event, &user_data, &mut report);
    tell_of_others(event, &mut report);
    let custom_data = custom_data::to_send(event, &mut report.reasons, &mut report.left_out);
    let others = others(event, &mut report);

    if !report.reasons.is_empty() {
        return Err(Refused {
            reasons: report.reasons,
            expired: report.expired,
        });
    }
    Ok(Prepared {
        event: ServerEvent {
            event_name: event.event_name.clone(),
            event_time,
            event_id: event.event_id.clone().filter(|id| !id.trim().is_empty()),
            action_source: event.action_source,
            event_source_url,
            user_data,
            custom_data,
            others,
        },
        left_out: report.left_out,
    })
}

/// What is found on the way.
#[derive(Default)]
struct Report {
    reasons: Vec<(String, String)>,
    left_out: Vec<String>,
    expired: bool,
}

impl Report {
    fn refuse(&mut self, pointer: &str, message: impl Into<String>) {
        self.reasons.push((pointer.to_owned(), message.into()));
    }
}

fn check_name(event: &Event, report: &mut Report) {
    if event.event_name.trim().is_empty() {
        report.refuse("/event_name", "is required");
    } else if event.event_name.chars().count() > NAME_LIMIT {
        report.refuse(
            "/event_name",
            format!("has more than {NAME_LIMIT} characters"),
        );
    }
}

/// The time that is sent.
fn check_time(event: &Event, now: DateTime<Utc>, report: &mut Report) -> i64 {
    let oldest = match event.action_source {
        ActionSource::PhysicalStore => OLDEST_IN_STORE,
        _ => OLDEST,
    };
    let age = now.timestamp().saturating_sub(event.event_time);
    if event.event_time >= FIRST_MILLISECONDS {
        report.refuse(
            "/event_time",
            "must be Unix seconds; these look like milliseconds",
        );
    } else if age > oldest.num_seconds() {
        report.expired = true;
        report.refuse(
            "/event_time",
            format!(
                "is more than {} days ago: the event has expired",
                oldest.num_days()
            ),
        );
    } else if -age > LARGEST_SKEW.num_seconds() {
        report.refuse("/event_time", "lies in the future");
    }
    event.event_time.min(now.timestamp())
}

/// The page's address, if it is one.
fn check_url(event: &Event, report: &mut Report) -> Option<String> {
    let is_website = event.action_source == ActionSource::Website;
    let given = event
        .event_source_url
        .as_deref()
        .map(str::trim)
        .filter(|url| !url.is_empty());
    let Some(given) = given else {
        if is_website {
            report.refuse("/event_source_url", "is required for a website");
        }
        return None;
    };
    let is_url = Url::parse(given)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_url {
        return Some(given.to_owned());
    }
    if is_website {
        report.refuse("/event_source_url", "must be an http or https address");
    } else {
        report
            .left_out
            .push("/event_source_url: no http or https address".to_owned());
    }
    None
}

/// `fbc` from the click's id in the page's address, when the event brings none. The time of the click is not known; the
/// event's own is the nearest to it that is the same on every attempt.
fn click_id(event: &Event, user_data: &Map<String, Value>) -> Option<String> {
    if user_data.contains_key("fbc") {
        return None;
    }
    let url = Url::parse(event.event_source_url.as_deref()?.trim()).ok()?;
    let (_, fbclid) = url
        .query_pairs()
        .find(|(name, value)| name == "fbclid" && !value.is_empty())?;
    let clicked_ms = event.event_time.saturating_mul(1000);
    Some(format!("fb.1.{clicked_ms}.{fbclid}"))
}

/// What is there for other destinations is not sent.
fn tell_of_others(event: &Event, report: &mut Report) {
    let data = &event.user_data;
    let others = [
        ("gclid", &data.gclid),
        ("gbraid", &data.gbraid),
        ("wbraid", &data.wbraid),
        ("ttclid", &data.ttclid),
        ("ttp", &data.ttp),
        ("li_fat_id", &data.li_fat_id),
        ("twclid", &data.twclid),
    ];
    for (name, _) in others.iter().filter(|(_, value)| value.is_some()) {
        report
            .left_out
            .push(format!("/user_data/{name}: Meta has no use for it"));
    }
    let Some(consent) = event.consent else {
        return;
    };
    if consent.ad_user_data == Some(Allowed::Denied) {
        let message = "is denied, which Meta cannot be told: nothing is sent";
        report.refuse("/consent/ad_user_data", message);
    }
    report
        .left_out
        .push("/consent: Meta has no use for it".to_owned());
}

fn check_people(event: &Event, user_data: &Map<String, Value>, report: &mut Report) {
    if user_data.is_empty() {
        report.refuse("/user_data", "has nothing that can be used");
    } else if user_data::is_too_weak(user_data) {
        report.refuse("/user_data", "has too little to find anybody by");
    }
    if event.action_source == ActionSource::Website && !user_data.contains_key("client_user_agent")
    {
        report.refuse("/user_data/client_user_agent", "is required for a website");
    }
    let has_channel = event
        .messaging_channel
        .as_ref()
        .is_some_and(|channel| !channel.trim().is_empty());
    if event.action_source == ActionSource::BusinessMessaging && !has_channel {
        report.refuse("/messaging_channel", "is required for business messaging");
    }
}

/// The members that are passed on, and those of Limited Data Use with what Meta wants beside them.
fn others(event: &Event, report: &mut Report) -> Map<String, Value> {
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let object = |members: &Option<Members>| {
        let members = members.clone()?;
        Some(Value::Object(members.into_iter().collect()))
    };
    let mut others: Map<String, Value> = [
        ("referrer_url", text(&event.referrer_url)),
        ("opt_out", event.opt_out.map(Value::Bool)),
        ("messaging_channel", text(&event.messaging_channel)),
        ("app_data", object(&event.app_data)),
        ("original_event_data", object(&event.original_event_data)),
        ("attribution_data", object(&event.attribution_data)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();

    if let Some(options) = &event.data_processing_options {
        if options.iter().any(|option| option != "LDU") {
            report.refuse("/data_processing_options", "knows no option but LDU");
        }
        let mut add = |name: &str, value| others.insert(name.to_owned(), value);
        add("data_processing_options", Value::from(options.clone()));
        if !options.is_empty() {
            // Zero lets Meta locate the person; without either it refuses the option.
            let country = event.data_processing_options_country.unwrap_or(0);
            let state = event.data_processing_options_state.unwrap_or(0);
            add("data_processing_options_country", Value::from(country));
            add("data_processing_options_state", Value::from(state));
        }
    }
    others
}

fn listed(reasons: &[(String, String)]) -> String {
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(pointer, message)| format!("{pointer} {message}"))
        .collect();
    reasons.join("; ")
}
