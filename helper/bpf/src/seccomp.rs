//! System call filters. The kernel takes the most restrictive answer of all of them.
//!
//! 1. by number: what is not admitted is ENOSYS, or EPERM where programs cope with that; a foreign ABI is killed, x32
//!    with it;
//! 2. by argument: terminal injection, namespaces: EPERM;
//! 3. by socket family: EAFNOSUPPORT;
//! 4. data before a connection: EOPNOTSUPP.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq, SeccompCmpOp::Ne,
    SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::Made;
use crate::classic::{ALLOW, NOT_PERMITTED, NOT_THERE, Program, by_number};
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

/// The programs, in the order of installation.
///
/// # Errors
/// Tables from which no filter can be made.
pub fn programs(nesting: bool, debug: bool) -> Made<[Program; 4]> {
    Ok([
        by_number(&[], answers(nesting, debug), NOT_THERE)?,
        refuse(arguments(nesting)?, libc::EPERM)?,
        refuse(families()?, libc::EAFNOSUPPORT)?,
        refuse(fast_open()?, libc::EOPNOTSUPP)?,
    ])
}

/// What is answered by number alone. Calls whose arguments matter are held by the filters after it.
fn answers(nesting: bool, debug: bool) -> impl Iterator<Item = (i64, u32)> {
    let all = |groups: &'static [Group], answer| groups.iter().flat_map(|g| g.calls).map(move |call| (*call, answer));
    let either = |admitted| if admitted { ALLOW } else { NOT_PERMITTED };
    // Without nesting a filter that cannot read clone3's structure must not admit it.
    let clone3 = if nesting { ALLOW } else { NOT_THERE };
    let conditional = all(NESTING, either(nesting)).chain(all(DEBUG, either(debug)));
    let single = [(libc::SYS_personality, ALLOW), (libc::SYS_clone3, clone3)];
    all(ALLOWED, ALLOW).chain(all(REFUSED, NOT_PERMITTED)).chain(conditional).chain(single)
}

