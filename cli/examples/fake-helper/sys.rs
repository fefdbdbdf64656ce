//! Descriptors by number, and fork.
#![allow(unsafe_code)]
use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};

/// Descriptor 3.
pub(crate) fn channel() -> OwnedFd {
    // SAFETY: whoever starts this program hands it the channel there, and nothing else here uses the number.
    unsafe { OwnedFd::from_raw_fd(3) }
}

/// Forks a process that becomes the leader of its own group and executes `command` once `gate` has a byte.
pub(crate) fn launch(command: &[CString], gate: &OwnedFd) -> i32 {
    // SAFETY: the child calls only async-signal-safe functions until it executes or exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let _ = rustix::process::setpgid(None, None);
        for signal in [libc::SIGPIPE, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            // SAFETY: the default action is no function of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        let _ = rustix::io::read(gate, &mut [0u8; 1]);
        let _ = nix::unistd::execvp(command.first().unwrap(), command);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(127) };
    }
    let _ = rustix::process::setpgid(rustix::process::Pid::from_raw(pid), None);
    pid
}
