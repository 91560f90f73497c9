//! Has Meta tell of new leads and comments as it does: signed, in batches, more than once, in any
//! order, and again where it was not taken.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Json, body::Bytes, extract::State};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time,
};
use url::{Host, Url};

use super::{ControlError, Local, read};
use crate::{
    shared::Shared,
    world::{Key, Kind, Platform},
};

/// Most events of one order, and most of one request, as Meta sends them.
const MOST_EVENTS: u32 = 20_000;
const MOST_PER_REQUEST: usize = 1_000;
/// Most copies and tries of a request, and most requests at once.
const MOST_TIMES: u32 = 100;
const MOST_AT_ONCE: usize = 64;
/// Longest for one request, and how long Meta waits before it sends one again.
const LONGEST: Duration = Duration::from_secs(20);
const BEFORE_AGAIN: Duration = Duration::from_millis(300);

/// What is to happen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhooksRequest {
    /// Where events go: plain http on this machine.
    url: Url,
    /// Meta's id of the Page; the first one without it.
    page: Option<String>,
    /// New leads that are told of, and such that are not.
    #[serde(default)]
    leads: u32,
    #[serde(default)]
    silent_leads: u32,
    /// For how long nobody can read the leads.
    #[serde(default)]
    unreadable_s: u32,
    /// New comments, and whether each is taken away again.
    #[serde(default)]
    comments: u32,
    #[serde(default)]
    removed: bool,
    /// Events in one request.
    #[serde(default = "one_event")]
    per_request: usize,
    /// How often each request is sent that is taken, and how often it is tried until it is.
    #[serde(default = "once")]
    copies: u32,
    #[serde(default = "once")]
    tries: u32,
    /// The last events go first.
    #[serde(default)]
    backwards: bool,
    /// Requests at once.
    #[serde(default = "one_event")]
    at_once: usize,
    /// Signs with another secret.
    secret: Option<String>,
}

fn one_event() -> usize {
    1
}

fn once() -> u32 {
    1
}

/// What has happened.
#[derive(Serialize)]
pub(super) struct WebhooksAnswer {
    page: String,
    /// What events of the Page are asked for; they are sent all the same.
    subscribed: Vec<String>,
    leads: Vec<String>,
    silent_leads: Vec<String>,
    comments: Vec<String>,
    requests: usize,
    /// How many requests were answered how in the end; those under "none" were not.
    answers: BTreeMap<String, usize>,
}

/// One request, ready to be sent.
struct Sent {
    to: SocketAddr,
    text: String,
    copies: u32,
    tries: u32,
}

pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<Json<WebhooksAnswer>, ControlError> {
    let request: WebhooksRequest = read(&body)?;
    let to = target(&request.url)?;
    check(&request)?;
    let page = page(&shared, request.page.as_deref())?;
    let mut events = Vec::new();
    let leads = leads(&shared, (page, &request), request.leads)?;
    let silent_leads = self::leads(&shared, (page, &request), request.silent_leads)?;
    events.extend(leads.iter().map(|lead| lead_event(&shared, page, lead)));
    let comments = comments(&shared, (page, &request), &mut events);
    if request.backwards {
        events.reverse();
    }
    let secret = request.secret.clone();
    let secret = secret.unwrap_or_else(|| shared.meta().app_secret.clone());
    let sent: Vec<Sent> = events
        .chunks(request.per_request.clamp(1, MOST_PER_REQUEST))
        .map(|events| Sent {
            to,
            text: http(&request.url, &signed(&shared, (page, &secret), events)),
            copies: request.copies,
            tries: request.tries,
        })
        .collect();
    let requests = sent.len();
    let answers = send_all(sent, request.at_once.clamp(1, MOST_AT_ONCE)).await;
    Ok(Json(WebhooksAnswer {
        page: shared.world.id(page),
        subscribed: shared.leads.subscribed(page).into_iter().collect(),
        leads,
        silent_leads,
        comments,
        requests,
        answers,
    }))
}

fn check(request: &WebhooksRequest) -> Result<(), ControlError> {
    let all = [request.leads, request.silent_leads, request.comments];
    let is_much = all.iter().any(|count| *count > MOST_EVENTS);
    let times = [request.copies, request.tries];
    if is_much || times.iter().any(|times| !(1..=MOST_TIMES).contains(times)) {
        return Err(ControlError::Webhooks(
            "leads and comments must be at most 20,000, copies and tries 1 to 100",
        ));
    }
    Ok(())
}

fn target(url: &Url) -> Result<SocketAddr, ControlError> {
    let refused = || ControlError::Webhooks("url must be http://127.0.0.1:PORT/…");
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => ip,
        _ => return Err(refused()),
    };
    if url.scheme() != "http" {
        return Err(refused());
    }
    let port = url.port_or_known_default().ok_or_else(refused)?;
    Ok(SocketAddr::from((ip, port)))
}

fn page(shared: &Shared, id: Option<&str>) -> Result<Key, ControlError> {
    let world = &shared.world;
    let found = match id {
        Some(id) => world.find(Platform::Meta, id),
        None => {
            let account = Key::account(Platform::Meta, 0);
            world.keys(account, Kind::Page).first().copied()
        }
    };
    let found = found.filter(|key| key.kind == Kind::Page);
    found.ok_or(ControlError::Unknown)
}

/// People send forms of the Page; their ids.
fn leads(
    shared: &Shared,
    (page, request): (Key, &WebhooksRequest),
    count: u32,
) -> Result<Vec<String>, ControlError> {
    let forms = shared.world.keys(page, Kind::LeadForm);
    if forms.is_empty() && count > 0 {
        return Err(ControlError::Webhooks("the page has no form"));
    }
    let now = shared.world.now();
    let readable_at = now + TimeDelta::seconds(i64::from(request.unreadable_s));
    let forms = forms.iter().cycle().take(count as usize);
    let sent = forms.map(|form| shared.leads.send(*form, now, readable_at).id());
    Ok(sent.collect())
}

