//! Lead forms of several Pages as one list.

use serde_json::{Value, json};
use wiremock::{
    Mock,
    matchers::{header, path, query_param, query_param_is_missing},
};

use super::{Site, graph_error, ok};
use crate::{
    error::Error,
    platform::{AdPlatform, Cursor, EntityQuery, EntityStatus, EntityType},
};

fn query() -> EntityQuery {
    EntityQuery {
        account_id: "1000000000001".to_owned(),
        currency: None,
        kind: EntityType::LeadForm,
        changed_since: None,
        page_size: None,
    }
}

fn page(id: &str) -> Value {
    json!({"id": id, "name": "Page", "access_token": format!("EAAfakePage{id}")})
}

fn form(id: &str) -> Value {
    json!({"id": id, "name": "Form", "status": "ACTIVE", "created_time": "2026-10-01T09:12:44+0000"})
}

fn more(data: &Value, after: &str) -> Value {
    json!({"data": data, "paging": {"cursors": {"after": after}, "next": "https://graph.facebook.com/x"}})
}

/// Forms of a Page, which only the Page's own token may see.
async fn forms(site: &Site, page: &str, after: Option<&str>, answer: Value) {
    let bearer = format!("Bearer EAAfakePage{page}");
    let mock = Mock::given(path(format!("/v26.0/{page}/leadgen_forms")))
        .and(header("authorization", bearer.as_str()));
    let mock = match after {
        None => mock.and(query_param_is_missing("after")),
        Some(after) => mock.and(query_param("after", after)),
    };
    mock.respond_with(ok(answer)).mount(&site.server).await;
}

/// Every form, how many pages the list had, and whether nothing was withheld.
async fn all(site: &Site) -> (Vec<(String, String)>, usize, bool) {
    let (query, mut seen, mut pages) = (query(), Vec::new(), 0);
    let mut after: Option<Cursor> = None;
    loop {
        let listed = site.meta.entities(site.caller(), &query, after.as_ref());
        let may_end = after
            .as_ref()
            .is_some_and(|at| site.meta.may_be_withheld(at));
        let page = match listed.await {
            Err(Error::Permission { .. }) if may_end => return (seen, pages, false),
            listed => listed.expect("a page"),
        };
        pages += 1;
        for form in page.items {
            assert_eq!(form.status, EntityStatus::Active);
            seen.push((form.parent_id.expect("its page"), form.id));
        }
        assert!(pages < 20, "the list has no end");
        match page.next {
            Some(next) => after = Some(next),
            None => return (seen, pages, true),
        }
    }
}

fn of(page: &str, form: &str) -> (String, String) {
    (page.to_owned(), form.to_owned())
}

#[tokio::test]
async fn forms_are_read_page_by_page_with_each_pages_own_token() {
    let site = Site::new().await;
    let first = more(&json!([page("1"), page("2")]), "P");
    let last = json!({"data": [page("3")]});
    for (after, answer) in [(None, first), (Some("P"), last)] {
        let mock = Mock::given(path("/v26.0/me/accounts"));
        let mock = match after {
            None => mock.and(query_param_is_missing("after")),
            Some(after) => mock.and(query_param("after", after)),
        };
        mock.respond_with(ok(answer)).mount(&site.server).await;
    }
    forms(&site, "1", None, more(&json!([form("11")]), "F")).await;
    forms(&site, "1", Some("F"), json!({"data": [form("12")]})).await;
    forms(&site, "2", None, json!({"data": []})).await;
    forms(&site, "3", None, json!({"data": [form("31")]})).await;

    let (seen, pages, is_whole) = all(&site).await;

    assert_eq!(seen, [of("1", "11"), of("1", "12"), of("3", "31")]);
    assert_eq!((pages, is_whole), (4, true));
}

// Fails when forms that are kept from us for a while look as if they had vanished.
#[tokio::test]
async fn a_page_that_may_not_be_read_does_not_hide_the_others() {
    let site = Site::new().await;
    let without_token = json!({"id": "2", "name": "Not ours to act for"});
    let pages = json!({"data": [page("1"), without_token, page("3")]});
    site.on("GET", "me/accounts", ok(pages)).await;
    let refusal = graph_error(
        403,
        json!({"message": "(#200) no leads for you", "code": 200}),
    );
    site.on("GET", "1/leadgen_forms", refusal).await;
    forms(&site, "3", None, json!({"data": [form("31")]})).await;

    let (seen, _, is_whole) = all(&site).await;

    assert_eq!(seen, [of("3", "31")]);
    assert!(!is_whole);
}

#[tokio::test]
async fn a_page_that_has_gone_meanwhile_is_no_end() {
    let site = Site::new().await;
    site.on("GET", "me/accounts", ok(json!({"data": [page("1")]})))
        .await;
    forms(&site, "1", None, json!({"data": [form("11")]})).await;
    let place = Cursor(r#"{"page":"9","forms":"F"}"#.to_owned());

    let listed = site
        .meta
        .entities(site.caller(), &query(), Some(&place))
        .await
        .expect("a page");

    assert_eq!(listed.items[0].id, "11");
    assert_eq!(listed.next, None);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused_and_ours_hold_no_token() {
    let site = Site::new().await;
    site.on(
        "GET",
        "me/accounts",
        ok(json!({"data": [page("1"), page("2")]})),
    )
    .await;
    forms(&site, "1", None, json!({"data": [form("11")]})).await;
    let other = Cursor("QVFIUfakeAFTER".to_owned());

    let refused = site
        .meta
        .entities(site.caller(), &query(), Some(&other))
        .await;
    let first = site
        .meta
        .entities(site.caller(), &query(), None)
        .await
        .expect("a page");

    assert!(matches!(refused, Err(Error::Rejected { .. })));
    assert_eq!(first.next, Some(Cursor(r#"{"page":"2"}"#.to_owned())));
}

#[tokio::test]
async fn nobodys_pages_have_no_forms() {
    let site = Site::new().await;
    site.on("GET", "me/accounts", ok(json!({"data": []}))).await;

    let (seen, pages, is_whole) = all(&site).await;

    assert!(seen.is_empty());
    assert_eq!((pages, is_whole), (1, true));
}
