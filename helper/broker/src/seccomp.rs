//! The system calls this process may make.
//!
//! Two filters, because a filter outlives execve: `forbid_dangerous` holds for everything, the programs of a
//! credential_process included, which may be anything; `allow_only_needed` comes on top once it is known that the
//! source starts no program, and is what a broker of a system source lives with.

mod allowed;
mod forbidden;

use seccompiler::{BpfProgram, sock_filter};

use crate::cause::Cause;

/// Refuses what no source needs and what a broken broker would be glad of.
pub(crate) fn forbid_dangerous() -> Result<(), Cause> {
    let calls = forbidden::CALLS.iter().map(|&(call, _)| (call, REFUSED));
    install(by_number(&[], calls, ALLOW))
}

/// Allows what minting from a file and serving need; everything else does not exist.
pub(crate) fn allow_only_needed() -> Result<(), Cause> {
    install(by_number(&threads_only(), allowed::CALLS.iter().map(|&(call, _)| (call, ALLOW)), NOT_THERE))
}

const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// clone with CLONE_THREAD, in the lower half of its first argument. clone3 hides its flags in memory and does not exist,
/// whereupon glibc uses clone.
fn threads_only() -> [sock_filter; 5] {
    let thread = op(SHARES_A_BIT, 0, 1, libc::CLONE_THREAD.unsigned_abs());
    [op(EQUAL, 0, 4, CLONE), op(LOAD, 0, 0, 16), thread, op(RETURN, 0, 0, ALLOW), op(RETURN, 0, 0, NOT_THERE)]
}

/// A filter by number, as ranges with one answer: the kernel runs each new filter once for every number there is, which
/// with a comparison for each call would take longer than all else that the broker does before it mints. A foreign
/// architecture is killed, and so is the x32 ABI, which reports itself as x86-64. `first` has the number and leaves it as
/// it is, or answers.
fn by_number(first: &[sock_filter], given: impl Iterator<Item = (i64, u32)>, otherwise: u32) -> Option<BpfProgram> {
    let kill = op(RETURN, 0, 0, KILL);
    let mut program = vec![op(LOAD, 0, 0, 4), op(EQUAL, 1, 0, native_abi()), kill.clone(), op(LOAD, 0, 0, 0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([op(AT_LEAST, 0, 1, X32), kill]);
    }
    program.extend_from_slice(first);
    let mut answers = [otherwise; NUMBERS];
    for (number, answer) in given {
        *answers.get_mut(usize::try_from(number).ok()?)? = answer;
    }
    let mut end = 0u32;
    for range in answers.chunk_by(u32::eq) {
        end += u32::try_from(range.len()).ok()?;
        program.extend([op(AT_LEAST, 1, 0, end), op(RETURN, 0, 0, *range.first()?)]);
    }
    program.push(op(RETURN, 0, 0, otherwise));
    Some(program)
}

/// As seccomp_data.arch says it (linux/audit.h).
const fn native_abi() -> u32 {
    if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e }
}

// Classic BPF, as seccomp uses it (linux/filter.h, linux/seccomp.h).
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const SHARES_A_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
#[cfg(target_arch = "x86_64")]
const CLONE: u32 = 56;
#[cfg(not(target_arch = "x86_64"))]
const CLONE: u32 = 220;
/// Marks a call of the x32 ABI.
const X32: u32 = 0x4000_0000;
const KILL: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
const REFUSED: u32 = 0x0005_0000 | libc::EPERM.unsigned_abs();
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();
/// No call has this number or a higher one yet.
const NUMBERS: usize = 1024;

fn install(program: Option<BpfProgram>) -> Result<(), Cause> {
    let failed = |why: &dyn std::fmt::Display| {
        Cause::last(format!("the broker's system call filter cannot be installed: {why}"))
    };
    let program = program.ok_or_else(|| failed(&"a number of its tables is none of a call"))?;
    seccompiler::apply_filter(&program).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_forbidden() {
        for (call, why) in allowed::CALLS {
            assert!(!forbidden::CALLS.iter().any(|(f, _)| f == call), "{call}: {why}");
        }
    }

    /// What a filter answers to a call with these flags as its first argument, run as the kernel would.
    fn answer(program: &BpfProgram, abi: u32, number: u32, flags: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let op = &program[at];
            let holds = match op.code {
                LOAD => {
                    value = match op.k {
                        0 => number,
                        4 => abi,
                        _ => flags,
                    };
                    at += 1;
                    continue;
                }
                RETURN => return op.k,
                EQUAL => value == op.k,
                AT_LEAST => value >= op.k,
                SHARES_A_BIT => value & op.k != 0,
                code => panic!("{code:#x}"),
            };
            at += 1 + usize::from(if holds { op.jt } else { op.jf });
        }
    }

    #[test]
    fn a_filter_by_number_answers_as_its_table_says() {
        let forbidden = |n: u32| forbidden::CALLS.iter().any(|(call, _)| *call == i64::from(n));
        let allowed = |n: u32| allowed::CALLS.iter().any(|(call, _)| *call == i64::from(n));
        let deny = by_number(&[], forbidden::CALLS.iter().map(|&(call, _)| (call, REFUSED)), ALLOW).unwrap();
        let calls = allowed::CALLS.iter().map(|&(call, _)| (call, ALLOW));
        let admit = by_number(&threads_only(), calls, NOT_THERE).unwrap();
        for number in 0..2000 {
            let expected = if forbidden(number) { REFUSED } else { ALLOW };
            assert_eq!(answer(&deny, native_abi(), number, 0), expected, "{number}");
            let expected = if allowed(number) { ALLOW } else { NOT_THERE };
            assert_eq!(answer(&admit, native_abi(), number, 0), expected, "{number}");
        }
        for program in [&deny, &admit] {
            assert_eq!(answer(program, 0x4000_0003, 3, 0), KILL, "the 32-bit ABI");
            #[cfg(target_arch = "x86_64")]
            assert_eq!(answer(program, native_abi(), X32 | 39, 0), KILL, "the x32 ABI");
        }
        assert_eq!(i64::from(CLONE), libc::SYS_clone);
        let threads = libc::CLONE_THREAD.unsigned_abs() | libc::CLONE_VM.unsigned_abs();
        assert_eq!(answer(&admit, native_abi(), CLONE, threads), ALLOW);
        assert_eq!(answer(&admit, native_abi(), CLONE, libc::CLONE_VM.unsigned_abs()), NOT_THERE);
        assert!(by_number(&[], [(-1, ALLOW)].into_iter(), REFUSED).is_none());
    }

    #[test]
    fn no_program_can_be_started_from_the_list_of_the_needed() {
        for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_clone, libc::SYS_clone3] {
            assert!(!allowed::CALLS.iter().any(|&(c, _)| c == call));
        }
    }
}
