//! The system call that this program is about.
#![allow(unsafe_code)]

use nix::errno::Errno;

/// Pushes a byte into the input of the terminal on standard input (TIOCSTI), with the request's number as it is or with
/// a bit above those that the kernel looks at.
pub(crate) fn push(byte: u8, high: bool) -> Result<(), Errno> {
    let request = nix::libc::TIOCSTI | if high { 1 << 32 } else { 0 };
    // SAFETY: the kernel reads one byte at an address that is good for the time of the call.
    Errno::result(unsafe { nix::libc::syscall(nix::libc::SYS_ioctl, 0, request, &raw const byte) }).map(drop)
}
