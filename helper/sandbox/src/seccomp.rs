//! System call filters. The kernel takes the most restrictive answer of all of them.
//!
//! 1. an allow-list: everything else is ENOSYS; a foreign ABI is killed;
//! 2. an argument filter: terminal injection, socket families, namespaces, refused calls: EPERM and friends;
//! 3. on x86-64, the x32 ABI is killed, whose calls have numbers of their own.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use crate::error::Failure;
use crate::syscalls::{ALLOWED, Group, NESTING, REFUSED};

/// Terminal requests that put words into the mouth of whoever reads the terminal next (CVE-2017-5226 and its kin), or
/// take the terminal away: compared on 32 bits, as the kernel does (CVE-2019-10063).
const TERMINAL_REQUESTS: &[u64] = &[
    0x5412, // TIOCSTI: types for the caller
    0x541c, // TIOCLINUX: pastes on a console
    0x5423, // TIOCSETD: another line discipline
    0x541d, // TIOCCONS: takes the console's output
];

/// Socket families that programs need. The rest (packets, virtual machines, the kernel's crypto, bluetooth) is none
/// of an agent's business.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The namespaces of clone(2).
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// personality(2) values that only turn address randomisation off, or ask: what debuggers and `setarch` use.
const PERSONALITIES: &[u64] = &[0, 8, 0x2_0000, 0x2_0008, 0x4_0000, 0xffff_ffff];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs all filters for this process and what it will start. no_new_privs must be set.
pub fn install(nesting: bool) -> Result<(), Failure> {
    for (_, program) in programs(nesting)? {
        apply_filter(&program).map_err(|e| Failure::plain("seccomp", e))?;
    }
    Ok(())
}

/// The programs, in the order of installation, each with what it is.
pub fn programs(nesting: bool) -> Result<Vec<(&'static str, BpfProgram)>, Failure> {
    let mut all = vec![("allow-list", allow_list(nesting)?)];
    all.push(("refused calls", compile(refused(nesting), errno(libc::EPERM))?));
    all.push(("socket families", compile(families(), errno(libc::EAFNOSUPPORT))?));
    #[cfg(target_arch = "x86_64")]
    all.push(("x32", x32()));
    Ok(all)
}

fn errno(number: libc::c_int) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn architecture() -> Result<TargetArch, Failure> {
    std::env::consts::ARCH.try_into().map_err(|e| Failure::plain("seccomp", e))
}

fn allow_list(nesting: bool) -> Result<BpfProgram, Failure> {
    let mut rules = unconditional(ALLOWED);
    rules.append(&mut unconditional(NESTING));
    rules.insert(libc::SYS_personality, personalities()?);
    if nesting {
        // Without nesting a filter that cannot read clone3's structure must not admit it.
        rules.insert(libc::SYS_clone3, vec![]);
    }
    let filter = SeccompFilter::new(rules, errno(libc::ENOSYS), SeccompAction::Allow, architecture()?);
    filter.and_then(BpfProgram::try_from).map_err(|e| Failure::plain("seccomp", e))
}

/// A filter that allows everything but what matches.
fn compile(rules: Result<Rules, Failure>, action: SeccompAction) -> Result<BpfProgram, Failure> {
    let filter = SeccompFilter::new(rules?, SeccompAction::Allow, action, architecture()?);
    filter.and_then(BpfProgram::try_from).map_err(|e| Failure::plain("seccomp", e))
}

fn unconditional(groups: &[Group]) -> Rules {
    groups.iter().flat_map(|g| g.calls).map(|call| (*call, vec![])).collect()
}

fn refused(nesting: bool) -> Result<Rules, Failure> {
    let mut rules = unconditional(REFUSED);
    let mut terminal = Vec::new();
    for request in TERMINAL_REQUESTS {
        terminal.push(rule(&[(1, SeccompCmpOp::Eq, *request)])?);
    }
    rules.insert(libc::SYS_ioctl, terminal);
    rules.insert(libc::SYS_socketpair, vec![rule(&[(0, SeccompCmpOp::Ne, family(libc::AF_UNIX))])?]);
    if !nesting {
        rules.append(&mut unconditional(NESTING));
        let mut namespaces = Vec::new();
        for bit in (0..64).map(|n| 1u64 << n).filter(|bit| NEW_NAMESPACES & bit != 0) {
            let condition = SeccompCondition::new(0, Qword, SeccompCmpOp::MaskedEq(bit), bit);
            let condition = condition.map_err(|e| Failure::plain("seccomp", e))?;
            namespaces.push(SeccompRule::new(vec![condition]).map_err(|e| Failure::plain("seccomp", e))?);
        }
        rules.insert(libc::SYS_clone, namespaces);
    }
    Ok(rules)
}

fn families() -> Result<Rules, Failure> {
    let unknown: Vec<_> = FAMILIES.iter().map(|f| (0, SeccompCmpOp::Ne, family(*f))).collect();
    let route = family(libc::NETLINK_ROUTE);
    let netlink = [(0, SeccompCmpOp::Eq, family(libc::AF_NETLINK)), (2, SeccompCmpOp::Ne, route)];
    // MPTCP streams pass by rules that are made for TCP.
    let mptcp = [(2, SeccompCmpOp::Eq, family(libc::IPPROTO_MPTCP))];
    let rules = vec![rule(&unknown)?, rule(&netlink)?, rule(&mptcp)?];
    Ok(BTreeMap::from([(libc::SYS_socket, rules)]))
}

fn family(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

fn personalities() -> Result<Vec<SeccompRule>, Failure> {
    PERSONALITIES.iter().map(|value| rule(&[(0, SeccompCmpOp::Eq, *value)])).collect()
}

/// A rule that holds if all of its conditions do; arguments are compared on 32 bits, as the kernel does with them.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, Failure> {
    let made: Result<Vec<_>, _> =
        conditions.iter().map(|(n, op, v)| SeccompCondition::new(*n, Dword, op.clone(), *v)).collect();
    made.and_then(SeccompRule::new).map_err(|e| Failure::plain("seccomp", e))
}

/// x32 calls carry this bit. seccompiler compares numbers for equality only, so these four instructions are ours.
#[cfg(target_arch = "x86_64")]
fn x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let op = |code, jt, jf, k| seccompiler::sock_filter { code, jt, jf, k };
    vec![
        op(0x20, 0, 0, 0),           // load the number of the call
        op(0x35, 0, 1, X32_BIT),     // is it at least that?
        op(0x06, 0, 0, 0x8000_0000), // kill the process
        op(0x06, 0, 0, 0x7fff_0000), // allow
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_with_and_without_nesting() {
        for nesting in [false, true] {
            let all = programs(nesting).unwrap();
            assert!(
                all.iter().all(|(_, p)| p.len() < 4096),
                "{:?}",
                all.iter().map(|(n, p)| (n, p.len())).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn no_call_is_both_admitted_and_refused() {
        let allowed = unconditional(ALLOWED);
        for call in unconditional(REFUSED).keys().chain(unconditional(NESTING).keys()) {
            assert!(!allowed.contains_key(call), "{call}");
        }
    }

    #[test]
    fn every_group_says_why() {
        assert!(ALLOWED.iter().chain(REFUSED).chain(NESTING).all(|g| g.reason.len() > 10));
    }
}
