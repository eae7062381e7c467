//! Which hosts may be connected to.
//!
//! A `ManifestSync` names the address that the controller connects to, from inside the cluster's
//! network. What such a request must never reach are the services that hand out cloud
//! credentials to whoever asks from this machine. Everything else, private ranges included, is a
//! matter of network policies: Git servers do live there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether no sync may connect to an address: link-local (RFC 3927, RFC 4291), and the metadata
/// services that clouds keep elsewhere; also when written as IPv6 (mapped, NAT64, 6to4).
pub(super) fn is_blocked(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_blocked_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6)
                || embedded_v4(v6).is_some_and(is_blocked_v4)
        }
    }
}

/// A resolver that answers with the system's addresses, or with an error when one of them is
/// blocked.
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let looked_up = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map(Iterator::collect::<Vec<_>>);
            let addresses = match looked_up {
                Ok(addresses) => addresses,
                Err(error) => {
                    let why = error.to_string();
                    return Err(ResolveError::Lookup { host, why }.into());
                }
            };
            // All or nothing: a name that has one blocked address was made to pass this check.
            Ok(guard(host, addresses)?)
        })
    }
}

fn guard(host: String, addresses: Vec<SocketAddr>) -> Result<Addrs, ResolveError> {
    match addresses
        .iter()
        .map(SocketAddr::ip)
        .find(|ip| is_blocked(*ip))
    {
        Some(address) => Err(ResolveError::Blocked { host, address }),
        None if addresses.is_empty() => Err(ResolveError::Lookup {
            host,
            why: "the name has no address".to_owned(),
        }),
        None => Ok(Box::new(addresses.into_iter())),
    }
}

/// Why a name has no address that may be connected to.
#[derive(Clone, Debug)]
pub(super) enum ResolveError {
    /// An address of it is blocked.
    Blocked { host: String, address: IpAddr },
    /// The system's resolver has no answer.
    Lookup { host: String, why: String },
}

impl std::error::Error for ResolveError {}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { host, address } => write!(f, "{host} is {address}, which is blocked"),
            Self::Lookup { host, why } => write!(f, "cannot resolve {host}: {why}"),
        }
    }
}

/// Metadata services outside the link-local range: Alibaba Cloud, Azure's wire server, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Metadata services over IPv6: AWS, Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn is_blocked_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || METADATA_V4.contains(&address)
}

/// The IPv4 address that an IPv6 address stands for: mapped and compatible (RFC 4291 2.5.5),
/// NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn metadata_services_are_blocked_in_every_form() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_blocked(ip(text)), "{text}");
        }
    }

    #[test]
    fn git_servers_are_reached_wherever_they_live() {
        for text in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "140.82.121.4",
            "fd12::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_blocked(ip(text)), "{text}");
        }
    }

    #[test]
    fn one_blocked_address_refuses_the_whole_name() {
        let mixed = vec![
            SocketAddr::new(ip("140.82.121.4"), 0),
            SocketAddr::new(ip("169.254.169.254"), 0),
        ];
        assert!(matches!(
            guard("rebind.example".to_owned(), mixed),
            Err(ResolveError::Blocked { host, address })
                if host == "rebind.example" && address == ip("169.254.169.254")
        ));
        assert!(guard("nowhere.example".to_owned(), Vec::new()).is_err());
        assert!(guard("localhost".to_owned(), vec![SocketAddr::new(ip("::1"), 0)]).is_ok());
    }

    #[tokio::test]
    async fn names_go_through_the_guard() {
        let name: Name = "localhost".parse().expect("a name");
        let addresses = GuardedResolver.resolve(name).await.expect("resolves");
        assert!(
            addresses
                .into_iter()
                .all(|address| address.ip().is_loopback())
        );
    }
}
