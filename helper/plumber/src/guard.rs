//! With `network = "shared"`: what the session's control group may not connect or send to, decided in the kernel where
//! the address is final (cgroup-v2 hooks of connect and sendmsg; bpf(2)), so that no race and no protocol gets past it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

use crate::program::{Instruction, address, and, exit_with, if_not, load};
use crate::{Fault, sys};

/// What is never to be reached.
const METADATA: &str = include_str!("../tables/metadata.tsv");
/// Names are asked for here.
const DNS: u16 = 53;

/// Fields of `struct bpf_sock_addr`.
const USER_IP4: i16 = 4;
const USER_IP6: i16 = 8;
const USER_PORT: i16 = 24;

/// Verdicts of the hooks.
const DENY: i32 = 0;
const ALLOW: i32 = 1;

/// The hooks, and whether they see IPv6 addresses.
const HOOKS: [(u32, bool); 4] = [
    (sys::CGROUP_INET4_CONNECT, false),
    (sys::CGROUP_INET6_CONNECT, true),
    (sys::CGROUP_UDP4_SENDMSG, false),
    (sys::CGROUP_UDP6_SENDMSG, true),
];

/// A network, or one address of it, and what becomes of what is sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    address: Ipv6Addr,
    /// Bits that count.
    bits: u8,
    /// Only to this port.
    port: Option<u16>,
    verdict: i32,
}

/// Attaches the programs to the control group for as long as it is there.
pub(crate) fn attach(group: &OwnedFd, close_this_machine: bool) -> Result<(), Fault> {
    let resolvers = resolvers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let own =
        if close_this_machine { sys::own_addresses().map_err(|e| format!("own addresses: {e}"))? } else { vec![] };
    let rules = rules(&resolvers, close_this_machine, &own)?;
    for (hook, v6) in HOOKS {
        let program = sys::load_sock_addr(&program(&rules, v6), hook);
        let attached = program.and_then(|program| sys::attach_to_group(program.as_fd(), group.as_fd(), hook));
        attached.map_err(|e| format!("guarding metadata services (BPF for control groups): {e}"))?;
    }
    Ok(())
}

/// Name servers of resolv.conf(5).
fn resolvers(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    // An address may have a zone: `fe80::1%eth0`.
    servers.filter_map(|rest| rest.split_whitespace().next()?.split('%').next()?.parse().ok()).collect()
}

/// All rules; the first that fits decides.
fn rules(resolvers: &[IpAddr], close_this_machine: bool, own: &[IpAddr]) -> Result<Vec<Rule>, Fault> {
    let mut rules: Vec<Rule> = Vec::new();
    for address in resolvers {
        rules.extend(spellings(*address, 128, Some(DNS), ALLOW));
    }
    for line in METADATA.lines().filter(|line| !line.starts_with('#')) {
        let network = line.split('\t').next().and_then(|network| network.split_once('/'));
        let parsed = network.and_then(|(address, bits)| Some((address.parse().ok()?, bits.parse().ok()?)));
        let (address, bits) = parsed.ok_or_else(|| format!("table of metadata services: {line:?}"))?;
        rules.extend(spellings(address, bits, None, DENY));
    }
    if close_this_machine {
        let loopback = [
            (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            // The kernel connects the unspecified address to this machine.
            (IpAddr::V4(Ipv4Addr::new(0, 0, 0, 0)), 8),
            (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
            (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128),
        ];
        let own = own.iter().map(|address| (*address, 128));
        rules.extend(loopback.into_iter().chain(own).flat_map(|(address, bits)| spellings(address, bits, None, DENY)));
    }
    Ok(rules)
}

/// One rule for each way to write the address in IPv6: as it is, or for IPv4 mapped and behind NAT64's well-known prefix
/// (RFC 4291, RFC 6052). The bits of an IPv4 address count from its own first one; 128 is all of any address.
fn spellings(address: IpAddr, bits: u8, port: Option<u16>, verdict: i32) -> Vec<Rule> {
    let rule = |address, bits| Rule { address, bits, port, verdict };
    match address {
        IpAddr::V6(address) => vec![rule(address, bits)],
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let bits = 96 + bits.min(32);
            vec![rule(v4.to_ipv6_mapped(), bits), rule(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), bits)]
        }
    }
}

/// The program for one hook. For IPv4 only what is mapped counts.
fn program(rules: &[Rule], v6: bool) -> Vec<Instruction> {
    let mapped = |rule: &&Rule| v6 || rule.address.to_ipv4_mapped().is_some();
    let mut all: Vec<Instruction> = rules.iter().filter(mapped).flat_map(|rule| checks(rule, v6)).collect();
    all.extend(exit_with(ALLOW));
    all
}

