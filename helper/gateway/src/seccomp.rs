//! The system calls this process may make. Two filters, and the kernel takes the stricter answer: one by number, one by
//! argument.

mod allowed;

use std::collections::BTreeMap;

use agent_aws_bpf::Made;
use agent_aws_bpf::classic::{ALLOW, NOT_THERE, Program, by_number};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Installs both. Needs no_new_privs.
pub(crate) fn install() -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| format!("the gateway's system call filter cannot be installed: {why}");
    let arguments = by_argument().map_err(|e| failed(&e))?;
    let numbers = listed().map_err(|e| failed(&e))?;
    seccompiler::apply_filter(&arguments).map_err(|e| failed(&e))?;
    seccompiler::apply_filter(&numbers).map_err(|e| failed(&e))
}

/// What a call of the list may not be made with. Answered with EPERM.
fn by_argument() -> Result<Program, seccompiler::BackendError> {
    use SeccompCmpOp::{MaskedEq, Ne};
    let at = |index: u8, op: SeccompCmpOp, value: i32| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, u64::from(value.cast_unsigned()))
    };
    let none_of = |index: u8, values: &[i32]| {
        let conditions = values.iter().map(|&value| at(index, Ne, value)).collect::<Result<Vec<_>, _>>();
        SeccompRule::new(conditions?)
    };
    let bits = |index: u8, mask: u64, value: i32| SeccompRule::new(vec![at(index, MaskedEq(mask), value)?]);
    // The type is in the low four bits, SOCK_NONBLOCK and SOCK_CLOEXEC above them: 1 and 2 are stream and datagram.
    let socket = vec![
        none_of(0, &[libc::AF_INET, libc::AF_INET6])?,
        bits(1, 0xc, 0x4)?,
        bits(1, 0xc, 0x8)?,
        bits(1, 0xc, 0xc)?,
        bits(1, 0x3, 0x3)?,
        bits(1, 0x3, 0x0)?,
        none_of(2, &[0, libc::IPPROTO_TCP, libc::IPPROTO_UDP])?,
    ];
    let executable = |index: u8| bits(index, u64::from(libc::PROT_EXEC.unsigned_abs()), libc::PROT_EXEC);
    // F_SETOWN and FIOSETOWN send signals to others of the same user.
    let fcntl = [libc::F_GETFL, libc::F_SETFL, libc::F_GETFD, libc::F_SETFD, libc::F_DUPFD_CLOEXEC];
    let ioctl = [i32::try_from(libc::FIONBIO).unwrap_or_default()];
    let rules = BTreeMap::from([
        (libc::SYS_socket, socket),
        (libc::SYS_fcntl, vec![none_of(1, &fcntl)?]),
        (libc::SYS_ioctl, vec![none_of(1, &ioctl)?]),
        (libc::SYS_mmap, vec![executable(2)?]),
        (libc::SYS_mprotect, vec![executable(2)?]),
    ]);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = if cfg!(target_arch = "aarch64") { TargetArch::aarch64 } else { TargetArch::x86_64 };
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?.try_into()
}

/// What is not listed does not exist.
fn listed() -> Made<Program> {
    by_number(&[], allowed::CALLS.iter().map(|&(call, _)| (call, ALLOW)), NOT_THERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_starts_opens_or_reaches_another_process_is_on_the_list() {
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_tgkill,
            libc::SYS_prlimit64,
            libc::SYS_bpf,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_io_uring_setup,
            libc::SYS_socketpair,
            libc::SYS_memfd_create,
            libc::SYS_prctl,
            libc::SYS_listen,
        ] {
            assert!(!allowed::CALLS.iter().any(|(c, _)| *c == call), "{call}");
        }
    }

    #[test]
    fn both_filters_can_be_built() {
        assert!(listed().is_ok_and(|program| program.len() < 200));
        assert!(by_argument().is_ok());
    }
}
