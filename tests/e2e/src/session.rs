//! A session that runs, and its processes as the host sees them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use agent_aws_harness::{Call, Mode, Process, Scene, processes, until, within};

/// For anything that a session needs to start, on a machine that is busy.
pub const START: Duration = Duration::from_secs(40);
/// "Within a second", as seen by a test that shares two cores with others.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// A session in the background. It is ended when dropped.
#[derive(Debug)]
pub struct Running {
    /// `agent-aws`.
    pub cli: Child,
    /// What the helper became.
    pub supervisor: i32,
    /// Who holds the credentials.
    pub broker: i32,
    /// pid 1 of the sandbox.
    pub init: i32,
    /// The command.
    pub agent: i32,
}

impl Running {
    /// Starts `agent-aws run` and waits until its command runs and the broker, whom `--no-wait` does not wait for, has
    /// given up what it gives up.
    #[track_caller]
    pub fn start(call: &Call) -> Self {
        let mut command = call.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut cli = command.spawn().expect("starting agent-aws");
        let pid = cli.id().cast_signed();
        let all = until(START, || match cli.try_wait() {
            Ok(None) => find(pid).filter(|[_, broker, ..]| State::of(*broker).field("Seccomp") == "2").map(Ok),
            ended => Some(Err(ended)),
        });
        match all {
            Some(Ok([supervisor, broker, init, agent])) => Self { cli, supervisor, broker, init, agent },
            ended => {
                let _ = cli.kill();
                let said = std::io::read_to_string(cli.stderr.take().expect("a pipe")).unwrap_or_default();
                let _ = cli.wait();
                panic!("no session runs ({ended:?}): {said}\n{:#?}", processes());
            }
        }
    }

    /// A command that does nothing for long.
    #[track_caller]
    pub fn idle(scene: &Scene) -> Self {
        Self::start(&scene.run(&["--no-wait"], &["sleep", "1000"]))
    }

    /// The processes besides the command, with what each is.
    pub fn ours(&self) -> [(&'static str, i32); 3] {
        [("supervisor", self.supervisor), ("broker", self.broker), ("init", self.init)]
    }

    /// `agent-aws` and everything below it.
    pub fn tree(&self) -> Vec<Process> {
        tree(self.cli.id().cast_signed())
    }

    /// Whether all of them are there and none is stopped.
    pub fn lives(&self) -> bool {
        let alive = |pid| matches!(State::of(pid).field("State").chars().next(), Some('S' | 'R' | 'D'));
        [self.supervisor, self.broker, self.init, self.agent].into_iter().all(alive)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.cli.kill();
        let _ = self.cli.wait();
    }
}

/// A process and everything below it.
pub fn tree(root: i32) -> Vec<Process> {
    let (mut tree, mut below, all) = (Vec::new(), vec![root], processes());
    while let Some(parent) = below.pop() {
        tree.extend(all.iter().filter(|p| p.pid == parent).cloned());
        below.extend(all.iter().filter(|p| p.parent == parent).map(|p| p.pid));
    }
    tree
}

/// Supervisor, broker, init and agent of the session of an `agent-aws`.
pub fn find(cli: i32) -> Option<[i32; 4]> {
    let all = processes();
    let child = |parent: i32, fits: &dyn Fn(&Process) -> bool| {
        all.iter().find(|p| p.parent == parent && fits(p)).map(|p| p.pid)
    };
    let supervisor = child(cli, &|p| p.command.starts_with("agent-aws-helper"))?;
    let broker = child(supervisor, &|p| p.command.starts_with("agent-aws-broker"))?;
    let init = child(supervisor, &|p| p.command.starts_with("agent-aws-init"))?;
    let agent = child(init, &|p| !p.command.starts_with("agent-aws-init") && !p.command.is_empty())?;
    Some([supervisor, broker, init, agent])
}

/// `/proc/PID/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(BTreeMap<String, String>);

/// What of a process's state is its privilege.
pub const PRIVILEGE: [&str; 11] = [
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
    "Seccomp_filters",
];

impl State {
    /// Of a process; empty if there is none.
    pub fn of(pid: i32) -> Self {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
    }

    /// Of its text.
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), words(value))).collect())
    }

    /// A field, its words separated by one space; empty if there is none.
    pub fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Those fields that are its privilege.
    pub fn privilege(&self) -> Self {
        Self(self.0.iter().filter(|(name, _)| PRIVILEGE.contains(&name.as_str())).map(own).collect())
    }

    /// Panics unless the field is exactly that.
    #[track_caller]
    pub fn is(&self, name: &str, wanted: &str) -> &Self {
        assert_eq!(self.field(name), wanted, "{name} in {self:#?}");
        self
    }

    /// All four uids and gids, and the supplementary groups.
    #[track_caller]
    pub fn has_ids(&self, uid: u32, gid: u32, groups: &str) -> &Self {
        let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
        self.is("Uid", &four(uid)).is("Gid", &four(gid)).is("Groups", groups)
    }

    /// No capability, no way to gain one, and filters.
    #[track_caller]
    pub fn has_no_privilege(&self) -> &Self {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            self.is(set, "0000000000000000");
        }
        self.is("NoNewPrivs", "1").is("Seccomp", "2")
    }
}

fn own((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether nobody of its own uid may trace it and it leaves no core: then its files in /proc are root's.
pub fn is_dumpable(pid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}/environ")).is_ok_and(|file| file.uid() != 0)
}

/// The limit on core files, soft, as /proc shows it.
pub fn core_limit(pid: i32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|l| l.strip_prefix("Max core file size"));
    line.and_then(|l| l.split_whitespace().next()).unwrap_or("none").to_owned()
}

/// No process and no mount of a session is there any more. Records may stay until the next run sweeps them. Where other
/// sessions may run beside ours, only the processes that were known to be ours count.
#[track_caller]
pub fn all_is_gone(scene: &Scene, mounts: &[String], known: &[Process], what: &str) {
    let left = || match scene.machine.is_private() {
        true => scene.machine.others(),
        false => processes().into_iter().filter(|p| known.contains(p)).collect(),
    };
    let gone = until(AT_ONCE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "{what}: left running: {:#?}", left());
    assert_eq!(scene.machine.mounts(), mounts, "{what}: mounts are left");
}

/// Another run sweeps what the dead have left.
#[track_caller]
pub fn the_next_run_sweeps(scene: &Scene) {
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    if scene.machine.is_private() {
        assert_eq!(records(scene), 0, "records are left");
    }
}

/// How many sessions have a record.
fn records(scene: &Scene) -> usize {
    let place = match scene.machine.mode {
        Mode::Setuid => "/run/agent-aws/sessions".into(),
        Mode::Unprivileged => scene.machine.user("alice").home.join(".local/share/agent-aws/sessions"),
    };
    fs::read_dir(place).map_or(0, Iterator::count)
}

/// Removes a file that may not be there.
pub fn forget(path: &Path) {
    if let Err(e) = fs::remove_file(path) {
        assert_eq!(e.kind(), std::io::ErrorKind::NotFound, "{}: {e}", path.display());
    }
}

/// Waits until a process is stopped.
#[track_caller]
pub fn is_stopped(pid: i32) {
    within(START, "a process stops", || State::of(pid).field("State").starts_with('T'));
}
