//! A control group (cgroups(7), version 2) for one session: its limits count the session's processes and nobody else's.
//!
//! Why it lies where it lies, and what is systemd's, is in docs/adr/0006.

use std::fs::{self, File, Permissions, read_to_string};
use std::io::{Error, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agent_aws_policy::Limits;
use rustix::fs::{AtFlags, FlockOperation, flock, statfs, unlinkat};

use crate::error::Failure;

/// Where cgroup v2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// The group of all our groups.
const OURS: &str = "agent-aws";
/// Files that limit a group, if they hold more than nothing or `max`.
const BINDING: [&str; 6] = ["pids.max", "memory.max", "memory.high", "cpu.max", "cpuset.cpus", "io.max"];
/// Processes and threads of a session whose sandbox says nothing of them.
pub const USUAL_PIDS: u64 = 8192;

/// The group of a session. Dropping it removes it, once its processes have ended.
#[derive(Debug)]
pub struct Group {
    all: File,
    name: String,
    /// For clone3(2).
    pub own: File,
}

impl Group {
    /// Makes it, with its limits, and removes those that dead sessions left. Where that cannot be done: a failure if
    /// `limits` asks for it, `None` if not. With `bare` there is one even if it can limit nothing.
    pub fn make(name: &str, limits: &Limits, bare: bool) -> std::result::Result<Option<Self>, Failure> {
        match place().and_then(|place| Self::below(&place, name, limits, bare)) {
            Err(e) if limits.pids.or(limits.memory).is_some() => Err(Failure::plain("limiting the session", e)),
            made => Ok(made.ok()),
        }
    }

    fn below(place: &Path, name: &str, limits: &Limits, bare: bool) -> Result<Self> {
        let mut wanted = vec![("pids", limits.pids.unwrap_or(USUAL_PIDS))];
        wanted.extend(limits.memory.map(|bytes| ("memory", bytes)));
        if bare && limits.pids.is_none() {
            wanted.retain(|(controller, _)| *controller != "pids" || enable(place, controller).is_ok());
        }
        wanted.iter().try_for_each(|(controller, _)| enable(place, controller))?;
        let path = place.join(OURS);
        fs::create_dir_all(&path)?;
        let all = File::open(&path)?;
        // Whoever can open it can lock it.
        all.set_permissions(Permissions::from_mode(0o700))?;
        // Until `occupied`, an empty group looks like one of a dead session.
        flock(&all, FlockOperation::LockExclusive)?;
        for left in fs::read_dir(&path)?.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            let _ = fs::remove_dir(left.path());
        }
        let own = path.join(name);
        fs::create_dir(&own)?;
        let group = Self { all, name: name.into(), own: File::open(&own)? };
        for (controller, limit) in wanted {
            enable(&path, controller)?;
            fs::write(own.join(format!("{controller}.max")), limit.to_string())?;
        }
        // What may not be in memory must not fill the swap instead. There is no such file without the controller.
        let _ = fs::write(own.join("memory.swap.max"), "0");
        Ok(group)
    }

    /// The first process is in it: nobody can sweep it any more.
    pub fn occupied(&self) {
        let _ = flock(&self.all, FlockOperation::Unlock);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = unlinkat(&self.all, &self.name, AtFlags::REMOVEDIR);
    }
}

/// The nearest group of root's around the caller's own: what limits that limits the session too. The groups between the
/// two are left, so they must limit nothing.
fn place() -> Result<PathBuf> {
    let version_2 = |p: &&Path| statfs(*p).is_ok_and(|s| s.f_type == libc::CGROUP2_SUPER_MAGIC);
    let root = MOUNTS.iter().map(Path::new).find(version_2);
    let root = root.ok_or_else(|| Error::other("no cgroup v2 is mounted at /sys/fs/cgroup"))?;
    let own = read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).filter(|path| !path.contains(".."));
    let own = root.join(own.ok_or_else(|| Error::other("/sys/fs/cgroup does not show the caller's group"))?);
    let left = |group: &&Path| *group != root && (*group == own || !fs::metadata(group).is_ok_and(|m| m.uid() == 0));
    let set = |file: &PathBuf| read_to_string(file).is_ok_and(|v| !v.trim().is_empty() && !v.starts_with("max"));
    let mut limits = own.ancestors().take_while(left).flat_map(|group| BINDING.map(|file| group.join(file)));
    match (limits.find(set), own.ancestors().find(|group| !left(group))) {
        (None, Some(place)) => Ok(place.into()),
        (limit, _) => {
            let limit = limit.unwrap_or_default();
            Err(Error::other(format!("{} limits the caller, and the session would leave it", limit.display())))
        }
    }
}

/// Sees to it that groups below `place` have the controller. Where systemd runs, groups but ours are systemd's.
fn enable(place: &Path, controller: &str) -> Result<()> {
    let control = place.join("cgroup.subtree_control");
    let has = read_to_string(&control)?.split_whitespace().any(|c| c == controller);
    let may = place.ends_with(OURS) || !Path::new("/run/systemd/system").exists();
    match has || (may && fs::write(&control, format!("+{controller}")).is_ok()) {
        true => Ok(()),
        false => Err(Error::other(format!("{} lacks the controller `{controller}`", control.display()))),
    }
}
