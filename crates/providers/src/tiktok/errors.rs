//! What TikTok's codes mean for a caller. They come under status 200 like everything else; the status has a word only where
//! there is no code, or none that is known.

use std::time::Duration;

use reqwest::StatusCode;

use crate::platform::recent::Pause;

/// Another copy of the same request.
pub(super) const DUPLICATE: i64 = 40_050;
/// A report that cannot be made.
pub(super) const TASK_FAILED: i64 = 40_200;
/// A report that is not finished.
pub(super) const NOT_READY: i64 = 40_201;
/// A parameter that is wrong, such as a metric that is not known.
pub(super) const BAD_PARAMETER: i64 = 40_002;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What a caller does about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Auth,
    Config,
    Permission,
    Rate(Limit),
    Transient,
    /// Worth one more try, although the vendor says that the request is wrong.
    Doubtful,
    TooLarge,
    Rejected,
}

/// Which limit was met, as far as TikTok says: it never says for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Second,
    /// Once it is met, TikTok blocks for five minutes.
    Minute,
    /// It ends at midnight UTC.
    Day,
    Maintenance,
    Unnamed,
}

impl Class {
    /// The class of an envelope.
    pub(super) fn of(code: i64, message: &str, status: StatusCode) -> Self {
        of_code(code, message).unwrap_or_else(|| match code {
            40_000..=49_999 => Self::Rejected,
            50_000..=69_999 => Self::Transient,
            _ => Self::of_status(status),
        })
    }

    /// The class of a body that is no envelope: a front end spoke. A path without its last slash ends there.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            413 | 414 => Self::TooLarge,
            429 => Self::Rate(Limit::Unnamed),
            400..=499 => Self::Rejected,
            _ => Self::Transient,
        }
    }
}

fn of_code(code: i64, message: &str) -> Option<Class> {
    Some(match code {
        40_016 | 40_100 | 40_132 | 40_133 => Class::Rate(limit(message)),
        40_102..=40_105 | 40_107 => Class::Auth,
        40_101 | 40_113 | 40_124 => Class::Config,
        40_001 | 40_106 | 40_118 | 40_119 | 40_125 | 40_300 | 40_301 | 41_000 => Class::Permission,
        40_011 => Class::TooLarge,
        TASK_FAILED | NOT_READY | 40_202 | 50_000 | 50_002 | 51_305 => Class::Transient,
        40_700 => Class::Doubtful,
        60_001 => Class::Rate(Limit::Maintenance),
        _ => return None,
    })
}

fn limit(message: &str) -> Limit {
    let message = message.to_ascii_lowercase();
    let has = |words: [&str; 2]| {
        message
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| words.contains(&word))
    };
    if has(["qps", "second"]) {
        Limit::Second
    } else if has(["qpm", "minute"]) {
        Limit::Minute
    } else if has(["qpd", "day"]) {
        Limit::Day
    } else {
        Limit::Unnamed
    }
}

/// The wait after a limit that is named, except that of a day.
pub(super) fn wait(limit: Limit) -> Option<Duration> {
    match limit {
        Limit::Second => Some(2 * SECOND),
        Limit::Minute => Some(5 * MINUTE),
        Limit::Maintenance => Some(15 * MINUTE),
        Limit::Day | Limit::Unnamed => None,
    }
}

/// The wait after a limit that is not named: longer each time, as long as they follow one another.
pub(super) fn unnamed_wait(before: Option<Pause>) -> Duration {
    match before {
        None => 5 * SECOND,
        Some(before) if before.length < 30 * SECOND => 30 * SECOND,
        Some(_) => 5 * MINUTE,
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn class(code: i64) -> Class {
        Class::of(code, "", StatusCode::OK)
    }

    #[test]
    fn every_row_of_the_table_has_its_class() {
        let rows: [(&[i64], Class); 9] = [
            (
                &[40_100, 40_016, 40_132, 40_133],
                Class::Rate(Limit::Unnamed),
            ),
            (&[40_102, 40_104, 40_105, 40_103, 40_107], Class::Auth),
            (&[40_101, 40_113, 40_124], Class::Config),
            (
                &[
                    40_001, 40_106, 40_118, 40_119, 40_125, 40_300, 40_301, 41_000,
                ],
                Class::Permission,
            ),
            (
                &[
                    40_000, 40_002, 40_006, 40_007, 40_008, 40_010, 40_050, 40_051, 40_110, 40_115,
                    40_502, 49_999,
                ],
                Class::Rejected,
            ),
            (&[40_011], Class::TooLarge),
            (
                &[
                    40_200, 40_201, 40_202, 50_000, 50_002, 51_305, 59_999, 60_002,
                ],
                Class::Transient,
            ),
            (&[40_700], Class::Doubtful),
            (&[60_001], Class::Rate(Limit::Maintenance)),
        ];

        for (codes, expected) in rows {
            for code in codes {
                assert_eq!(class(*code), expected, "{code}");
            }
        }
    }

    #[test]
    fn a_limit_is_known_by_the_words_of_its_message() {
        let of = |message: &str| Class::of(40_100, message, StatusCode::OK);

        assert_eq!(of("App reaches the QPS limit"), Class::Rate(Limit::Second));
        assert_eq!(of("QPM limit: wait"), Class::Rate(Limit::Minute));
        assert_eq!(of("requests per day"), Class::Rate(Limit::Day));
        assert_eq!(of("Too many requests"), Class::Rate(Limit::Unnamed));
        assert_eq!(wait(Limit::Second), Some(Duration::from_secs(2)));
        assert_eq!(wait(Limit::Minute), Some(Duration::from_secs(300)));
        assert_eq!(wait(Limit::Maintenance), Some(Duration::from_secs(900)));
    }

    #[test]
    fn a_limit_without_a_name_is_waited_for_longer_each_time() {
        let pause = |seconds| Pause {
            since: Utc::now(),
            length: Duration::from_secs(seconds),
        };

        assert_eq!(unnamed_wait(None), Duration::from_secs(5));
        assert_eq!(unnamed_wait(Some(pause(5))), Duration::from_secs(30));
        assert_eq!(unnamed_wait(Some(pause(30))), Duration::from_secs(300));
        assert_eq!(unnamed_wait(Some(pause(300))), Duration::from_secs(300));
    }

    #[test]
    fn without_a_code_the_status_decides() {
        let of = |status| Class::of_status(StatusCode::from_u16(status).expect("a status"));

        assert_eq!(of(404), Class::Rejected);
        assert_eq!(of(429), Class::Rate(Limit::Unnamed));
        assert_eq!(of(503), Class::Transient);
        assert_eq!(of(200), Class::Transient);
        assert_eq!(Class::of(7, "", StatusCode::BAD_REQUEST), Class::Rejected);
    }
}
