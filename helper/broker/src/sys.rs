//! The calls that need `unsafe`.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::process::Resource;
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

/// Keeps what this process has in memory now and later from being written to swap. Only where there is no limit to that:
/// with one, memory could not be had any more at some time.
pub(crate) fn lock_all() {
    if rustix::process::getrlimit(Resource::Memlock).current.is_none() {
        // SAFETY: changes how the kernel treats our pages, and nothing of what is in them.
        let _ = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    }
}

/// Keeps the pages under `secret` from being written to swap, as far as the limit of the process goes, until it ends.
pub(crate) fn lock(secret: &[u8]) {
    // SAFETY: the range is that of a live slice; see above.
    let _ = unsafe { libc::mlock(secret.as_ptr().cast(), secret.len()) };
}

/// Has tokio say when `descriptor` can be read.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names one open descriptor for as long as the AsyncFd owns it; that is all that is asked for.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(watched?)
}
