//! The only raw system interface of this program: what neither rustix nor nix offers as a safe call.
#![allow(unsafe_code)]

use std::io;

use agent_aws_protocol::Exit;
use nix::sys::signal::SigSet;

/// Whether `signal` was ignored when we were started (as under nohup): it must stay ignored.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action the call only writes the old one, into space of its size.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    if answer != 0 {
        return false;
    }
    // SAFETY: all zero bytes are a valid sigaction, and the call has filled it in.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Ends this process as the agent ended: with its status, or by the same signal and without a second core file.
pub(crate) fn end_as(exit: Exit) -> ! {
    let signal = match exit {
        Exit::Code(code) => std::process::exit(code),
        Exit::Signal(signal) => signal,
    };
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // SAFETY: the default action is no function of ours, so nothing can be called in a bad moment.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: raise takes a number; the signal stays pending while it is blocked.
    unsafe { libc::raise(signal) };
    let _ = SigSet::all().thread_unblock();
    std::process::exit(128 + signal)
}

/// Whether the kernel (and no filter around us) has this system call. For calls only that refuse a size, flags and a
/// pointer that are all ones: nothing is done.
pub(crate) fn has_call(number: libc::c_long) -> bool {
    const ALL: libc::c_long = -1;
    // SAFETY: no valid pointer is passed, so nothing can be written; whoever calls this names a call that refuses these.
    let answer = unsafe { libc::syscall(number, ALL, 0 as libc::c_long, ALL, 0 as libc::c_long, ALL) };
    answer != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

/// The Landlock ABI of this kernel, if it has Landlock enabled (landlock_create_ruleset(2)).
pub(crate) fn landlock_abi() -> Option<i64> {
    const VERSION: libc::c_uint = 1;
    let (attributes, size) = (std::ptr::null::<libc::c_void>(), 0usize);
    // SAFETY: with the version flag the kernel takes no attributes and creates nothing.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size, VERSION) };
    (abi > 0).then_some(abi)
}

/// Whether the kernel has bpf(2) at all: to whom it gives what is not asked.
pub(crate) fn has_bpf() -> bool {
    const NO_COMMAND: libc::c_long = 10_000;
    // SAFETY: an attribute of no bytes for a command that no kernel has: nothing is read or done.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, NO_COMMAND, std::ptr::null::<libc::c_void>(), 0usize) };
    answer != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}
