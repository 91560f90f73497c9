//! Where calls go and where they do not, and what their answers mean.

mod calls;
mod guard;

use std::{
    collections::BTreeMap,
    future::ready,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    CallRequest, Caller, ChosenBy, OutboundPolicy,
    resolver::{LookedUp, Lookup},
};

/// A resolver that knows one answer for every name, and counts the questions.
#[derive(Clone)]
struct FixedLookup {
    addresses: Vec<IpAddr>,
    questions: Arc<AtomicUsize>,
}

impl FixedLookup {
    fn of(addresses: &[&str]) -> Self {
        Self {
            addresses: addresses
                .iter()
                .map(|ip| ip.parse().expect("an address"))
                .collect(),
            questions: Arc::default(),
        }
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

impl Lookup for FixedLookup {
    fn look_up(&self, _: String) -> LookedUp {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let found: io::Result<Vec<IpAddr>> = Ok(self.addresses.clone());
        Box::pin(ready(found))
    }
}

fn loopback_policy() -> OutboundPolicy {
    OutboundPolicy {
        allow: vec!["127.0.0.0/8".parse().expect("a network")],
        ..OutboundPolicy::default()
    }
}

fn loopback_caller() -> Caller {
    Caller::new(loopback_policy(), Duration::from_secs(10)).expect("a caller")
}

fn post(url: &str) -> CallRequest {
    CallRequest {
        url: url.to_owned(),
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        body: Bytes::from_static(b"{\"n\":1}"),
        signature: None,
        chosen_by: ChosenBy::Requester,
    }
}
