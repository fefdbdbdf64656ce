//! What every child of ours has in common. posix_spawn(3) shares our memory with it until it executes: a copy of our page
//! tables, and then of every page that we write to, would take longer than all else that is done here.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFlags};
use nix::sys::signal::{SigSet, Signal};

/// Words for a program, as the kernel takes them.
pub(crate) fn words<'a>(words: impl Iterator<Item = &'a OsStr>) -> Result<Vec<CString>, Errno> {
    words.map(text).collect()
}

/// Our whole environment.
pub(crate) fn environment() -> Result<Vec<CString>, Errno> {
    let variable =
        |(name, value): (OsString, OsString)| text(&[name.as_os_str(), value.as_os_str()].join(OsStr::new("=")));
    std::env::vars_os().map(variable).collect()
}

/// No signal ignored that we were not started to ignore, and this mask.
pub(crate) fn attributes(mask: SigSet, more: PosixSpawnFlags) -> Result<PosixSpawnAttr, Errno> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_sigmask(&mask)?;
    // Rust ignores it, and what is ignored stays ignored.
    attributes.set_sigdefault(&SigSet::from_iter([Signal::SIGPIPE]))?;
    attributes.set_flags(more | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
    Ok(attributes)
}

fn text(bytes: &OsStr) -> Result<CString, Errno> {
    CString::new(bytes.as_bytes()).map_err(|_| Errno::EINVAL)
}
