//! Chance that falls the same way each time it is asked the same question. What the world is made
//! of is a function of its seed and of a name; nothing is drawn from a stream, so that nothing
//! depends on the order of questions.

/// An answer of chance, and the way to further ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mixed(seed))
    }

    /// The dice for the thing of that number.
    pub(crate) fn of(self, number: u64) -> Self {
        Self(mixed(
            self.0.rotate_left(17) ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93),
        ))
    }

    /// The dice for the thing of that name.
    pub(crate) fn about(self, name: &str) -> Self {
        let number = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        self.of(number)
    }

    /// 0 to `bound`, which is not reached; 0 for a bound of 0.
    pub(crate) fn below(self, bound: u64) -> u64 {
        let scaled = (u128::from(self.0) * u128::from(bound)) >> 64;
        // Less than `bound`, which is a u64.
        scaled as u64
    }

    /// `low` to `high`, both included; `low` if there is nothing between them.
    pub(crate) fn between(self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low).max(0).unsigned_abs();
        low.saturating_add_unsigned(self.below(width.saturating_add(1)))
    }

    /// One of a list.
    pub(crate) fn pick<T: Copy, const N: usize>(self, list: &[T; N]) -> T {
        const { assert!(N > 0, "there is nothing to pick from") };
        list[self.below(N as u64) as usize]
    }
}

/// The finalizer of SplitMix64: every bit of the input moves half of the output.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_another_one_another() {
        let dice = Dice::new(7);

        assert_eq!(dice.of(3).0, Dice::new(7).of(3).0);
        assert_ne!(dice.of(3).0, dice.of(4).0);
        assert_ne!(dice.about("name").0, dice.about("budget").0);
        assert_ne!(dice.of(3).0, Dice::new(8).of(3).0);
    }

    #[test]
    fn answers_stay_within_bounds() {
        for number in 0..1_000 {
            let dice = Dice::new(1).of(number);

            assert!(dice.below(10) < 10);
            assert!((-3..=3).contains(&dice.between(-3, 3)));
            assert!(dice.pick(&[1, 2, 3]) <= 3);
        }
        assert_eq!(Dice::new(1).below(0), 0);
        assert_eq!(Dice::new(1).between(5, 2), 5);
    }
}
