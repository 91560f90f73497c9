//! How values become places in a picture.

/// A straight scale that begins at zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Where zero stands, in pixels.
    pub(super) zero: f64,
    /// Where the largest value stands.
    pub(super) end: f64,
    /// The largest value, above zero.
    pub(super) largest: f64,
}

impl Scale {
    /// Where a value stands.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.zero + (self.end - self.zero) * value / self.largest
    }
}

/// The largest of these that is a number; `None` where none is above zero.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> Option<f64> {
    let finite = values.filter(|value| value.is_finite());
    Some(finite.fold(0.0, f64::max)).filter(|largest| *largest > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_zero_and_the_largest_in_either_direction() {
        let up = Scale {
            zero: 100.0,
            end: 20.0,
            largest: 4.0,
        };

        assert_eq!(
            [0.0, 1.0, 4.0].map(|value| up.at(value)),
            [100.0, 80.0, 20.0]
        );
    }

    #[test]
    fn what_is_no_number_is_not_the_largest() {
        assert_eq!(largest([1.0, f64::NAN, 3.0].into_iter()), Some(3.0));
        assert_eq!(largest([f64::INFINITY, 0.0].into_iter()), None);
    }
}
