//! Changes of campaigns, ad sets and ads: one batch for all of them, with an outcome each. Meta takes a write as `POST /{id}`,
//! states by their words and budgets in the currency's minor unit.

use serde_json::Value;

use super::{
    Meta, PROVIDER,
    call::is_part,
    graph_batch::{Operated, Operation},
    money::minor_units,
    refused, unreadable,
};
use crate::{
    error::Error,
    platform::{
        Caller, Edit, EditOrder, Edited, EntityType, SetTo,
        edit::{Tally, cannot},
    },
};

impl Meta {
    pub(super) async fn make_edits(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
    ) -> Result<Vec<Edited>, Error> {
        let mut tally = Tally::new(PROVIDER, order)?;
        let (mut places, mut operations) = (Vec::new(), Vec::new());
        for (place, edit) in order.edits.iter().enumerate() {
            match operation(edit, order.currency.as_deref()) {
                Ok(operation) => {
                    places.push(place);
                    operations.push(operation);
                }
                Err(why) => tally.tell(place, cannot(PROVIDER, why)),
            }
        }
        let outcomes = self.graph_batch(caller, &operations).await?;
        for (place, outcome) in places.into_iter().zip(outcomes) {
            tally.tell(place, edited(outcome));
        }
        tally.finish()
    }
}

fn edited(outcome: Operated) -> Edited {
    match outcome {
        Operated::Done(body) if body.get("success").and_then(Value::as_bool) == Some(true) => {
            Edited::Done
        }
        Operated::Done(body) if body.get("success").is_some() => {
            Edited::Failed(refused("meta says that it made no change"))
        }
        Operated::Done(_) => Edited::Failed(unreadable("the answer to a change is none")),
        Operated::Unfinished => Edited::Unfinished,
        Operated::Failed(error) => Edited::Failed(error),
    }
}

fn operation(edit: &Edit, currency: Option<&str>) -> Result<Operation, &'static str> {
    let has_budget = match edit.kind {
        EntityType::Campaign | EntityType::AdSet => true,
        EntityType::Ad => false,
        _ => return Err("only campaigns, ad sets and ads can be changed"),
    };
    let budget = |amount| {
        if !has_budget {
            return Err("an ad has no budget of its own");
        }
        let units = minor_units(amount, currency);
        let units = units.ok_or("the budget is no whole number of the currency's minor units")?;
        Ok(units.to_string())
    };
    let (name, value) = match edit.set_to {
        SetTo::Active => ("status", "ACTIVE".to_owned()),
        SetTo::Paused => ("status", "PAUSED".to_owned()),
        SetTo::Archived => ("status", "ARCHIVED".to_owned()),
        SetTo::DailyBudget(amount) => ("daily_budget", budget(amount)?),
        SetTo::LifetimeBudget(amount) => ("lifetime_budget", budget(amount)?),
    };
    if !is_part(&edit.id) {
        return Err("the id is none");
    }
    Ok(Operation::post(edit.id.clone()).with(name, value))
}
