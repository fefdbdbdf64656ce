//! The only place with `unsafe` in this crate.
#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

/// Takes descriptor 3, which we were started with, and closes all above.
pub(crate) fn inherited() -> Option<OwnedFd> {
    // SAFETY: the first statement of main: nothing in this process owns a descriptor yet.
    unsafe { libc::close_range(4, libc::c_uint::MAX, 0) };
    // SAFETY: borrowed for one fcntl call only, which answers EBADF for a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(3) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open and nothing else in this process owns it; called once.
    Some(unsafe { OwnedFd::from_raw_fd(3) })
}
