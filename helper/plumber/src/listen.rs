//! The listeners that the gateway serves, made in the session's network namespace.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use agent_aws_pipes::{DOOR_ADDRESS, GATEWAY_ADDRESS, PROXY_PORT, Pipe};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::hand::Hand;
use crate::{Fault, program, sys};

/// Connections that may wait to be accepted; the kernel takes its own bound if that is lower.
const WAITING: i32 = 4096;
/// Where everything arrives: an agent cannot have this port.
const EVERYTHING: u16 = 1;
/// Names.
const DNS: u16 = 53;

/// Without `sk_lookup` only these ports are caught: one listener each. All are below 1024, since any other port may be
/// that of a server of the agent's own.
const PORTS: &str = include_str!("../tables/ports.tsv");

/// The listeners for questions for names.
pub(crate) fn names(v6: bool, hand: &mut Hand<'_>) -> Result<(), Fault> {
    let fail = |e: Errno| format!("listening for questions for names: {e}");
    let udp = socket(v6, SocketType::DGRAM, any(v6, DNS)).map_err(fail)?;
    sys::tell_destination(udp.as_fd(), v6).map_err(fail)?;
    hand.add(Pipe::Dns, udp);
    hand.add(Pipe::DnsTcp, listener(v6, any(v6, DNS)).map_err(fail)?);
    Ok(())
}

/// The listeners for everything else. Whether every port is caught.
pub(crate) fn everything(v6: bool, hand: &mut Hand<'_>) -> Result<bool, Fault> {
    let fail = |port: u16| move |e: Errno| format!("listening at port {port}: {e}");
    let all = listener(v6, any(v6, EVERYTHING)).map_err(fail(EVERYTHING))?;
    match steer(&all) {
        Ok(link) => {
            hand.add(Pipe::Any, all);
            hand.add(Pipe::Link, link);
            return Ok(true);
        }
        // No BPF for us: without the setuid bit, or in a kernel that was built or locked down so.
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => drop(all),
        Err(e) => return Err(format!("the sk_lookup program: {e}")),
    }
    for port in PORTS.lines().filter(|line| !line.starts_with('#')) {
        let port: u16 = port.split('\t').next().and_then(|word| word.parse().ok()).unwrap_or_default();
        hand.add(Pipe::Any, listener(v6, any(v6, port)).map_err(fail(port))?);
    }
    let proxy = (Ipv4Addr::from(GATEWAY_ADDRESS), PROXY_PORT).into();
    hand.add(Pipe::Any, listener(false, proxy).map_err(fail(PROXY_PORT))?);
    Ok(false)
}

/// Ports of the agent's loopback that stand for those of the host.
pub(crate) fn local(ports: &[u16], v6: bool, hand: &mut Hand<'_>) -> Result<(), Fault> {
    for &port in ports {
        let fail = |e: Errno| format!("offering port {port} of the host: {e}");
        hand.add(Pipe::Local(port), listener(false, (Ipv4Addr::LOCALHOST, port).into()).map_err(fail)?);
        if v6 {
            hand.add(Pipe::Local(port), listener(true, (Ipv6Addr::LOCALHOST, port).into()).map_err(fail)?);
        }
    }
    Ok(())
}

/// Attaches the program that leads every connection to `listener`.
fn steer(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    let map = sys::socket_map(listener.as_fd())?;
    let program = sys::load(&program::sk_lookup(sys::number(&map), DNS, EVERYTHING, DOOR_ADDRESS))?;
    sys::attach(program.as_fd(), sys::own_network_namespace(listener.as_fd())?.as_fd())
}

fn any(v6: bool, port: u16) -> SocketAddr {
    if v6 { (Ipv6Addr::UNSPECIFIED, port).into() } else { (Ipv4Addr::UNSPECIFIED, port).into() }
}

/// A bound socket, of IPv6 for both families where that is there.
fn socket(v6: bool, kind: SocketType, at: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if v6 {
        // A loopback address is of one family only.
        sockopt::set_ipv6_v6only(&socket, !at.ip().is_unspecified())?;
    }
    if kind == SocketType::STREAM {
        // The credential door has port 80 of an address of its own.
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &at)?;
    Ok(socket)
}

fn listener(v6: bool, at: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket(v6, SocketType::STREAM, at)?;
    listen(&socket, WAITING)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_ports_has_ports_that_no_agent_can_have_and_none_twice() {
        let ports: Vec<u16> = PORTS
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').next().unwrap().parse().unwrap())
            .collect();
        assert!(ports.contains(&443) && ports.contains(&22));
        assert!(ports.windows(2).all(|pair| pair[0] < pair[1]), "not in order: {ports:?}");
        assert!(ports.iter().all(|port| (2..1024).contains(port) && *port != DNS));
    }
}
