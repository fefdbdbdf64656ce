//! The calls that need `unsafe`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Closes `first` and every descriptor above it. Only for the first statement of `main`.
pub(crate) fn close_from(first: libc::c_uint) -> io::Result<()> {
    // SAFETY: called before this process has opened anything, so no Rust value owns a descriptor that goes away.
    let done = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes over a descriptor that the starting process left for us. May be called once for each number.
pub(crate) fn inherit(number: RawFd) -> OwnedFd {
    // SAFETY: nothing else in this process owns `number`; if it is not open, the first use says EBADF.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// What tells a socket's network namespace from every other one (Linux 5.14).
pub(crate) fn namespace_cookie(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes to `cookie`, and both live until the call returns.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// asm-generic/socket.h
const SO_NETNS_COOKIE: libc::c_int = 71;

/// Has tokio say when `descriptor` can be read.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names one open descriptor for as long as the AsyncFd owns it; that is all that is asked for.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(watched?)
}
