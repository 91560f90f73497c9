//! What an account holds, a page of a search at a time. Ads are listed in two parts: those of ad groups, and the asset groups
//! that stand in their place in Performance Max.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    GoogleAds,
    changes::{Changed, MOST_DAYS},
    listings::{Listing, listings},
    query::{Gaql, digits},
    refused,
    request::Ask,
};
use crate::{
    error::Error,
    platform::{Caller, Cursor, Entity, EntityQuery, EntityType, Page, members},
};

/// What can be listed, parents first.
pub(super) const TYPES: [EntityType; 5] = [
    EntityType::Campaign,
    EntityType::AdSet,
    EntityType::Ad,
    EntityType::Audience,
    EntityType::Pixel,
];

/// Ids that one query names.
const IDS_PER_QUERY: usize = 1_000;

/// Where a list goes on.
enum Step<'a> {
    /// With what changed since.
    Changes(DateTime<Utc>),
    /// With this resource, from this token on or from its beginning.
    List(&'static Listing, Option<&'a str>),
}

/// Whether Google can be asked what of a sort changed. Campaigns are listed whole: they are few, and a change of their
/// budget is none of theirs.
pub(super) fn lists_changes(of: EntityType) -> bool {
    Changed::of(of).is_some()
}

impl GoogleAds {
    pub(super) async fn list_entities(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let customer = digits(&query.account_id)?;
        let listings = listings(query.kind)?;
        match step(query, listings, after, Utc::now())? {
            Step::List(listing, token) => {
                let page = self.page(caller, &customer, (listing, token)).await?;
                Ok(of_kind(query.kind, listing, listings, page))
            }
            Step::Changes(since) => match self.changed(caller, &customer, query, since).await? {
                Some(ids) => {
                    let asked = (listings[0], ids.as_slice());
                    let rows = self.named(caller, &customer, asked).await?;
                    Ok(Page {
                        items: entities(query.kind, listings[0], rows),
                        next: beginning_after(listings[0], listings),
                    })
                }
                // More than can be told: everything, which costs less than to ask for so many.
                None => {
                    let page = self.page(caller, &customer, (listings[0], None)).await?;
                    Ok(of_kind(query.kind, listings[0], listings, page))
                }
            },
        }
    }

    /// What things of a sort are now, by their ids.
    pub(super) async fn list_present(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        ids: &[String],
    ) -> Result<Vec<Entity>, Error> {
        let customer = digits(&query.account_id)?;
        let listing = listings(query.kind)?[0];
        let ids: Vec<String> = ids.iter().filter_map(|id| digits(id).ok()).collect();
        let rows = self
            .named(caller, &customer, (listing, ids.as_slice()))
            .await?;
        Ok(entities(query.kind, listing, rows))
    }

    /// A page of rows, and the token of the next one.
    async fn page(
        &self,
        caller: Caller<'_>,
        customer: &str,
        (listing, token): (&Listing, Option<&str>),
    ) -> Result<(Vec<Value>, String), Error> {
        let query = Gaql::of(listing.resource, listing.fields).text("");
        let ask = Ask {
            customer,
            query: &query,
        };
        let found = self.search_on(caller, &ask, token).await?;
        Ok((found.results, found.next_page_token))
    }

    /// The rows with these ids.
    async fn named(
        &self,
        caller: Caller<'_>,
        customer: &str,
        (listing, ids): (&Listing, &[String]),
    ) -> Result<Vec<Value>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_PER_QUERY) {
            let query = Gaql::of(listing.resource, listing.fields)
                .only_ids(listing.id_field, ids)
                .text("");
            let ask = Ask {
                customer,
                query: &query,
            };
            // One page: an id is found once, at most in a few ad groups.
            rows.extend(self.search(caller, &ask, None).await?.results);
        }
        Ok(rows)
    }
}

fn step<'a>(
    query: &EntityQuery,
    listings: &'static [&'static Listing],
    after: Option<&'a Cursor>,
    now: DateTime<Utc>,
) -> Result<Step<'a>, Error> {
    if let Some(Cursor(text)) = after {
        let (resource, token) = text.split_once(':').unwrap_or((text.as_str(), ""));
        let listing = listings.iter().copied().find(|it| it.resource == resource);
        let listing = listing.ok_or_else(|| refused("the cursor is of another list"))?;
        return Ok(Step::List(listing, (!token.is_empty()).then_some(token)));
    }
    let since = query
        .changed_since
        .filter(|since| lists_changes(query.kind) && now - *since < TimeDelta::days(MOST_DAYS));
    Ok(match since {
        Some(since) => Step::Changes(since),
        None => Step::List(listings[0], None),
    })
}

fn of_kind(
    kind: EntityType,
    listing: &Listing,
    listings: &[&'static Listing],
    (rows, token): (Vec<Value>, String),
) -> Page<Entity> {
    let next = if token.is_empty() {
        beginning_after(listing, listings)
    } else {
        Some(Cursor(format!("{}:{token}", listing.resource)))
    };
    Page {
        items: entities(kind, listing, rows),
        next,
    }
}

/// Where the resource begins that is listed after this one.
fn beginning_after(listing: &Listing, listings: &[&'static Listing]) -> Option<Cursor> {
    let mut rest = listings
        .iter()
        .skip_while(|it| it.resource != listing.resource);
    rest.nth(1).map(|next| Cursor(next.resource.to_owned()))
}

fn entities(kind: EntityType, listing: &Listing, rows: Vec<Value>) -> Vec<Entity> {
    let rows = rows.into_iter();
    rows.filter_map(|row| entity(kind, listing, row)).collect()
}

/// `None` for a row without an id: it is nothing that could be stored.
fn entity(kind: EntityType, listing: &Listing, raw: Value) -> Option<Entity> {
    let id_at = |pointer: &str| raw.pointer(pointer).and_then(members::id);
    let text_at = |pointer: &str| {
        let text = raw.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let (status, platform_status) = listing.status(&raw);
    Some(Entity {
        kind,
        id: id_at(listing.id)?,
        parent_id: listing.parent.and_then(id_at),
        campaign_id: listing.campaign.and_then(id_at),
        name: text_at(listing.name),
        status,
        platform_status,
        daily_budget: micros(raw.pointer("/campaignBudget/amountMicros")),
        lifetime_budget: micros(raw.pointer("/campaignBudget/totalAmountMicros")),
        created_at: None,
        updated_at: None,
        raw,
    })
}

/// An amount in major units, whatever the currency.
fn micros(value: Option<&Value>) -> Option<Decimal> {
    let micros = value.and_then(members::integer)?;
    Some(Decimal::new(micros, 6).normalize())
}
