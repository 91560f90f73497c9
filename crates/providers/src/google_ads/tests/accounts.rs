//! Which accounts a token reaches, and through whom.

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer,
    matchers::{header, method, path},
};

use super::{
    CUSTOMER, SEARCH, TOKEN, access, answering, asks, caller, client_of, continues, failure, ok,
    query_of, requests_of,
};
use crate::{
    error::Error,
    platform::{AdAccount, AdPlatform, Caller, Cursor, EntityStatus, testing::RecordingDoor},
};

const ACCESSIBLE: &str = "/v26/customers:listAccessibleCustomers";

fn client(id: &str, is_manager: bool) -> Value {
    let mut client = json!({
        "resourceName": format!("customers/1111111111/customerClients/{id}"), "id": id, "level": "1",
        "descriptiveName": format!("Fake {id}"), "currencyCode": "EUR", "timeZone": "Europe/Berlin",
        "status": "ENABLED", "testAccount": false
    });
    // A member that is false may be left out.
    if is_manager {
        client["manager"] = json!(true);
    }
    json!({ "customerClient": client })
}

async fn reaching(server: &MockServer, ids: &[&str]) {
    let names: Vec<String> = ids.iter().map(|id| format!("customers/{id}")).collect();
    Mock::given(method("GET"))
        .and(path(ACCESSIBLE))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(ok(json!({ "resourceNames": names })))
        .mount(server)
        .await;
}

async fn below(server: &MockServer, root: &str, clients: &[Value]) {
    Mock::given(method("POST"))
        .and(path(format!("/v26/customers/{root}/googleAds:search")))
        .and(asks(
            "FROM customer_client WHERE customer_client.status = 'ENABLED'",
        ))
        .respond_with(ok(
            json!({ "results": clients, "fieldMask": "customerClient.id" }),
        ))
        .mount(server)
        .await;
}

fn by_manager(accounts: &[AdAccount]) -> Vec<(&str, Option<&str>)> {
    accounts
        .iter()
        .map(|account| (account.id.as_str(), account.manager.as_deref()))
        .collect()
}

#[tokio::test]
async fn what_lies_below_a_manager_is_listed_without_managers() {
    let server = MockServer::start().await;
    reaching(&server, &["2222222222", "1111111111"]).await;
    let tree = [
        client("1111111111", true),
        client("3333333333", true),
        client("4444444444", false),
    ];
    below(&server, "1111111111", &tree).await;
    below(&server, "2222222222", &[client("2222222222", false)]).await;
    let access = access(Some("999-999-9999"));

    let page = client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect("accounts");

    assert_eq!(
        by_manager(&page.items),
        [("4444444444", Some("1111111111")), ("2222222222", None)]
    );
    assert_eq!(page.next, None);
    let account = &page.items[0];
    assert_eq!(account.name, "Fake 4444444444");
    assert_eq!(account.status, EntityStatus::Active);
    assert_eq!(account.currency.as_deref(), Some("EUR"));
    assert_eq!(account.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(account.raw["testAccount"], false);
    // Another account's manager would be a wrong one here.
    let requests = requests_of(&server).await;
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.contains_key("login-customer-id"))
    );
}

#[tokio::test]
async fn an_account_that_is_reached_directly_needs_no_manager() {
    let server = MockServer::start().await;
    reaching(&server, &["1111111111", "4444444444"]).await;
    let tree = [client("1111111111", true), client("4444444444", false)];
    below(&server, "1111111111", &tree).await;
    below(&server, "4444444444", &[client("4444444444", false)]).await;
    let access = access(None);

    let page = client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect("accounts");

    assert_eq!(by_manager(&page.items), [("4444444444", None)]);
}

#[tokio::test]
async fn an_account_that_is_not_enabled_hides_none_of_the_others() {
    let server = MockServer::start().await;
    reaching(&server, &["1111111111", "2222222222"]).await;
    Mock::given(path(SEARCH))
        .respond_with(failure(403, "authorizationError", "CUSTOMER_NOT_ENABLED"))
        .mount(&server)
        .await;
    below(&server, "2222222222", &[client("2222222222", false)]).await;
    let access = access(None);

    let page = client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect("accounts");

    assert_eq!(by_manager(&page.items), [("2222222222", None)]);
}

