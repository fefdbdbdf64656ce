//! What can be seen without any privilege.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use super::{Finding, Grade};
use crate::command::policy;
use crate::{helper, say, sys};

/// The oldest kernel that has what the networks `none` and `filtered` need, and the one that `shared` needs.
const FLOOR: (u32, u32) = (6, 1);
const FLOOR_SHARED: (u32, u32) = (6, 12);
/// Landlock's ABI with scopes for abstract sockets and signals.
const LANDLOCK_SCOPES: i64 = 6;
/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2: i64 = 0x6367_7270;

/// All checks, in the order in which a session would fail.
pub(super) fn all() -> Vec<Finding> {
    let mut findings = helper_findings();
    findings.extend([no_new_privs(), kernel(), landlock(), user_namespaces(), cgroup(), policy_file(), clock()]);
    findings.extend(broker_user());
    findings
}

/// Keeps the credentials of the policy's identities, where the helper has its setuid bit.
fn broker_user() -> Option<Finding> {
    let detail = |user: nix::unistd::User| Finding::new(Grade::Ok, "broker user", format!("uid {}", user.uid));
    let missing = || Finding::new(Grade::Fail, "broker user", "_agent-aws is missing; reinstall agent-aws");
    is_setuid().then(|| nix::unistd::User::from_name("_agent-aws").ok().flatten().map_or_else(missing, detail))
}

fn helper_findings() -> Vec<Finding> {
    let path = match helper::path() {
        Ok(path) => path,
        Err(failure) => return vec![Finding::new(Grade::Fail, "helper", failure.to_string())],
    };
    let status = match fs::symlink_metadata(&path) {
        Ok(status) => status,
        Err(e) => {
            let detail = format!("{}: {e}; run make install, or install the package again", path.display());
            return vec![Finding::new(Grade::Fail, "helper", detail)];
        }
    };
    let place = path.display().to_string();
    if !status.is_file() {
        return vec![Finding::new(Grade::Fail, "helper", format!("{place} is no regular file"))];
    }
    vec![Finding::new(Grade::Ok, "helper", place), setuid(&status, &path), nosuid(&path)]
}

fn setuid(status: &fs::Metadata, path: &Path) -> Finding {
    let mode = status.mode() & 0o7777;
    let seen = format!("owner {}, mode {mode:04o}", status.uid());
    let is_setuid = mode & 0o4000 != 0;
    match (is_setuid, status.uid()) {
        (true, 0) if mode & 0o022 != 0 => {
            let fix = format!("{seen}: others may write to it; chmod 4755 {}", path.display());
            Finding::new(Grade::Fail, "setuid", fix)
        }
        (true, 0) => Finding::new(Grade::Ok, "setuid", seen),
        (true, _) => {
            let fix = format!("{seen}: it must be root's; chown root {} and chmod 4755", path.display());
            Finding::new(Grade::Fail, "setuid", fix)
        }
        (false, _) => {
            let means = format!("{seen}: no setuid bit, so policy is advisory and only own sources can be used");
            Finding::new(Grade::Warn, "setuid", means)
        }
    }
}

fn nosuid(path: &Path) -> Finding {
    match statvfs(path) {
        Ok(mount) if mount.f_flag.contains(StatVfsMountFlags::NOSUID) => {
            let fix = "the file system is mounted nosuid, so the setuid bit has no effect; install elsewhere";
            Finding::new(Grade::Warn, "mount", fix)
        }
        Ok(_) => Finding::new(Grade::Ok, "mount", "setuid programs are allowed there"),
        Err(e) => Finding::new(Grade::Warn, "mount", e.to_string()),
    }
}

fn no_new_privs() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"));
    match value.map(str::trim) {
        Some("0") => Finding::new(Grade::Ok, "no_new_privs", "not set"),
        Some(_) => {
            let fix = "set by whoever started this shell (a container, systemd, another sandbox), so setuid programs have no effect; start from a plain login";
            Finding::new(Grade::Warn, "no_new_privs", fix)
        }
        None => Finding::new(Grade::Warn, "no_new_privs", "unknown: /proc/self/status does not say"),
    }
}

