//! The call that needs `unsafe`.

use std::os::fd::{BorrowedFd, RawFd};

/// A descriptor that the starting process left open under a number that it told us.
pub(crate) fn inherited(number: RawFd) -> Option<BorrowedFd<'static>> {
    if number < 0 {
        return None;
    }
    // SAFETY: `number` is not -1. Nothing in this program closes it; if it was never open, its use says EBADF.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}
