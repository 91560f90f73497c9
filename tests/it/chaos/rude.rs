//! Clients without manners: fifty equal requests at once, the same key for another request, halves of requests, and
//! connections that are cut before the answer.

use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    clients::KIND,
    conservation::Sent,
    door::{Door, Reply},
    ledger::Ledger,
    passes,
};

/// Equal requests at once.
const EQUAL: usize = 50;
/// Requests of which half is sent, and requests whose answer nobody waits for.
const CUT: usize = 10;
/// Longest that writing a request may take.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// Tries of a request that must have an answer in the end, and the time between them.
const TRIES: usize = 600;
const AGAIN: Duration = Duration::from_millis(200);

/// Behaves badly once, and tells what became of it. `name` tells these requests from all others.
pub(super) async fn behave(door: &Door, (base, api_key): (&str, &str), name: &str) -> Ledger {
    let mut ledger = equal(door, name).await;
    for n in 0..CUT {
        let token = format!("{name}-half-{n}");
        let request = request(&token, api_key);
        let half = request.len() / 2;
        // Whether it arrives or not, nothing may come of it.
        let _ = write(base, &request[..half]).await;
        ledger.sent.push(Sent {
            token,
            ..Sent::default()
        });
    }
    for n in 0..CUT {
        let token = format!("{name}-cut-{n}");
        // Whether anything comes of it, nobody knows: another fault may have the process.
        let _ = write(base, &request(&token, api_key)).await;
        ledger.sent.push(Sent {
            token,
            doubts: 1,
            ..Sent::default()
        });
    }
    ledger
}

/// Equal requests at once, repeated until one is answered, and then another request under their key.
async fn equal(door: &Door, name: &str) -> Ledger {
    let token = format!("{name}-equal");
    let key = format!("key-{token}");
    let body = &json!({ "kind": KIND, "payload": { "token": token } });
    let where_to = ("/v1/jobs", Some(key.as_str()));
    let mut sent = Sent {
        token,
        key: Some(key.clone()),
        ..Sent::default()
    };
    let mut ledger = Ledger::default();
    let mut crowd = EQUAL;
    for _ in 0..TRIES {
        let replies = join_all((0..crowd).map(|place| async move {
            let mut own = Ledger::default();
            let reply = door.post(place, where_to, body, &mut own).await;
            (reply, own)
        }))
        .await;
        for (reply, own) in replies {
            ledger.add(own);
            match reply {
                Reply::Taken(body) => sent
                    .answers
                    .push(body["id"].as_str().unwrap_or("none").to_owned()),
                Reply::InDoubt => sent.doubts += 1,
                Reply::NotNow => {}
                Reply::Refused(status) => {
                    ledger.complain(format!("an equal request was refused with {status}"));
                }
            }
        }
        if !sent.answers.is_empty() {
            break;
        }
        crowd = 1;
        passes(AGAIN).await;
    }
    if sent.answers.is_empty() {
        ledger.complain(format!("{} was never answered", sent.token));
    }
    ledger.sent.push(sent);

    let other = json!({ "kind": KIND, "payload": { "token": format!("{name}-other") } });
    if let Reply::Taken(_) = door.post(0, where_to, &other, &mut ledger).await {
        ledger.complain(format!("the key {key} was taken for another request"));
    }
    ledger.sent.push(Sent {
        token: format!("{name}-other"),
        ..Sent::default()
    });
    ledger
}

fn request(token: &str, api_key: &str) -> Vec<u8> {
    let body = json!({ "kind": KIND, "payload": { "token": token } }).to_string();
    let length = body.len();
    format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: millpond\r\nauthorization: Bearer {api_key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Writes and closes.
async fn write(base: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let address = base.strip_prefix("http://").context("an http address")?;
    let writing = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(WRITE_LIMIT, writing).await?
}
