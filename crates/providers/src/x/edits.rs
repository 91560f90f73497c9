//! Changes of campaigns and line items, one call each. X lets promoted posts be made and deleted, and nothing of them be set.

use reqwest::Method;

use super::{
    PROVIDER, X,
    request::{Question, checked},
    wire::One,
};
use crate::{
    error::Error,
    platform::{
        Caller, Edit, EditOrder, Edited, EntityType, SetTo,
        edit::{Tally, cannot, micros},
    },
};

impl X {
    pub(super) async fn make_edits(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
    ) -> Result<Vec<Edited>, Error> {
        let mut tally = Tally::new(PROVIDER, order)?;
        let account = checked(&order.account_id)?;
        for (place, edit) in order.edits.iter().enumerate() {
            let (endpoint, list, param) = match change(edit) {
                Ok(change) => change,
                Err(why) => {
                    tally.tell(place, cannot(PROVIDER, why));
                    continue;
                }
            };
            let question = Question {
                method: Method::PUT,
                endpoint,
                path: &["accounts", account, list, &edit.id],
                params: &[param],
            };
            match self.ask::<One>(caller, &question).await {
                Ok(_) => tally.tell(place, Edited::Done),
                Err(error) if tally.refuse(&[place], &error) => {}
                Err(_) => break,
            }
        }
        tally.finish()
    }
}

type Change = (&'static str, &'static str, (&'static str, String));

/// What is called for an edit, in which list, and with what.
fn change(edit: &Edit) -> Result<Change, &'static str> {
    checked(&edit.id).map_err(|_| "ids of x are letters and digits")?;
    let (endpoint, list) = match edit.kind {
        EntityType::Campaign => ("PUT accounts/{id}/campaigns/{id}", "campaigns"),
        EntityType::AdSet => ("PUT accounts/{id}/line_items/{id}", "line_items"),
        EntityType::Ad => return Err("x lets no ad be changed: change its line item"),
        _ => return Err("only campaigns and line items can be changed"),
    };
    let budget = |amount| {
        let micros = micros(amount).ok_or("the budget is no amount")?;
        Ok::<_, &'static str>(micros.to_string())
    };
    let param = match edit.set_to {
        SetTo::Active => ("entity_status", "ACTIVE".to_owned()),
        SetTo::Paused => ("entity_status", "PAUSED".to_owned()),
        SetTo::Archived => {
            return Err("x puts nothing away: it can only delete, which is for good");
        }
        SetTo::DailyBudget(amount) => ("daily_budget_amount_local_micro", budget(amount)?),
        SetTo::LifetimeBudget(amount) => ("total_budget_amount_local_micro", budget(amount)?),
    };
    Ok((endpoint, list, param))
}
