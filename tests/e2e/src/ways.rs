//! The ways to reach what no agent may: tried by the program `ways`, answered by [`Hosts`].

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

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

/// A network namespace for this test's machine, with its addresses and servers, which end with the process. Before
/// anything else: what is there already would stay where it is.
#[track_caller]
pub fn serve() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
    crate::inside::root(&["ip", "link", "set", "lo", "up"]);
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

fn bound(at: &str, kind: SocketType) -> OwnedFd {
    let address: SocketAddr = at.parse().expect("an address");
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("reuse");
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true).expect("IPv6 alone");
    }
    bind(&socket, &address).unwrap_or_else(|e| panic!("{at}: {e}"));
    socket
}

fn tcp(at: &str) {
    let listener = bound(at, SocketType::STREAM);
    listen(&listener, 512).expect("listening");
    let listener = TcpListener::from(listener);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(sentence().as_bytes());
        }
    });
}

fn udp(at: &str) {
    let socket = UdpSocket::from(bound(at, SocketType::DGRAM));
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, client)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(sentence().as_bytes(), client);
        }
    });
}
