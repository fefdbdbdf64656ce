//! System call filters. The kernel takes the most restrictive answer of all of them.
//!
//! 1. by number: what is not admitted is ENOSYS, or EPERM where programs cope with that; a foreign ABI is killed, x32
//!    with it;
//! 2. by argument: terminal injection, namespaces: EPERM;
//! 3. by socket family: EAFNOSUPPORT;
//! 4. data before a connection: EOPNOTSUPP.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use crate::error::Failure;
use crate::syscalls::{ALLOWED, DEBUG, Group, NESTING, REFUSED};

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
pub fn install(nesting: bool, debug: bool) -> Result<(), Failure> {
    for (_, program) in programs(nesting, debug)? {
        apply_filter(&program).map_err(|e| Failure::plain("seccomp", e))?;
    }
    Ok(())
}

/// The programs, in the order of installation, each with what it is.
pub fn programs(nesting: bool, debug: bool) -> Result<Vec<(&'static str, BpfProgram)>, Failure> {
    let mut all = vec![("allow-list", by_number(answers(nesting, debug), NOT_THERE)?)];
    all.push(("refused arguments", compile(arguments(nesting), errno(libc::EPERM))?));
    all.push(("socket families", compile(families(), errno(libc::EAFNOSUPPORT))?));
    all.push(("TCP fast open", compile(fast_open(), errno(libc::EOPNOTSUPP))?));
    Ok(all)
}

/// Allows nothing but `calls` from here on: the rest is EPERM.
pub fn allow_only(calls: &[i64]) -> Result<(), Failure> {
    let program = by_number(calls.iter().map(|call| (*call, ALLOW)), REFUSED_CALL)?;
    apply_filter(&program).map_err(|e| Failure::plain("seccomp", e))
}

fn errno(number: libc::c_int) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn architecture() -> Result<TargetArch, Failure> {
    std::env::consts::ARCH.try_into().map_err(|e| Failure::plain("seccomp", e))
}

/// What is answered by number alone. Calls whose arguments matter are held by the filters after it.
fn answers(nesting: bool, debug: bool) -> impl Iterator<Item = (i64, u32)> {
    let all = |groups: &'static [Group], answer| groups.iter().flat_map(|g| g.calls).map(move |call| (*call, answer));
    let either = |admitted| if admitted { ALLOW } else { REFUSED_CALL };
    // Without nesting a filter that cannot read clone3's structure must not admit it.
    let clone3 = if nesting { ALLOW } else { NOT_THERE };
    let conditional = all(NESTING, either(nesting)).chain(all(DEBUG, either(debug)));
    let single = [(libc::SYS_personality, ALLOW), (libc::SYS_clone3, clone3)];
    all(ALLOWED, ALLOW).chain(all(REFUSED, REFUSED_CALL)).chain(conditional).chain(single)
}

/// A filter by number, as ranges with one answer. The kernel runs a new filter once for every number there is (to know
/// which calls it may pass without running it), so that a list of four instructions a call would cost more than the
/// sandbox.
fn by_number(given: impl Iterator<Item = (i64, u32)>, otherwise: u32) -> Result<BpfProgram, Failure> {
    let op = |code, jt, jf, k| seccompiler::sock_filter { code, jt, jf, k };
    let kill = op(RETURN, 0, 0, KILL);
    let mut program = vec![op(LOAD, 0, 0, 4), op(EQUAL, 1, 0, native_abi()), kill.clone(), op(LOAD, 0, 0, 0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([op(AT_LEAST, 0, 1, X32_BIT), kill]);
    }
    let mut answers = [otherwise; NUMBERS];
    for (number, answer) in given {
        let place = usize::try_from(number).ok().and_then(|n| answers.get_mut(n));
        *place.ok_or_else(|| Failure::plain("seccomp", format!("no number of a call: {number}")))? = answer;
    }
    let mut end = 0u32;
    for range in answers.chunk_by(u32::eq) {
        end += u32::try_from(range.len()).map_err(|e| Failure::plain("seccomp", e))?;
        program.extend([op(AT_LEAST, 1, 0, end), op(RETURN, 0, 0, *range.first().unwrap_or(&otherwise))]);
    }
    program.push(op(RETURN, 0, 0, otherwise));
    Ok(program)
}

/// As seccomp_data.arch says it (linux/audit.h).
const fn native_abi() -> u32 {
    if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e }
}

// Classic BPF, as seccomp uses it (linux/filter.h, linux/seccomp.h).
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// Calls of the x32 ABI carry this bit.
const X32_BIT: u32 = 0x4000_0000;
const KILL: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();
const REFUSED_CALL: u32 = 0x0005_0000 | libc::EPERM.unsigned_abs();
/// No call has this number or a higher one yet.
const NUMBERS: usize = 1024;

/// A filter that allows everything but what matches.
fn compile(rules: Result<Rules, Failure>, action: SeccompAction) -> Result<BpfProgram, Failure> {
    let filter = SeccompFilter::new(rules?, SeccompAction::Allow, action, architecture()?);
    filter.and_then(BpfProgram::try_from).map_err(|e| Failure::plain("seccomp", e))
}

