//! Reading a body to its end within a size and a pace. A sender that overshoots a little is read to its end all the
//! same, since closing on it would often keep it from reading why.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::Share;
use crate::error::ApiError;

/// How fast a body must arrive: whole within a time, and after a grace never behind a least rate.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest for the whole body.
    pub whole: Duration,
    /// How long a body may take before its rate counts.
    pub grace: Duration,
    /// Bytes a second that it must have brought on the average since then.
    pub least_bytes_per_second: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            whole: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            least_bytes_per_second: 1_024,
        }
    }
}

impl Pace {
    /// When a body must have more than these bytes.
    fn deadline(&self, began: Instant, received_bytes: usize) -> Instant {
        let received = u64::try_from(received_bytes).unwrap_or(u64::MAX);
        let earned = Duration::from_secs(received / u64::from(self.least_bytes_per_second.max(1)));
        began + self.grace.saturating_add(earned).min(self.whole)
    }
}

/// Reads a body of at most `limit_bytes`.
///
/// # Errors
/// When it is larger, slower, or breaks off, and when there is no room for it.
pub(super) async fn whole(
    mut body: Body,
    limit_bytes: usize,
    pace: &Pace,
    share: &mut Share,
) -> Result<Bytes, ApiError> {
    let read_at_most = limit_bytes.saturating_mul(2);
    if body.size_hint().lower() > u64::try_from(read_at_most).unwrap_or(u64::MAX) {
        return Err(ApiError::BodyTooLarge { limit_bytes });
    }

    let began = Instant::now();
    let mut received_bytes = 0;
    let mut kept = Kept::default();
    while !body.is_end_stream() && received_bytes <= read_at_most {
        let frame = match timeout_at(pace.deadline(began, received_bytes), body.frame()).await {
            Err(_) => return Err(ApiError::BodyTimedOut),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(ApiError::BodyBrokeOff),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        received_bytes = received_bytes.saturating_add(data.len());
        if received_bytes <= limit_bytes {
            share.hold(received_bytes)?;
            kept.push(data);
        }
    }

    if received_bytes > limit_bytes {
        return Err(ApiError::BodyTooLarge { limit_bytes });
    }
    Ok(kept.into_bytes())
}

/// What has arrived. Most bodies are one piece, which is then not copied.
#[derive(Default)]
struct Kept {
    first: Bytes,
    rest: BytesMut,
}

impl Kept {
    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
        } else {
            self.rest.extend_from_slice(&data);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut whole = BytesMut::with_capacity(self.first.len() + self.rest.len());
        whole.extend_from_slice(&self.first);
        whole.extend_from_slice(&self.rest);
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;
    use crate::body::BodyRoom;

    fn share() -> Share {
        BodyRoom::new(1 << 20).share()
    }

    fn chunks(chunks: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(
            chunks
                .iter()
                .map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes()))),
        ))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let body = whole(
            chunks(&["ab", "cd", "ef"]),
            6,
            &Pace::default(),
            &mut share(),
        )
        .await;

        assert_eq!(body.expect("within the limit"), "abcdef");
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused_declared_or_not() {
        let undeclared = whole(
            chunks(&["abc", "def", "g"]),
            6,
            &Pace::default(),
            &mut share(),
        )
        .await;
        let declared = whole(
            Body::from("x".repeat(13)),
            6,
            &Pace::default(),
            &mut share(),
        )
        .await;

        assert!(matches!(
            undeclared,
            Err(ApiError::BodyTooLarge { limit_bytes: 6 })
        ));
        assert!(matches!(
            declared,
            Err(ApiError::BodyTooLarge { limit_bytes: 6 })
        ));
    }

    #[tokio::test]
    async fn a_body_without_room_is_sent_away() {
        let mut none = BodyRoom::new(0).share();

        let refused = whole(chunks(&["abc"]), 6, &Pace::default(), &mut none).await;

        assert!(matches!(refused, Err(ApiError::Overloaded { .. })));
    }

    #[tokio::test]
    async fn a_body_that_stops_arriving_is_given_up() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let pace = Pace {
            grace: Duration::from_millis(10),
            ..Pace::default()
        };

        let given_up = whole(silent, 6, &pace, &mut share()).await;

        assert!(matches!(given_up, Err(ApiError::BodyTimedOut)));
    }

    #[test]
    fn bytes_earn_time_up_to_the_whole_of_it() {
        let (pace, began) = (Pace::default(), Instant::now());

        assert_eq!(pace.deadline(began, 0), began + Duration::from_secs(5));
        assert_eq!(pace.deadline(began, 2_048), began + Duration::from_secs(7));
        assert_eq!(
            pace.deadline(began, usize::MAX),
            began + Duration::from_secs(30)
        );
    }
}
