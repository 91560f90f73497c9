//! Events of a Page: Meta sends them only once the app is subscribed at the Page itself, beside the subscription of the app.
//! The caller's token is the Page's, but where it is said to be a person's.

use serde_json::Value;

use super::{Meta, call::GraphCall, unreadable};
use crate::{
    error::Error,
    platform::{Access, Caller, members},
};

/// What is asked for of every Page.
pub const PAGE_FIELDS: [&str; 2] = ["leadgen", "feed"];

const EDGE: &str = "subscribed_apps";

/// Most pages of the list of a person's Pages.
const MOST_PAGES: usize = 50;

impl Meta {
    /// Sees to it that events of [`PAGE_FIELDS`] are sent for a Page; tells whether they were not before. Other fields that
    /// somebody has subscribed stay.
    ///
    /// # Errors
    /// [`Error::Permission`] without the right `pages_manage_metadata`, and any other variant.
    pub async fn keep_subscribed(&self, caller: Caller<'_>, page_id: &str) -> Result<bool, Error> {
        let mut fields = self.subscribed(caller, page_id).await?;
        let before = fields.len();
        for wanted in PAGE_FIELDS {
            if !fields.iter().any(|field| field == wanted) {
                fields.push(wanted.to_owned());
            }
        }
        if fields.len() == before {
            return Ok(false);
        }
        let call = GraphCall::post("POST {page}/subscribed_apps", &[page_id, EDGE])
            .with("subscribed_fields", fields.join(","));
        done(&self.graph(caller, call).await?)?;
        Ok(true)
    }

    /// Ends the events of a Page.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn unsubscribe(&self, caller: Caller<'_>, page_id: &str) -> Result<(), Error> {
        let call = GraphCall::delete("DELETE {page}/subscribed_apps", &[page_id, EDGE]);
        done(&self.graph(caller, call).await?)
    }

    /// Ends the events of a Page in the name of a person who manages it; `false` where that person does not any more.
    pub(super) async fn stop_page_events(
        &self,
        caller: Caller<'_>,
        page_id: &str,
    ) -> Result<bool, Error> {
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let pages = self.managed_pages(caller, after.as_ref()).await?;
            let found = pages.items.into_iter().find(|page| page.id == page_id);
            if let Some(page) = found {
                let Some(token) = page.token else {
                    return Ok(false);
                };
                let access = Access {
                    token,
                    token_secret: None,
                    manager: None,
                };
                let as_page = Caller {
                    access: &access,
                    door: caller.door,
                };
                self.unsubscribe(as_page, page_id).await?;
                return Ok(true);
            }
            after = pages.next;
            if after.is_none() {
                break;
            }
        }
        Ok(false)
    }

    /// The fields that our app is subscribed to at a Page. Meta lists there whatever apps the Page has; without an id of our
    /// own none of them is taken for ours.
    async fn subscribed(&self, caller: Caller<'_>, page_id: &str) -> Result<Vec<String>, Error> {
        let call = GraphCall::get("GET {page}/subscribed_apps", &[page_id, EDGE]);
        let body = self.graph(caller, call).await?;
        let apps = body.get("data").and_then(Value::as_array);
        let apps = apps.ok_or_else(|| unreadable("the answer is no list"))?;
        let is_ours = |app: &&Value| {
            self.app_id.is_some() && app.get("id").and_then(members::id) == self.app_id
        };
        let fields = apps.iter().find(is_ours);
        let fields = fields.and_then(|app| app.get("subscribed_fields")?.as_array());
        let fields = fields.into_iter().flatten().filter_map(Value::as_str);
        Ok(fields.map(str::to_owned).collect())
    }
}

fn done(body: &Value) -> Result<(), Error> {
    match body.get("success").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => Err(unreadable("the answer does not say that it was done")),
    }
}
