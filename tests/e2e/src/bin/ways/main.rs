//! Every way to reach metadata services, this machine's loopback and its own addresses: `NAME reached`, or `NAME` and why not.
//! Reached is who hears a server of the host's answer; that a connection stands proves nothing where somebody stands in.
//!
//! `ways`: all of them, one by one. `ways race COUNT ADDRESS OTHER`: connects to OTHER so often, while another thread writes
//! ADDRESS over it; says how often that was reached.
#![allow(clippy::panic, clippy::expect_used)] // a probe fails by panicking

mod sys;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use agent_aws_e2e::ways::{WAYS, Way, sentence};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

const PATIENCE: Duration = Duration::from_millis(400);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            for way in WAYS {
                println!("{} {}", way.name, attempt(way).unwrap_or_else(|e| format!("{e:?}")));
            }
        }
        ["race", count, address, other] => {
            let parse = |text: &str| text.parse().expect("an IPv4 address and a port");
            let reached = sys::race(count.parse().expect("a count"), parse(address), parse(other));
            println!("reached {reached}");
        }
        _ => panic!("ways | ways race COUNT ADDRESS OTHER"),
    }
}

fn attempt(way: &Way) -> nix::Result<String> {
    let to = SocketAddr::new(way.address.parse::<IpAddr>().expect("an address"), way.port);
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let (kind, protocol) = match way.how {
        "tcp" | "fast-open" => (SockType::Stream, None),
        "mptcp" => (SockType::Stream, Some(SockProtocol::Mptcp)),
        "udp" | "udp-connect" => (SockType::Datagram, None),
        "icmp" => (SockType::Datagram, Some(SockProtocol::Icmp)),
        how => panic!("{how}"),
    };
    let socket = socket(family, kind, SockFlag::empty(), protocol)?;
    sys::set_patience(&socket, PATIENCE);
    let to = SockaddrStorage::from(to);
    // An echo request that asks for nothing but an answer.
    let message: &[u8] = if way.how == "icmp" { &[8, 0, 0, 0, 0, 0, 0, 1] } else { b"hello" };
    match way.how {
        "tcp" | "mptcp" => connect(socket.as_raw_fd(), &to)?,
        "udp-connect" => {
            connect(socket.as_raw_fd(), &to)?;
            nix::sys::socket::send(socket.as_raw_fd(), message, MsgFlags::empty()).map(drop)?;
        }
        "fast-open" => {
            sendto(socket.as_raw_fd(), message, &to, MsgFlags::from_bits_retain(libc::MSG_FASTOPEN)).map(drop)?
        }
        _ => sendto(socket.as_raw_fd(), message, &to, MsgFlags::empty()).map(drop)?,
    }
    heard(&socket, way.how == "icmp")
}

fn heard(socket: &OwnedFd, any: bool) -> nix::Result<String> {
    let mut answer = [0u8; 64];
    let read = nix::sys::socket::recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let said = answer.get(..read).unwrap_or_default();
    let reached = any || said == sentence().as_bytes();
    Ok(if reached { "reached".into() } else { format!("closed after {read} bytes") })
}
