//! What differs between an entity as it is stored and as its platform shows it now. Pure.

use providers::platform::Entity;
use rust_decimal::Decimal;

use super::{ChangedField, storable};
use crate::store::entities::KnownRow;

/// A field that differs, with its values before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: ChangedField,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// What of this entity differs from what is stored of it. One that had vanished and is there again differs in that, and
/// not in its status: that it was deleted we had made up ourselves.
pub(super) fn differences(known: &KnownRow, told: &Entity) -> Vec<Difference> {
    let text = |value: &Option<String>| value.as_deref().map(storable::owned);
    let name = |name: &str| Some(name.to_owned());
    let mut all = vec![
        of(
            ChangedField::Name,
            name(&known.name),
            name(&storable::text(&told.name)),
        ),
        of(
            ChangedField::Parent,
            known.parent.clone(),
            text(&told.parent_id),
        ),
        of(
            ChangedField::Campaign,
            known.campaign.clone(),
            text(&told.campaign_id),
        ),
        of(
            ChangedField::DailyBudget,
            amount(known.daily_budget),
            amount(told.daily_budget),
        ),
        of(
            ChangedField::LifetimeBudget,
            amount(known.lifetime_budget),
            amount(told.lifetime_budget),
        ),
    ];
    all.push(if known.has_vanished {
        of(ChangedField::Vanished, name("true"), name("false"))
    } else {
        of(
            ChangedField::Status,
            name(&known.status),
            name(told.status.as_str()),
        )
    });
    all.retain(|difference| difference.before != difference.after);
    all
}

fn of(field: ChangedField, before: Option<String>, after: Option<String>) -> Difference {
    Difference {
        field,
        before,
        after,
    }
}

/// An amount by its value: 50 and 50.00 are the same.
fn amount(amount: Option<Decimal>) -> Option<String> {
    amount.map(|amount| amount.normalize().to_string())
}

#[cfg(test)]
mod tests {
    use providers::platform::{EntityStatus, EntityType};
    use serde_json::json;

    use super::*;

    fn known() -> KnownRow {
        KnownRow {
            kind: "ad_set".to_owned(),
            id: "7".to_owned(),
            parent: Some("3".to_owned()),
            campaign: Some("3".to_owned()),
            name: "Spring".to_owned(),
            status: "active".to_owned(),
            daily_budget: Some(Decimal::new(50, 0)),
            lifetime_budget: None,
            has_vanished: false,
        }
    }

    fn told() -> Entity {
        Entity {
            kind: EntityType::AdSet,
            id: "7".to_owned(),
            parent_id: Some("3".to_owned()),
            campaign_id: Some("3".to_owned()),
            name: "Spring".to_owned(),
            status: EntityStatus::Active,
            platform_status: "ACTIVE".to_owned(),
            daily_budget: Some(Decimal::new(5000, 2)),
            lifetime_budget: None,
            created_at: None,
            updated_at: None,
            raw: json!({}),
        }
    }

    fn fields(differences: &[Difference]) -> Vec<&'static str> {
        let fields = differences.iter();
        fields.map(|difference| difference.field.as_str()).collect()
    }

    #[test]
    fn the_same_in_other_digits_or_words_of_the_platform_is_no_difference() {
        let mut again = told();
        again.platform_status = "CAMPAIGN_ACTIVE".to_owned();
        again.raw = json!({"seen": 2});

        assert!(differences(&known(), &again).is_empty());
    }

    #[test]
    fn every_field_that_differs_is_told_with_both_values() {
        let mut changed = told();
        changed.name = "Sum\0mer".to_owned();
        changed.status = EntityStatus::Paused;
        changed.parent_id = Some("4".to_owned());
        changed.campaign_id = None;
        changed.daily_budget = None;
        changed.lifetime_budget = Some(Decimal::new(12345, 2));

        let differences = differences(&known(), &changed);

        assert_eq!(
            fields(&differences),
            [
                "name",
                "parent",
                "campaign",
                "daily_budget",
                "lifetime_budget",
                "status"
            ]
        );
        assert_eq!(
            differences[0],
            Difference {
                field: ChangedField::Name,
                before: Some("Spring".to_owned()),
                after: Some("Summer".to_owned())
            }
        );
        assert_eq!(
            (differences[3].before.as_deref(), &differences[3].after),
            (Some("50"), &None)
        );
        assert_eq!(differences[4].after.as_deref(), Some("123.45"));
    }

    #[test]
    fn what_is_there_again_differs_in_that_alone() {
        let vanished = KnownRow {
            status: "deleted".to_owned(),
            has_vanished: true,
            ..known()
        };

        let differences = differences(&vanished, &told());

        assert_eq!(fields(&differences), ["vanished"]);
        assert_eq!(differences[0].after.as_deref(), Some("false"));
    }
}
