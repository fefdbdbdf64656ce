//! The ways to reach what no agent may: tried by the program `ways`, answered by [`Hosts`].

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::thread;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// `tcp`, `mptcp`, `fast-open`, `udp`, `udp-connect` or `icmp`.
    pub how: &'static str,
    /// Where to.
    pub address: &'static str,
    /// Which port.
    pub port: u16,
}

const fn way(name: &'static str, how: &'static str, address: &'static str, port: u16) -> Way {
    Way { name, how, address, port }
}

/// Services of a host that answer; the machine of the test has their addresses.
pub const WAYS: &[Way] = &[
    way("metadata-tcp", "tcp", "169.254.169.254", 80),
    way("metadata-task", "tcp", "169.254.170.2", 8080),
    way("metadata-mapped", "tcp", "::ffff:169.254.169.254", 80),
    way("metadata-v6", "tcp", "fd00:ec2::254", 80),
    way("metadata-azure", "tcp", "168.63.129.16", 80),
    way("metadata-mptcp", "mptcp", "169.254.169.254", 80),
    way("metadata-fast-open", "fast-open", "169.254.169.254", 80),
    way("metadata-udp", "udp", "169.254.169.254", 123),
    way("metadata-udp-mapped", "udp", "::ffff:169.254.169.254", 123),
    way("metadata-udp-connect", "udp-connect", "169.254.169.254", 123),
    way("metadata-icmp", "icmp", "169.254.169.254", 0),
    way("loopback", "tcp", "127.0.0.1", 8080),
    way("loopback-v6", "tcp", "::1", 8080),
    way("loopback-mapped", "tcp", "::ffff:127.0.0.1", 8080),
    way("loopback-udp", "udp", "127.0.0.1", 123),
    way("unspecified", "tcp", "0.0.0.0", 8080),
    way("unspecified-v6", "tcp", "::", 8080),
    way("own-address", "tcp", "10.9.9.9", 8080),
    way("own-address-v6", "tcp", "2a0f:9::9", 8080),
    way("own-address-udp", "udp", "10.9.9.9", 123),
];

/// Addresses that the machine of the test needs for them.
pub const ADDRESSES: &[&str] = &[
    "169.254.169.254/32", "169.254.170.2/32", "168.63.129.16/32", "10.9.9.9/32", "fd00:ec2::254/128", "2a0f:9::9/128",
];

/// What the host's servers say to everybody.
pub fn sentence() -> &'static str {
    "the host was here"
}

/// Gives the machine its addresses and starts its servers. They end with the process.
#[track_caller]
pub fn serve() {
    for address in ADDRESSES {
        crate::inside::root(&["ip", "address", "replace", address, "dev", "lo", "nodad"]);
    }
    for port in [80, 8080] {
        for at in ["0.0.0.0", "[::]"] {
            tcp(&format!("{at}:{port}"));
        }
    }
    for at in ["0.0.0.0:123", "[::]:123"] {
        udp(at);
    }
}

fn tcp(at: &str) {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let address: std::net::SocketAddr = at.parse().expect("an address");
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let listener = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    setsockopt(&listener, sockopt::ReuseAddr, &true).expect("reuse");
    if address.is_ipv6() {
        setsockopt(&listener, sockopt::Ipv6V6Only, &true).expect("IPv6 alone");
    }
    bind(listener.as_raw_fd(), &SockaddrStorage::from(address)).unwrap_or_else(|e| panic!("{at}: {e}"));
    listen(&listener, Backlog::new(512).expect("a backlog")).expect("listening");
    let listener = TcpListener::from(listener);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(sentence().as_bytes());
        }
    });
}

fn udp(at: &str) {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
    use std::os::fd::AsRawFd;
    let address: std::net::SocketAddr = at.parse().expect("an address");
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true).expect("IPv6 alone");
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap_or_else(|e| panic!("{at}: {e}"));
    let socket = UdpSocket::from(socket);
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(sentence().as_bytes(), client);
        }
    });
}
