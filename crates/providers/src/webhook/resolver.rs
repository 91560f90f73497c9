//! Names become addresses here and nowhere else, so the address that was checked is the one that is dialled: a name that
//! changes its address between check and call changes nothing.

use std::{
    error::Error as StdError,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{OutboundPolicy, Refusal, is_localhost};

/// Addresses of one name that are tried.
const ADDRESSES_LIMIT: usize = 16;

/// The addresses of a name, when they are there.
pub(super) type LookedUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Asks for the addresses of a name.
pub(super) trait Lookup: Send + Sync {
    /// All addresses, allowed or not. Bounded in time by the caller's connect timeout.
    fn look_up(&self, name: String) -> LookedUp;
}

/// Asks the operating system.
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn look_up(&self, name: String) -> LookedUp {
        Box::pin(addresses_of(name))
    }
}

async fn addresses_of(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// A resolver that tells nothing of a name with an address that must not be called.
pub(super) struct GuardedResolver<L> {
    policy: Arc<OutboundPolicy>,
    lookup: L,
}

impl<L> GuardedResolver<L> {
    pub(super) fn new(policy: Arc<OutboundPolicy>, lookup: L) -> Self {
        Self { policy, lookup }
    }
}

impl<L: Lookup> Resolve for GuardedResolver<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let looked_up = self.lookup.look_up(name.as_str().to_owned());
        Box::pin(permitted(Arc::clone(&self.policy), name, looked_up))
    }
}

async fn permitted(
    policy: Arc<OutboundPolicy>,
    name: Name,
    looked_up: LookedUp,
) -> Result<Addrs, Box<dyn StdError + Send + Sync>> {
    let mut found = looked_up.await?;
    if found.is_empty() {
        return Err(io::Error::from(io::ErrorKind::NotFound).into());
    }
    // One place under two addresses, of which mostly only one was opened.
    if is_localhost(name.as_str()) && found.iter().any(|ip| policy.permits(*ip)) {
        found.retain(|ip| policy.permits(*ip));
    }
    // A name of a public host that leads into a network of ours as well is somebody's try.
    if !found.iter().all(|ip| policy.permits(*ip)) {
        return Err(Refusal::Network.into());
    }
    // Port 0 stands for the URL's own.
    let addresses = found
        .into_iter()
        .take(ADDRESSES_LIMIT)
        .map(|ip| SocketAddr::new(ip.to_canonical(), 0));
    Ok(Box::new(addresses))
}
