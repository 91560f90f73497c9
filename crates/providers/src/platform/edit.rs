//! Changes that are made at a platform: a state or a budget is set, never added to, so that one whose outcome nobody knows may
//! be made again.

use rust_decimal::{Decimal, prelude::ToPrimitive as _};

use super::EntityType;
use crate::error::{Detail, Error};

/// Most edits of one order.
pub const MOST_EDITS: usize = 50;

/// Decimal places of millionths.
const MICRO_PLACES: u32 = 6;

/// What an entity is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTo {
    /// It delivers, as far as what it belongs to does.
    Active,
    /// It stops.
    Paused,
    /// It is put away; some platforms know no such state.
    Archived,
    /// A budget a day, in major units of the account's currency.
    DailyBudget(Decimal),
    /// A budget for its whole life, in major units of the account's currency.
    LifetimeBudget(Decimal),
}

/// One change of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// A campaign, an ad set or an ad.
    pub kind: EntityType,
    /// The platform's id of it.
    pub id: String,
    /// What it belongs to directly: some platforms name an ad by its ad group too.
    pub parent_id: Option<String>,
    /// What it is set to.
    pub set_to: SetTo,
}

/// Changes of one account's entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditOrder {
    /// The platform's id of the account.
    pub account_id: String,
    /// Its currency, where it is known: minor units are written with it.
    pub currency: Option<String>,
    /// At most [`MOST_EDITS`].
    pub edits: Vec<Edit>,
}

/// What became of an edit.
#[derive(Debug, Clone)]
pub enum Edited {
    /// The platform took it.
    Done,
    /// The platform did not say: it may have been made. It may be made again.
    Unfinished,
    /// The platform refused it, or it was not sent; others may have been made.
    Failed(Error),
}

/// What has become of the edits of an order, told as answers come in.
pub(crate) struct Tally {
    told: Vec<Option<Edited>>,
}

impl Tally {
    /// Nothing is told yet.
    ///
    /// # Errors
    /// [`Error::Rejected`] for more edits than one order may have.
    pub(crate) fn new(provider: &'static str, order: &EditOrder) -> Result<Self, Error> {
        if order.edits.len() > MOST_EDITS {
            let detail = Detail::new(provider, "an order has at most 50 edits", &[]);
            return Err(Error::Rejected { detail });
        }
        Ok(Self {
            told: vec![None; order.edits.len()],
        })
    }

    /// Tells what became of the edit at a place.
    pub(crate) fn tell(&mut self, at: usize, edited: Edited) {
        if let Some(told) = self.told.get_mut(at) {
            *told = Some(edited);
        }
    }

    /// Tells that the call about these places failed. Gives back whether further calls are worth making: what is wrong with
    /// one entity is not wrong with others, while a spent token, a limit and an outage hold for all.
    pub(crate) fn refuse(&mut self, at: &[usize], error: &Error) -> bool {
        for place in at {
            self.tell(*place, Edited::Failed(error.clone()));
        }
        if is_of_one(error) {
            return true;
        }
        for told in self.told.iter_mut().filter(|told| told.is_none()) {
            *told = Some(Edited::Failed(error.clone().unsent()));
        }
        false
    }

    /// What became of each, in the order of the edits.
    ///
    /// # Errors
    /// What stands in the way of all of them, where none was made: then the whole order may be given once more, with
    /// another token or later.
    pub(crate) fn finish(self) -> Result<Vec<Edited>, Error> {
        let told: Vec<Edited> = self
            .told
            .into_iter()
            .map(|told| told.unwrap_or(Edited::Unfinished))
            .collect();
        let may_be_made = |edited: &Edited| !matches!(edited, Edited::Failed(_));
        if told.iter().any(may_be_made) {
            return Ok(told);
        }
        let of_all = told.iter().find_map(|edited| match edited {
            Edited::Failed(error) if !is_of_one(error) => Some(error.clone()),
            _ => None,
        });
        match of_all {
            Some(error) => Err(error),
            None => Ok(told),
        }
    }
}

