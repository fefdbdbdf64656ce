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
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, sendto, socket_with,
};

/// MSG_FASTOPEN.
const FASTOPEN: u32 = 0x2000_0000;
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

fn attempt(way: &Way) -> Result<String, Errno> {
    let to = SocketAddr::new(way.address.parse::<IpAddr>().expect("an address"), way.port);
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = match way.how {
        "tcp" | "fast-open" => (SocketType::STREAM, None),
        "mptcp" => (SocketType::STREAM, Some(ipproto::MPTCP)),
        "udp" | "udp-connect" => (SocketType::DGRAM, None),
        "icmp" => (SocketType::DGRAM, Some(ipproto::ICMP)),
        how => panic!("{how}"),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?;
    for direction in [Timeout::Recv, Timeout::Send] {
        sockopt::set_socket_timeout(&socket, direction, Some(PATIENCE))?;
    }
    // An echo request that asks for nothing but an answer.
    let message: &[u8] = if way.how == "icmp" { &[8, 0, 0, 0, 0, 0, 0, 1] } else { b"hello" };
    match way.how {
        "tcp" | "mptcp" => connect(&socket, &to)?,
        "udp-connect" => {
            connect(&socket, &to)?;
            send(&socket, message, SendFlags::empty()).map(drop)?;
        }
        "fast-open" => sendto(&socket, message, SendFlags::from_bits_retain(FASTOPEN), &to).map(drop)?,
        _ => sendto(&socket, message, SendFlags::empty(), &to).map(drop)?,
    }
    let mut answer = [0u8; 64];
    let (read, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    let said = answer.get(..read).unwrap_or_default();
    let reached = way.how == "icmp" || said == sentence().as_bytes();
    Ok(if reached { "reached".into() } else { format!("closed after {read} bytes") })
}
