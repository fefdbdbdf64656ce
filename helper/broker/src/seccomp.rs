//! The system calls this process may make.
//!
//! Two filters, because a filter outlives execve: `forbid_dangerous` holds for everything, the programs of a
//! credential_process included, which may be anything; `allow_only_needed` comes on top once it is known that the
//! source starts no program, and is what a broker of a system source lives with, unless that is a credential process.

mod allowed;
mod forbidden;

use agent_aws_bpf::Made;
use agent_aws_bpf::classic::{
    ALLOW, EQUAL, LOAD, NOT_PERMITTED, NOT_THERE, Op, Program, RETURN, SHARES_A_BIT, by_number, op,
};

use crate::cause::Cause;

/// Refuses what no source needs and what a broken broker would be glad of.
pub(crate) fn forbid_dangerous() -> Result<(), Cause> {
    let calls = forbidden::CALLS.iter().map(|&(call, _)| (call, NOT_PERMITTED));
    install(by_number(&[], calls, ALLOW))
}

/// Allows what minting from a file and serving need; everything else does not exist.
pub(crate) fn allow_only_needed() -> Result<(), Cause> {
    install(by_number(&threads_only(), allowed::CALLS.iter().map(|&(call, _)| (call, ALLOW)), NOT_THERE))
}

/// clone with CLONE_THREAD, in the lower half of its first argument. clone3 hides its flags in memory and does not exist,
/// whereupon glibc uses clone.
fn threads_only() -> [Op; 5] {
    let thread = op(SHARES_A_BIT, 0, 1, libc::CLONE_THREAD.unsigned_abs());
    [op(EQUAL, 0, 4, CLONE), op(LOAD, 0, 0, 16), thread, op(RETURN, 0, 0, ALLOW), op(RETURN, 0, 0, NOT_THERE)]
}

#[cfg(target_arch = "x86_64")]
const CLONE: u32 = 56;
#[cfg(not(target_arch = "x86_64"))]
const CLONE: u32 = 220;

fn install(program: Made<Program>) -> Result<(), Cause> {
    let installed = program.and_then(|program| Ok(seccompiler::apply_filter(&program)?));
    installed.map_err(|e| Cause::last(format!("the broker's system call filter cannot be installed: {e}")))
}

#[cfg(test)]
mod tests {
    use agent_aws_bpf::classic::{KILL, X32_BIT};
    use agent_aws_bpf::interpreter::{answer, answer_of};

    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_forbidden() {
        for (call, why) in allowed::CALLS {
            assert!(!forbidden::CALLS.iter().any(|(f, _)| f == call), "{call}: {why}");
        }
    }

    #[test]
    fn a_filter_by_number_answers_as_its_table_says() {
        let forbidden = |n: u32| forbidden::CALLS.iter().any(|(call, _)| *call == i64::from(n));
        let allowed = |n: u32| allowed::CALLS.iter().any(|(call, _)| *call == i64::from(n));
        let deny = by_number(&[], forbidden::CALLS.iter().map(|&(call, _)| (call, NOT_PERMITTED)), ALLOW).unwrap();
        let calls = allowed::CALLS.iter().map(|&(call, _)| (call, ALLOW));
        let admit = by_number(&threads_only(), calls, NOT_THERE).unwrap();
        for number in 0..2000 {
            let expected = if forbidden(number) { NOT_PERMITTED } else { ALLOW };
            assert_eq!(answer(&deny, number, [0; 6]), expected, "{number}");
            let expected = if allowed(number) { ALLOW } else { NOT_THERE };
            assert_eq!(answer(&admit, number, [0; 6]), expected, "{number}");
        }
        for program in [&deny, &admit] {
            assert_eq!(answer_of(program, 0x4000_0003, 3, [0; 6]), KILL, "the 32-bit ABI");
            #[cfg(target_arch = "x86_64")]
            assert_eq!(answer(program, X32_BIT | 39, [0; 6]), KILL, "the x32 ABI");
        }
        assert_eq!(i64::from(CLONE), libc::SYS_clone);
        let cloned = |flags: libc::c_int| answer(&admit, CLONE, [flags.unsigned_abs().into(), 0, 0, 0, 0, 0]);
        assert_eq!(cloned(libc::CLONE_THREAD | libc::CLONE_VM), ALLOW);
        assert_eq!(cloned(libc::CLONE_VM), NOT_THERE);
    }

    #[test]
    fn no_program_can_be_started_from_the_list_of_the_needed() {
        for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_clone, libc::SYS_clone3] {
            assert!(!allowed::CALLS.iter().any(|&(c, _)| c == call));
        }
    }
}
