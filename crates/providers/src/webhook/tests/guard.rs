//! Nothing here dials: what must not be called is refused before there is a connection.

use std::{
    net::{IpAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::Resolve;

use super::{FixedLookup, loopback_policy, post};
use crate::{
    error::Error,
    webhook::{
        Caller, ChosenBy, OutboundPolicy, Refusal, guard::is_of_this_machine, is_forbidden,
        resolver::GuardedResolver,
    },
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What the resolver tells the client of a name with these addresses.
async fn told(policy: OutboundPolicy, addresses: &[&str]) -> Option<Vec<IpAddr>> {
    let resolver = GuardedResolver::new(Arc::new(policy), FixedLookup::of(addresses));
    let name = "endpoint.example".parse().expect("a name");
    let told = resolver.resolve(name).await.ok()?;
    Some(told.map(|address| address.ip()).collect())
}

#[test]
fn every_network_that_is_not_public_is_forbidden() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "3fff:fff::1",
        "1fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(is_forbidden(ip(address)), "{address}");
    }
}

#[test]
fn public_hosts_are_not_forbidden() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2600::1",
        "2a00::1",
        "3fff:1000::1",
    ] {
        assert!(!is_forbidden(ip(address)), "{address}");
    }
}

#[test]
fn no_spelling_of_an_address_gets_past() {
    let policy = OutboundPolicy::default();
    for host in [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0x7f.1",
        "１２７.０.０.１",
        "127。0。0。1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "[::1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "app.localhost",
        "192.168.0.1.",
    ] {
        let verdict = policy.check(&format!("https://{host}/hook"), ChosenBy::Requester);

        assert_eq!(verdict, Err(Refusal::Network), "{host}");
    }
}

#[test]
fn everything_but_plain_https_is_refused() {
    let policy = OutboundPolicy::default();
    let cases = [
        ("https://user@example.com/", Refusal::UserInfo),
        ("https://user:password@example.com/", Refusal::UserInfo),
        ("https://example.com@127.0.0.1/", Refusal::UserInfo),
        ("http://example.com/", Refusal::Scheme),
        ("gopher://example.com/", Refusal::Scheme),
        ("file:///etc/passwd", Refusal::Scheme),
        ("data:text/plain,x", Refusal::Scheme),
        ("https://example.com:22/", Refusal::Port),
        ("https://example.com:25/", Refusal::Port),
        ("https://example.com:5432/", Refusal::Port),
        ("example.com", Refusal::NotUrl),
        ("", Refusal::NotUrl),
        ("https://", Refusal::NotUrl),
    ];

    for (url, expected) in cases {
        assert_eq!(
            policy.check(url, ChosenBy::Requester),
            Err(expected),
            "{url}"
        );
    }
    let long = format!("https://example.com/{}", "x".repeat(5_000));
    assert_eq!(
        policy.check(&long, ChosenBy::Requester),
        Err(Refusal::NotUrl)
    );
    assert!(
        policy
            .check("https://example.com/hook?x=1", ChosenBy::Requester)
            .is_ok()
    );
    assert!(
        policy
            .check("https://example.com:8443/hook", ChosenBy::Requester)
            .is_ok()
    );
}

#[test]
fn the_operator_may_name_any_port_and_no_other_network() {
    let check = |url| OutboundPolicy::default().check(url, ChosenBy::Operator);

    assert!(check("https://app.example.com:9443/jobs").is_ok());
    assert_eq!(check("https://10.0.0.1:9443/"), Err(Refusal::Network));
    assert_eq!(check("http://localhost:3000/"), Err(Refusal::Scheme));
    assert_eq!(check("http://app.example.com/"), Err(Refusal::Scheme));
}

#[test]
fn plain_http_needs_a_loopback_address_that_is_opened() {
    let opened = loopback_policy();

    assert!(
        opened
            .check("http://127.0.0.1:49152/", ChosenBy::Requester)
            .is_ok()
    );
    assert!(
        opened
            .check("http://localhost:49152/", ChosenBy::Requester)
            .is_ok()
    );
    assert_eq!(
        opened.check("http://[::1]:49152/", ChosenBy::Requester),
        Err(Refusal::Scheme)
    );
    assert_eq!(
        opened.check("http://10.0.0.1/", ChosenBy::Requester),
        Err(Refusal::Scheme)
    );
    assert_eq!(
        opened.check("http://localhost.example.com/", ChosenBy::Requester),
        Err(Refusal::Scheme)
    );
}

#[test]
fn what_we_listen_on_is_never_called() {
    let policy = OutboundPolicy {
        own: vec![ip("127.0.0.1"), ip("8.8.8.8")],
        ..loopback_policy()
    };

    assert_eq!(
        policy.check("https://127.0.0.1/", ChosenBy::Requester),
        Err(Refusal::Network)
    );
    assert_eq!(
        policy.check("https://[::ffff:8.8.8.8]/", ChosenBy::Requester),
        Err(Refusal::Network)
    );
    assert!(
        policy
            .check("https://127.0.0.2/", ChosenBy::Requester)
            .is_ok()
    );
}

#[tokio::test]
async fn a_resolver_tells_nothing_of_a_name_that_leads_inside_too() {
    let policy = OutboundPolicy::default;

    let public = told(policy(), &["8.8.8.8", "::ffff:1.1.1.1"]).await;
    let mixed = told(policy(), &["8.8.8.8", "10.0.0.1"]).await;
    let private = told(policy(), &["10.0.0.1", "fd00::1"]).await;
    let none = told(policy(), &[]).await;
    let many = told(policy(), &["8.8.8.8"; 1_000]).await;
    let opened = told(loopback_policy(), &["127.0.0.1"]).await;

    assert_eq!(public, Some(vec![ip("8.8.8.8"), ip("1.1.1.1")]));
    assert_eq!(mixed, None);
    assert_eq!(private, None);
    assert_eq!(none, None);
    assert_eq!(many.map(|told| told.len()), Some(16));
    assert_eq!(opened, Some(vec![ip("127.0.0.1")]));
}

// Fails when an endpoint on a developer's machine is refused because `localhost` has an IPv6 address, too, or when another name
// gets the same grace.
#[tokio::test]
async fn localhost_is_called_where_it_was_opened_and_nowhere_else() {
    let both = ["::1", "127.0.0.1"];
    let of = async |policy: OutboundPolicy, name: &str| {
        let resolver = GuardedResolver::new(Arc::new(policy), FixedLookup::of(&both));
        let told = resolver.resolve(name.parse().expect("a name")).await.ok()?;
        Some(told.map(|address| address.ip()).collect::<Vec<_>>())
    };

    let opened = of(loopback_policy(), "localhost").await;
    let closed = of(OutboundPolicy::default(), "localhost").await;
    let another = of(loopback_policy(), "endpoint.example").await;

    assert_eq!(opened, Some(vec![ip("127.0.0.1")]));
    assert_eq!((closed, another), (None, None));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_for_good() {
    let lookup = FixedLookup::of(&["10.0.0.1", "169.254.169.254"]);
    let caller = Caller::with_lookup(
        OutboundPolicy::default(),
        Duration::from_secs(10),
        lookup.clone(),
    )
    .expect("a caller");

    let error = caller
        .call(post("https://endpoint.example/hook"))
        .await
        .expect_err("a refusal");

    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert_eq!(error.detail().message, Refusal::Network.to_string());
    assert_eq!(lookup.questions(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_may_have_some_later() {
    let caller = Caller::with_lookup(
        OutboundPolicy::default(),
        Duration::from_secs(10),
        FixedLookup::of(&[]),
    )
    .expect("a caller");

    let error = caller
        .call(post("https://endpoint.example/hook"))
        .await
        .expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(!error.maybe_received());
}

#[tokio::test]
async fn a_literal_address_is_refused_without_asking_the_resolver() {
    let lookup = FixedLookup::of(&["8.8.8.8"]);
    let caller = Caller::with_lookup(
        OutboundPolicy::default(),
        Duration::from_secs(10),
        lookup.clone(),
    )
    .expect("a caller");

    let error = caller
        .call(post("https://127.0.0.1/hook"))
        .await
        .expect_err("a refusal");

    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert_eq!(lookup.questions(), 0);
}

#[test]
fn an_address_of_this_machine_is_known_from_others() {
    assert!(is_of_this_machine(ip("127.0.0.1")));
    assert!(!is_of_this_machine(ip("192.0.2.1")));
    assert!(!is_of_this_machine(ip("2001:db8::1")));
}

#[test]
fn a_process_that_listens_everywhere_calls_no_address_of_its_machine_but_loopback_that_is_opened() {
    let policy = OutboundPolicy {
        listens_everywhere: true,
        ..loopback_policy()
    };
    // Which address the machine has is its own affair; without a network it has none but loopback.
    let outward = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });

    assert!(policy.permits(ip("127.0.0.1")));
    assert!(policy.permits(ip("8.8.8.8")));
    if let Ok(own) = outward {
        let opened = OutboundPolicy {
            allow: vec![own.ip().into()],
            ..policy
        };
        assert!(own.ip().is_loopback() || !opened.permits(own.ip()));
    }
}
