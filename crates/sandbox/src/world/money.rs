//! Currencies. Money is whole micros everywhere in the world, and each amount a whole number of its
//! currency's minor units, so that no way of writing it down loses anything.

/// Micros of a major unit.
pub(crate) const MICROS: i64 = 1_000_000;

/// A currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    Usd,
    Eur,
    Jpy,
    Gbp,
    Aud,
    Brl,
}

impl Currency {
    /// ISO 4217.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Jpy => "JPY",
            Self::Gbp => "GBP",
            Self::Aud => "AUD",
            Self::Brl => "BRL",
        }
    }

    /// Decimal places of its minor unit: none for the yen.
    pub(crate) fn decimals(self) -> usize {
        match self {
            Self::Jpy => 0,
            Self::Usd | Self::Eur | Self::Gbp | Self::Aud | Self::Brl => 2,
        }
    }

    /// Micros of one minor unit.
    pub(crate) fn minor_micros(self) -> i64 {
        match self {
            Self::Jpy => MICROS,
            Self::Usd | Self::Eur | Self::Gbp | Self::Aud | Self::Brl => MICROS / 100,
        }
    }

    /// What an amount is in US dollars, by a rate that never moves.
    pub(crate) fn in_usd(self, micros: i64) -> i64 {
        let usd = i128::from(micros) * 1_000 / i128::from(self.per_thousand_usd());
        i64::try_from(usd).unwrap_or(i64::MAX)
    }

    /// What an amount of US dollars is, to the next lower minor unit.
    pub(super) fn of_usd(self, usd_micros: i64) -> i64 {
        let micros = i128::from(usd_micros) * i128::from(self.per_thousand_usd()) / 1_000;
        self.rounded(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// An amount to the next lower minor unit.
    pub(super) fn rounded(self, micros: i64) -> i64 {
        micros - micros.rem_euclid(self.minor_micros())
    }

    /// How much of it a thousand dollars are.
    fn per_thousand_usd(self) -> i64 {
        match self {
            Self::Usd => 1_000,
            Self::Eur => 925,
            Self::Jpy => 150_000,
            Self::Gbp => 780,
            Self::Aud => 1_520,
            Self::Brl => 5_400,
        }
    }
}

/// An amount as a decimal text with these many places, cut: `84.37` for 84,370,000 micros and 2
/// places.
pub(crate) fn decimal(micros: i64, places: usize) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, fraction) = (
        micros.unsigned_abs() / MICROS.unsigned_abs(),
        micros.unsigned_abs() % MICROS.unsigned_abs(),
    );
    let digits = format!("{fraction:06}");
    match places {
        0 => format!("{sign}{whole}"),
        1..=6 => format!("{sign}{whole}.{}", &digits[..places]),
        _ => format!("{sign}{whole}.{digits:0<places$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_places_asked_for() {
        assert_eq!(decimal(84_370_000, 2), "84.37");
        assert_eq!(decimal(84_370_000, 0), "84");
        assert_eq!(decimal(-1_500_000, 1), "-1.5");
        assert_eq!(decimal(42_661_000, 16), "42.6610000000000000");
        assert_eq!(decimal(0, 2), "0.00");
    }

    #[test]
    fn a_currency_is_counted_in_its_own_minor_units() {
        assert_eq!(Currency::Jpy.of_usd(1_234_567) % MICROS, 0);
        assert_eq!(Currency::Eur.of_usd(1_234_567) % 10_000, 0);
        assert_eq!(Currency::Eur.in_usd(925_000), 1_000_000);
    }
}
