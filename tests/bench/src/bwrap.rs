//! bubblewrap with the view that a session of ours has: the same mounts and namespaces, no credentials.

use std::path::Path;

use agent_aws_harness::Scene;

/// Where it is, if it is.
pub(crate) fn path() -> Option<&'static str> {
    ["/usr/bin/bwrap", "/bin/bwrap"].into_iter().find(|p| Path::new(p).is_file())
}

/// The command before what is to be run. With the host's network, or with none.
pub(crate) fn command(scene: &Scene, network: bool) -> Option<Vec<String>> {
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice).display().to_string();
    let home = alice.home.display().to_string();
    let mut words: Vec<String> = vec![path()?.into()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
    add(&["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    if !network {
        add(&["--unshare-net"]);
    }
    for directory in ["/usr", "/etc", "/opt"] {
        add(&["--ro-bind", directory, directory]);
    }
    for directory in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        match std::fs::read_link(directory) {
            Ok(to) => add(&["--symlink", &to.display().to_string(), directory]),
            Err(_) => add(&["--ro-bind-try", directory, directory]),
        }
    }
    add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]);
    add(&["--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run", "--tmpfs", "/etc/agent-aws"]);
    add(&["--ro-bind", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]);
    add(&["--tmpfs", &home, "--bind", &project, &project, "--chdir", &project]);
    add(&["--die-with-parent", "--"]);
    Some(words)
}
