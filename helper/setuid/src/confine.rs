//! The supervisor's own cage: no capability but CAP_KILL, an empty root, a short list of system calls.

use std::os::fd::OwnedFd;

use agent_aws_protocol::Refusal;
use agent_aws_sandbox::{
    Failure, Kept, allow_only, calls, empty_bounding_set, forbid_gaining, forbid_gaining_unprivileged, new_file_system,
    not_dumpable,
};
use rustix::mount::MountAttrFlags;

use crate::entry::Mode;
use crate::refusal::kernel;

/// What the supervisor does from here on: wait, talk, read policy and the source by descriptor, write records, end
/// processes.
const CALLS: &[i64] = calls! {
    SYS_poll SYS_ppoll SYS_read SYS_pread64 SYS_readv SYS_write SYS_lseek SYS_ftruncate SYS_recvmsg SYS_sendmsg SYS_sendto
    SYS_openat SYS_close SYS_fstat SYS_newfstatat SYS_statx SYS_getdents64 SYS_unlinkat SYS_fcntl SYS_flock
    SYS_pidfd_send_signal SYS_waitid SYS_clock_gettime SYS_gettimeofday SYS_getpid SYS_geteuid SYS_getrandom SYS_futex
    SYS_mmap SYS_mremap SYS_munmap SYS_madvise SYS_brk SYS_mprotect SYS_rt_sigprocmask SYS_rt_sigaction SYS_rt_sigreturn
    SYS_sigaltstack SYS_tgkill SYS_gettid SYS_exit SYS_exit_group SYS_restart_syscall
};

/// Confines this process for the rest of its life, before init runs. Consumes the mode: nothing after it may ask for root.
/// Returns the root that it made: to close it takes the kernel a while.
pub(crate) fn confine(mode: Mode) -> Result<Option<OwnedFd>, Refusal> {
    let confined = match mode {
        Mode::Privileged(_root) => {
            let root = empty_bounding_set().and_then(|()| empty_root());
            root.and_then(|root| forbid_gaining(Kept::Kill).map(|()| Some(root)))
        }
        Mode::Unprivileged => forbid_gaining_unprivileged().map(|()| None),
    };
    confined.and_then(|root| not_dumpable().and_then(|()| allow_only(CALLS)).map(|()| root)).map_err(kernel)
}

/// The root becomes an empty, read-only file system that is mounted nowhere.
pub(crate) fn empty_root() -> Result<OwnedFd, Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("an empty root of a process of ours", e);
    let flags =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = new_file_system("tmpfs", &[("size", "4096"), ("mode", "0555")], flags);
    let root = root.map_err(fail)?;
    rustix::process::fchdir(&root).map_err(fail)?;
    rustix::process::chroot(c".").map_err(fail)?;
    Ok(root)
}
