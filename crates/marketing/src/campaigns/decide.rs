//! What a wanted change comes to, from how the entity stands: pure.

use providers::platform::{Entity, EntityStatus, EntityType, SetTo};
use rust_decimal::Decimal;

use super::view::state_of;

/// What somebody wants of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is to stop.
    Pause,
    /// It is to go on.
    Resume,
    /// It is to be put away.
    Archive,
    /// Another budget a day, in major units of the account's currency.
    DailyBudget(Decimal),
    /// Another budget for its whole life.
    LifetimeBudget(Decimal),
}

/// How an entity has to stand for a change to be made; what is `None` is not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its state.
    pub status: Option<EntityStatus>,
    /// Its budget a day.
    pub daily_budget: Option<Decimal>,
    /// Its budget for its whole life.
    pub lifetime_budget: Option<Decimal>,
}

/// A change that a job is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// A campaign, an ad set or an ad.
    pub kind: EntityType,
    /// The platform's id.
    pub id: String,
    /// What is wanted.
    pub action: Action,
    /// What it must be now.
    pub expected: Expected,
    /// Why; kept with the change.
    pub reason: Option<String>,
    /// Who asks for it, by the word of whoever ordered it; kept with the change.
    pub requested_by: Option<String>,
}

/// What a platform says of an entity right before a change of it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What is to be changed, as it is there; `None`: it has none, or is so already.
    pub before: Option<String>,
    /// Why the change must not be sent.
    pub refusal: Option<&'static str>,
}

impl Wanted {
    /// Holds it against what its platform says of the entity.
    #[must_use]
    pub fn seen(&self, entity: &Entity) -> Sight {
        let standing = Standing {
            parent: None,
            status: entity.status,
            daily_budget: entity.daily_budget,
            lifetime_budget: entity.lifetime_budget,
        };
        let before = before(&self.action, &standing);
        match decide(self, &standing) {
            Decision::Send => Sight {
                before,
                refusal: None,
            },
            Decision::Refused(why) => Sight {
                before,
                refusal: Some(why),
            },
            // An attempt before this one may have made it; made once more it stays the same.
            Decision::Unchanged => Sight {
                before: None,
                refusal: None,
            },
        }
    }
}

/// How an entity stands, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) parent: Option<String>,
    pub(super) status: EntityStatus,
    pub(super) daily_budget: Option<Decimal>,
    pub(super) lifetime_budget: Option<Decimal>,
}

/// What a change is of, from what and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) field: &'static str,
    pub(super) before: Option<String>,
    pub(super) after: String,
    pub(super) decision: Decision,
}

impl Plan {
    /// The plan of a change that was begun before, from what it was then: whoever has changed it since is not overwritten by
    /// what was wanted earlier.
    pub(super) fn again(self, before: Option<&str>) -> Self {
        let is_as_it_was = match (self.before.as_deref(), before) {
            (Some(now), Some(then)) => now == then || is_same_amount(now, then),
            (now, then) => now == then,
        };
        if self.decision != Decision::Send || is_as_it_was {
            return self;
        }
        Self {
            decision: Decision::Refused(
                "it was changed meanwhile: it is not as it was when this was begun",
            ),
            ..self
        }
    }
}

