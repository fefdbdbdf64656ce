//! Sockets: what can be made, and who answers.

use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use agent_aws_e2e::calls;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, sendto, socket};

use crate::{Check, Result, os, word};

pub(crate) const CHECKS: &[Check] = &[
    ("unix sockets", |_| call("socket-unix")),
    ("inet sockets", |_| call("socket-inet")),
    ("netlink sockets for routes", |_| call("socket-netlink-route")),
    ("netlink sockets for others' sockets", |_| call("socket-netlink-sock-diag")),
    ("vsock", |_| call("socket-vsock")),
    ("crypto sockets", |_| call("socket-alg")),
    ("packet sockets", |_| call("socket-packet")),
    ("MPTCP", |_| call("socket-mptcp")),
    ("TCP fast open", |f| fast_open(f.get("tcp"))),
    ("TCP fast open by an option", |_| {
        let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).map_err(word)?;
        calls::set_option(&stream, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT).map_err(word)
    }),
    ("the host's loopback", |f| TcpStream::connect(format!("127.0.0.1:{}", f.get("tcp"))).map(drop).map_err(os)),
    ("an abstract socket (X11)", |f| {
        let address = SocketAddr::from_abstract_name(f.get("abstract")).map_err(os)?;
        UnixStream::connect_addr(&address).map(drop).map_err(os)
    }),
    ("a session bus", |_| connect("/run/user/4242/bus")),
    ("docker.sock", |_| connect("/run/docker.sock")),
    ("ssh-agent in /tmp", |f| connect(&format!("{}/agent.1", f.get("tmp")))),
    ("gpg-agent in the home", |f| connect(&f.home(".gnupg/S.gpg-agent"))),
];

fn connect(path: &str) -> Result {
    UnixStream::connect(path).map(drop).map_err(os)
}

/// A family that the kernel has not is as closed as one that is refused.
fn call(name: &str) -> Result {
    let row = calls::rows().into_iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("no call {name}")).attempt().map_err(word)
}

/// Data in the first packet: rules that wait for a connection see none.
fn fast_open(port: &str) -> Result {
    use std::os::fd::AsRawFd;
    let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).map_err(word)?;
    let port = port.parse().unwrap_or_else(|e| panic!("{port}: {e}"));
    let to = SockaddrIn::new(127, 0, 0, 1, port);
    match sendto(stream.as_raw_fd(), b"x", &to, MsgFlags::from_bits_retain(libc::MSG_FASTOPEN)) {
        Ok(_) | Err(Errno::ECONNREFUSED) => Ok(()),
        Err(e) => Err(word(e)),
    }
}
