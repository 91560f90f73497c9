//! Lead forms. They belong to Pages and are read with each Page's own token, so a place in this list is a place in the list
//! of Pages and one in a Page's forms.

use serde::{Deserialize, Serialize};

use super::{
    ManagedPage, Meta, PROVIDER,
    call::{GraphCall, Identity},
    entities::entity,
    paging, refused, unreadable,
};
use crate::{
    error::{Detail, Error},
    platform::{Caller, Cursor, Entity, EntityQuery, Page},
};

const FIELDS: &str = "id,name,status,locale,leads_count,created_time";

/// The usual number of forms at once.
const LIMIT: u32 = 100;

/// Where the list goes on; the beginning without any of it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// After which Pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<Cursor>,
    /// At which of those that follow; `None`: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// After which forms of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    forms: Option<Cursor>,
    /// Forms of some Page before may not be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lacks_some: bool,
    /// All was read that may be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_behind_the_last: bool,
}

impl Place {
    fn of(cursor: Option<&Cursor>) -> Result<Self, Error> {
        match cursor {
            None => Ok(Self::default()),
            Some(Cursor(text)) => serde_json::from_str(text)
                .map_err(|_| refused("the cursor belongs to another list")),
        }
    }

    fn cursor(&self) -> Result<Cursor, Error> {
        let text = serde_json::to_string(self);
        text.map(Cursor)
            .map_err(|_| unreadable("the list goes on in a place that cannot be told"))
    }
}

/// The beginning of the Pages that follow; `None` where none do and nothing was kept from us.
fn place_after(pages: Option<Cursor>, lacks_some: bool) -> Result<Option<Cursor>, Error> {
    if pages.is_none() && !lacks_some {
        return Ok(None);
    }
    let place = Place {
        is_behind_the_last: pages.is_none(),
        pages,
        lacks_some,
        ..Place::default()
    };
    place.cursor().map(Some)
}

/// There is nothing behind this place but the word that forms of some Page may not be read.
pub(super) fn is_behind_the_last(at: &Cursor) -> bool {
    serde_json::from_str::<Place>(&at.0).is_ok_and(|place| place.is_behind_the_last)
}

impl Meta {
    /// A page of the forms of one Page; the next one may be of another. A Page whose forms the person may not see is passed
    /// over, and the list ends with a refusal then.
    pub(super) async fn list_lead_forms(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let mut place = Place::of(after)?;
        if place.is_behind_the_last {
            let message = "the lead forms of some page may not be read";
            return Err(Error::Permission {
                detail: Detail::new(PROVIDER, message, &[]),
            });
        }
        let pages = self.managed_pages(caller, place.pages.as_ref()).await?;
        let at = pages
            .items
            .iter()
            .position(|page| Some(&page.id) == place.page.as_ref())
            .unwrap_or_else(|| {
                // The first of them, also where the Page has gone meanwhile: forms that come twice do no harm.
                place.forms = None;
                0
            });
        let Some(page) = pages.items.get(at) else {
            return Ok(Page {
                items: Vec::new(),
                next: place_after(pages.next, place.lacks_some)?,
            });
        };
        let forms = self
            .forms_of(caller, page, query, place.forms.as_ref())
            .await?;
        place.lacks_some |= forms.is_none();
        let forms = forms.unwrap_or(Page {
            items: Vec::new(),
            next: None,
        });
        let following = pages.items.get(at + 1);
        let next = match (forms.next, following) {
            (Some(more), _) => Some(
                Place {
                    page: Some(page.id.clone()),
                    forms: Some(more),
                    ..place
                }
                .cursor()?,
            ),
            (None, Some(following)) => Some(
                Place {
                    page: Some(following.id.clone()),
                    forms: None,
                    ..place
                }
                .cursor()?,
            ),
            (None, None) => place_after(pages.next, place.lacks_some)?,
        };
        Ok(Page {
            items: forms.items,
            next,
        })
    }

    /// `None`: they may not be read.
    async fn forms_of(
        &self,
        caller: Caller<'_>,
        page: &ManagedPage,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Option<Page<Entity>>, Error> {
        let Some(token) = &page.token else {
            return Ok(None);
        };
        let call = GraphCall::get("GET {page}/leadgen_forms", &[&page.id, "leadgen_forms"])
            .with("fields", FIELDS);
        let call = paging::at(call, query.page_size, LIMIT, after);
        let who = Identity::Holder(token);
        let body = match self.graph_as(who, caller.door, call).await {
            Err(error @ Error::Permission { .. }) => {
                tracing::warn!(
                    provider.name = PROVIDER,
                    error = %error,
                    "the lead forms of a page may not be read"
                );
                return Ok(None);
            }
            ended => ended?,
        };
        let forms = paging::read(&body, |raw| {
            let form = entity(query, raw)?;
            Some(Entity {
                parent_id: Some(page.id.clone()),
                ..form
            })
        });
        forms.map(Some)
    }
}
