//! What the kernel gives, and which of its settings take from it.

use std::fs;
use std::path::PathBuf;

use agent_aws_policy::{Network, Waiver};

use super::{Asked, Finding, Grade, installation};
use crate::sys;

/// The oldest kernel that has what the networks `none` and `filtered` need, and the one that `shared` needs.
const FLOOR: (u32, u32) = (6, 1);
const FLOOR_SHARED: (u32, u32) = (6, 12);
/// Landlock's ABI with scopes for abstract sockets and signals.
const LANDLOCK_SCOPES: i64 = 6;
/// A system call by name and number.
type Call = (&'static str, libc::c_long);
/// System calls that set a sandbox up, what each group is for, and the kernel that has all of it.
const CALLS: [(&str, &[Call], &str); 4] = [
    ("paths without links", &[("openat2", libc::SYS_openat2)], "5.6"),
    (
        "detached mounts",
        &[("open_tree", libc::SYS_open_tree), ("move_mount", libc::SYS_move_mount), ("fsopen", libc::SYS_fsopen)],
        "5.2",
    ),
    ("mount attributes", &[("mount_setattr", libc::SYS_mount_setattr)], "5.12"),
    (
        "processes by descriptor",
        &[
            ("clone3", libc::SYS_clone3),
            ("pidfd_open", libc::SYS_pidfd_open),
            ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
        ],
        "5.3",
    ),
];
/// What seccomp filters answer with.
const ACTIONS: [&str; 3] = ["kill_process", "errno", "allow"];

pub(super) fn all(asked: &Asked) -> Vec<Finding> {
    let mut findings = vec![version_of(&release())];
    findings.extend(CALLS.map(|(what, calls, since)| has_calls(what, calls, since)));
    findings.extend([user_namespaces(), landlock(asked, sys::landlock_abi()), scopes(asked, sys::landlock_abi())]);
    findings.extend([seccomp(), hidepid()]);
    findings
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// `(6, 1)` of `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn version_of(release: &str) -> Finding {
    let (grade, fix) = match version(release) {
        Some(v) if v >= FLOOR_SHARED => (Grade::Ok, ""),
        Some(v) if v >= FLOOR => {
            (Grade::Warn, "use network \"filtered\" or \"none\", or waive `landlock-scopes` in policy for \"shared\"")
        }
        Some(_) => (Grade::Fail, "boot a newer kernel"),
        None => (Grade::Warn, "its version is not understood: look at the rows below"),
    };
    let asked = "6.1; 6.12 for network \"shared\"";
    Finding::new(grade, "kernel", asked, release, "uname(2)").fix(fix)
}

fn has_calls(what: &str, calls: &[Call], since: &str) -> Finding {
    let names = |list: &[&Call]| list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let missing: Vec<_> = calls.iter().filter(|(_, number)| !sys::has_call(*number)).collect();
    let given = if missing.is_empty() { "there".to_owned() } else { format!("no {}", names(&missing)) };
    let fix = format!("Linux {since} has them; a container or another sandbox may filter them");
    let by = names(&calls.iter().collect::<Vec<_>>());
    Finding::new(Grade::Fail.unless(missing.is_empty()), what, format!("Linux {since}"), given, by).fix(fix)
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

fn user_namespaces() -> Finding {
    let needed = !installation::is_setuid();
    let asked = if needed { "for a sandbox without the setuid bit" } else { "only without the setuid bit" };
    let by = user_namespaces_off();
    let given = if by.is_none() { "for everybody" } else { "switched off or restricted" };
    let grade = match (by.is_none(), needed) {
        (true, _) => Grade::Ok,
        (false, true) => Grade::Fail,
        (false, false) => Grade::Warn,
    };
    let fix = "set it with sysctl, or let AppArmor have a profile for the helper; nothing to do with the setuid bit";
    Finding::new(grade, "user namespaces", asked, given, by.unwrap_or("user.max_user_namespaces and its like")).fix(fix)
}

fn landlock(asked: &Asked, abi: Option<i64>) -> Finding {
    let strict = asked.by(|s| !s.waive.contains(&Waiver::Landlock));
    let given = abi.map_or("not enabled".to_owned(), |abi| format!("ABI {abi}"));
    let grade = match (abi, strict.is_empty() && asked.0.is_some()) {
        (Some(_), _) => Grade::Ok,
        (None, true) => Grade::Warn,
        (None, false) => Grade::Fail,
    };
    let fix = "boot with lsm=landlock,... (/sys/kernel/security/lsm lists what is on), or waive `landlock` in policy";
    let whom = if strict.is_empty() { "every sandbox that does not waive it".to_owned() } else { words(&strict) };
    Finding::new(grade, "Landlock", whom, given, "landlock_create_ruleset(2)").fix(fix)
}

fn scopes(asked: &Asked, abi: Option<i64>) -> Finding {
    let waived = |w: &[Waiver]| w.contains(&Waiver::Landlock) || w.contains(&Waiver::LandlockScopes);
    let wanting = asked.by(|s| s.network == Network::Shared && !waived(&s.waive));
    let has = abi.is_some_and(|abi| abi >= LANDLOCK_SCOPES);
    let given = if has { "there".to_owned() } else { format!("ABI {}", abi.unwrap_or(0)) };
    let whom = if wanting.is_empty() { "network \"shared\"".to_owned() } else { words(&wanting) };
    let grade = if wanting.is_empty() { Grade::Warn } else { Grade::Fail }.unless(has);
    let fix = "Linux 6.12 has them (ABI 6); use network \"none\", or waive `landlock-scopes` in policy";
    Finding::new(grade, "Landlock scopes", whom, given, "landlock_create_ruleset(2)").fix(fix)
}

/// Sandboxes by name.
pub(super) fn words(sandboxes: &[&str]) -> String {
    format!("sandbox {}", sandboxes.join(", "))
}

fn seccomp() -> Finding {
    const FILE: &str = "/proc/sys/kernel/seccomp/actions_avail";
    let found = fs::read_to_string(FILE).unwrap_or_default();
    let missing: Vec<&str> = ACTIONS.into_iter().filter(|a| !found.split_whitespace().any(|f| f == *a)).collect();
    let given = if missing.is_empty() { "there".to_owned() } else { format!("no {}", missing.join(", ")) };
    let grade = Grade::Fail.unless(missing.is_empty());
    let fix = "this kernel was built without CONFIG_SECCOMP_FILTER: use one that has it";
    Finding::new(grade, "seccomp filters", ACTIONS.join(", "), given, FILE).fix(fix)
}

/// The mount option has a word for "invisible" since 5.8; a kernel's version is all that can be asked without a mount.
fn hidepid() -> Finding {
    let has = version(&release()).is_none_or(|v| v >= (5, 8));
    let given = if has { "there" } else { "older than 5.8" };
    let grade = Grade::Fail.unless(has);
    Finding::new(grade, "hidepid", "a /proc of the sandbox's own", given, "proc(5), uname(2)")
        .fix("boot a newer kernel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_policy_text::{SourceFile, parse};

    #[test]
    fn kernel_releases_are_compared_as_numbers() {
        assert_eq!(version("6.12.0-rc1"), Some((6, 12)));
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert!(version("6.9.3").unwrap() < FLOOR_SHARED);
        assert_eq!(version("odd"), None);
        let grades = ["5.15.0", "6.1.0", "6.12.0"].map(|release| version_of(release).grade);
        assert_eq!(grades, [Grade::Fail, Grade::Warn, Grade::Ok]);
    }

    #[test]
    fn what_is_lacking_counts_by_what_policy_asks() {
        let asked = |sandboxes: &str| {
            let file = SourceFile { name: "p", bytes: sandboxes.as_bytes() };
            Asked(Some(parse(&[file]).unwrap()))
        };
        let shared = asked("[sandbox.a]\nnetwork = \"shared\"\n[sandbox.b]\nnetwork = \"none\"\n");
        let row = scopes(&shared, Some(2));
        assert_eq!((row.grade, row.asked.as_str()), (Grade::Fail, "sandbox a"));
        let none = asked("[sandbox.b]\nnetwork = \"none\"\n");
        assert_eq!(scopes(&none, Some(2)).grade, Grade::Warn);
        assert_eq!(scopes(&shared, Some(6)).grade, Grade::Ok);
        assert_eq!(landlock(&none, None).grade, Grade::Fail);
        assert_eq!(landlock(&asked("[sandbox.b]\nwaive = [\"landlock\"]\n"), None).grade, Grade::Warn);
    }

    #[test]
    fn a_call_that_no_kernel_has_is_missing() {
        let row = has_calls("x", &[("openat2", libc::SYS_openat2), ("none", 100_000)], "9.9");
        assert_eq!((row.grade, row.given.as_str()), (Grade::Fail, "no none"));
    }
}
