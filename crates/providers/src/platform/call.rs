//! One call to a platform, the same for all of them: let out by the door, sent, read, told to the metrics and to the door.
//! What goes out and what an answer means is each client's own.

use std::time::Instant;

use chrono::Utc;
use reqwest::RequestBuilder;

use super::{CallRecord, Door, Platform, Usage};
use crate::{
    error::Error,
    http::{Answer, Http},
    metrics,
    scrub::scrub,
};

/// Longest request id that is told, in characters.
const ID_LIMIT: usize = 100;

/// A call that is about to be made.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) platform: Platform,
    /// What is called, with placeholders for ids.
    pub(crate) endpoint: &'static str,
    /// What the platform counts it as: a batch of n operations is n.
    pub(crate) weight: u32,
    pub(crate) door: &'a dyn Door,
}

/// What an answer says.
pub(crate) struct Reading<T> {
    pub(crate) result: Result<T, Error>,
    /// What the platform's support asks for, as it came.
    pub(crate) request_id: Option<String>,
    /// What the platform says of its quotas; a refusal for want of quota need not be repeated here.
    pub(crate) usage: Usage,
}

impl<T> Reading<T> {
    /// The reading of an answer without quotas and request id.
    pub(crate) fn of(result: Result<T, Error>) -> Self {
        Self {
            result,
            request_id: None,
            usage: Usage::default(),
        }
    }
}

impl Call<'_> {
    /// Makes the call. The door's pass is held until the answer is read and told, so that whoever comes next goes by it.
    ///
    /// # Errors
    /// Those of the door, for which nothing was sent, those of [`Http::send`], and what `read` makes of the answer.
    pub(crate) async fn send<T>(
        self,
        http: &Http,
        request: RequestBuilder,
        read: impl FnOnce(&Answer) -> Reading<T>,
    ) -> Result<T, Error> {
        let pass = self.door.admit(self.weight).await?;
        let started_at = Utc::now();
        let started = Instant::now();
        let (reading, status) = match http.send(request).await {
            Ok(answer) => (read(&answer), Some(answer.status.as_u16())),
            Err(error) => (Reading::of(Err(error)), None),
        };
        let took = started.elapsed();

        metrics::call_finished(self.platform.as_str(), took, &reading.result);
        self.door.told(CallRecord {
            platform: self.platform,
            endpoint: self.endpoint,
            started_at,
            took,
            status,
            class: reading.result.as_ref().err().map(Error::class),
            request_id: reading.request_id.map(|id| scrub(&id, &[], ID_LIMIT)),
            usage: with_refusal(reading.usage, &reading.result),
        });
        drop(pass);
        reading.result
    }
}

/// A refusal for want of quota says itself that nothing is left, and for how long.
fn with_refusal<T>(usage: Usage, result: &Result<T, Error>) -> Usage {
    match result {
        Err(Error::RateLimited { retry_after, .. }) => Usage {
            remaining: usage.remaining.or(Some(0)),
            resets_in: usage.resets_in.or(*retry_after),
            ..usage
        },
        _ => usage,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Method;
    use url::Url;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::*;
    use crate::{error::Detail, http, platform::testing::RecordingDoor};

    fn http() -> Http {
        let builder = http::client_builder(Duration::from_secs(10));
        Http::new("x", 1 << 10, builder).expect("a client")
    }

    fn call(door: &RecordingDoor) -> Call<'_> {
        Call {
            platform: Platform::X,
            endpoint: "GET accounts",
            weight: 3,
            door,
        }
    }

    fn request(http: &Http, base: &str) -> RequestBuilder {
        http.request(Method::GET, Url::parse(base).expect("a URL"))
    }

    #[tokio::test]
    async fn the_pass_is_held_until_the_answer_is_read_and_told() {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200).set_body_string("42"))
            .mount(&server)
            .await;
        let door = RecordingDoor::default();
        let http = http();

        let read = call(&door)
            .send(&http, request(&http, &server.uri()), |answer| Reading {
                result: Ok(answer.body.len()),
                request_id: Some("line\nbreak".to_owned()),
                usage: Usage {
                    used_share: Some(0.5),
                    ..Usage::default()
                },
            })
            .await;

        assert_eq!(read.expect("an answer"), 2);
        assert_eq!(door.steps(), ["admitted 3", "told", "released"]);
        let records = door.records();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].status, Some(200));
        assert_eq!(records[0].class, None);
        assert_eq!(records[0].request_id.as_deref(), Some("line break"));
        assert_eq!(records[0].usage.used_share, Some(0.5));
    }

    #[tokio::test]
    async fn a_call_without_an_answer_is_told_too() {
        let door = RecordingDoor::default();
        let http = http();
        let unreachable = request(&http, "http://127.0.0.1:1/");

        let result = call(&door)
            .send(&http, unreachable, |_| Reading::of(Ok(())))
            .await;

        assert!(matches!(result, Err(Error::Unavailable { .. })));
        let records = door.records();
        assert_eq!(records[0].status, None);
        assert_eq!(records[0].class, Some("transient"));
    }

    #[tokio::test]
    async fn a_refusal_for_want_of_quota_tells_the_door_how_long_it_lasts() {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(429))
            .mount(&server)
            .await;
        let door = RecordingDoor::default();
        let http = http();
        let wait = Duration::from_secs(330);

        let result = call(&door)
            .send(&http, request(&http, &server.uri()), |_| {
                Reading::<()>::of(Err(Error::RateLimited {
                    retry_after: Some(wait),
                    detail: Detail::new("x", "too many requests", &[]),
                }))
            })
            .await;

        assert!(matches!(result, Err(Error::RateLimited { .. })));
        let records = door.records();
        assert_eq!(records[0].class, Some("rate_limited"));
        assert_eq!(records[0].usage.remaining, Some(0));
        assert_eq!(records[0].usage.resets_in, Some(wait));
    }
}
