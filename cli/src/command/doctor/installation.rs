//! The installation, and what whoever started us left of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::{Finding, Grade};
use crate::command::policy;
use crate::{helper, say};

const REINSTALL: &str = "run make install, or install the package again";

/// The helper and what gives it power.
pub(super) fn all() -> Vec<Finding> {
    let row =
        |grade, given: String, by: &str| Finding::new(grade, "helper", "a program of root's", given, by).fix(REINSTALL);
    let path = match helper::path() {
        Ok(path) => path,
        Err(failure) => return vec![row(Grade::Fail, failure.to_string(), "/proc/self/exe")],
    };
    let place = path.display().to_string();
    match fs::symlink_metadata(&path) {
        Err(e) => vec![row(Grade::Fail, e.to_string(), &place)],
        Ok(status) if !status.is_file() => vec![row(Grade::Fail, "no regular file".into(), &place)],
        Ok(status) => {
            let there = row(Grade::Ok, "a regular file".into(), &place);
            vec![there, setuid(&status, &path), nosuid(&path), no_new_privs()]
        }
    }
}

/// Whether the helper has a setuid bit of root's.
pub(super) fn is_setuid() -> bool {
    let found = helper::path().ok().and_then(|path| fs::symlink_metadata(path).ok());
    found.is_some_and(|f| f.uid() == 0 && f.mode() & 0o4000 != 0)
}

fn setuid(status: &fs::Metadata, path: &Path) -> Finding {
    let mode = status.mode() & 0o7777;
    let (grade, fix) = match (mode & 0o4000 != 0, status.uid()) {
        (true, 0) if mode & 0o022 != 0 => (Grade::Fail, "others may write to it: chmod 4755"),
        (true, 0) => (Grade::Ok, ""),
        (true, _) => (Grade::Fail, "it must be root's: chown root, then chmod 4755"),
        (false, _) => {
            (Grade::Warn, "policy is advisory and only own sources can be used; for more, install setuid root")
        }
    };
    let given = format!("owner {}, mode {mode:04o}", status.uid());
    let asked = "owner 0, mode 4755, for policy that binds";
    Finding::new(grade, "setuid bit", asked, given, path.display().to_string()).fix(fix)
}

fn nosuid(path: &Path) -> Finding {
    let (grade, given) = match statvfs(path) {
        Ok(mount) if mount.f_flag.contains(StatVfsMountFlags::NOSUID) => (Grade::Warn, "nosuid".to_owned()),
        Ok(_) => (Grade::Ok, "setuid programs are allowed".to_owned()),
        Err(e) => (Grade::Warn, e.to_string()),
    };
    let place = path.parent().unwrap_or(path).display().to_string();
    let fix = "the setuid bit has no effect on a file system that is mounted nosuid: install elsewhere";
    Finding::new(grade, "file system", "not mounted nosuid", given, place).fix(fix)
}

fn no_new_privs() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).map(str::trim);
    let given = match value {
        Some("0") => "not set",
        Some(_) => "set",
        None => "unknown",
    };
    let fix = "whoever started this shell set it (a container, systemd, another sandbox), so setuid programs have no \
               effect: start from a plain login";
    let grade = Grade::Warn.unless(given == "not set");
    Finding::new(grade, "no_new_privs", "not set", given, "NoNewPrivs of /proc/self/status").fix(fix)
}

/// Keeps the credentials of the policy's identities, where the helper has its setuid bit.
pub(super) fn users() -> Vec<Finding> {
    let user = |what, name: &str, whom| {
        let found = nix::unistd::User::from_name(name).ok().flatten();
        let given = found.as_ref().map_or("missing".to_owned(), |user| format!("uid {}", user.uid));
        let asked = format!("{name}, {whom}");
        Finding::new(Grade::Fail.unless(found.is_some()), what, asked, given, "the user database").fix(REINSTALL)
    };
    let all = || {
        vec![
            user("broker user", "_agent-aws", "for sources of root's"),
            user("gateway user", "_agent-aws-net", "for network \"filtered\" and \"shared\""),
        ]
    };
    is_setuid().then(all).unwrap_or_default()
}

/// The file; whether what it says is valid, the helper tells.
pub(super) fn policy_file() -> Finding {
    let path = Path::new(policy::DIRECTORY).join("policy.toml");
    let (grade, given) = match fs::metadata(&path) {
        Ok(status) if status.uid() != 0 || status.mode() & 0o022 != 0 => {
            (Grade::Fail, format!("owner {}, mode {:04o}", status.uid(), status.mode() & 0o7777))
        }
        Ok(_) => (Grade::Ok, "root's".into()),
        Err(e) => (Grade::Fail, e.to_string()),
    };
    let asked = "root's, writable by nobody else";
    let fix = format!("chown root and chmod 0644 where it is there; else {REINSTALL}");
    Finding::new(grade, "policy file", asked, given, path.display().to_string()).fix(fix)
}

/// AWS refuses requests that are signed more than five minutes off. Nobody is asked for the time: a clock that is behind
/// the installation is certainly wrong.
pub(super) fn clock() -> Finding {
    let installed =
        helper::path().ok().and_then(|path| fs::metadata(path).ok()?.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
    let behind = installed.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let given = format!("{} UTC", say::date_time(say::now()));
    let grade = Grade::Fail.unless(behind <= Duration::from_secs(300));
    let fix = "that is before agent-aws was built; AWS refuses signatures that are five minutes off: set the clock";
    Finding::new(grade, "clock", "right to five minutes", given, "clock_gettime(2)").fix(fix)
}