/// Whether a failure is about what was asked for, and not about who asked or when.
fn is_of_one(error: &Error) -> bool {
    matches!(
        error,
        Error::Rejected { .. } | Error::Permission { .. } | Error::TooLarge { .. }
    )
}

/// An amount as a whole number of units with so many places; `None` for one that is none, zero or less.
pub(crate) fn units(amount: Decimal, places: u32) -> Option<i64> {
    let scale = 10_i64.checked_pow(places)?;
    let scaled = amount.checked_mul(Decimal::from(scale))?;
    let whole = scaled.fract().is_zero().then(|| scaled.to_i64())??;
    (whole > 0).then_some(whole)
}

/// An amount in millionths.
pub(crate) fn micros(amount: Decimal) -> Option<i64> {
    units(amount, MICRO_PLACES)
}

/// The refusal of an edit that a platform has no way to make.
pub(crate) fn cannot(provider: &'static str, why: &str) -> Edited {
    Edited::Failed(Error::Rejected {
        detail: Detail::new(provider, why, &[]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(count: usize) -> EditOrder {
        let edit = Edit {
            kind: EntityType::Campaign,
            id: "1".to_owned(),
            parent_id: None,
            set_to: SetTo::Paused,
        };
        EditOrder {
            account_id: "1".to_owned(),
            currency: None,
            edits: vec![edit; count],
        }
    }

    fn tally(count: usize) -> Tally {
        Tally::new("test", &order(count)).expect("few edits")
    }

    fn detail() -> Detail {
        Detail::new("test", "no", &[])
    }

    fn rejected() -> Error {
        Error::Rejected { detail: detail() }
    }

    fn spent() -> Error {
        Error::AuthExpired { detail: detail() }
    }

    #[test]
    fn what_is_wrong_with_one_leaves_the_others_alone() {
        let mut tally = tally(3);

        let goes_on = tally.refuse(&[0], &rejected());
        tally.tell(1, Edited::Done);

        assert!(goes_on);
        let told = tally.finish().expect("outcomes");
        assert!(matches!(told[0], Edited::Failed(Error::Rejected { .. })));
        assert!(matches!(told[1], Edited::Done));
        assert!(matches!(told[2], Edited::Unfinished));
    }

    #[test]
    fn what_stands_in_the_way_of_all_ends_the_order() {
        let mut begun = tally(3);
        begun.tell(0, Edited::Done);
        let mut fresh = tally(2);

        let goes_on = begun.refuse(&[1], &spent());
        fresh.refuse(&[0], &spent());

        assert!(!goes_on);
        let told = begun.finish().expect("one was made");
        assert!(matches!(told[0], Edited::Done));
        assert!(matches!(told[2], Edited::Failed(Error::AuthExpired { .. })));
        assert!(matches!(fresh.finish(), Err(Error::AuthExpired { .. })));
    }

    #[test]
    fn an_order_of_refusals_is_told_one_by_one() {
        let mut tally = tally(2);
        tally.refuse(&[0, 1], &rejected());

        assert!(tally.finish().is_ok_and(|told| told.len() == 2));
        assert!(Tally::new("test", &order(MOST_EDITS + 1)).is_err());
    }

    #[test]
    fn amounts_become_whole_numbers_or_nothing() {
        let amount = |text: &str| text.parse::<Decimal>().expect("a number");

        assert_eq!(units(amount("50.10"), 2), Some(5_010));
        assert_eq!(units(amount("50.105"), 2), None);
        assert_eq!(units(amount("5000"), 0), Some(5_000));
        assert_eq!(micros(amount("0.5")), Some(500_000));
        assert_eq!(micros(amount("0")), None);
        assert_eq!(micros(amount("-1")), None);
        assert_eq!(micros(Decimal::MAX), None);
    }
}
