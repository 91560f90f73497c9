//! Changes of campaigns, ad groups and ads: one `googleAds:mutate` for all of them with `partialFailure`, so that each has an
//! outcome of its own. Budgets are resources apart from their campaigns, and one that several campaigns share is left alone.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    GoogleAds, PROVIDER,
    query::{Gaql, digits},
    request::Ask,
};
use crate::{
    error::Error,
    platform::{
        Caller, Edit, EditOrder, Edited, EntityType, SetTo,
        edit::{Tally, cannot, micros},
        members,
    },
};

/// What a campaign's budget is, and whether other campaigns have the same.
struct Budget {
    name: String,
    is_shared: bool,
}

type Budgets = HashMap<String, Budget>;

impl GoogleAds {
    pub(super) async fn make_edits(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
    ) -> Result<Vec<Edited>, Error> {
        let mut tally = Tally::new(PROVIDER, order)?;
        let customer = digits(&order.account_id)?;
        let budgets = self.budgets(caller, &customer, order).await?;
        let (mut places, mut operations) = (Vec::new(), Vec::new());
        for (place, edit) in order.edits.iter().enumerate() {
            match operation(&customer, edit, &budgets) {
                Ok(operation) => {
                    places.push(place);
                    operations.push(operation);
                }
                Err(why) => tally.tell(place, cannot(PROVIDER, why)),
            }
        }
        if operations.is_empty() {
            return tally.finish();
        }
        let outcomes = self.mutate(caller, &customer, &operations).await?;
        for (place, outcome) in places.into_iter().zip(outcomes) {
            let edited = match outcome {
                Ok(()) => Edited::Done,
                Err(error) => Edited::Failed(error),
            };
            tally.tell(place, edited);
        }
        tally.finish()
    }

    /// The budgets of the campaigns that are to have another one.
    async fn budgets(
        &self,
        caller: Caller<'_>,
        customer: &str,
        order: &EditOrder,
    ) -> Result<Budgets, Error> {
        let of_budgets = order.edits.iter().filter(|edit| {
            edit.kind == EntityType::Campaign
                && matches!(
                    edit.set_to,
                    SetTo::DailyBudget(_) | SetTo::LifetimeBudget(_)
                )
        });
        let mut ids: Vec<String> = of_budgets
            .filter_map(|edit| digits(&edit.id).ok())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Budgets::new());
        }
        let fields = [
            "campaign.id",
            "campaign.campaign_budget",
            "campaign_budget.explicitly_shared",
        ];
        let query = Gaql::of("campaign", &fields)
            .only_ids("campaign.id", &ids)
            .text("");
        let ask = Ask {
            customer,
            query: &query,
        };
        let found = self.search(caller, &ask, None).await?;
        Ok(found.results.iter().filter_map(budget).collect())
    }
}

fn budget(row: &Value) -> Option<(String, Budget)> {
    let id = row.pointer("/campaign/id").and_then(members::id)?;
    let name = row.pointer("/campaign/campaignBudget")?.as_str()?;
    let shared = row.pointer("/campaignBudget/explicitlyShared");
    let budget = Budget {
        name: name.to_owned(),
        is_shared: shared.and_then(Value::as_bool).unwrap_or(false),
    };
    Some((id, budget))
}

fn operation(customer: &str, edit: &Edit, budgets: &Budgets) -> Result<Value, &'static str> {
    let status = match edit.set_to {
        SetTo::Active => "ENABLED",
        SetTo::Paused => "PAUSED",
        SetTo::Archived => {
            return Err("google ads puts nothing away: it can only remove, which is for good");
        }
        SetTo::DailyBudget(amount) => {
            let micros = micros(amount).ok_or("the budget is no amount")?;
            return of_budget(edit, budgets, ("amountMicros", micros));
        }
        SetTo::LifetimeBudget(amount) => {
            let micros = micros(amount).ok_or("the budget is no amount")?;
            return of_budget(edit, budgets, ("totalAmountMicros", micros));
        }
    };
    let no_id = |_| "ids of google ads are digits";
    let id = digits(&edit.id).map_err(no_id)?;
    let (member, name) = match edit.kind {
        EntityType::Campaign => (
            "campaignOperation",
            format!("customers/{customer}/campaigns/{id}"),
        ),
        EntityType::AdSet => (
            "adGroupOperation",
            format!("customers/{customer}/adGroups/{id}"),
        ),
        EntityType::Ad => {
            let group = edit.parent_id.as_deref();
            let group =
                digits(group.unwrap_or_default()).map_err(|_| "its ad group is not known")?;
            (
                "adGroupAdOperation",
                format!("customers/{customer}/adGroupAds/{group}~{id}"),
            )
        }
        _ => return Err("only campaigns, ad groups and ads can be changed"),
    };
    Ok(json!({ member: {
        "update": { "resourceName": name, "status": status },
        "updateMask": "status",
    } }))
}

fn of_budget(
    edit: &Edit,
    budgets: &Budgets,
    (member, micros): (&str, i64),
) -> Result<Value, &'static str> {
    if edit.kind != EntityType::Campaign {
        return Err("at google ads only campaigns have budgets");
    }
    let id = digits(&edit.id).map_err(|_| "ids of google ads are digits")?;
    let budget = budgets.get(&id).ok_or("there is no such campaign")?;
    if budget.is_shared {
        return Err("other campaigns share its budget");
    }
    Ok(json!({ "campaignBudgetOperation": {
        // Numbers of 64 bits are text.
        "update": { "resourceName": budget.name, member: micros.to_string() },
        "updateMask": member,
    } }))
}