/// `(6, 1)` of `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    match version(&release) {
        Some(v) if v >= FLOOR_SHARED => Finding::new(Grade::Ok, "kernel", release),
        Some(v) if v >= FLOOR => {
            let means = format!("{release}: network = \"shared\" needs 6.12 or a waiver in policy");
            Finding::new(Grade::Warn, "kernel", means)
        }
        Some(_) => Finding::new(Grade::Fail, "kernel", format!("{release}: 6.1 or newer is needed")),
        None => Finding::new(Grade::Warn, "kernel", format!("{release}: not understood")),
    }
}

fn landlock() -> Finding {
    match sys::landlock_abi() {
        Some(abi) if abi >= LANDLOCK_SCOPES => Finding::new(Grade::Ok, "Landlock", format!("ABI {abi}")),
        Some(abi) => {
            let means = format!("ABI {abi}: network = \"shared\" needs ABI {LANDLOCK_SCOPES} or a waiver in policy");
            Finding::new(Grade::Warn, "Landlock", means)
        }
        None => {
            let fix = "not enabled; boot with lsm=landlock,... (see /sys/kernel/security/lsm)";
            Finding::new(Grade::Fail, "Landlock", fix)
        }
    }
}

/// A number in a file of /proc/sys.
fn sysctl(name: &str) -> Option<i64> {
    let path = PathBuf::from("/proc/sys").join(name);
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What keeps a process without privilege from making a user namespace, if something does.
pub(super) fn user_namespaces_off() -> Option<&'static str> {
    let settings = [
        ("user/max_user_namespaces", 0, "user.max_user_namespaces is 0"),
        ("kernel/unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone is 0"),
        ("kernel/apparmor_restrict_unprivileged_userns", 1, "kernel.apparmor_restrict_unprivileged_userns is 1"),
    ];
    settings.into_iter().find(|(file, off, _)| sysctl(file) == Some(*off)).map(|(_, _, words)| words)
}

/// Whether the helper has a setuid bit of root's.
pub(super) fn is_setuid() -> bool {
    let found = helper::path().ok().and_then(|path| fs::symlink_metadata(path).ok());
    found.is_some_and(|f| f.uid() == 0 && f.mode() & 0o4000 != 0)
}

fn user_namespaces() -> Finding {
    const WHAT: &str = "user namespaces";
    match user_namespaces_off() {
        Some(by) => Finding::new(Grade::Warn, WHAT, format!("{by}; needed only without the setuid bit")),
        None => Finding::new(Grade::Ok, WHAT, "available to everybody"),
    }
}

fn cgroup() -> Finding {
    match statfs("/sys/fs/cgroup") {
        Ok(found) if i128::from(found.f_type) == i128::from(CGROUP2) => Finding::new(Grade::Ok, "cgroup", "version 2"),
        Ok(_) => {
            let fix = "version 1 or hybrid; boot with systemd.unified_cgroup_hierarchy=1";
            Finding::new(Grade::Warn, "cgroup", fix)
        }
        Err(e) => Finding::new(Grade::Warn, "cgroup", format!("/sys/fs/cgroup: {e}")),
    }
}

fn policy_file() -> Finding {
    let path = Path::new(policy::DIRECTORY).join("policy.toml");
    match fs::metadata(&path) {
        Ok(status) if status.uid() != 0 || status.mode() & 0o022 != 0 => {
            let fix = format!("{} must be root's and writable by root only", path.display());
            Finding::new(Grade::Fail, "policy", fix)
        }
        Ok(_) => Finding::new(Grade::Ok, "policy", path.display().to_string()),
        Err(e) => {
            let fix = format!("{}: {e}; run make install, or install the package again", path.display());
            Finding::new(Grade::Fail, "policy", fix)
        }
    }
}

/// AWS refuses requests that are signed more than five minutes off. Nobody is asked for the time: a clock that is behind
/// the installation is certainly wrong.
fn clock() -> Finding {
    let installed =
        helper::path().ok().and_then(|path| fs::metadata(path).ok()?.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
    let behind = installed.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let seen = format!("{} UTC", say::date_time(say::now()));
    if behind > Duration::from_secs(300) {
        let fix = format!(
            "{seen}, before agent-aws was built; AWS refuses signatures that are five minutes off: set the clock"
        );
        return Finding::new(Grade::Fail, "clock", fix);
    }
    Finding::new(Grade::Ok, "clock", seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_compared_as_numbers() {
        assert_eq!(version("6.12.0-rc1"), Some((6, 12)));
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert!(version("6.9.3").unwrap() < FLOOR_SHARED);
        assert_eq!(version("odd"), None);
    }
}
