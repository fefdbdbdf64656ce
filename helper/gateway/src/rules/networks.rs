//! What kind of address an address is: the tables, and addresses that hide in others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

use super::Name;

const FORBIDDEN: &str = include_str!("../../tables/forbidden.tsv");
const PRIVATE: &str = include_str!("../../tables/private.tsv");

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    forbidden: rows(FORBIDDEN).filter_map(network).collect(),
    private: rows(PRIVATE).filter_map(network).collect(),
    names: rows(FORBIDDEN).filter(|row| network(*row).is_none()).collect(),
});

struct Tables {
    forbidden: Vec<(IpNet, &'static str)>,
    private: Vec<(IpNet, &'static str)>,
    names: Vec<(&'static str, &'static str)>,
}

/// What an address is, in words of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The internet.
    Public,
    /// Only where `allow-private` names it.
    Private(&'static str),
    /// Never.
    Forbidden(&'static str),
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let row = |line: &'static str| {
        let mut columns = line.split('\t');
        Some((columns.next()?, columns.next()?))
    };
    table.lines().filter(|line| !line.starts_with('#')).filter_map(row)
}

fn network((text, what): (&'static str, &'static str)) -> Option<(IpNet, &'static str)> {
    Some((text.parse().ok()?, what))
}

fn find(table: &[(IpNet, &'static str)], address: IpAddr) -> Option<&'static str> {
    table.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what)
}

/// What `address` is; with IPv6, also what the IPv4 addresses within it are.
pub(crate) fn kind(address: IpAddr) -> Kind {
    if let Some(what) = find(&TABLES.forbidden, address) {
        return Kind::Forbidden(what);
    }
    let own = match find(&TABLES.private, address) {
        Some(what) => Kind::Private(what),
        None => Kind::Public,
    };
    let IpAddr::V6(v6) = address else { return own };
    let within: Vec<Kind> = embedded(v6).into_iter().flatten().map(|v4| kind(v4.into())).collect();
    if let Some(forbidden) = within.iter().find(|kind| matches!(kind, Kind::Forbidden(_))) {
        return *forbidden;
    }
    if let Some(private) = within.iter().find(|kind| matches!(kind, Kind::Private(_))) {
        return *private;
    }
    match own {
        Kind::Public if !is_global(v6) => Kind::Private("no global unicast address"),
        own => own,
    }
}

/// Global unicast (RFC 4291), and the well-known prefix of translators (RFC 6052).
fn is_global(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 || (first, second) == (0x64, 0xff9b)
}

/// IPv4 addresses to which a translator or a tunnel would carry packets for this one: NAT64 (RFC 6052), 6to4 (RFC 3056),
/// Teredo (RFC 4380: server, and client inverted), ISATAP (RFC 5214).
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let [s0, s1, s2, s3, s4, s5, s6, s7] = s;
    let isatap = if s4 & 0xfdff == 0 && s5 == 0x5efe { v4(s6, s7) } else { None };
    match (s0, s1, s2) {
        (0x64, 0xff9b, 0) => [v4(s6, s7), None, isatap],
        (0x2002, high, low) => [v4(high, low), None, isatap],
        (0x2001, 0, high) => [v4(high, s3), v4(!s6, !s7), isatap],
        _ => [None, None, isatap],
    }
}

/// The row that forbids all of a network, if one does.
pub(crate) fn forbids_all(net: &IpNet) -> Option<&'static str> {
    TABLES.forbidden.iter().find(|(row, _)| row.contains(net)).map(|(_, what)| *what)
}

/// The row that forbids a name, if one does.
pub(crate) fn forbidden_name(name: &Name) -> Option<&'static str> {
    let text = name.as_str();
    let is = |pattern: &str| match (pattern.strip_prefix("*."), pattern.strip_suffix(".*")) {
        (Some(above), _) => text.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')),
        (_, Some(first)) => text.split_once('.').is_some_and(|(label, _)| label == first),
        _ => text == pattern,
    };
    TABLES.names.iter().find(|(pattern, _)| is(pattern)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_three_columns_and_a_network_or_a_name() {
        for (table, names) in [(FORBIDDEN, true), (PRIVATE, false)] {
            for line in table.lines().filter(|l| !l.starts_with('#')) {
                let columns: Vec<&str> = line.split('\t').collect();
                assert_eq!(columns.len(), 3, "{line}");
                assert!(columns.iter().all(|c| !c.is_empty()), "{line}");
                let net = columns[0].parse::<IpNet>();
                assert!(net.map_or(names && !columns[0].contains(['/', ':']), |net| net == net.trunc()), "{line}");
            }
        }
        assert!(TABLES.forbidden.len() > 20 && TABLES.private.len() > 15 && TABLES.names.len() > 4);
    }

    #[test]
    fn an_address_is_judged_by_the_one_within_it() {
        let metadata = "metadata service of EC2, GCP, Azure and others";
        for text in [
            "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::", "2001:0:4136:e378::5601:5601",
            "2600::5efe:169.254.169.254",
        ] {
            assert_eq!(kind(text.parse().unwrap()), Kind::Forbidden(metadata), "{text}");
        }
        assert_eq!(kind("64:ff9b::10.0.0.1".parse().unwrap()), Kind::Private("private"));
        assert_eq!(kind("64:ff9b::1.1.1.1".parse().unwrap()), Kind::Public);
    }

    #[test]
    fn what_is_not_given_to_anyone_is_not_public() {
        for text in ["4000::1", "8000::1", "200::1", "100:0:0:1::1"] {
            assert!(matches!(kind(text.parse().unwrap()), Kind::Private(_)), "{text}");
        }
        assert_eq!(kind("2606:4700::1111".parse().unwrap()), Kind::Public);
        assert_eq!(kind("9.9.9.9".parse().unwrap()), Kind::Public);
    }
}
