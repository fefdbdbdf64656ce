//! The system calls this process may make.
//!
//! Two filters, because a filter outlives execve: `forbid_dangerous` holds for everything, the programs of a
//! credential_process included, which may be anything; `allow_only_needed` comes on top once it is known that the
//! source starts no program, and is what a broker of a system source lives with.

mod allowed;
mod forbidden;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::cause::Cause;

/// System calls with the rules under which they match; no rules: always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Marks a call of the x32 ABI, which reports itself as x86-64.
const X32: i64 = 0x4000_0000;

/// Refuses what no source needs and what a broken broker would be glad of.
pub(crate) fn forbid_dangerous() -> Result<(), Cause> {
    let mut rules = Rules::new();
    for &(call, _) in forbidden::CALLS {
        rules.insert(call, vec![]);
        rules.insert(call | X32, vec![]);
    }
    install(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

/// Allows what minting from a file and serving need; everything else does not exist.
pub(crate) fn allow_only_needed() -> Result<(), Cause> {
    let mut rules: Rules = allowed::CALLS.iter().map(|&(call, _)| (call, vec![])).collect();
    rules.insert(libc::SYS_clone, vec![threads_only().map_err(|e| failed(&e))?]);
    install(rules, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()), SeccompAction::Allow)
}

/// clone with CLONE_THREAD. clone3 hides its flags in memory and does not exist, whereupon glibc uses clone.
fn threads_only() -> Result<SeccompRule, seccompiler::BackendError> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?])
}

fn install(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), Cause> {
    let arch = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| failed(&e))?;
    // A call of a foreign architecture kills the process: seccompiler puts that first into every program.
    let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(|e| failed(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| failed(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| failed(&e))
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
