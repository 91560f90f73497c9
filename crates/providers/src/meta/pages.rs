//! The Pages that a person manages, with the tokens that speak for them, and their Instagram accounts. They belong to the
//! person and not to an ad account: whatever account is asked about, they are the same.

use secrecy::SecretString;
use serde_json::Value;

use super::{Meta, call::GraphCall, entities::entity, paging};
use crate::{
    error::Error,
    platform::{Caller, Cursor, Entity, EntityQuery, Page, members},
};

const ENDPOINT: &str = "GET me/accounts";

/// What is told of a Page; its token only where that is what is wanted.
const FIELDS: &str = "id,name,tasks,instagram_business_account{id,username}";
const FIELDS_WITH_TOKEN: &str = "id,name,access_token,instagram_business_account{id}";

/// The usual number of Pages at once.
const LIMIT: u32 = 100;

/// A Page that a person manages. No `Debug`: it holds a secret.
#[derive(Clone)]
pub struct ManagedPage {
    /// Meta's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The token that speaks for it; `None`: the person may not act for it.
    pub token: Option<SecretString>,
    /// Meta's id of its Instagram account, where it has one.
    pub instagram_account_id: Option<String>,
}

impl Meta {
    /// A page of the Pages that a person manages, each with the token that its own figures and forms are read with. Such a
    /// token lives as long as the person's consent.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn managed_pages(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<ManagedPage>, Error> {
        let body = self.pages(caller, FIELDS_WITH_TOKEN, None, after).await?;
        paging::read(&body, managed)
    }

    /// The Pages as things that an account holds.
    pub(super) async fn list_pages(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let body = self.pages(caller, FIELDS, query.page_size, after).await?;
        paging::read(&body, |raw| entity(query, raw))
    }

    /// The Pages' Instagram accounts. Few Pages have one, so a page of the list is often shorter than the next.
    pub(super) async fn list_instagram_accounts(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let body = self.pages(caller, FIELDS, query.page_size, after).await?;
        let of_pages = paging::read(&body, |raw| match instagram_of(raw) {
            None => Some(None),
            Some(account) => instagram_account(query, raw, account).map(Some),
        })?;
        Ok(Page {
            items: of_pages.items.into_iter().flatten().collect(),
            next: of_pages.next,
        })
    }

    async fn pages(
        &self,
        caller: Caller<'_>,
        fields: &'static str,
        page_size: Option<u32>,
        after: Option<&Cursor>,
    ) -> Result<Value, Error> {
        let call = GraphCall::get(ENDPOINT, &["me", "accounts"]).with("fields", fields);
        self.graph(caller, paging::at(call, page_size, LIMIT, after))
            .await
    }
}

fn managed(raw: &Value) -> Option<ManagedPage> {
    Some(ManagedPage {
        id: raw.get("id").and_then(members::id)?,
        name: members::text(raw, "name").unwrap_or_default().to_owned(),
        token: members::text(raw, "access_token").map(SecretString::from),
        instagram_account_id: instagram_of(raw)
            .and_then(|account| account.get("id"))
            .and_then(members::id),
    })
}

fn instagram_of(page: &Value) -> Option<&Value> {
    let account = page.get("instagram_business_account")?;
    (!account.is_null()).then_some(account)
}

fn instagram_account(query: &EntityQuery, page: &Value, account: &Value) -> Option<Entity> {
    let listed = entity(query, account)?;
    Some(Entity {
        parent_id: page.get("id").and_then(members::id),
        name: members::text(account, "username")
            .unwrap_or_default()
            .to_owned(),
        ..listed
    })
}
