//! What the helper leaves to the caller's own rights before it builds the sandbox: the agent's home, and in it what
//! something is mounted on.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use agent_aws_plan::Plan;
use agent_aws_policy::Home;
use agent_aws_protocol::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

use crate::failure::Failure;
use crate::preset::Chosen;

/// What was made ready. Kept until the session ends.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Paths of a real home that must be hidden.
    pub(crate) hide: Vec<Bytes>,
    /// What the caller should know.
    pub(crate) notices: Vec<String>,
}

/// Makes ready what the plan says of the home; with `explain` nothing is made.
pub(crate) fn perform(plan: &Plan, preset: Option<&Chosen>, explain: bool) -> Result<Prepared, Failure> {
    let mut notices = Vec::new();
    if plan.grant.home == Home::Agent && !explain {
        let home = make_home(&plan.home)?;
        for point in &plan.mount_points {
            mount_point(&home, &point.below, &point.source)?;
        }
        notices.extend(preset.into_iter().flat_map(|preset| preset.write(&home)));
    }
    Ok(Prepared { notices, ..Prepared::default() })
}

fn make_home(path: &Path) -> Result<OwnedFd, Failure> {
    let fail = |e: Errno| Failure::Path(path.into(), e.into());
    std::fs::DirBuilder::new().recursive(true).create(path).map_err(|e| Failure::Path(path.into(), e))?;
    openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(fail)
}

/// A directory or an empty file, as what is mounted there; no link on the way is followed.
fn mount_point(home: &OwnedFd, below: &Path, source: &Path) -> Result<(), Failure> {
    let fail = |e: Errno| Failure::Path(below.into(), e.into());
    let Ok(found) = std::fs::metadata(source) else { return Ok(()) };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mut here = PathBuf::new();
    let directories = if found.is_dir() { Some(below) } else { below.parent() };
    for name in directories.unwrap_or(below).iter() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = openat2(
            home,
            if here.as_os_str().is_empty() { Path::new(".") } else { &here },
            flags,
            Mode::empty(),
            resolve,
        );
        match mkdirat(at.map_err(fail)?, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => here.push(name),
            Err(e) => return Err(fail(e)),
        }
    }
    if !found.is_dir() {
        let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat2(home, below, flags, Mode::RUSR | Mode::WUSR, resolve).map_err(fail)?;
    }
    Ok(())
}
