//! The only place with `unsafe` in this crate.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The number under which the CLI hands its end of the conversation over.
pub(crate) const CHANNEL: i32 = 3;

/// Closes every descriptor but the first three and the channel.
pub(crate) fn close_all_but_channel() -> io::Result<()> {
    let first = u32::try_from(CHANNEL + 1).unwrap_or(4);
    // SAFETY: nothing in this process owns a descriptor yet: it is the first statement of main.
    let result = unsafe { libc::close_range(first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes ownership of the channel, close-on-exec; `None` if the number is not open.
pub(crate) fn inherited_channel() -> Option<OwnedFd> {
    // SAFETY: borrowed for one fcntl call only, which answers EBADF for a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open and nothing else in this process owns it; called once, from entry.
    Some(unsafe { OwnedFd::from_raw_fd(CHANNEL) })
}

/// Empties the environment.
pub(crate) fn clear_environment() {
    // SAFETY: one thread, and no reference into the environment is held.
    let _ = unsafe { libc::clearenv() };
}

/// Gives every signal its default action and disarms every interval timer.
pub(crate) fn reset_signals_and_timers() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is no function of ours. Numbers that cannot be changed are passed over.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // SAFETY: a structure of integers, for which all zeros is a valid value: a disarmed timer.
    let off: libc::itimerval = unsafe { std::mem::zeroed() };
    for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: reads `off`, which is alive; the former value is not asked for.
        unsafe { libc::setitimer(which, &raw const off, std::ptr::null_mut()) };
    }
    // SAFETY: integer arguments only; 0 restores the default slack.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 0, 0, 0, 0) };
}

/// Ends this process at once, without running anything registered for its end.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Gives `fd` the number `to`, kept across execve(2).
pub(crate) fn duplicate_to(fd: BorrowedFd<'_>, to: i32) -> io::Result<()> {
    if fd.as_raw_fd() == to {
        return Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?);
    }
    // SAFETY: used in a child that is about to execute and uses nothing that had the number `to`.
    let result = unsafe { libc::dup2(fd.as_raw_fd(), to) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Executes the file at `program` (execveat(2), empty path). Returns only with the error.
pub(crate) fn execute(program: BorrowedFd<'_>, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: both vectors end in a null pointer, and they and the strings outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