#[tokio::test]
async fn many_accounts_come_in_pages() {
    let server = MockServer::start().await;
    let ids: Vec<String> = (0..25).map(|n| (1_000_000_000 + n).to_string()).collect();
    let named: Vec<&str> = ids.iter().map(String::as_str).collect();
    reaching(&server, &named).await;
    for id in &ids {
        below(&server, id, &[client(id, false)]).await;
    }
    let (google, access) = (client_of(&server), access(None));

    let first = google
        .accounts(caller(&access), None)
        .await
        .expect("a page");
    let second = google
        .accounts(caller(&access), first.next.as_ref())
        .await
        .expect("a page");

    assert_eq!(first.next, Some(Cursor("1000000019".to_owned())));
    assert_eq!(second.next, None);
    let all = first.items.iter().chain(&second.items);
    assert!(all.map(|account| &account.id).eq(&ids));
}

#[tokio::test]
async fn a_large_tree_is_read_to_its_end_with_the_identical_query() {
    let server = MockServer::start().await;
    reaching(&server, &[CUSTOMER]).await;
    for (token, next, id) in [
        ("", "fakeNext1", "5555555555"),
        ("fakeNext1", "", "6666666666"),
    ] {
        Mock::given(path(SEARCH))
            .and(continues(token))
            .respond_with(ok(
                json!({"results": [client(id, false)], "nextPageToken": next, "totalResultsCount": "2"}),
            ))
            .expect(1)
            .mount(&server)
            .await;
    }
    let access = access(None);

    let page = client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect("accounts");

    assert_eq!(page.items.len(), 2);
    let requests = requests_of(&server).await;
    assert_eq!(query_of(&requests[1]), query_of(&requests[2]));
}

#[tokio::test]
async fn one_account_is_asked_through_its_manager_without_hyphens() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(SEARCH))
        .and(header("login-customer-id", "9999999999"))
        .and(asks("FROM customer LIMIT 1"))
        .respond_with(ok(json!({"results": [{"customer": {
            "resourceName": "customers/1111111111", "id": "1111111111", "descriptiveName": "Fake shop",
            "currencyCode": "JPY", "timeZone": "Asia/Tokyo", "status": "SUSPENDED"}}]})))
        .expect(1)
        .mount(&server)
        .await;
    let access = access(Some("999-999-9999"));

    let account = client_of(&server)
        .account(caller(&access), "111-111-1111")
        .await
        .expect("an account");

    assert_eq!(account.id, CUSTOMER);
    assert_eq!(account.manager.as_deref(), Some("9999999999"));
    assert_eq!(account.status, EntityStatus::Rejected);
    assert_eq!(account.platform_status, "SUSPENDED");
    assert_eq!(account.currency.as_deref(), Some("JPY"));
}

#[tokio::test]
async fn a_missing_manager_looks_like_a_missing_right() {
    let server = answering(
        SEARCH,
        failure(403, "authorizationError", "USER_PERMISSION_DENIED"),
    )
    .await;
    let access = access(None);

    let error = client_of(&server)
        .account(caller(&access), CUSTOMER)
        .await
        .expect_err("a failure");

    assert!(matches!(error, Error::Permission { .. }), "{error}");
}

#[tokio::test]
async fn every_call_leaves_by_the_door_and_is_told_without_ids() {
    let server = MockServer::start().await;
    reaching(&server, &["2222222222"]).await;
    below(&server, "2222222222", &[client("2222222222", false)]).await;
    let (access, door) = (access(None), RecordingDoor::default());
    let through = Caller {
        access: &access,
        door: &door,
    };

    client_of(&server)
        .accounts(through, None)
        .await
        .expect("accounts");

    let told: Vec<&str> = door
        .records()
        .iter()
        .map(|record| record.endpoint)
        .collect();
    assert_eq!(
        told,
        [
            "GET customers:listAccessibleCustomers",
            "POST customers/{id}/googleAds:search"
        ]
    );
    assert_eq!(
        door.steps(),
        [
            "admitted 1",
            "told",
            "released",
            "admitted 1",
            "told",
            "released"
        ]
    );
}

#[tokio::test]
async fn an_account_is_never_a_path() {
    let server = MockServer::start().await;
    let access = access(None);

    for odd in ["", "1/2", "..", "1?x=1", "act_1"] {
        let result = client_of(&server).account(caller(&access), odd).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{odd}");
    }
    assert!(requests_of(&server).await.is_empty());
}
