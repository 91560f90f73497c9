//! Who calls, and for which customers they may: with access of their own, or through the manager account that
//! `login-customer-id` names.

use super::{Context, SCOPE, customer::Customer, error::AdsError};
use crate::{
    door::Incoming,
    oauth::{Grant, Holder, Refused, TokenRole, TokenState},
    world::{GOOGLE_MANAGER, Key, Platform, World},
};

/// Whom the call's token belongs to.
///
/// # Errors
/// CREDENTIALS_MISSING without a token, `authenticationError` for one that does not work, ACCESS_TOKEN_SCOPE_INSUFFICIENT
/// for one that was given for something else.
pub(super) fn holder(ctx: &Context<'_>, incoming: &Incoming) -> Result<Holder, AdsError> {
    if incoming.header("authorization").is_none() {
        return Err(AdsError::no_credentials());
    }
    let token = incoming.bearer().ok_or_else(|| {
        AdsError::authentication(
            "OAUTH_TOKEN_HEADER_INVALID",
            "The OAuth token in the header is not valid.",
        )
    })?;
    let found = ctx
        .shared
        .oauth
        .look_up(Platform::GoogleAds, token, ctx.now);
    let (name, message) = match found {
        Ok(holder) if holder.role == TokenRole::Access => {
            return if holder.grant.allows(SCOPE) {
                Ok(holder)
            } else {
                Err(AdsError::insufficient_scope())
            };
        }
        Err(Refused::Spent(TokenState::Expired, _)) => (
            "OAUTH_TOKEN_EXPIRED",
            "The OAuth token in the header has expired.",
        ),
        Err(Refused::Spent(TokenState::Revoked | TokenState::PasswordChanged, _)) => (
            "OAUTH_TOKEN_REVOKED",
            "The OAuth token in the header has been revoked.",
        ),
        Ok(_)
        | Err(Refused::Unknown | Refused::Spent(TokenState::Invalid | TokenState::Valid, _)) => (
            "OAUTH_TOKEN_INVALID",
            "The OAuth token in the header is not valid.",
        ),
    };
    Err(AdsError::authentication(name, message))
}

/// The customers that a person has access to with no manager account between: the manager account itself and the first of
/// its accounts, unless the person named others when they consented.
pub(super) fn direct(world: &World, grant: &Grant) -> Vec<String> {
    match &grant.accounts {
        None => {
            let first = world.id(Key::account(Platform::GoogleAds, 0));
            vec![GOOGLE_MANAGER.to_owned(), first]
        }
        Some(ids) => ids
            .iter()
            .filter(|id| Customer::find(world, id).is_some())
            .cloned()
            .collect(),
    }
}

/// The customer that a call is for.
///
/// # Errors
/// INVALID_CUSTOMER_ID and INVALID_LOGIN_CUSTOMER_ID for ids that are none (with hyphens in them, for one),
/// CUSTOMER_NOT_FOUND, `authorizationError` where the caller may not act for the customer in this way.
pub(super) fn customer(
    ctx: &Context<'_>,
    holder: &Holder,
    id: &str,
    login: Option<&str>,
) -> Result<Customer, AdsError> {
    let world = &ctx.shared.world;
    if !is_id(id) {
        let message = format!("Invalid customer ID '{id}'.");
        return Err(AdsError::request("INVALID_CUSTOMER_ID", message));
    }
    let customer = Customer::find(world, id).ok_or_else(|| {
        AdsError::authentication(
            "CUSTOMER_NOT_FOUND",
            "No customer found for the provided customer ID.",
        )
    })?;
    check_login(&direct(world, &holder.grant), id, login)?;
    if !customer.is_enabled() {
        return Err(AdsError::authorization(
            "CUSTOMER_NOT_ENABLED",
            "The customer account can't be accessed because it is not yet enabled or has been deactivated.",
        ));
    }
    Ok(customer)
}

fn check_login(direct: &[String], id: &str, login: Option<&str>) -> Result<(), AdsError> {
    let reaches = |id: &str| direct.iter().any(|reached| reached == id);
    let Some(login) = login else {
        return if reaches(id) { Ok(()) } else { Err(denied()) };
    };
    if !is_id(login) {
        return Err(AdsError::header(
            "INVALID_LOGIN_CUSTOMER_ID",
            "The login customer ID could not be validated.",
        ));
    }
    if !reaches(login) {
        return Err(denied());
    }
    if login == id || login == GOOGLE_MANAGER {
        return Ok(());
    }
    Err(AdsError::authorization(
        "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
        "The login customer specified does not have access to the account specified, so the request is invalid.",
    ))
}

fn denied() -> AdsError {
    AdsError::authorization(
        "USER_PERMISSION_DENIED",
        "User doesn't have permission to access customer. Note: If you're accessing a client customer, the manager's \
         customer id must be set in the 'login-customer-id' header.",
    )
}

/// Ten digits, without hyphens.
fn is_id(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_below_a_manager_is_reached_by_naming_the_manager_alone() {
        let direct = [GOOGLE_MANAGER.to_owned(), "2000000001".to_owned()];
        let is_let_in = |id, login| check_login(&direct, id, login).is_ok();

        assert!(is_let_in("2000000001", None));
        assert!(is_let_in("2000000001", Some("2000000001")));
        assert!(is_let_in("2000000002", Some(GOOGLE_MANAGER)));
        assert!(!is_let_in("2000000002", None));
        assert!(!is_let_in("2000000002", Some("2000000001")));
        assert!(!is_let_in("2000000002", Some("2000000003")));
        assert!(!is_let_in("2000000002", Some("100-000-0001")));
    }
}