fn arguments(nesting: bool) -> Result<Rules, Failure> {
    let mut rules = Rules::new();
    let mut terminal = Vec::new();
    for request in TERMINAL_REQUESTS {
        terminal.push(rule(&[(1, SeccompCmpOp::Eq, *request)])?);
    }
    rules.insert(libc::SYS_ioctl, terminal);
    rules.insert(libc::SYS_socketpair, vec![rule(&[(0, SeccompCmpOp::Ne, family(libc::AF_UNIX))])?]);
    let personalities: Vec<_> = PERSONALITIES.iter().map(|value| (0, SeccompCmpOp::Ne, *value)).collect();
    rules.insert(libc::SYS_personality, vec![rule(&personalities)?]);
    if !nesting {
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

/// A connection that is opened by sending passes by rules that are made for connect(2). The answer is the one of a
/// kernel where it is switched off, and programs then connect.
fn fast_open() -> Result<Rules, Failure> {
    let flag = family(libc::MSG_FASTOPEN);
    let flagged = |place| rule(&[(place, SeccompCmpOp::MaskedEq(flag), flag)]);
    let tcp = family(libc::IPPROTO_TCP);
    let option = |name| rule(&[(1, SeccompCmpOp::Eq, tcp), (2, SeccompCmpOp::Eq, family(name))]);
    Ok(BTreeMap::from([
        (libc::SYS_sendto, vec![flagged(3)?]),
        (libc::SYS_sendmsg, vec![flagged(2)?]),
        (libc::SYS_sendmmsg, vec![flagged(3)?]),
        (libc::SYS_setsockopt, vec![option(libc::TCP_FASTOPEN)?, option(libc::TCP_FASTOPEN_CONNECT)?]),
    ]))
}

fn family(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

/// A rule that holds if all of its conditions do; arguments are compared on 32 bits, as the kernel does with them.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, Failure> {
    let made: Result<Vec<_>, _> =
        conditions.iter().map(|(n, op, v)| SeccompCondition::new(*n, Dword, op.clone(), *v)).collect();
    made.and_then(SeccompRule::new).map_err(|e| Failure::plain("seccomp", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_with_and_without_nesting() {
        for (nesting, debug) in [(false, false), (true, false), (false, true), (true, true)] {
            let all = programs(nesting, debug).unwrap();
            assert!(
                all.iter().all(|(_, p)| p.len() < 4096),
                "{:?}",
                all.iter().map(|(n, p)| (n, p.len())).collect::<Vec<_>>()
            );
        }
    }

    /// What the allow-list answers, run as the kernel would.
    fn answer(program: &BpfProgram, abi: u32, number: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let op = &program[at];
            let taken = match op.code {
                LOAD => {
                    value = if op.k == 4 { abi } else { number };
                    0
                }
                RETURN => return op.k,
                EQUAL => {
                    if value == op.k {
                        op.jt
                    } else {
                        op.jf
                    }
                }
                AT_LEAST => {
                    if value >= op.k {
                        op.jt
                    } else {
                        op.jf
                    }
                }
                code => panic!("{code:#x}"),
            };
            at += 1 + usize::from(taken);
        }
    }

    fn numbers(groups: &[Group]) -> Vec<i64> {
        groups.iter().flat_map(|g| g.calls).copied().collect()
    }

    #[test]
    fn the_allow_list_answers_as_the_tables_say_and_nothing_else_is_there() {
        for (nesting, debug) in [(false, false), (true, false), (false, true), (true, true)] {
            let program = by_number(answers(nesting, debug), NOT_THERE).unwrap();
            let within = |groups, number: u32| numbers(groups).contains(&i64::from(number));
            for number in 0..2000 {
                let personality = i64::from(number) == libc::SYS_personality;
                let clone3 = i64::from(number) == libc::SYS_clone3;
                let expected = match number {
                    n if within(ALLOWED, n) || personality || clone3 && nesting => ALLOW,
                    n if within(NESTING, n) && nesting || within(DEBUG, n) && debug => ALLOW,
                    n if within(REFUSED, n) || within(NESTING, n) || within(DEBUG, n) => REFUSED_CALL,
                    _ => NOT_THERE,
                };
                assert_eq!(answer(&program, native_abi(), number), expected, "{number}");
            }
            #[cfg(target_arch = "x86_64")]
            assert_eq!(answer(&program, native_abi(), 0x4000_0000 | 39), KILL, "a call of the x32 ABI");
            assert_eq!(answer(&program, native_abi(), 0x3fff_ffff), NOT_THERE);
            assert_eq!(answer(&program, 0x4000_0003, 1), KILL, "a call of the 32-bit ABI");
            assert!(program.len() < 500, "{}", program.len());
        }
    }

    #[test]
    fn a_list_of_its_own_admits_that_and_nothing_else() {
        let program = by_number([(libc::SYS_read, ALLOW)].into_iter(), REFUSED_CALL).unwrap();
        for number in 0..2000 {
            let expected = if i64::from(number) == libc::SYS_read { ALLOW } else { REFUSED_CALL };
            assert_eq!(answer(&program, native_abi(), number), expected, "{number}");
        }
        assert_eq!(answer(&program, 0x4000_0003, 3), KILL, "a call of the 32-bit ABI");
        assert!(by_number([(1024, ALLOW)].into_iter(), NOT_THERE).is_err());
        assert!(by_number([(-1, ALLOW)].into_iter(), NOT_THERE).is_err());
    }

    #[test]
    fn no_call_is_both_admitted_and_refused() {
        let allowed = numbers(ALLOWED);
        for call in [REFUSED, NESTING, DEBUG].into_iter().flat_map(numbers) {
            assert!(!allowed.contains(&call), "{call}");
        }
    }

    #[test]
    fn every_group_says_why() {
        assert!(ALLOWED.iter().chain(REFUSED).chain(NESTING).chain(DEBUG).all(|g| g.reason.len() > 10));
    }
}
