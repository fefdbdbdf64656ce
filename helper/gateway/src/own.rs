//! Which addresses are this machine's own. Asked anew for each decision, since a network can come and go during a session.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, socket_with};

/// Answers of the kernel, without a file: a socket can be bound to an own address only.
#[derive(Debug)]
pub(crate) struct Own {
    /// Those of the start. They stay refused when an interface goes.
    listed: HashSet<IpAddr>,
    /// With `net.ipv4.ip_nonlocal_bind` every address can be bound, which then says nothing.
    any_binds_v4: bool,
    any_binds_v6: bool,
}

impl Own {
    /// Looks around. Before the process is confined: the list comes over netlink.
    pub(crate) fn look() -> Result<Self, String> {
        let addresses = nix::ifaddrs::getifaddrs().map_err(|e| format!("the addresses of this machine: {e}"))?;
        let address = |entry: nix::ifaddrs::InterfaceAddress| {
            let address = entry.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        };
        // Documentation addresses, which are nobody's.
        let v4 = Ipv4Addr::new(192, 0, 2, 1).into();
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into();
        let listed: HashSet<IpAddr> = addresses.filter_map(address).collect();
        let (any_binds_v4, any_binds_v6) =
            (bound(v4).is_ok() && !listed.contains(&v4), bound(v6).is_ok() && !listed.contains(&v6));
        Ok(Self { listed, any_binds_v4, any_binds_v6 })
    }

    /// Whether a connection to `address` would end on this machine.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let any_binds = if address.is_ipv4() { self.any_binds_v4 } else { self.any_binds_v6 };
        self.listed.contains(&address) || (!any_binds && binds(address)) || is_its_own_source(address)
    }
}

fn datagram(address: IpAddr) -> rustix::io::Result<rustix::fd::OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

fn bound(address: IpAddr) -> rustix::io::Result<()> {
    datagram(address).and_then(|socket| bind(&socket, &SocketAddr::new(address, 0)))
}

/// Without an answer, as when there is no descriptor left, the address is taken for an own one.
fn binds(address: IpAddr) -> bool {
    !matches!(bound(address), Err(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

/// What the kernel would send from to an own address is that address. No packet is sent.
fn is_its_own_source(address: IpAddr) -> bool {
    let source = || {
        let socket = datagram(address)?;
        connect(&socket, &SocketAddr::new(address, 9))?;
        getsockname(&socket)
    };
    source().ok().and_then(|from| SocketAddr::try_from(from).ok()).is_some_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_own_and_a_foreign_address_is_not() {
        let own = Own::look().unwrap();
        assert!(own.has(Ipv4Addr::new(127, 0, 0, 1).into()));
        assert!(own.has(Ipv4Addr::new(127, 3, 2, 1).into()));
        assert!(!own.has(Ipv4Addr::new(192, 0, 2, 77).into()));
        assert!(!own.has("2001:db8::77".parse().unwrap()));
    }
}
