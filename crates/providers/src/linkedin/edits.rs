//! Changes of campaign groups, campaigns and creatives: a batch of partial updates for each sort, with an outcome each.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    LinkedIn, PROVIDER,
    entities::digits,
    request::{Patches, of_account},
};
use crate::{
    error::Error,
    platform::{
        Caller, Edit, EditOrder, Edited, EntityType, SetTo,
        edit::{Tally, cannot},
    },
};

/// What can be changed, and where.
const SORTS: [(EntityType, &str); 3] = [
    (
        EntityType::Campaign,
        "POST adAccounts/{id}/adCampaignGroups",
    ),
    (EntityType::AdSet, "POST adAccounts/{id}/adCampaigns"),
    (EntityType::Ad, "POST adAccounts/{id}/creatives"),
];

impl LinkedIn {
    pub(super) async fn make_edits(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
    ) -> Result<Vec<Edited>, Error> {
        let mut tally = Tally::new(PROVIDER, order)?;
        let account = digits(&order.account_id)?;
        for (place, edit) in order.edits.iter().enumerate() {
            if SORTS.iter().all(|(kind, _)| *kind != edit.kind) {
                let why = "only campaign groups, campaigns and creatives can be changed";
                tally.tell(place, cannot(PROVIDER, why));
            }
        }
        for (kind, endpoint) in SORTS {
            let mut patches = Patches::default();
            let mut places = Vec::new();
            for (place, edit) in order.edits.iter().enumerate() {
                if edit.kind != kind {
                    continue;
                }
                match (key(edit), set(edit, order.currency.as_deref())) {
                    (Some(key), Ok(set)) => {
                        patches.set(&key, set);
                        places.push((place, key));
                    }
                    (None, _) => tally.tell(place, cannot(PROVIDER, "the id is no number")),
                    (_, Err(why)) => tally.tell(place, cannot(PROVIDER, why)),
                }
            }
            if places.is_empty() {
                continue;
            }
            let at: Vec<usize> = places.iter().map(|(place, _)| *place).collect();
            match self
                .patch(caller, of_account(endpoint, account), &patches)
                .await
            {
                Ok(mut fates) => {
                    for (place, key) in places {
                        let edited = match fates.remove(&key) {
                            Some(Ok(())) => Edited::Done,
                            Some(Err(error)) => Edited::Failed(error),
                            None => Edited::Unfinished,
                        };
                        tally.tell(place, edited);
                    }
                }
                Err(error) if tally.refuse(&at, &error) => {}
                Err(_) => break,
            }
        }
        tally.finish()
    }
}

/// By what a batch names an entity: creatives by their URNs.
fn key(edit: &Edit) -> Option<String> {
    let id = digits(&edit.id).ok()?;
    Some(match edit.kind {
        EntityType::Ad => format!("urn:li:sponsoredCreative:{id}"),
        _ => id.to_owned(),
    })
}

fn set(edit: &Edit, currency: Option<&str>) -> Result<Map<String, Value>, &'static str> {
    let is_creative = edit.kind == EntityType::Ad;
    let status = if is_creative {
        "intendedStatus"
    } else {
        "status"
    };
    let budget = |amount: Decimal| {
        if is_creative {
            return Err("a creative has no budget of its own");
        }
        let currency = currency.ok_or("the account's currency is not known")?;
        Ok(json!({ "amount": amount.to_string(), "currencyCode": currency }))
    };
    let (name, value) = match edit.set_to {
        SetTo::Active => (status, json!("ACTIVE")),
        SetTo::Paused => (status, json!("PAUSED")),
        SetTo::Archived => (status, json!("ARCHIVED")),
        SetTo::DailyBudget(amount) => ("dailyBudget", budget(amount)?),
        SetTo::LifetimeBudget(amount) => ("totalBudget", budget(amount)?),
    };
    Ok(Map::from_iter([(name.to_owned(), value)]))
}
