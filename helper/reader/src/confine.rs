//! Before the first byte of a policy is read, this process can do nothing but read, compute and answer.

use agent_aws_bpf::calls;
use agent_aws_bpf::classic::{ALLOW, NOT_PERMITTED, by_number};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Reading descriptors that it is given, the conversation, memory, and the end.
const CALLS: &[i64] = calls! {
    SYS_read SYS_recvmsg SYS_sendmsg SYS_ppoll SYS_close SYS_fcntl SYS_fstat SYS_statx SYS_lseek
    SYS_mmap SYS_mremap SYS_munmap SYS_madvise SYS_brk SYS_mprotect SYS_futex SYS_clock_gettime SYS_getrandom
    SYS_rt_sigprocmask SYS_rt_sigaction SYS_rt_sigreturn SYS_sigaltstack SYS_getpid SYS_gettid SYS_tgkill
    SYS_exit SYS_exit_group SYS_restart_syscall
};

/// No file can be opened, no process started, no socket made after this, in setuid mode (under a uid of nobody's) and
/// without the setuid bit (the caller's).
pub(crate) fn confine() -> Result<(), String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| format!("becoming undumpable: {e}"))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| format!("no_new_privs: {e}"))?;
    let failed = |why: &dyn std::fmt::Display| format!("the system call filter: {why}");
    let filter = by_number(&[], CALLS.iter().map(|call| (*call, ALLOW)), NOT_PERMITTED).map_err(|e| failed(&e))?;
    seccompiler::apply_filter(&filter).map_err(|e| failed(&e))
}
