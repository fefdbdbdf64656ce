//! The system calls this process may make. Two filters, and the kernel takes the stricter answer: one by number, one by
//! argument.

mod allowed;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

/// Installs both. Needs no_new_privs.
pub(crate) fn install() -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| format!("the gateway's system call filter cannot be installed: {why}");
    let arguments = by_argument().map_err(|e| failed(&e))?;
    let numbers = by_number().ok_or_else(|| failed(&"a number of its table is none of a call"))?;
    seccompiler::apply_filter(&arguments).map_err(|e| failed(&e))?;
    seccompiler::apply_filter(&numbers).map_err(|e| failed(&e))
}

/// What a call of the list may not be made with. Answered with EPERM.
fn by_argument() -> Result<BpfProgram, seccompiler::BackendError> {
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

const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// A filter by number, as ranges with one answer: the kernel runs each new filter once for every number there is. A
/// foreign architecture is killed, and so is the x32 ABI, which reports itself as x86-64. What is not listed does not
/// exist.
fn by_number() -> Option<BpfProgram> {
    let kill = op(RETURN, 0, 0, KILL);
    let mut program = vec![op(LOAD, 0, 0, 4), op(EQUAL, 1, 0, native_abi()), kill.clone(), op(LOAD, 0, 0, 0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([op(AT_LEAST, 0, 1, X32), kill]);
    }
    let mut answers = [NOT_THERE; NUMBERS];
    for (number, _) in allowed::CALLS {
        *answers.get_mut(usize::try_from(*number).ok()?)? = ALLOW;
    }
    let mut end = 0u32;
    for range in answers.chunk_by(u32::eq) {
        end += u32::try_from(range.len()).ok()?;
        program.extend([op(AT_LEAST, 1, 0, end), op(RETURN, 0, 0, *range.first()?)]);
    }
    program.push(op(RETURN, 0, 0, NOT_THERE));
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
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();
/// No call has this number or a higher one yet.
const NUMBERS: usize = 1024;

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
        assert!(by_number().is_some_and(|program| program.len() < 200));
        assert!(by_argument().is_ok());
    }
}
