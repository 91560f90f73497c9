//! So many in a span of time.

use std::{fmt, time::Duration};

use super::shape::format_duration;

/// The spans that a rate can name.
const SPANS: [(&str, Duration); 4] = [
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_secs(60)),
    ("h", Duration::from_secs(3_600)),
    ("d", Duration::from_secs(86_400)),
];

/// So many in a span of time: "500/s", "10/m", "100/h", "15000/d".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// 1 to 1,000,000.
    pub count: u32,
    /// A second, a minute, an hour or a day.
    pub per: Duration,
}

impl Rate {
    pub(super) const MAX_COUNT: u32 = 1_000_000;

    pub(super) const fn per_second(count: u32) -> Self {
        Self {
            count,
            per: Duration::from_secs(1),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (count, span) = text.split_once('/')?;
        let (_, per) = SPANS.iter().find(|(name, _)| *name == span)?;
        let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|_| is_number)?;
        (1..=Self::MAX_COUNT)
            .contains(&count)
            .then_some(Self { count, per: *per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SPANS.iter().find(|(_, span)| *span == self.per) {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{}/{}", self.count, format_duration(self.per)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_names_a_count_and_a_span() {
        for text in ["500/s", "10/m", "100/h", "15000/d"] {
            let rate = Rate::parse(text);

            assert_eq!(rate.map(|rate| rate.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "10",
            "0/s",
            "/s",
            "10/",
            "10/w",
            "+10/s",
            "1.5/s",
            "1000001/s",
        ] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
