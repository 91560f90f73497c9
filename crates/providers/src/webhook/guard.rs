//! Where a call may go. Others choose the address, so none may lead into our own network, by whatever spelling: the URL
//! is checked before the call, literal addresses in it here, names when they are resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::http::is_loopback;

/// Longest URL that is called.
const URL_LIMIT: usize = 4096;

/// Ports that are called where the policy names none.
const DEFAULT_PORTS: [u16; 2] = [443, 8443];

/// Calls that one endpoint gets at a time where the policy says nothing else.
const DEFAULT_PER_ENDPOINT: usize = 5;

/// Everything that is not a public host of the IPv4 internet.
const FORBIDDEN_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),          // unspecified, "this network"
    v4(10, 0, 0, 0, 8),         // private
    v4(100, 64, 0, 0, 10),      // shared by carriers
    v4(127, 0, 0, 0, 8),        // loopback
    v4(168, 63, 129, 16, 32),   // Azure's metadata
    v4(169, 254, 0, 0, 16),     // link-local, with the other clouds' metadata
    v4(172, 16, 0, 0, 12),      // private
    v4(192, 0, 0, 0, 24),       // protocol assignments
    v4(192, 0, 2, 0, 24),       // documentation
    v4(192, 88, 99, 0, 24),     // 6to4 relays
    v4(192, 168, 0, 0, 16),     // private
    v4(198, 18, 0, 0, 15),      // benchmarking
    v4(198, 51, 100, 0, 24),    // documentation
    v4(203, 0, 113, 0, 24),     // documentation
    v4(224, 0, 0, 0, 4),        // multicast
    v4(240, 0, 0, 0, 4),        // reserved
    v4(255, 255, 255, 255, 32), // broadcast
];

/// Where the IPv6 internet is: everything else is reserved, private or of one link, or hides an IPv4 address.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// What is no public host in there.
const FORBIDDEN_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0], 23), // protocol assignments, with Teredo and benchmarking
    v6([0x2001, 0xdb8, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0], 16), // 6to4
    v6([0x3fff, 0, 0, 0], 20), // documentation
];

/// Where calls to endpoints of others may go.
#[derive(Debug, Clone)]
pub struct OutboundPolicy {
    /// Networks that may be called although they are forbidden: for development, tests and private endpoints.
    pub allow: Vec<IpNet>,
    /// Refuse plain `http`. It stays possible on loopback addresses that `allow` opens.
    pub https_only: bool,
    /// Ports that a requester's address may have. The operator's may have any, and so may literal addresses that `allow`
    /// opens.
    pub ports: Vec<u16>,
    /// Calls that one endpoint gets at a time from requesters, at least 1.
    pub per_endpoint: usize,
    /// Addresses that this process listens on: never called, whatever `allow` says.
    pub own: Vec<IpAddr>,
    /// This process listens on every address of this machine: none of them but loopback is called, whatever `allow`
    /// says.
    pub listens_everywhere: bool,
}

impl Default for OutboundPolicy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            https_only: true,
            ports: DEFAULT_PORTS.to_vec(),
            per_endpoint: DEFAULT_PER_ENDPOINT,
            own: Vec::new(),
            listens_everywhere: false,
        }
    }
}

/// Who chose an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// Whoever asked for the call: could be anyone's server, or a probe of ours.
    Requester,
    /// The operator, who knows what stands there.
    Operator,
}

/// Why an address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL, or longer than 4096 characters.
    #[error("the address is not a URL of at most 4096 characters")]
    NotUrl,
    /// It is neither https nor, where that is allowed, http.
    #[error("the address must be https")]
    Scheme,
    /// It has a user or a password in it.
    #[error("the address must not contain a user or password")]
    UserInfo,
    /// Its port is not on the list.
    #[error("the port is not allowed")]
    Port,
    /// It leads into a network that is not public, or nowhere else.
    #[error("the address leads into a network that must not be called")]
    Network,
}

impl OutboundPolicy {
    /// The URL in its canonical form, if it may be called as far as its text tells. A name is checked again, by its
    /// addresses, when it is resolved for a call.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, url: &str, chosen_by: ChosenBy) -> Result<Url, Refusal> {
        if url.len() > URL_LIMIT {
            return Err(Refusal::NotUrl);
        }
        let url = Url::parse(url).map_err(|_| Refusal::NotUrl)?;
        let literal = literal_address(&url);
        let is_opened = literal.is_some_and(|ip| self.opens(ip));

        match url.scheme() {
            "https" => {}
            "http" if !self.https_only || (is_opened && is_loopback(&url)) => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if literal.is_some_and(|ip| !self.permits(ip)) {
            return Err(Refusal::Network);
        }
        let port = url.port_or_known_default().ok_or(Refusal::Port)?;
        let is_free = is_opened || chosen_by == ChosenBy::Operator;
        if !is_free && !self.ports.contains(&port) {
            return Err(Refusal::Port);
        }
        Ok(url)
    }

    /// Whether this very address may be called.
    pub(super) fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        (!is_forbidden(ip) || self.opens(ip)) && !self.is_own(ip)
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.own.iter().any(|own| own.to_canonical() == ip)
            || (self.listens_everywhere && !ip.is_loopback() && is_of_this_machine(ip))
    }

    fn opens(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.allow.iter().any(|network| network.contains(&ip))
    }
}

/// Whether an address is anything else than a public host. An IPv4 address in IPv6 clothes is judged as what it is.
pub fn is_forbidden(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => FORBIDDEN_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => {
            !PUBLIC_V6.contains(&ip) || FORBIDDEN_V6.iter().any(|network| network.contains(&ip))
        }
    }
}

/// Whether the system lets us listen there, which it does on its own addresses alone. Asked anew each time, since they
/// change; sends nothing.
pub(super) fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The address that the URL names without the help of a resolver. `localhost` and what is below it are one: they mean this
/// machine everywhere.
fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(name) => is_localhost(name).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// A network whose last four groups are zero.
const fn v6(head: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}
