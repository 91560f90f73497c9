//! The one way out over HTTP: deadlines, no redirects, no proxy, no cookies, answers cut at a limit, `Retry-After`.
//! What a status or a body means is each provider's own table.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{
    ClientBuilder, Method, RequestBuilder, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use url::{Host, Url};

use crate::error::{Detail, Error};

/// Longest wait for a connection, name look-up and TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest pause a provider can ask for.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Connections to one host that are kept for the next call.
const IDLE_CONNECTIONS: usize = 16;

/// How long an unused connection is kept: shorter than what servers and load balancers close after.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that gives up after `timeout`, the reading of the answer included.
pub(crate) fn client_builder(timeout: Duration) -> ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        // One layer retries, the queue: a second one below it would repeat writes behind its back.
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("millpond/", env!("CARGO_PKG_VERSION")))
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// At most the client's limit; the rest was not read.
    pub(crate) body: Vec<u8>,
}

/// A client for one provider.
pub(crate) struct Http {
    client: reqwest::Client,
    provider: &'static str,
    answer_limit: usize,
}

impl Http {
    /// `answer_limit` is the number of bytes of an answer that are read.
    ///
    /// # Errors
    /// [`Error::Config`] when the TLS or resolver set-up of this machine cannot be used.
    pub(crate) fn new(
        provider: &'static str,
        answer_limit: usize,
        builder: ClientBuilder,
    ) -> Result<Self, Error> {
        let client = builder.build().map_err(|error| Error::Config {
            detail: Detail::new(provider, &root_cause(&error), &[]),
        })?;
        Ok(Self {
            client,
            provider,
            answer_limit,
        })
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends the request and reads the answer up to the limit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::TimedOut`] when no whole answer came, [`Error::Rejected`] for a request that
    /// cannot be built. A status is never an error here: the body has the first word.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let mut response = request.send().await.map_err(|e| self.failure(e))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());

        let mut body = Vec::new();
        while body.len() < self.answer_limit {
            let Some(chunk) = response.chunk().await.map_err(|e| self.failure(e))? else {
                break;
            };
            let room = self.answer_limit - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    fn failure(&self, error: reqwest::Error) -> Error {
        // The URL may hold a token.
        let error = error.without_url();
        let maybe_received = !error.is_connect();
        let detail = Detail::new(self.provider, &root_cause(&error), &[]);

        if error.is_builder() {
            Error::Rejected { detail }
        } else if error.is_timeout() {
            let waited_for = if maybe_received {
                "no answer in time"
            } else {
                "no connection in time"
            };
            Error::TimedOut {
                detail: Detail::new(self.provider, waited_for, &[]),
                maybe_received,
            }
        } else {
            Error::Unavailable {
                detail,
                maybe_received,
                source: Some(Arc::new(error)),
            }
        }
    }
}

/// The provider's `Retry-After`, in either of its forms, at most [`LONGEST_PAUSE`]; `None` when there is none that can
/// be read.
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a very long pause, not garbage.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_PAUSE));
    }
    let date = DateTime::<Utc>::from(httpdate::parse_http_date(value).ok()?);
    let pause = (date - now).to_std().unwrap_or(Duration::ZERO);
    Some(pause.min(LONGEST_PAUSE))
}

/// Refuses a base address that would send a secret in the clear: plain `http` is for loopback hosts only.
///
/// # Errors
/// [`Error::Config`].
pub(crate) fn require_safe_base(provider: &'static str, base: &Url) -> Result<(), Error> {
    if base.scheme() == "https" || (base.scheme() == "http" && is_loopback(base)) {
        return Ok(());
    }
    Err(Error::Config {
        detail: Detail::new(
            provider,
            "the base address must be https, or http on a loopback host",
            &[],
        ),
    })
}

/// Whether the URL's host is this machine, by its spelling alone: no name but `localhost` is trusted to stay here.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// The innermost message: "connection refused" says more than "error sending request".
fn root_cause(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn pause_of(value: &str) -> Option<Duration> {
        let now = DateTime::from_timestamp(1_763_640_000, 0).expect("a date"); // 2025-11-20 12:00:00
        let mut headers = HeaderMap::new();
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from_str(value).expect("a header value"),
        );
        retry_after(&headers, now)
    }

    #[test]
    fn a_pause_is_read_in_every_form() {
        let seconds = Duration::from_secs;

        assert_eq!(pause_of("120"), Some(seconds(120)));
        assert_eq!(pause_of(" 0 "), Some(Duration::ZERO));
        assert_eq!(pause_of("Thu, 20 Nov 2025 12:01:30 GMT"), Some(seconds(90)));
        assert_eq!(
            pause_of("Thu, 20 Nov 2025 11:00:00 GMT"),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn a_pause_of_years_is_a_day() {
        assert_eq!(pause_of("315360000"), Some(LONGEST_PAUSE));
        assert_eq!(pause_of("99999999999999999999999999"), Some(LONGEST_PAUSE));
        assert_eq!(
            pause_of("Thu, 20 Nov 2031 12:00:00 GMT"),
            Some(LONGEST_PAUSE)
        );
    }

    #[test]
    fn a_pause_that_cannot_be_read_is_none() {
        for value in ["-5", "1.5", "soon", "", "12 s", "1e3"] {
            assert_eq!(pause_of(value), None, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Utc::now()), None);
    }

    #[test]
    fn plain_http_is_for_loopback_hosts_only() {
        let safe = |text: &str| {
            let url = Url::parse(text).expect("a URL");
            require_safe_base("meta", &url).is_ok()
        };

        assert!(safe("https://graph.facebook.com/v26.0"));
        assert!(safe("http://127.0.0.1:4000/v26.0"));
        assert!(safe("http://localhost:4000"));
        assert!(safe("http://[::1]:4000"));
        assert!(!safe("http://graph.facebook.com/v26.0"));
        assert!(!safe("http://localhost.example.com"));
        assert!(!safe("ftp://127.0.0.1"));
    }
}
