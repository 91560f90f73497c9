//! Changes of campaigns, ad groups and ads: states many at a time, budgets one by one. A call with several ids is refused as a
//! whole where one of them is wrong; then each is asked for alone.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    PROVIDER, TikTok,
    request::{Envelope, Question},
};
use crate::{
    error::{Detail, Error},
    platform::{
        Caller, Edit, EditOrder, Edited, EntityType, SetTo,
        edit::{Tally, cannot},
        members,
    },
};

/// Most ids of one call.
const MOST_IDS: usize = 20;

/// Longest id: those of today have 16 to 19 digits.
const LONGEST_ID: usize = 20;

/// How the states of a sort of things are set.
struct Sort {
    kind: EntityType,
    endpoint: &'static str,
    ids: &'static str,
}

const SORTS: [Sort; 3] = [
    Sort {
        kind: EntityType::Campaign,
        endpoint: "POST campaign/status/update/",
        ids: "campaign_ids",
    },
    Sort {
        kind: EntityType::AdSet,
        endpoint: "POST adgroup/status/update/",
        ids: "adgroup_ids",
    },
    Sort {
        kind: EntityType::Ad,
        endpoint: "POST ad/status/update/",
        ids: "ad_ids",
    },
];

/// States by their words here and there.
const STATES: [(SetTo, &str); 2] = [(SetTo::Active, "ENABLE"), (SetTo::Paused, "DISABLE")];

/// Edits of one call: at which places of the order they are, and their ids.
type Group<'e> = Vec<(usize, &'e str)>;

impl TikTok {
    pub(super) async fn make_edits(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
    ) -> Result<Vec<Edited>, Error> {
        let mut tally = Tally::new(PROVIDER, order)?;
        let mut possible: Vec<(usize, &Edit)> = Vec::new();
        for (place, edit) in order.edits.iter().enumerate() {
            match impossible(edit) {
                Some(why) => tally.tell(place, cannot(PROVIDER, why)),
                None => possible.push((place, edit)),
            }
        }
        for sort in &SORTS {
            for state in STATES {
                let alike = possible
                    .iter()
                    .filter(|(_, edit)| edit.kind == sort.kind && edit.set_to == state.0);
                let group: Group<'_> = alike.map(|(at, edit)| (*at, edit.id.as_str())).collect();
                for part in group.chunks(MOST_IDS) {
                    let asked = (sort, state.1, part);
                    if !self.set_states(caller, order, asked, &mut tally).await {
                        return tally.finish();
                    }
                }
            }
        }
        for (place, edit) in possible {
            let amount = match edit.set_to {
                SetTo::DailyBudget(amount) | SetTo::LifetimeBudget(amount) => amount,
                SetTo::Active | SetTo::Paused | SetTo::Archived => continue,
            };
            match self.set_budget(caller, order, (edit, amount)).await {
                Ok(()) => tally.tell(place, Edited::Done),
                Err(error) if tally.refuse(&[place], &error) => {}
                Err(_) => break,
            }
        }
        tally.finish()
    }

    /// Sets the states of some; tells whether further calls are worth making.
    async fn set_states(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
        (sort, state, group): (&Sort, &str, &[(usize, &str)]),
        tally: &mut Tally,
    ) -> bool {
        let places: Vec<usize> = group.iter().map(|(place, _)| *place).collect();
        let refusal = match self.set_state(caller, order, (sort, state, group)).await {
            Ok(done) => {
                for (place, id) in group {
                    let is_done = done
                        .as_ref()
                        .is_none_or(|done| done.iter().any(|it| it == id));
                    let edited = if is_done {
                        Edited::Done
                    } else {
                        Edited::Failed(left_out())
                    };
                    tally.tell(*place, edited);
                }
                return true;
            }
            Err(error) => error,
        };
        if group.len() == 1 || !tally.refuse(&places, &refusal) {
            return tally.refuse(&places, &refusal);
        }
        for one in group {
            match self.set_state(caller, order, (sort, state, &[*one])).await {
                Ok(_) => tally.tell(one.0, Edited::Done),
                Err(error) => {
                    if !tally.refuse(&[one.0], &error) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// One call; gives the ids that it says to have set, `None` where it names none.
    async fn set_state(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
        (sort, state, group): (&Sort, &str, &[(usize, &str)]),
    ) -> Result<Option<Vec<String>>, Error> {
        let ids: Vec<&str> = group.iter().map(|(_, id)| *id).collect();
        let question = Question {
            endpoint: sort.endpoint,
            parameters: parameters(json!({
                "advertiser_id": order.account_id,
                sort.ids: ids,
                "operation_status": state,
            })),
            token: Some(&caller.access.token),
            accepts: &[],
        };
        self.ask(caller.door, &question, |envelope: Envelope| {
            let done = envelope.data.get(sort.ids).and_then(Value::as_array);
            Some(done.map(|ids| ids.iter().filter_map(members::id).collect()))
        })
        .await
    }

    async fn set_budget(
        &self,
        caller: Caller<'_>,
        order: &EditOrder,
        (edit, amount): (&Edit, Decimal),
    ) -> Result<(), Error> {
        let budget = number(amount);
        let (endpoint, asked) = if edit.kind == EntityType::Campaign {
            let asked = json!({ "advertiser_id": order.account_id, "campaign_id": edit.id, "budget": budget });
            ("POST campaign/update/", asked)
        } else {
            let budgets = json!([{ "adgroup_id": edit.id, "budget": budget }]);
            let asked = json!({ "advertiser_id": order.account_id, "budget": budgets });
            ("POST adgroup/budget/update/", asked)
        };
        let question = Question {
            endpoint,
            parameters: parameters(asked),
            token: Some(&caller.access.token),
            accepts: &[],
        };
        self.ask(caller.door, &question, |_| Some(())).await
    }
}

fn impossible(edit: &Edit) -> Option<&'static str> {
    let is_id = (1..=LONGEST_ID).contains(&edit.id.len())
        && edit.id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id {
        return Some("ids of tiktok are digits");
    }
    let is_known = SORTS.iter().any(|sort| sort.kind == edit.kind);
    match edit.set_to {
        _ if !is_known => Some("only campaigns, ad groups and ads can be changed"),
        SetTo::Archived => Some("tiktok puts nothing away: it can only delete, which is for good"),
        SetTo::DailyBudget(_) | SetTo::LifetimeBudget(_) if edit.kind == EntityType::Ad => {
            Some("an ad has no budget of its own")
        }
        _ => None,
    }
}

/// Budgets are numbers in major units there; the digits are those of the amount.
fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or(Value::Null)
}

fn parameters(asked: Value) -> Map<String, Value> {
    match asked {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A success in part, which names those that it changed.
fn left_out() -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, "tiktok did not change it, and says not why", &[]),
    }
}
