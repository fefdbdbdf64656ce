//! The host's name servers, where /etc/resolv.conf leads out of /etc: the sandbox has a /run of its own.

use std::path::{Path, PathBuf};

/// The largest resolv.conf that is copied, in bytes.
const MOST: u64 = 64 * 1024;

/// Where resolv.conf really is, and what is in it, if that lies in /run.
pub(crate) fn outside_etc() -> Option<(PathBuf, Vec<u8>)> {
    let real = std::fs::canonicalize("/etc/resolv.conf").ok()?;
    if !real.starts_with(Path::new("/run")) || real.starts_with("/run/agent-aws") {
        return None;
    }
    let found = std::fs::metadata(&real).ok()?;
    if !found.is_file() || found.len() > MOST {
        return None;
    }
    Some((real.clone(), std::fs::read(&real).ok()?))
}
