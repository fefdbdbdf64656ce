//! The supervisor's own cage: no capability but CAP_KILL, an empty root, a short list of system calls.

use std::collections::BTreeMap;

use agent_aws_protocol::Refusal;
use agent_aws_sandbox::{Failure, Kept, forbid_gaining, forbid_gaining_unprivileged, not_dumpable};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::entry::Mode;
use crate::refusal::kernel;

/// What the supervisor does from here on: wait, talk, read policy and the source by descriptor, write records, end
/// processes.
const CALLS: &[i64] = &[
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_lseek,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_pidfd_send_signal,
    libc::SYS_waitid,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_futex,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mprotect,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
];

/// Confines this process for the rest of its life. Consumes the mode: nothing after it may ask for root.
pub(crate) fn confine(mode: Mode) -> Result<(), Refusal> {
    match mode {
        Mode::Privileged(_root) => {
            empty_root().map_err(kernel)?;
            forbid_gaining(Kept::Kill).map_err(kernel)?;
        }
        Mode::Unprivileged => forbid_gaining_unprivileged().map_err(kernel)?,
    }
    not_dumpable().map_err(kernel)?;
    seccomp().map_err(kernel)
}

/// The root becomes an empty, read-only file system that is mounted nowhere.
fn empty_root() -> Result<(), Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("an empty root for the supervisor", e);
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(fail)?;
    fsconfig_set_string(&context, "size", "4096").map_err(fail)?;
    fsconfig_set_string(&context, "mode", "0555").map_err(fail)?;
    fsconfig_create(&context).map_err(fail)?;
    let flags = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags).map_err(fail)?;
    rustix::process::fchdir(&root).map_err(fail)?;
    rustix::process::chroot(c".").map_err(fail)
}

fn seccomp() -> Result<(), Failure> {
    let fail = |e| Failure::plain("seccomp of the supervisor", e);
    let arch = std::env::consts::ARCH.try_into().map_err(fail)?;
    let rules: BTreeMap<i64, Vec<_>> = CALLS.iter().map(|call| (*call, vec![])).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch).map_err(fail)?;
    let program = BpfProgram::try_from(filter).map_err(fail)?;
    apply_filter(&program).map_err(|e| Failure::plain("seccomp of the supervisor", e))
}
