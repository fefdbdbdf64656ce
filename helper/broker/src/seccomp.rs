//! The system calls this process may make.
//!
//! Two filters, because a filter outlives execve: `forbid_dangerous` holds for everything, the programs of a
//! credential_process included, which may be anything; `allow_only_needed` comes on top once it is known that the
//! source starts no program, and is what a broker of a system source lives with.

mod allowed;
mod forbidden;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use crate::cause::Cause;

/// Refuses what no source needs and what a broken broker would be glad of.
pub(crate) fn forbid_dangerous() -> Result<(), Cause> {
    install(&by_number(forbidden::CALLS.iter().map(|&(call, _)| (call, REFUSED)), ALLOW).ok_or_else(no_number)?)
}

/// Allows what minting from a file and serving need; everything else does not exist.
pub(crate) fn allow_only_needed() -> Result<(), Cause> {
    let calls = allowed::CALLS.iter().map(|&(call, _)| call).chain([libc::SYS_clone]);
    let needed = by_number(calls.map(|call| (call, ALLOW)), NOT_THERE).ok_or_else(no_number)?;
    // The list admits no further filter, so it comes last.
    install(&threads_only().map_err(|e| failed(&e))?)?;
    install(&needed)
}

/// clone with CLONE_THREAD. clone3 hides its flags in memory and does not exist, whereupon glibc uses clone.
fn threads_only() -> Result<BpfProgram, BackendError> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let other = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?;
    let rules = [(libc::SYS_clone, vec![SeccompRule::new(vec![other])?])].into();
    let not_there = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, not_there, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// A filter by number, as ranges with one answer: the kernel runs each new filter once for every number there is, which
/// with a comparison for each call would take longer than all else that the broker does before it mints. A foreign
/// architecture is killed, and so is the x32 ABI, which reports itself as x86-64.
fn by_number(given: impl Iterator<Item = (i64, u32)>, otherwise: u32) -> Option<BpfProgram> {
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let kill = op(RETURN, 0, 0, KILL);
    let mut program = vec![op(LOAD, 0, 0, 4), op(EQUAL, 1, 0, native_abi()), kill.clone(), op(LOAD, 0, 0, 0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([op(AT_LEAST, 0, 1, X32), kill]);
    }
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
const RETURN: u16 = 0x06;
/// Marks a call of the x32 ABI.
const X32: u32 = 0x4000_0000;
const KILL: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
const REFUSED: u32 = 0x0005_0000 | libc::EPERM.unsigned_abs();
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();
/// No call has this number or a higher one yet.
const NUMBERS: usize = 1024;

fn install(program: &BpfProgram) -> Result<(), Cause> {
    seccompiler::apply_filter(program).map_err(|e| failed(&e))
}

fn no_number() -> Cause {
    failed(&"a number of its tables is none of a call")
}

fn failed(error: &dyn std::fmt::Display) -> Cause {
    Cause::last(format!("the broker's system call filter cannot be installed: {error}"))
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

    #[test]
    fn no_program_can_be_started_from_the_list_of_the_needed() {
        for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_clone, libc::SYS_clone3] {
            assert!(!allowed::CALLS.iter().any(|&(c, _)| c == call));
        }
    }
}
