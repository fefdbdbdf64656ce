//! /etc/resolv.conf and /etc/hosts, which came open from the supervisor.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use crate::rules::Name;

/// The resolver's port.
const PORT: u16 = 53;
/// As glibc has it (MAXNS).
const MOST: usize = 3;

/// Name servers of a resolv.conf, in order; this machine's, where there is none, as resolv.conf(5) says. Suffixes to
/// search are the sandbox's matter, and it has none.
pub(crate) fn servers(text: &[u8]) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> =
        lines(text).filter_map(|line| server(line.strip_prefix("nameserver")?)).take(MOST).collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

fn server(rest: &str) -> Option<SocketAddr> {
    let text = rest.strip_prefix([' ', '\t'])?.split_whitespace().next()?;
    if let Some((address, interface)) = text.split_once('%') {
        let scope = interface.parse().ok().or_else(|| nix::net::if_::if_nametoindex(interface).ok())?;
        return Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into());
    }
    Some(SocketAddr::new(text.parse().ok()?, PORT))
}

/// Names of /etc/hosts and their addresses.
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashMap<Name, Vec<IpAddr>>);

impl Hosts {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut hosts: HashMap<Name, Vec<IpAddr>> = HashMap::new();
        for line in lines(text) {
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words.filter_map(|word| Name::parse(word).ok()) {
                hosts.entry(name).or_default().push(address);
            }
        }
        Self(hosts)
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// Lines without their comments; one that is no text is nothing.
fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    let line = |line| std::str::from_utf8(line).unwrap_or_default();
    text.split(|b| *b == b'\n').map(line).map(|line| line.split(['#', ';']).next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_c_library_reads_them() {
        let text =
            b"# x\nsearch a.b\nnameserver 10.0.0.2\nnameserver\t2001:db8::1 # y\nnameserver x\nnameservers 1.1.1.1\n\
                     nameserver fe80::1%3\nnameserver 9.9.9.9\n";
        let found: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.2:53", "[2001:db8::1]:53", "[fe80::1%3]:53"]);
        assert_eq!(servers(b"\xff\nsearch x"), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn a_hosts_file_gives_every_name_every_address() {
        let hosts = Hosts::parse(b"127.0.0.1 localhost\n10.0.0.5 DB.corp db # x\n::5 db\nbad db\n\xff\n");
        let name = |text| Name::parse(text).unwrap();
        assert_eq!(hosts.get(&name("db.corp")).unwrap().len(), 1);
        assert_eq!(hosts.get(&name("db")).unwrap().len(), 2);
        assert!(hosts.get(&name("x")).is_none());
    }
}
