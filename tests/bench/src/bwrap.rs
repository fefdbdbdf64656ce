//! bubblewrap with the view that a session of ours has: made from that session's mount table, so that it has the same mounts
//! whatever the sandbox becomes; the same namespaces, no credentials.

use std::path::{Path, PathBuf};

use agent_aws_harness::Scene;

const TABLE: &str = "/proc/self/mountinfo";

/// Where it is, if it is.
pub(crate) fn path() -> Option<&'static str> {
    ["/usr/bin/bwrap", "/bin/bwrap"].into_iter().find(|p| Path::new(p).is_file())
}

/// The command before what is to be run. With the host's network, or with none.
pub(crate) fn command(scene: &Scene, network: bool) -> Option<Vec<String>> {
    let bwrap = path()?;
    let project = scene.machine.project(&scene.machine.user("alice"));
    let ours = scene.run(&["--no-wait", "--network", "none"], &["cat", TABLE]).run().says();
    let words = with_view(bwrap, network, &mounts(&ours), &project);
    let call = scene.agent_aws(&[]).instead(bwrap).args(words.get(1..).unwrap_or_default());
    let theirs = call.args(&["cat", TABLE]).run().says();
    let (ours, theirs) = (places(&ours), places(&theirs));
    assert_eq!(ours, theirs, "the views differ");
    Some(words)
}

fn with_view(bwrap: &str, network: bool, ours: &[Mount], project: &Path) -> Vec<String> {
    let mut words: Vec<String> = vec![bwrap.into()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
    add(&["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    if !network {
        add(&["--unshare-net"]);
    }
    let host = mounts(&std::fs::read_to_string(TABLE).unwrap());
    for mount in ours {
        let at = mount.at.display().to_string();
        // A mount below a bound directory comes with it.
        let around = ours.iter().rfind(|m| m.at != mount.at && mount.at.starts_with(&m.at));
        let comes_along = around.is_some_and(|m| m.source(&host).is_some())
            && host.iter().any(|m| m.device == mount.device && m.at == mount.at);
        match (mount.kind.as_str(), mount.source(&host)) {
            _ if at == "/" || comes_along => {}
            _ if at == "/dev" => add(&["--dev", &at]),
            ("mqueue", _) => add(&["--mqueue", &at]),
            _ if at.starts_with("/dev/") && at != "/dev/shm" => {}
            ("proc", _) if at == "/proc" => add(&["--proc", &at]),
            ("proc", _) => add(&["--ro-bind", &at, &at]),
            (_, Some(source)) => {
                add(&[if mount.writable { "--bind" } else { "--ro-bind" }, &source.display().to_string(), &at]);
            }
            (_, None) => add(&["--tmpfs", &at]),
        }
    }
    for directory in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        if let Ok(to) = std::fs::read_link(directory) {
            add(&["--symlink", &to.display().to_string(), directory]);
        }
    }
    for mount in ours.iter().filter(|m| m.kind == "tmpfs" && !m.writable && m.source(&host).is_none()) {
        add(&["--remount-ro", &mount.at.display().to_string()]);
    }
    add(&["--chdir", &project.display().to_string(), "--die-with-parent", "--"]);
    words
}

/// A line of proc_pid_mountinfo(5).
struct Mount {
    device: String,
    root: PathBuf,
    at: PathBuf,
    writable: bool,
    kind: String,
}

impl Mount {
    /// Where the host has what is mounted here, if it has it.
    fn source(&self, host: &[Self]) -> Option<PathBuf> {
        let holds = |m: &Self| Some(m.at.join(self.root.strip_prefix(&m.root).ok()?));
        host.iter().filter(|m| m.device == self.device).find_map(holds)
    }
}

/// Those of a table, each after what it lies in.
fn mounts(table: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let words: Vec<&str> = before.split(' ').collect();
        let [_, _, device, root, at, options, ..] = words.as_slice() else { return None };
        let (device, kind) = ((*device).to_owned(), after.split(' ').next()?.to_owned());
        Some(Mount { device, root: root.into(), at: at.into(), writable: options.starts_with("rw"), kind })
    };
    let mut all: Vec<Mount> = table.lines().filter_map(parse).collect();
    all.sort_by_key(|m| m.at.clone());
    all
}

fn places(table: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = mounts(table).into_iter().map(|m| m.at).collect();
    all.dedup();
    all
}
