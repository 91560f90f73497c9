//! Who people are: rows divided by gender, age, country or device. Together the parts are exactly the
//! row, in every figure.

use crate::world::{Currency, Figures};

/// Into how many shares a row is divided.
const SHARES: i64 = 20;
/// Most groups of one report.
pub(super) const MOST_GROUPS: usize = 2;

/// By what people are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Gender,
    Age,
    Country,
    Platform,
}

/// Those of a row who are alike.
pub(super) struct Part {
    /// What they are, in the order of the groups.
    pub(super) values: Vec<&'static str>,
    pub(super) figures: Figures,
}

impl Group {
    pub(super) const ALL: [Self; 4] = [Self::Gender, Self::Age, Self::Country, Self::Platform];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gender => "gender",
            Self::Age => "age",
            Self::Country => "country_code",
            Self::Platform => "platform",
        }
    }

    /// The values with their shares of a row.
    fn values(self) -> &'static [(&'static str, i64)] {
        match self {
            Self::Gender => &[("FEMALE", 11), ("MALE", 8), ("NONE", 1)],
            Self::Age => &[
                ("AGE_18_24", 7),
                ("AGE_25_34", 6),
                ("AGE_35_44", 4),
                ("AGE_45_54", 2),
                ("AGE_55_100", 1),
            ],
            Self::Country => &[("US", 12), ("CA", 5), ("GB", 3)],
            Self::Platform => &[("ANDROID", 11), ("IPHONE", 9)],
        }
    }

    fn divide(self, whole: &Part, currency: Currency) -> Vec<Part> {
        let values = self.values();
        let mut rest = whole.figures;
        let mut parts = Vec::with_capacity(values.len());
        for (place, &(value, share)) in values.iter().enumerate() {
            let is_last = place + 1 == values.len();
            let figures = if is_last {
                rest
            } else {
                whole.figures.part((share, SHARES), currency)
            };
            rest = rest - figures;
            let mut of = whole.values.clone();
            of.push(value);
            parts.push(Part {
                values: of,
                figures,
            });
        }
        parts
    }
}

/// The parts of figures by these groups; without any, the whole.
pub(super) fn divided(groups: &[Group], figures: Figures, currency: Currency) -> Vec<Part> {
    let mut parts = vec![Part {
        values: Vec::new(),
        figures,
    }];
    for group in groups {
        let finer = parts.iter().flat_map(|part| group.divide(part, currency));
        parts = finer.collect();
    }
    if !groups.is_empty() {
        parts.retain(|part| !part.figures.is_zero());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_exactly_the_whole() {
        let whole = Figures {
            impressions: 10_453,
            clicks: 7,
            spend_micros: 84_370_000,
            conversion_millis: 3_000,
            ..Figures::default()
        };

        for groups in [
            &[Group::Gender][..],
            &[Group::Age, Group::Gender],
            &[Group::Country],
            &[Group::Platform],
        ] {
            let parts = divided(groups, whole, Currency::Usd);

            let mut sum = Figures::default();
            for part in &parts {
                assert_eq!(part.values.len(), groups.len());
                sum += part.figures;
            }
            assert_eq!(sum, whole, "{groups:?}");
            assert!(parts.len() > 1);
        }
        assert_eq!(divided(&[], whole, Currency::Usd).len(), 1);
    }
}
