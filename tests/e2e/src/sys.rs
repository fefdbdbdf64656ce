//! The only place with `unsafe` in these tests: what a hostile caller does between fork and exec.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn worked(result: i32) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs `steps` in the child of `command`, last before it would execute.
pub(crate) fn in_child(command: &mut Command, steps: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the steps are system calls and allocations; the C library makes its allocator usable in a forked child.
    unsafe { command.pre_exec(steps) };
}

/// Executes `program` with exactly these arguments (none: a NULL argv) and this environment. Returns with the error.
pub(crate) fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end in a null pointer and outlive the call, as do the strings.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes a descriptor of a forked child by its number.
pub fn close(number: i32) -> io::Result<()> {
    // SAFETY: used in a child that executes next and uses no descriptor of its parent's any more.
    worked(unsafe { libc::close(number) })
}

/// Gives what is open as `from` the number `to` too, kept across execve(2).
pub fn duplicate(from: i32, to: i32) -> io::Result<()> {
    if from == to {
        // SAFETY: integer arguments only.
        return worked(unsafe { libc::fcntl(from, libc::F_SETFD, 0) });
    }
    // SAFETY: used in a child that executes next and uses no descriptor of its parent's any more.
    worked(unsafe { libc::dup2(from, to) })
}

/// Whether a descriptor has that number.
pub fn is_open(number: i32) -> bool {
    // SAFETY: integer arguments only; EBADF is an answer.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Sets all four uids, all four gids and the supplementary groups.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: the list is as long as it is said to be and outlives the call.
    worked(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: integer arguments only.
    worked(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: integer arguments only.
    worked(unsafe { libc::setresuid(uid, uid, uid) })
}

/// As root: a filter that fails one system call, and then another user, who could not have installed it without
/// no_new_privs. The ids are changed by calls that the filter does not know: setreuid(2) and setregid(2).
pub fn filtered_user(uid: u32, gid: u32, groups: &[u32], call: i64) -> io::Result<()> {
    // SAFETY: the list is as long as it is said to be and outlives the call.
    worked(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    filter(call, libc::EPERM.unsigned_abs())?;
    // SAFETY: integer arguments only.
    worked(unsafe { libc::setregid(gid, gid) })?;
    // SAFETY: integer arguments only.
    worked(unsafe { libc::setreuid(uid, uid) })
}

/// Ignores a signal.
pub fn ignore(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_IGN is no function of ours.
    let former = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if former == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends a signal to this process, where it may stay pending.
pub fn raise(signal: i32) -> io::Result<()> {
    let us = std::process::id().cast_signed();
    // SAFETY: integer arguments only.
    worked(unsafe { libc::kill(us, signal) })
}

/// Arms an interval timer to go off once in so many milliseconds.
pub fn arm(timer: i32, milliseconds: i64) -> io::Result<()> {
    let once = libc::timeval { tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000 };
    let value = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: once };
    // SAFETY: reads `value`, which is alive; the former value is not asked for.
    worked(unsafe { libc::setitimer(timer, &raw const value, std::ptr::null_mut()) })
}

/// Sets a limit, soft and hard. nix knows only some of them.
pub fn limit(which: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let value = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: reads `value`, which is alive.
    worked(unsafe { libc::setrlimit(which, &raw const value) })
}

/// Installs a seccomp filter that answers `errno` to one system call and allows all others. Without no_new_privs only
/// root may.
pub fn filter(call: i64, errno: u32) -> io::Result<()> {
    let load_number = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let number = u32::try_from(call).unwrap_or(u32::MAX);
    let is_it = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number };
    let refuse = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | errno };
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
    let mut program = [load_number, is_it, refuse, allow];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the program is as long as it is said to be, and it and its description outlive the call.
    worked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })
}

/// Sets no_new_privs.
pub fn no_new_privs() -> io::Result<()> {
    // SAFETY: integer arguments only.
    worked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Makes the call `number`; its answer is thrown away, but for the error.
pub(crate) fn call(number: i64, arguments: [u64; 6]) -> Result<(), nix::errno::Errno> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: every row of the table passes null, small numbers, or pointers to constants that the kernel only reads.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    nix::errno::Errno::result(result).map(drop)
}

/// getpid(2) through the 32-bit door of the kernel.
#[cfg(target_arch = "x86_64")]
pub(crate) fn i386_getpid() {
    // SAFETY: call 20 of that table is getpid, which touches no memory; every register that it may change is named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
}