/// The instructions of one rule: each comparison that fails goes on behind them.
fn checks(rule: &Rule, v6: bool) -> Vec<Instruction> {
    let words = rule.address.octets();
    let mut compared: Vec<(i16, [u8; 4], [u8; 4])> = Vec::new();
    for (index, word) in (0_u8..).zip(words.chunks_exact(4)) {
        let count = rule.bits.saturating_sub(index * 32).min(32);
        let mask = u32::MAX.checked_shl(u32::from(32 - count)).unwrap_or(0).to_be_bytes();
        let value = [0, 1, 2, 3].map(|n: usize| word.get(n).copied().unwrap_or(0));
        match v6 {
            true if count > 0 => compared.push((USER_IP6 + i16::from(index) * 4, value, mask)),
            false if index == 3 => compared.push((USER_IP4, value, mask)),
            _ => {}
        }
    }
    if let Some(port) = rule.port {
        let [high, low] = port.to_be_bytes();
        compared.push((USER_PORT, [high, low, 0, 0], [0xff; 4]));
    }
    // From the last to the first: each knows then what it jumps over.
    let mut all = exit_with(rule.verdict).to_vec();
    for (field, value, mask) in compared.into_iter().rev() {
        let value = [0, 1, 2, 3].map(|n: usize| value.get(n).unwrap_or(&0) & mask.get(n).unwrap_or(&0));
        let over = i16::try_from(all.len()).unwrap_or(i16::MAX);
        let masked = (mask != [0xff; 4]).then(|| and(2, address(mask)));
        let compare = [Some(load(2, 1, field)), masked, Some(if_not(2, address(value), over))];
        all.splice(0..0, compare.into_iter().flatten());
    }
    all
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a processor's registers
mod tests {
    use super::*;

    /// Runs a program as the kernel does, as far as these programs go.
    fn verdict(program: &[Instruction], v6: bool, to: &str, port: u16) -> i32 {
        let mut context = [0u8; 72];
        match to.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => context[4..8].copy_from_slice(&v4.octets()),
            IpAddr::V6(address) => context[8..24].copy_from_slice(&address.octets()),
        }
        assert_eq!(v6, to.contains(':'));
        context[24..26].copy_from_slice(&port.to_be_bytes());
        let (mut at, mut registers) = (0_usize, [0_i64; 11]);
        loop {
            let i = program[at];
            let to = usize::from(i.registers & 15);
            at += 1;
            match i.code {
                0x61 => {
                    let field = i.offset as usize;
                    registers[to] = i64::from(u32::from_ne_bytes(context[field..field + 4].try_into().unwrap()));
                }
                0x54 => registers[to] = i64::from(registers[to] as u32 & i.immediate as u32),
                0x56 if registers[to] as u32 != i.immediate as u32 => at += i.offset as usize,
                0x56 => {}
                0xb7 => registers[to] = i64::from(i.immediate),
                0x95 => return registers[0] as i32,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn to(rules: &[Rule], address: &str, port: u16) -> i32 {
        let v6 = address.contains(':');
        verdict(&program(rules, v6), v6, address, port)
    }

    #[test]
    fn metadata_services_are_denied_in_every_spelling_and_the_rest_of_the_world_is_not() {
        let rules = rules(&[], false, &[]).unwrap();
        for denied in [
            "169.254.169.254", "169.254.170.2", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192",
            "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::ffff:168.63.129.16",
            "fd20:ce::254",
        ] {
            assert_eq!(to(&rules, denied, 80), DENY, "{denied}");
        }
        for allowed in [
            "169.253.169.254", "168.63.129.17", "127.0.0.1", "::1", "198.51.100.7", "2001:db8::1", "fd00:ec3::254",
            "::ffff:198.51.100.7", "0.0.0.0", "::", "10.0.0.1",
        ] {
            assert_eq!(to(&rules, allowed, 80), ALLOW, "{allowed}");
        }
    }

    #[test]
    fn a_name_server_that_is_a_metadata_service_answers_questions_only() {
        let servers =
            resolvers("# x\nnameserver 169.254.169.253\n nameserver fe80::1%eth0\nsearch a\nnameserver nonsense\n");
        assert_eq!(servers.len(), 2);
        let rules = rules(&servers, true, &[]).unwrap();
        assert_eq!(to(&rules, "169.254.169.253", 53), ALLOW);
        assert_eq!(to(&rules, "::ffff:169.254.169.253", 53), ALLOW);
        assert_eq!(to(&rules, "fe80::1", 53), ALLOW);
        assert_eq!(to(&rules, "169.254.169.253", 80), DENY);
        assert_eq!(to(&rules, "169.254.169.254", 53), DENY);
    }

    #[test]
    fn this_machine_is_closed_where_policy_says_so() {
        let own = ["10.9.9.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
        let rules = rules(&["127.0.0.53".parse().unwrap()], true, &own).unwrap();
        for denied in [
            "127.0.0.1", "127.1.2.3", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "10.9.9.9",
            "::ffff:10.9.9.9", "2001:db8::9",
        ] {
            assert_eq!(to(&rules, denied, 8080), DENY, "{denied}");
        }
        assert_eq!(to(&rules, "127.0.0.53", 53), ALLOW);
        assert_eq!(to(&rules, "10.9.9.8", 8080), ALLOW);
    }
}