/// Whether two texts are one amount, however many places they are written with.
fn is_same_amount(a: &str, b: &str) -> bool {
    let amounts = a.parse::<Decimal>().ok().zip(b.parse::<Decimal>().ok());
    amounts.is_some_and(|(a, b)| a == b)
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Send,
    Unchanged,
    Refused(&'static str),
}

impl Expected {
    /// What is expected, from texts; `None` for a text that is no state or no amount.
    #[must_use]
    pub fn read(
        status: Option<&str>,
        daily_budget: Option<&str>,
        lifetime_budget: Option<&str>,
    ) -> Option<Self> {
        let status = match status {
            Some(word) => Some(state_of(word).ok()?),
            None => None,
        };
        let amount = |text: Option<&str>| match text {
            Some(text) => text.parse::<Decimal>().ok().map(Some),
            None => Some(None),
        };
        Some(Self {
            status,
            daily_budget: amount(daily_budget)?,
            lifetime_budget: amount(lifetime_budget)?,
        })
    }
}

impl Action {
    /// Another budget a day; `None` for a text that is no amount.
    #[must_use]
    pub fn daily_budget(amount: &str) -> Option<Self> {
        amount.parse().ok().map(Self::DailyBudget)
    }

    /// Another budget for its whole life; `None` for a text that is no amount.
    #[must_use]
    pub fn lifetime_budget(amount: &str) -> Option<Self> {
        amount.parse().ok().map(Self::LifetimeBudget)
    }

    /// What a platform is told.
    #[must_use]
    pub fn set_to(&self) -> SetTo {
        match self {
            Self::Pause => SetTo::Paused,
            Self::Resume => SetTo::Active,
            Self::Archive => SetTo::Archived,
            Self::DailyBudget(amount) => SetTo::DailyBudget(*amount),
            Self::LifetimeBudget(amount) => SetTo::LifetimeBudget(*amount),
        }
    }

    /// The state that it comes to, where it is one.
    pub(super) fn status(&self) -> Option<EntityStatus> {
        match self {
            Self::Pause => Some(EntityStatus::Paused),
            Self::Resume => Some(EntityStatus::Active),
            Self::Archive => Some(EntityStatus::Archived),
            Self::DailyBudget(_) | Self::LifetimeBudget(_) => None,
        }
    }
}

/// What a change comes to. `standing` is `None` for what no sync has found, or does not find any more.
pub(super) fn plan(wanted: &Wanted, standing: Option<&Standing>) -> Plan {
    let (field, after) = match &wanted.action {
        Action::DailyBudget(amount) => ("daily_budget", amount.to_string()),
        Action::LifetimeBudget(amount) => ("lifetime_budget", amount.to_string()),
        Action::Pause => ("status", EntityStatus::Paused.as_str().to_owned()),
        Action::Resume => ("status", EntityStatus::Active.as_str().to_owned()),
        Action::Archive => ("status", EntityStatus::Archived.as_str().to_owned()),
    };
    let Some(standing) = standing else {
        let decision = Decision::Refused("no sync has found it, or none finds it any more");
        return Plan {
            field,
            before: None,
            after,
            decision,
        };
    };
    Plan {
        field,
        before: before(&wanted.action, standing),
        after,
        decision: decide(wanted, standing),
    }
}

fn before(action: &Action, standing: &Standing) -> Option<String> {
    match action {
        Action::DailyBudget(_) => standing.daily_budget.map(|budget| budget.to_string()),
        Action::LifetimeBudget(_) => standing.lifetime_budget.map(|budget| budget.to_string()),
        Action::Pause | Action::Resume | Action::Archive => {
            Some(standing.status.as_str().to_owned())
        }
    }
}

fn decide(wanted: &Wanted, standing: &Standing) -> Decision {
    if is_done(&wanted.action, standing) {
        return Decision::Unchanged;
    }
    if matches!(
        standing.status,
        EntityStatus::Deleted | EntityStatus::Archived
    ) {
        return Decision::Refused("it is deleted or put away, and nothing of it can be changed");
    }
    if !is_as_expected(&wanted.expected, standing) {
        return Decision::Refused("it was changed meanwhile: it is not as the request expects");
    }
    match &wanted.action {
        Action::DailyBudget(amount) => may_be_budget(*amount, standing.daily_budget),
        Action::LifetimeBudget(amount) => may_be_budget(*amount, standing.lifetime_budget),
        Action::Pause | Action::Resume | Action::Archive => Decision::Send,
    }
}

fn is_done(action: &Action, standing: &Standing) -> bool {
    match action {
        Action::DailyBudget(amount) => standing.daily_budget == Some(*amount),
        Action::LifetimeBudget(amount) => standing.lifetime_budget == Some(*amount),
        Action::Pause | Action::Resume | Action::Archive => {
            action.status() == Some(standing.status)
        }
    }
}

fn is_as_expected(expected: &Expected, standing: &Standing) -> bool {
    expected
        .status
        .is_none_or(|status| status == standing.status)
        && expected
            .daily_budget
            .is_none_or(|budget| standing.daily_budget == Some(budget))
        && expected
            .lifetime_budget
            .is_none_or(|budget| standing.lifetime_budget == Some(budget))
}

/// A budget takes the place of one of its sort: which sort an entity has, its platform may let nobody change.
fn may_be_budget(amount: Decimal, present: Option<Decimal>) -> Decision {
    if amount <= Decimal::ZERO {
        return Decision::Refused("a budget is more than nothing");
    }
    match present {
        Some(_) => Decision::Send,
        None => Decision::Refused("it has no budget of this sort: its budget may be its parent's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: EntityStatus) -> Standing {
        Standing {
            parent: None,
            status,
            daily_budget: Some(Decimal::from(50)),
            lifetime_budget: None,
        }
    }

    fn wanted(action: Action) -> Wanted {
        Wanted {
            kind: EntityType::Campaign,
            id: "1".to_owned(),
            action,
            expected: Expected::default(),
            reason: None,
            requested_by: None,
        }
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let paused = plan(
            &wanted(Action::Pause),
            Some(&standing(EntityStatus::Paused)),
        );
        let same = wanted(Action::DailyBudget(Decimal::new(5000, 2)));
        let same = plan(&same, Some(&standing(EntityStatus::Active)));

        assert_eq!(paused.decision, Decision::Unchanged);
        assert_eq!(same.decision, Decision::Unchanged);
    }

    #[test]
    fn a_change_tells_what_was_before() {
        let pause = plan(
            &wanted(Action::Pause),
            Some(&standing(EntityStatus::Active)),
        );
        let raise = wanted(Action::DailyBudget(Decimal::from(60)));
        let raise = plan(&raise, Some(&standing(EntityStatus::Active)));

        assert_eq!(pause.decision, Decision::Send);
        assert_eq!(
            (pause.before.as_deref(), pause.after.as_str()),
            (Some("active"), "paused")
        );
        assert_eq!(raise.field, "daily_budget");
        assert_eq!(
            (raise.before.as_deref(), raise.after.as_str()),
            (Some("50"), "60")
        );
    }

    #[test]
    fn what_somebody_changed_meanwhile_is_not_overwritten() {
        let expecting = |expected| Wanted {
            expected,
            ..wanted(Action::DailyBudget(Decimal::from(60)))
        };
        let as_it_is = Expected {
            status: Some(EntityStatus::Active),
            daily_budget: Some(Decimal::from(50)),
            lifetime_budget: None,
        };
        let as_it_was = Expected {
            daily_budget: Some(Decimal::from(40)),
            ..as_it_is
        };
        let stands = standing(EntityStatus::Active);

        assert_eq!(
            plan(&expecting(as_it_is), Some(&stands)).decision,
            Decision::Send
        );
        assert!(matches!(
            plan(&expecting(as_it_was), Some(&stands)).decision,
            Decision::Refused(_)
        ));
    }

    // Fails when a change that is tried again overwrites what somebody set after it was begun.
    #[test]
    fn a_change_that_is_tried_again_gives_way_to_what_was_set_since() {
        let raise = wanted(Action::DailyBudget(Decimal::from(60)));
        let again = |before| plan(&raise, Some(&standing(EntityStatus::Active))).again(before);

        assert_eq!(again(Some("50.00")).decision, Decision::Send);
        assert!(matches!(again(Some("40")).decision, Decision::Refused(_)));
        assert!(matches!(again(None).decision, Decision::Refused(_)));
        let made = Standing {
            daily_budget: Some(Decimal::from(60)),
            ..standing(EntityStatus::Active)
        };
        assert_eq!(
            plan(&raise, Some(&made)).again(Some("50")).decision,
            Decision::Unchanged
        );
    }

    #[test]
    fn what_cannot_be_changed_is_refused_beforehand() {
        let archived = standing(EntityStatus::Archived);
        let active = standing(EntityStatus::Active);
        let cases = [
            (wanted(Action::Resume), Some(&archived)),
            (
                wanted(Action::LifetimeBudget(Decimal::from(9))),
                Some(&active),
            ),
            (wanted(Action::DailyBudget(Decimal::ZERO)), Some(&active)),
            (wanted(Action::Pause), None),
        ];

        for (wanted, standing) in cases {
            let decision = plan(&wanted, standing).decision;
            assert!(matches!(decision, Decision::Refused(_)), "{wanted:?}");
        }
    }
}