/// A filter that allows everything but what matches.
fn refuse(rules: Rules, error: libc::c_int) -> Result<Program, BackendError> {
    let refused = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn arguments(nesting: bool) -> Result<Rules, BackendError> {
    let terminal = TERMINAL_REQUESTS.iter().map(|request| rule(&[(1, Eq, *request)]));
    let personalities: Vec<_> = PERSONALITIES.iter().map(|value| (0, Ne, *value)).collect();
    let mut rules = Rules::from([
        (libc::SYS_ioctl, terminal.collect::<Result<_, _>>()?),
        (libc::SYS_socketpair, vec![rule(&[(0, Ne, word(libc::AF_UNIX))])?]),
        (libc::SYS_personality, vec![rule(&personalities)?]),
    ]);
    if !nesting {
        let bits = (0..32).map(|n| 1 << n).filter(|bit| NEW_NAMESPACES & bit != 0);
        let namespaces = bits.map(|bit| rule(&[(0, MaskedEq(bit), bit)]));
        rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

fn families() -> Result<Rules, BackendError> {
    let unknown: Vec<_> = FAMILIES.iter().map(|family| (0, Ne, word(*family))).collect();
    let netlink = [(0, Eq, word(libc::AF_NETLINK)), (2, Ne, word(libc::NETLINK_ROUTE))];
    // MPTCP streams pass by rules that are made for TCP.
    let mptcp = [(2, Eq, word(libc::IPPROTO_MPTCP))];
    Ok(Rules::from([(libc::SYS_socket, vec![rule(&unknown)?, rule(&netlink)?, rule(&mptcp)?])]))
}

/// A connection that is opened by sending passes by rules that are made for connect(2). The answer is the one of a
/// kernel where it is switched off, and programs then connect.
fn fast_open() -> Result<Rules, BackendError> {
    let flag = word(libc::MSG_FASTOPEN);
    let flagged = |place| rule(&[(place, MaskedEq(flag), flag)]);
    let option = |name| rule(&[(1, Eq, word(libc::IPPROTO_TCP)), (2, Eq, word(name))]);
    Ok(Rules::from([
        (libc::SYS_sendto, vec![flagged(3)?]),
        (libc::SYS_sendmsg, vec![flagged(2)?]),
        (libc::SYS_sendmmsg, vec![flagged(3)?]),
        (libc::SYS_setsockopt, vec![option(libc::TCP_FASTOPEN)?, option(libc::TCP_FASTOPEN_CONNECT)?]),
    ]))
}

fn word(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

/// A rule that holds if all of its conditions do; arguments are compared on 32 bits, as the kernel does with them.
fn rule(conditions: &[(u8, seccompiler::SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let made = conditions.iter().map(|(n, op, value)| SeccompCondition::new(*n, Dword, op.clone(), *value));
    SeccompRule::new(made.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::{KILL, X32_BIT};
    use crate::interpreter::{answer, answer_of};

    #[test]
    fn the_filters_compile_with_and_without_nesting() {
        for (nesting, debug) in [(false, false), (true, false), (false, true), (true, true)] {
            let lengths = programs(nesting, debug).unwrap().map(|program| program.len());
            assert!(lengths.iter().all(|length| *length < 4096), "{lengths:?}");
        }
    }

    fn numbers(groups: &[Group]) -> Vec<i64> {
        groups.iter().flat_map(|g| g.calls).copied().collect()
    }

    #[test]
    fn the_allow_list_answers_as_the_tables_say_and_nothing_else_is_there() {
        for (nesting, debug) in [(false, false), (true, false), (false, true), (true, true)] {
            let program = by_number(&[], answers(nesting, debug), NOT_THERE).unwrap();
            let within = |groups, number: u32| numbers(groups).contains(&i64::from(number));
            for number in 0..2000 {
                let personality = i64::from(number) == libc::SYS_personality;
                let clone3 = i64::from(number) == libc::SYS_clone3;
                let expected = match number {
                    n if within(ALLOWED, n) || personality || clone3 && nesting => ALLOW,
                    n if within(NESTING, n) && nesting || within(DEBUG, n) && debug => ALLOW,
                    n if within(REFUSED, n) || within(NESTING, n) || within(DEBUG, n) => NOT_PERMITTED,
                    _ => NOT_THERE,
                };
                assert_eq!(answer(&program, number, [0; 6]), expected, "{number}");
            }
            #[cfg(target_arch = "x86_64")]
            assert_eq!(answer(&program, X32_BIT | 39, [0; 6]), KILL, "a call of the x32 ABI");
            assert_eq!(answer(&program, 0x3fff_ffff, [0; 6]), NOT_THERE);
            assert_eq!(answer_of(&program, 0x4000_0003, 1, [0; 6]), KILL, "a call of the 32-bit ABI");
            assert!(program.len() < 500, "{}", program.len());
        }
    }

    #[test]
    fn no_call_is_both_admitted_and_refused() {
        let allowed = numbers(ALLOWED);
        for call in [REFUSED, NESTING, DEBUG].into_iter().flat_map(numbers) {
            assert!(!allowed.contains(&call), "{call}");
        }
    }

    /// What all filters together answer: an error if one of them has it. (Ending the process is no answer here.)
    fn together(nesting: bool, call: i64, arguments: [u64; 6]) -> u32 {
        let number = u32::try_from(call).unwrap();
        let answers = programs(nesting, false).unwrap().map(|program| answer(&program, number, arguments));
        answers.into_iter().min().unwrap()
    }

    #[test]
    fn arguments_are_told_apart_on_32_bits() {
        let refused = |error: libc::c_int| 0x5_0000 | error.unsigned_abs();
        let first = |call, value| together(false, call, [value, 0, 0, 0, 0, 0]);
        let second = |call, value| together(false, call, [0, value, 0, 0, 0, 0]);
        for high in [0, 1 << 32, u64::from(u32::MAX) << 32] {
            assert_eq!(second(libc::SYS_ioctl, high | 0x5412), NOT_PERMITTED, "TIOCSTI");
            assert_eq!(first(libc::SYS_personality, high | 0x40_0000), NOT_PERMITTED, "READ_IMPLIES_EXEC");
            assert_eq!(first(libc::SYS_socket, high | word(libc::AF_VSOCK)), refused(libc::EAFNOSUPPORT));
            assert_eq!(first(libc::SYS_clone, high | 0x1000_0000), NOT_PERMITTED, "CLONE_NEWUSER");
        }
        assert_eq!(second(libc::SYS_ioctl, 0x5401), ALLOW, "TCGETS");
        assert_eq!(first(libc::SYS_personality, 0x4_0000), ALLOW, "ADDR_NO_RANDOMIZE");
        assert_eq!(first(libc::SYS_socket, word(libc::AF_INET6)), ALLOW);
        assert_eq!(first(libc::SYS_socketpair, word(libc::AF_INET)), NOT_PERMITTED);
        assert_eq!(together(true, libc::SYS_clone, [0x1000_0000, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(together(false, libc::SYS_clone, [0x100, 0, 0, 0, 0, 0]), ALLOW, "CLONE_VM");
        let fast = [3, 0, 0, word(libc::MSG_FASTOPEN) | 0x4000, 0, 0];
        assert_eq!(together(false, libc::SYS_sendto, fast), refused(libc::EOPNOTSUPP));
        let (netlink, tcp) = (word(libc::AF_NETLINK), word(libc::IPPROTO_TCP));
        let audit = [netlink, 3, word(libc::NETLINK_AUDIT), 0, 0, 0];
        assert_eq!(together(false, libc::SYS_socket, audit), refused(libc::EAFNOSUPPORT));
        let option = [3, tcp, word(libc::TCP_FASTOPEN_CONNECT), 0, 0, 0];
        assert_eq!(together(false, libc::SYS_setsockopt, option), refused(libc::EOPNOTSUPP));
    }

    #[test]
    fn every_group_says_why() {
        assert!(ALLOWED.iter().chain(REFUSED).chain(NESTING).chain(DEBUG).all(|g| g.reason.len() > 10));
    }
}
