//! What a session can be limited by: control groups with the setuid bit, RLIMIT_NPROC without. Where a group lies, and
//! why, is in docs/adr/0006; the helper looks for itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::kernel::words;
use super::{Asked, Finding, Grade, installation};

/// Where cgroup v2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2: i128 = 0x6367_7270;

/// Where cgroup v2 is mounted, if it is.
pub(super) fn root() -> Option<&'static Path> {
    MOUNTS.iter().map(Path::new).find(|p| statfs(*p).is_ok_and(|s| i128::from(s.f_type) == CGROUP2))
}

pub(super) fn all(asked: &Asked) -> [Finding; 3] {
    let root = root();
    let place = root.and_then(place);
    let pids = asked.by(|s| s.limits.pids.is_some());
    let memory = asked.by(|s| s.limits.memory.is_some());
    let setuid = installation::is_setuid();
    let limits = match setuid {
        true => [limit("pids", &pids, place.as_deref()), limit("memory", &memory, place.as_deref())],
        false => [pids_without(&pids), memory_without(&memory)],
    };
    let [one, two] = limits;
    [version_2(root, setuid), one, two]
}

fn version_2(root: Option<&Path>, setuid: bool) -> Finding {
    let given = if root.is_some() { "mounted" } else { "not mounted" };
    let asked = if setuid { "for limits of a session" } else { "only with the setuid bit" };
    let by = root.map_or(MOUNTS[0].to_owned(), |root| root.display().to_string());
    let fix = "boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 at /sys/fs/cgroup";
    Finding::new(Grade::Warn.unless(root.is_some() || !setuid), "cgroup v2", asked, given, by).fix(fix)
}

/// The nearest group of root's around the caller's own.
fn place(root: &Path) -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = root.join(own.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let fits = |group: &&Path| *group == root || (*group != own && fs::metadata(group).is_ok_and(|m| m.uid() == 0));
    own.ancestors().find(fits).map(Into::into)
}

/// Without systemd the helper enables what the group has, so that counts as given.
fn limit(controller: &str, sandboxes: &[&str], place: Option<&Path>) -> Finding {
    let own_to_enable = !Path::new("/run/systemd/system").exists();
    let file = if own_to_enable { "cgroup.controllers" } else { "cgroup.subtree_control" };
    let file = place.unwrap_or(Path::new(MOUNTS[0])).join(file);
    let has = fs::read_to_string(&file).is_ok_and(|all| all.split_whitespace().any(|c| c == controller));
    let asked = match (sandboxes.is_empty(), controller) {
        (false, _) => words(sandboxes),
        (true, "pids") => "8192, where it can be had".to_owned(),
        (true, _) => "by no sandbox".to_owned(),
    };
    let grade = if sandboxes.is_empty() { Grade::Warn } else { Grade::Fail };
    let grade = grade.unless(has || (sandboxes.is_empty() && controller != "pids"));
    let given = if has { "there" } else { "not there" };
    let fix = "let systemd account for it (TasksAccounting=, MemoryAccounting=); where version 1 has the controller, boot \
               with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all; or take the limit out of the sandbox";
    Finding::new(grade, &format!("limit {controller}"), asked, given, file.display().to_string()).fix(fix)
}

fn pids_without(sandboxes: &[&str]) -> Finding {
    let asked = if sandboxes.is_empty() { "8192".to_owned() } else { words(sandboxes) };
    Finding::new(Grade::Ok, "limit pids", asked, "there", "RLIMIT_NPROC in the session's user namespace")
}

fn memory_without(sandboxes: &[&str]) -> Finding {
    let asked = if sandboxes.is_empty() { "by no sandbox".to_owned() } else { words(sandboxes) };
    let fix = "only the setuid helper can limit it: install setuid root, or take `memory` out of the sandbox";
    let grade = Grade::Fail.unless(sandboxes.is_empty());
    Finding::new(grade, "limit memory", asked, "not without the setuid bit", "cgroups(7), delegation").fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_asked_for_and_cannot_be_had_is_a_failure() {
        let nowhere = Some(Path::new("/nowhere"));
        assert_eq!(limit("pids", &["small"], nowhere).grade, Grade::Fail);
        assert_eq!(limit("pids", &[], nowhere).grade, Grade::Warn);
        assert_eq!(limit("memory", &["small"], nowhere).grade, Grade::Fail);
        assert_eq!(limit("memory", &[], nowhere).grade, Grade::Ok);
        assert_eq!(memory_without(&["small"]).grade, Grade::Fail);
        assert_eq!(memory_without(&[]).grade, Grade::Ok);
    }
}
