//! Watching the sandbox's mounts: one that a process outside makes vanish (by renaming what it covers) would leave the
//! agent with more than the plan says.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};

use agent_aws_protocol::{FailureCode, Refusal};

use crate::refusal::refuse;

/// The mounts of a sandbox as they were when it began.
pub(crate) struct Mounts {
    table: File,
    planned: BTreeSet<u64>,
}

impl Mounts {
    /// Remembers the mounts that the process `pid` sees.
    pub(crate) fn of(pid: i32) -> Result<Self, Refusal> {
        let fail = |e| refuse(FailureCode::Kernel, format_args!("the sandbox's mount table: {e}"));
        let table = File::open(format!("/proc/{pid}/mountinfo")).map_err(fail)?;
        let planned = read(&table).map_err(fail)?;
        if planned.is_empty() {
            return Err(refuse(FailureCode::Kernel, "the sandbox has no mounts"));
        }
        Ok(Self { table, planned })
    }

    /// Whether every planned mount is still there. More may have come, in a nested sandbox of the agent's.
    pub(crate) fn all_there(&self) -> bool {
        read(&self.table).is_ok_and(|now| self.planned.is_subset(&now))
    }
}

impl AsFd for Mounts {
    /// POLLPRI tells that the table changed (proc_pid_mountinfo(5)).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.table.as_fd()
    }
}

/// Ids of all mounts: the first field of each line.
fn read(mut table: &File) -> std::io::Result<BTreeSet<u64>> {
    let mut text = Vec::new();
    table.rewind()?;
    table.read_to_end(&mut text)?;
    let id = |line: &[u8]| std::str::from_utf8(line.split(|b| *b == b' ').next()?).ok()?.parse().ok();
    Ok(text.split(|b| *b == b'\n').filter_map(id).collect())
}
