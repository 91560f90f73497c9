//! Statistics in the background, from the order to the file.

use std::io::Read;

use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::{
    stats::{PLACEMENTS, Sums, question, with},
    *,
};
use crate::testing::DEADLINE;

fn path() -> String {
    format!("stats/jobs/accounts/{FIRST}")
}

/// Two months, which is more than can be had at once.
fn months<'q>(entity: &'q str, id: &'q str, placement: &'q str) -> Vec<(&'q str, &'q str)> {
    let asked = question(entity, id, placement);
    let asked = with(asked, "start_time", "2026-08-31T23:00:00Z");
    with(asked, "end_time", "2026-11-01T00:00:00Z")
}

async fn order(ads: &Ads, asked: &[(&str, &str)]) -> Answer {
    let path = path();
    ads.call(&Signer::dev(), ("POST", path.as_str()), asked)
        .await
}

async fn begin(ads: &Ads, placement: &str) -> String {
    let body = good(&order(ads, &months("ACCOUNT", FIRST, placement)).await);
    assert_eq!(body["data"]["status"], "QUEUED");
    text(&body["data"], "id_str").to_owned()
}

async fn ask_after(ads: &Ads, ids: &str) -> Value {
    good(&ads.get(&path(), &[("job_ids", ids)]).await)["data"].clone()
}

/// The bytes of a file that is fetched without any signature, as somebody else's servers do.
async fn fetch(ads: &Ads, url: &str) -> (u16, Vec<u8>) {
    let path = url.strip_prefix("http://sandbox").expect("an address here");
    let exchange = async {
        let mut stream = TcpStream::connect(ads.site.sandbox.http_addr()).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = time::timeout(DEADLINE, exchange).await;
    let bytes = bytes.expect("an answer in time").expect("an answer");
    let end = bytes.windows(4).position(|some| some == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.expect("a head") + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.expect("a status"), body.to_vec())
}

fn unpacked(bytes: &[u8]) -> Value {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .expect("a gzip file");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn jobs_become_files_that_add_up_to_what_the_world_says() {
    let ads = Ads::start().await;
    let mut ids = Vec::new();
    for placement in PLACEMENTS {
        ids.push(begin(&ads, placement).await);
    }
    let ids = ids.join(",");

    ads.advance(3).await;
    let underway = ask_after(&ads, &ids).await;
    ads.advance(6).await;
    let done = ask_after(&ads, &ids).await;

    assert_eq!(
        (&underway[0]["status"], &underway[0]["url"]),
        (&json!("PROCESSING"), &json!(null))
    );
    let mut sums = Sums::default();
    for job in done.as_array().expect("jobs") {
        assert_eq!(
            (&job["status"], &job["granularity"]),
            (&json!("SUCCESS"), &json!("DAY"))
        );
        let (status, bytes) = fetch(&ads, text(job, "url")).await;
        assert_eq!(status, 200);
        let body = unpacked(&bytes);
        assert_eq!(body["time_series_length"], 61);
        sums.add(&body);
    }
    let params = "level=account&granularity=day&from=2026-09-01&to=2026-10-31";
    let export = ads.export(params).await;
    assert_eq!(sums, Sums::of_export(&export));
    ads.site.stop().await;
}

#[tokio::test]
async fn ids_of_jobs_are_too_large_for_a_floating_point_number() {
    let ads = Ads::start().await;

    let body = good(&order(&ads, &months("ACCOUNT", FIRST, "TREND")).await);

    let id = body["data"]["id"].as_u64().expect("a number");
    assert!(id > 1 << 53);
    assert_eq!(body["data"]["id_str"], id.to_string().as_str());
    ads.site.stop().await;
}

#[tokio::test]
async fn a_file_is_not_there_for_ever() {
    let ads = Ads::start().await;
    let id = begin(&ads, "ALL_ON_TWITTER").await;
    ads.advance(10).await;
    let job = ask_after(&ads, &id).await[0].clone();
    let url = text(&job, "url");

    let (in_time, _) = fetch(&ads, url).await;
    ads.advance(2 * 24 * 3_600).await;
    let (late, _) = fetch(&ads, url).await;

    assert_eq!(job["expires_at"], "2026-11-22T12:10:08Z");
    assert_eq!((in_time, late), (200, 404));
    ads.site.stop().await;
}

#[tokio::test]
async fn a_job_can_fail_be_cancelled_or_never_end() {
    let ads = Ads::start().await;
    for (fate, told) in [
        ("fails", "FAILED"),
        ("skipped", "CANCELLED"),
        ("stalls", "PROCESSING"),
    ] {
        let decide = json!({ "platform": "x", "fate": fate });
        ads.site.control("POST", "/reports", &decide).await;

        let id = begin(&ads, "TREND").await;
        ads.advance(3_600).await;

        let job = ask_after(&ads, &id).await[0].clone();
        assert_eq!((&job["status"], &job["url"]), (&json!(told), &json!(null)));
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn ninety_days_can_be_had_and_half_of_that_when_split() {
    let ads = Ads::start().await;
    let asked = months("ACCOUNT", FIRST, "ALL_ON_TWITTER");
    let ninety_two = with(asked.clone(), "start_time", "2026-07-31T23:00:00Z");
    let split = with(asked.clone(), "segmentation_type", "GENDER");
    let shorter = with(split.clone(), "start_time", "2026-09-30T23:00:00Z");

    good(&order(&ads, &asked).await);
    assert_refused(&order(&ads, &ninety_two).await, 400, "INVALID_TIME_WINDOW");
    assert_refused(&order(&ads, &split).await, 400, "INVALID_TIME_WINDOW");
    let job = good(&order(&ads, &shorter).await)["data"].clone();
    ads.advance(10).await;
    let job = ask_after(&ads, text(&job, "id_str")).await[0].clone();
    let (_, bytes) = fetch(&ads, text(&job, "url")).await;

    let body = unpacked(&bytes);
    let parts = body["data"][0]["id_data"].as_array().expect("parts");
    let names: Vec<_> = parts
        .iter()
        .map(|it| text(&it["segment"], "segment_name"))
        .collect();
    assert_eq!(names, ["FEMALE", "MALE"]);
    ads.site.stop().await;
}

#[tokio::test]
async fn an_account_has_a_hundred_jobs_under_way_at_most() {
    let ads = Ads::start().await;
    let asked = months("ACCOUNT", FIRST, "TREND");
    for _ in 0..100 {
        good(&order(&ads, &asked).await);
    }

    let refused = order(&ads, &asked).await;
    ads.advance(16).await;
    let later = order(&ads, &asked).await;

    assert_refused(&refused, 429, "TOO_MANY_JOBS");
    assert!(refused.body.contains("concurrent jobs"));
    good(&later);
    ads.site.stop().await;
}

#[tokio::test]
async fn jobs_of_others_are_left_out() {
    let ads = Ads::start().await;
    let id = begin(&ads, "TREND").await;
    let many = vec!["1"; 201].join(",");

    let elsewhere = format!("stats/jobs/accounts/{SECOND}");
    let elsewhere = ads.get(&elsewhere, &[("job_ids", id.as_str())]).await;
    let unknown = ask_after(&ads, "1,nothing").await;
    let many = ads.get(&path(), &[("job_ids", many.as_str())]).await;
    let none = ads.get(&path(), &[]).await;

    assert_eq!(good(&elsewhere)["data"], json!([]));
    assert_eq!(unknown, json!([]));
    assert_refused(&many, 400, "INVALID_PARAMETER");
    assert_refused(&none, 400, "MISSING_PARAMETER");
    ads.site.stop().await;
}
