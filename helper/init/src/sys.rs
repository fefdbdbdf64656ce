//! The only place with `unsafe` in this program.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::ForkResult;

use crate::command::Command;

/// The number under which the supervisor hands the channel over.
const CHANNEL: i32 = 3;

/// Takes ownership of descriptor 3, close-on-exec; `None` if it is not open.
pub(crate) fn inherited_channel() -> Option<OwnedFd> {
    // SAFETY: borrowed for one fcntl call only, which answers EBADF for a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open (the call above worked) and nothing else in this program owns it; called once, from main.
    Some(unsafe { OwnedFd::from_raw_fd(CHANNEL) })
}

/// Forks. This program has one thread, so the child may do anything the parent may.
pub(crate) fn fork() -> Result<ForkResult, Errno> {
    // SAFETY: only async-signal-safe functions are required in the child of a threaded program; there is one thread.
    unsafe { nix::unistd::fork() }
}

/// Gives `fd` the number `to`, kept across execve(2).
pub(crate) fn duplicate_to(fd: BorrowedFd<'_>, to: i32) -> Result<(), Errno> {
    // SAFETY: dup2 closes whatever `to` was; the caller uses a number far above any descriptor of this program.
    Errno::result(unsafe { nix::libc::dup2(fd.as_raw_fd(), to) }).map(drop)
}

/// Gives every signal its default action. Numbers that cannot be changed, or do not exist, are passed over.
pub(crate) fn default_dispositions() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is no function of ours, so nothing can run at a bad moment.
        unsafe { nix::libc::signal(number, nix::libc::SIG_DFL) };
    }
}

/// Ends this process at once, without running anything registered for its end.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { nix::libc::_exit(status) }
}

/// Executes the command; as execvp(3) does, a file without a known format is given to /bin/sh.
pub(crate) fn execute(command: &Command) -> Errno {
    match nix::unistd::execve(&command.file, &command.arguments, &command.environment) {
        Err(Errno::ENOEXEC) => as_script(command).err().unwrap_or(Errno::ENOEXEC),
        Err(e) => e,
    }
}

fn as_script(command: &Command) -> Result<Infallible, Errno> {
    let shell: &CStr = c"/bin/sh";
    let mut arguments: Vec<CString> = vec![shell.to_owned(), command.file.clone()];
    arguments.extend(command.arguments.iter().skip(1).cloned());
    nix::unistd::execve(shell, &arguments, &command.environment)
}
