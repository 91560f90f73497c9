//! The token that speaks for a Page, or for the Page of an Instagram account. Its person's grant tells it: it is asked for
//! anew each time and kept nowhere.

use marketing::accounts::{Account, AccountKind};
use providers::{
    Detail, Error as ProviderError,
    meta::ManagedPage,
    platform::{Access, Caller, Cursor},
};
use secrecy::SecretString;

use crate::{account::Attempt, error::Error};

/// Most pages of the list of a person's Pages.
const MOST_PAGES: usize = 50;

/// What calls in the name of the attempt's Page are made with.
pub(crate) async fn page_access(attempt: &Attempt<'_>) -> Result<Access, Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let mut after: Option<Cursor> = None;
    for _ in 0..MOST_PAGES {
        let place = after.as_ref();
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            app.meta.managed_pages(caller, place).await
        };
        let page = Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?;
        let mut pages = page.items.into_iter();
        if let Some(found) = pages.find(|page| is_of(page, account)) {
            return found.token.map(access_by).ok_or_else(no_right);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Err(no_right())
}

fn is_of(page: &ManagedPage, account: &Account) -> bool {
    match account.kind {
        AccountKind::InstagramAccount => {
            page.instagram_account_id.as_ref() == Some(&account.external_id)
        }
        _ => page.id == account.external_id,
    }
}

fn access_by(token: SecretString) -> Access {
    Access {
        token,
        token_secret: None,
        manager: None,
    }
}

fn no_right() -> Error {
    Error::Provider(ProviderError::Permission {
        detail: Detail {
            provider: "meta",
            message: "the person who gave access may not act for the page any more".to_owned(),
            ..Detail::default()
        },
    })
}
