//! Sessions under strace, as root: the setuid bit stays in effect, and a fault or a signal can be put anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agent_aws_harness::{Call, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::session::{START, State, is_stopped};

/// `agent-aws`, stopped before it has begun.
#[track_caller]
pub fn held(call: &Call, said: &Path) -> Child {
    let plain = call.command();
    let words: Vec<_> = plain.get_args().collect();
    let split = words.iter().position(|w| *w == "--").expect("a command of a private world");
    let (switch, program) = words.split_at(split + 1);
    let mut command = Command::new(plain.get_program());
    command.args(switch).args(["/bin/sh", "-c", r#"kill -STOP $$; exec "$@""#, "sh"]).args(program);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().expect("a directory"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(fs::File::create(said).expect("a file for what it says"));
    let child = command.spawn().expect("starting agent-aws");
    is_stopped(child.id().cast_signed());
    child
}

/// Lets a stopped process go on.
pub fn go_on(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("SIGCONT");
}

/// An strace.
#[derive(Debug)]
pub struct Tracer {
    strace: Child,
    log: PathBuf,
}

impl Tracer {
    /// Attaches to a process, with all that it will start if `follow`.
    #[track_caller]
    pub fn attach(pid: i32, follow: bool, expressions: &[&str], log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.arg("-o").arg(log).args(["-p", &pid.to_string()]);
        if follow {
            command.arg("-f");
        }
        for expression in expressions {
            command.args(["-e", expression]);
        }
        let strace = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
        within(START, "strace attaches", || !matches!(State::of(pid).field("TracerPid"), "0" | ""));
        Self { strace, log: log.to_path_buf() }
    }

    /// What it has seen so far.
    pub fn seen(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Leaves what it traced as it is: a stopped process stays stopped.
    pub fn leave(mut self) {
        self.strace.kill().expect("ending strace");
        self.strace.wait().expect("ending strace");
    }

    /// Everything that it saw, once all that it traced has ended.
    #[track_caller]
    pub fn end(mut self) -> String {
        within(START, "what is traced ends", || self.strace.try_wait().expect("waiting for strace").is_some());
        self.seen()
    }
}

/// Lets a stopped process go on until it, or one that it starts if `follow`, makes a system call for the `nth` time, and
/// stops it there. Returns its process id.
#[track_caller]
pub fn stopped_at(pid: i32, follow: bool, call: &str, nth: usize, log: &Path) -> i32 {
    let fault = format!("inject={call}:signal=SIGSTOP:when={nth}");
    let tracer = Tracer::attach(pid, follow, &[&format!("trace={call}"), &fault], log);
    go_on(pid);
    let mut found = 0;
    within(START, call, || {
        found = stopped(&tracer.seen(), pid).unwrap_or(0);
        found != 0
    });
    tracer.leave();
    is_stopped(found);
    found
}

/// Who was stopped by a signal that was put there, which strace shows as delivered first and then as a stop.
fn stopped(log: &str, only: i32) -> Option<i32> {
    let mut delivered = None;
    for line in log.lines() {
        let pid = line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(only);
        if line.contains("--- SIGSTOP {") {
            delivered = Some(pid);
        } else if line.contains("--- stopped by SIGSTOP ---") && delivered == Some(pid) {
            return delivered;
        }
    }
    None
}

/// System calls of a log with process ids: whose, and the line from the name of the call on. A call that another
/// process interrupted is put together again.
pub fn calls(log: &str) -> Vec<(i32, String)> {
    let mut unfinished = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let (Ok(pid), rest) = (pid.parse::<i32>(), rest.trim_start()) else { continue };
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begun.to_owned());
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            found.push((pid, unfinished.remove(&pid).unwrap_or_default() + end));
        } else if !rest.starts_with(['-', '+']) {
            found.push((pid, rest.to_owned()));
        }
    }
    found
}
