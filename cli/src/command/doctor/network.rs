//! What the networks `filtered` and `shared` take, and what of it is here.

use std::fs;
use std::path::Path;

use agent_aws_policy::Network;

use super::kernel::words;
use super::{Asked, Finding, Grade, groups, installation};
use crate::sys;

/// How the kernel is built, where distributions keep it: one of them is there on most.
fn built_with(option: &str) -> Option<bool> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let text = fs::read_to_string(format!("/boot/config-{release}")).ok()?;
    Some(text.lines().any(|line| line == format!("{option}=y")))
}

pub(super) fn all(asked: &Asked) -> [Finding; 2] {
    [every_port(asked), guard(asked)]
}

/// Whether connections to every port are caught, or those of a list.
fn every_port(asked: &Asked) -> Finding {
    let filtered = asked.by(|s| s.network == Network::Filtered);
    let whom = if filtered.is_empty() { "network \"filtered\"".to_owned() } else { words(&filtered) };
    let (given, fix) = match (installation::is_setuid(), sys::has_bpf()) {
        (true, true) => ("every port, by sk_lookup", ""),
        (true, false) => ("the usual ports below 1024", "boot a kernel with CONFIG_BPF_SYSCALL"),
        (false, _) => ("the usual ports below 1024", "install setuid root to have every port; the proxy reaches all"),
    };
    Finding::new(Grade::Warn.unless(fix.is_empty()), "ports caught", whom, given, "bpf(2)").fix(fix)
}

/// Whether metadata services can be closed in the host's network.
fn guard(asked: &Asked) -> Finding {
    let shared = asked.by(|s| s.network == Network::Shared && !s.reach.unguarded);
    let whom = if shared.is_empty() { "network \"shared\"".to_owned() } else { words(&shared) };
    let lacks = [
        (!installation::is_setuid(), "no setuid bit: nothing is guarded"),
        (groups::root().is_none(), "no cgroup v2"),
        (!sys::has_bpf() || built_with("CONFIG_CGROUP_BPF") == Some(false), "no BPF for control groups"),
    ];
    let lack = lacks.into_iter().find(|(lacks, _)| *lacks).map(|(_, words)| words);
    // Without the setuid bit a session says what is open, and goes on.
    let grade = if shared.is_empty() || !installation::is_setuid() { Grade::Warn } else { Grade::Fail };
    let fix = "use network \"filtered\"; policy may say metadata = \"unguarded\"";
    let by = groups::root().map_or("/sys/fs/cgroup".to_owned(), |root: &Path| root.display().to_string());
    Finding::new(grade.unless(lack.is_none()), "metadata guard", whom, lack.unwrap_or("there"), by).fix(fix)
}
