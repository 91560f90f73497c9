//! Consents, codes and tokens by a clock that the test holds.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::*;

const PLATFORM: Platform = Platform::LinkedIn;
const REDIRECT: &str = "http://localhost/back";
const PROOF: CodeProof<'static> = CodeProof {
    redirect_uri: REDIRECT,
    verifier: None,
};

fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn consent(challenge: Option<&str>) -> Consent {
    Consent {
        redirect_uri: REDIRECT.to_owned(),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        challenge: challenge.map(str::to_owned),
        lasts: TimeDelta::minutes(10),
    }
}

fn granted(oauth: &OAuth) -> GrantId {
    let code = oauth
        .consent(PLATFORM, consent(None), now())
        .expect("a yes");
    oauth
        .redeem(PLATFORM, &code, PROOF, now())
        .expect("a grant")
}

fn access(lasts: Option<TimeDelta>) -> Issue {
    Issue::new(TokenRole::Access, "fake", lasts)
}

#[test]
fn a_code_is_good_once() {
    let oauth = OAuth::default();
    let code = oauth
        .consent(PLATFORM, consent(None), now())
        .expect("a yes");

    let first = oauth.redeem(PLATFORM, &code, PROOF, now());
    let second = oauth.redeem(PLATFORM, &code, PROOF, now());

    assert!(first.is_ok());
    assert_eq!(second, Err(CodeError::Unknown));
}

#[test]
fn a_code_is_good_for_its_time_address_and_verifier_alone() {
    let oauth = OAuth::default();
    // BASE64URL(SHA256("verifier")).
    let challenge = Some("iMnq5o6zALKXGivsnlom_0F5_WYda32GHkxlV7mq7hQ");
    let redeem = |redirect_uri, verifier, at| {
        let proof = CodeProof {
            redirect_uri,
            verifier,
        };
        let code = oauth
            .consent(PLATFORM, consent(challenge), now())
            .expect("a yes");
        oauth.redeem(PLATFORM, &code, proof, at)
    };

    let late = now() + TimeDelta::minutes(10);
    assert_eq!(
        redeem(REDIRECT, Some("verifier"), late),
        Err(CodeError::Expired)
    );
    let elsewhere = redeem("http://localhost/", Some("verifier"), now());
    assert_eq!(elsewhere, Err(CodeError::WrongRedirect));
    assert_eq!(redeem(REDIRECT, None, now()), Err(CodeError::WrongVerifier));
    assert_eq!(
        redeem(REDIRECT, Some("other"), now()),
        Err(CodeError::WrongVerifier)
    );
    assert!(redeem(REDIRECT, Some("verifier"), now()).is_ok());
}

#[test]
fn a_token_works_until_its_time_is_over_or_its_grant_is_taken_back() {
    let oauth = OAuth::default();
    let grant = granted(&oauth);
    let short = oauth
        .issue(grant, access(Some(TimeDelta::hours(1))), now())
        .token;
    let long = oauth.issue(grant, access(None), now()).token;

    let before = oauth.look_up(PLATFORM, &short, now()).expect("it works");
    let after = oauth.look_up(PLATFORM, &short, now() + TimeDelta::hours(1));
    oauth.revoke(grant);
    let revoked = oauth.look_up(PLATFORM, &long, now());
    let elsewhere = oauth.look_up(Platform::X, &long, now());

    assert_eq!(before.grant_id, grant);
    assert!(before.grant.allows("read"));
    assert!(matches!(after, Err(Refused::Spent(TokenState::Expired, _))));
    assert!(matches!(
        revoked,
        Err(Refused::Spent(TokenState::Revoked, _))
    ));
    assert!(matches!(elsewhere, Err(Refused::Unknown)));
}

#[test]
fn people_say_what_the_control_told_them_to() {
    let oauth = OAuth::default();
    let rule = ConsentRule {
        accounts: Some(BTreeSet::from(["1".to_owned()])),
        without_scopes: BTreeSet::from(["write".to_owned()]),
        ..ConsentRule::default()
    };
    oauth.rule(PLATFORM, rule);
    let grant = granted(&oauth);
    let token = oauth.issue(grant, access(None), now()).token;

    let holder = oauth.look_up(PLATFORM, &token, now()).expect("it works");
    let deny = ConsentRule {
        deny: true,
        ..ConsentRule::default()
    };
    oauth.rule(PLATFORM, deny);
    let denied = oauth.consent(PLATFORM, consent(None), now());

    assert!(holder.grant.reaches("1") && !holder.grant.reaches("2"));
    assert!(holder.grant.allows("read") && !holder.grant.allows("write"));
    assert_eq!(denied, Err(Denied));
}

#[test]
fn a_token_that_was_made_known_can_be_spent_and_all_of_a_platform_with_it() {
    let oauth = OAuth::default();
    for token in ["one", "two"] {
        oauth.know(KnownToken::new(PLATFORM, token), now());
    }

    oauth.spend(PLATFORM, "one", TokenState::PasswordChanged);
    let one = oauth.look_up(PLATFORM, "one", now());
    let two = oauth.look_up(PLATFORM, "two", now());
    oauth.spend_all(PLATFORM, TokenState::Expired);
    let all = oauth.look_up(PLATFORM, "two", now());

    assert!(matches!(
        one,
        Err(Refused::Spent(TokenState::PasswordChanged, _))
    ));
    assert!(two.is_ok());
    assert!(matches!(all, Err(Refused::Spent(TokenState::Expired, _))));
}