fn lead_event(shared: &Shared, page: Key, lead: &str) -> Value {
    let world = &shared.world;
    let form = shared.leads.get(lead).map(|lead| world.id(lead.form));
    json!({ "field": "leadgen", "value": {
        "leadgen_id": lead,
        "page_id": world.id(page),
        "form_id": form,
        "created_time": world.now().timestamp(),
    }})
}

/// People comment; the ids of what they say.
fn comments(
    shared: &Shared,
    (page, request): (Key, &WebhooksRequest),
    events: &mut Vec<Value>,
) -> Vec<String> {
    let page = shared.world.id(page);
    let said_at = shared.world.now().timestamp();
    let mut said = Vec::new();
    for _ in 0..request.comments {
        let number = shared.leads.next_comment();
        let id = format!("{page}_{}", 1_000 + number);
        let event = |verb: &str, message: Option<String>| {
            json!({ "field": "feed", "value": {
                "from": { "id": "300000000000001", "name": "Åsa Öberg" },
                "item": "comment",
                "verb": verb,
                "comment_id": id,
                "post_id": format!("{page}_1"),
                "parent_id": format!("{page}_1"),
                "message": message,
                "created_time": said_at,
            }})
        };
        events.push(event(
            "add",
            Some(format!("café? #{number} <b>50 %</b> a/b")),
        ));
        if request.removed {
            events.push(event("remove", None));
        }
        said.push(id);
    }
    said
}

/// A request's body with its signature.
fn signed(shared: &Shared, (page, secret): (Key, &str), events: &[Value]) -> (String, String) {
    let entry = json!({
        "id": shared.world.id(page),
        "time": shared.world.now().timestamp(),
        "changes": events,
    });
    let body = escaped(&json!({ "object": "page", "entry": [entry] }).to_string());
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("HMAC takes a key of any length");
    let signature = mac.chain_update(body.as_bytes()).finalize().into_bytes();
    (format!("sha256={}", hex::encode(signature)), body)
}

/// JSON as Meta writes it: in ASCII, with slashes and angle brackets escaped.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '/' => text.push_str("\\/"),
            '<' => text.push_str("\\u003C"),
            letter if letter.is_ascii() => text.push(letter),
            letter => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

fn http(url: &Url, (signature, body): &(String, String)) -> String {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: facebookplatform/1.0\r\n\
         content-type: application/json\r\nx-hub-signature-256: {signature}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len(),
    )
}

/// Sends requests, so many at once; tells how they were answered in the end.
async fn send_all(requests: Vec<Sent>, at_once: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    let mut under_way = JoinSet::new();
    let mut count = |answer: Option<u16>| {
        let name = answer.map_or_else(|| "none".to_owned(), |status| status.to_string());
        *answers.entry(name).or_insert(0) += 1;
    };
    for request in requests {
        if under_way.len() >= at_once
            && let Some(done) = under_way.join_next().await
        {
            count(done.unwrap_or_default());
        }
        under_way.spawn(deliver(request));
    }
    while let Some(done) = under_way.join_next().await {
        count(done.unwrap_or_default());
    }
    answers
}

/// Sends a request until it is taken, and then its copies. `None`: nobody answered.
async fn deliver(request: Sent) -> Option<u16> {
    let mut answer = None;
    for attempt in 0..request.tries {
        if attempt > 0 {
            time::sleep(BEFORE_AGAIN).await;
        }
        answer = once_sent(&request).await;
        if answer.is_some_and(|status| (200..300).contains(&status)) {
            break;
        }
    }
    for _ in 1..request.copies {
        answer = once_sent(&request).await;
    }
    answer
}

async fn once_sent(request: &Sent) -> Option<u16> {
    time::timeout(LONGEST, exchange(request)).await.ok()?.ok()
}

async fn exchange(request: &Sent) -> Result<u16, std::io::Error> {
    let mut stream = TcpStream::connect(request.to).await?;
    stream.write_all(request.text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no status"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Site;

    #[test]
    fn json_is_escaped_as_meta_does_it() {
        assert_eq!(
            escaped("{\"a\":\"é 🧪 a/b <\"}"),
            "{\"a\":\"\\u00e9 \\ud83e\\uddea a\\/b \\u003C\"}"
        );
    }

    #[tokio::test]
    async fn events_are_sent_in_batches_and_copies_and_counted() {
        let site = Site::start().await;
        let url = format!("http://{}/hooks/meta", site.sandbox.http_addr());
        let order = json!({
            "url": url, "leads": 3, "silent_leads": 1, "comments": 1, "removed": true, "per_request": 2, "copies": 2,
        });

        let told = site.control("POST", "/webhooks", &order).await;
        let ledger = site.control("GET", "/ledger", &json!(null)).await;

        assert_eq!(told.status, 200, "{}", told.body);
        let told = told.json();
        assert_eq!(told["leads"].as_array().map(Vec::len), Some(3));
        assert_eq!(told["silent_leads"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&told["requests"], &told["answers"]),
            (&json!(3), &json!({ "200": 3 }))
        );
        assert_eq!(ledger.json()["totals"]["hooks"], 6);
        site.stop().await;
    }

    #[tokio::test]
    async fn nothing_is_sent_to_other_machines() {
        let site = Site::start().await;
        let order = json!({ "url": "http://192.0.2.1/webhooks/meta", "leads": 1 });

        let refused = site.control("POST", "/webhooks", &order).await;

        assert_eq!(refused.status, 422);
        site.stop().await;
    }
}
