//! Typing into a terminal: one of this process's own, which it takes as its controlling one first, so that only a filter
//! can refuse.

use std::os::fd::OwnedFd;

use crate::{Check, Facts, Result, os, word};

pub(crate) const CHECKS: &[Check] = &[
    ("type into the terminal", |f| type_into(f, 0)),
    ("the same, with high bits set", |f| type_into(f, 1 << 32)),
    ("open /dev/tty", |_| {
        let _slave = terminal()?;
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map(drop).map_err(os)
    }),
];

/// Kept open on both sides until this process ends: a terminal that is gone hangs up.
fn terminal() -> std::result::Result<OwnedFd, String> {
    nix::unistd::setsid().map_err(word)?;
    let pair = nix::pty::openpty(None, None).map_err(word)?;
    rustix::process::ioctl_tiocsctty(&pair.slave).map_err(|e| os(e.into()))?;
    std::mem::forget(pair.master);
    Ok(pair.slave)
}

fn type_into(_: &Facts, high: u64) -> Result {
    let slave = terminal()?;
    agent_aws_e2e::calls::type_into(&slave, high).map_err(word)
}
