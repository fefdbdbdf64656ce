//! What the caller, who has the agent's uid and started everything, can do to the processes of a session: nothing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitCode, Stdio};

use agent_aws_e2e::inside::{differences, placed};
use agent_aws_e2e::session::{Running, START, State};
use agent_aws_e2e::trace::{go_on, held, stopped_at};
use agent_aws_harness::{Case, Mode, Output, SOON, Scene, Setup, case, suite, within};

const CASES: &[Case] = &[
    case!(the_caller_reads_nothing_of_our_processes).private(),
    case!(the_caller_cannot_signal_supervisor_or_broker).setuid(),
    case!(the_caller_cannot_throttle_supervisor_or_broker).setuid(),
    case!(the_caller_cannot_seize_us_at_any_moment_of_a_start).setuid(),
    case!(stopped_before_the_uid_switch_we_decide_by_policy_as_it_is_afterwards).setuid(),
    case!(stopped_before_the_uid_switch_a_project_that_became_a_link_is_no_way_out).setuid(),
    case!(after_the_uid_switch_the_caller_cannot_stop_us).setuid(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A plain process of Alice's, as the control. Its name may lie.
struct Own(Child);

impl Own {
    fn start(scene: &Scene, name: &str) -> Self {
        let script = format!("exec -a {name} sleep 1000");
        let mut command = scene.machine.call("alice", "/bin/bash").args(&["-c", &script]).command();
        let child = command.stdin(Stdio::null()).process_group(0).spawn().unwrap();
        let own = Self(child);
        within(SOON, "a process of the caller's", || {
            fs::read(format!("/proc/{}/cmdline", own.pid())).is_ok_and(|c| c.starts_with(name.as_bytes()))
        });
        own
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn attack(scene: &Scene, words: &[&str]) -> Output {
    let attacker = placed(scene, env!("CARGO_BIN_EXE_attacker"));
    scene.machine.call("alice", attacker).args(words).run().ends(0)
}

fn worked(output: &Output) -> Vec<&str> {
    output.stdout.lines().filter_map(|line| line.strip_suffix(" ok")).collect()
}

/// Case 58 (origin: CVE-2016-8659, CVE-2026-41163): /proc, process_vm_readv, pidfd_getfd, ptrace.
fn the_caller_reads_nothing_of_our_processes(mode: Mode) {
    let scene = Scene::new(mode);
    let own = Own::start(&scene, "sleep");
    let control = attack(&scene, &["look", &own.pid().to_string()]);
    assert_eq!(worked(&control).len(), control.stdout.lines().count(), "the control\n{control}");
    let session = Running::idle(&scene);
    for (name, pid) in session.ours() {
        let output = attack(&scene, &["look", &pid.to_string()]);
        assert_eq!(worked(&output), Vec::<&str>::new(), "{name}\n{output}");
        assert_eq!(output.stdout.lines().count(), control.stdout.lines().count(), "{output}");
    }
    assert!(session.lives());
}

/// Case 60: the caller started us, and may not even end us. They end a session by ending `agent-aws`, or with `stop`.
fn the_caller_cannot_signal_supervisor_or_broker(mode: Mode) {
    let scene = Scene::new(mode);
    let own = Own::start(&scene, "sleep");
    let signals = ["SIGCHLD", "SIGSTOP", "SIGKILL"];
    let control = attack(&scene, &[&["interfere", &own.pid().to_string()], signals.as_slice()].concat());
    assert_eq!(worked(&control), signals, "the control\n{control}");
    let session = Running::idle(&scene);
    let signals = [
        "SIGCHLD", "SIGALRM", "SIGHUP", "SIGTERM", "SIGINT", "SIGTSTP", "SIGUSR1", "SIGPIPE", "SIGSEGV", "SIGSTOP",
        "SIGKILL",
    ];
    for pid in [session.supervisor, session.broker] {
        let output = attack(&scene, &[&["interfere", &pid.to_string()], signals.as_slice()].concat());
        assert_eq!(differences(&output, &signals.map(|signal| (signal, "EPERM"))), Vec::<String>::new());
    }
    assert!(session.lives());
}

/// Case 67: nor have the kernel choose us when memory is short, nor starve us.
fn the_caller_cannot_throttle_supervisor_or_broker(mode: Mode) {
    let scene = Scene::new(mode);
    let ways = ["prlimit", "priority", "oom_score_adj"];
    let own = Own::start(&scene, "sleep");
    let control = attack(&scene, &[&["interfere", &own.pid().to_string()], ways.as_slice()].concat());
    assert_eq!(worked(&control), ways, "the control\n{control}");
    let session = Running::idle(&scene);
    for (name, pid) in session.ours().into_iter().take(2) {
        let output = attack(&scene, &[&["interfere", &pid.to_string()], ways.as_slice()].concat());
        assert_eq!(worked(&output), Vec::<&str>::new(), "{name}\n{output}");
        let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(score.trim(), fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim());
    }
}

/// Case 59 (origin: CVE-2026-41163): a hunter looks for the moment between fork and drop, stopping what it may stop.
fn the_caller_cannot_seize_us_at_any_moment_of_a_start(mode: Mode) {
    let scene = Scene::new(mode);
    let decoy = Own::start(&scene, "agent-aws-decoy");
    let attacker = placed(&scene, env!("CARGO_BIN_EXE_attacker"));
    let hunter = scene.machine.call("alice", attacker).args(&["hunt", "8"]);
    let hunting = std::thread::spawn(move || hunter.run().ends(0));
    while !hunting.is_finished() {
        let mut cli = scene.run(&["--no-wait"], &["true"]).spawn();
        // An agent that the hunter stops is a stopped job, and `agent-aws` stops with it as a job does.
        within(START, "a run ends", || {
            go_on(cli.id().cast_signed());
            cli.try_wait().unwrap().is_some()
        });
    }
    let output = hunting.join().unwrap();
    for how in ["mem", "ptrace"] {
        assert!(output.stdout.contains(&format!("caught agent-aws-decoy {how}")), "the control\n{output}");
    }
    let caught: Vec<&str> = output.stdout.lines().filter(|l| l.starts_with("caught") && !l.contains("decoy")).collect();
    assert_eq!(caught, Vec::<&str>::new());
    let tries = output.stdout.lines().find_map(|l| l.strip_prefix("tries ")).unwrap();
    assert!(tries.parse::<u32>().unwrap() > 500, "too few to mean anything\n{output}");
    drop(decoy);
}

/// Holds a session's helper right before it takes root, where the caller may stop it. Returns `agent-aws` and it.
fn stopped_before_the_switch(scene: &Scene, command: &[&str]) -> (Child, i32) {
    let scratch = scene.machine.scratch();
    let cli = held(&scene.run(&["--no-wait"], command), &scratch.join("said"));
    let helper = stopped_at(cli.id().cast_signed(), true, "getgroups", 1, &scratch.join("log"));
    let uids = State::of(helper).field("Uid").to_owned();
    let alice = scene.machine.user("alice").uid;
    assert_eq!(uids, format!("{alice} 0 0 0"), "it is not where it should be");
    (cli, helper)
}

fn end(scene: &Scene, cli: &mut Child) -> (Option<i32>, String) {
    let mut status = None;
    within(START, "the run ends", || {
        status = cli.try_wait().unwrap();
        status.is_some()
    });
    let said = fs::read_to_string(scene.machine.scratch().join("said")).unwrap();
    (status.and_then(|s| s.code()), said)
}

/// Case 61 (origin: sudoedit): nothing has been read yet that could be out of date.
fn stopped_before_the_uid_switch_we_decide_by_policy_as_it_is_afterwards(mode: Mode) {
    let scene = Scene::new(mode);
    let marker = scene.machine.project(&scene.machine.user("alice")).join("it-ran");
    let (mut cli, helper) = stopped_before_the_switch(&scene, &["touch", "it-ran"]);
    go_on(helper);
    assert_eq!(end(&scene, &mut cli).0, Some(0), "the control: stopping alone changes nothing");
    assert!(marker.exists());
    fs::remove_file(&marker).unwrap();
    let (mut cli, helper) = stopped_before_the_switch(&scene, &["touch", "it-ran"]);
    let revoked = "[[deny]]\nusers = [\"alice\"]\nidentities = [\"incident\"]\n".to_owned();
    scene.machine.policy(&scene.policy(&Setup { policy: revoked, ..Setup::default() }));
    go_on(helper);
    let (status, said) = end(&scene, &mut cli);
    assert_eq!(status, Some(125), "{said}");
    assert!(!marker.exists());
}

/// Case 61: what the caller swaps while we are stopped is seen with the caller's rights, where it really is.
fn stopped_before_the_uid_switch_a_project_that_became_a_link_is_no_way_out(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let secret = scene.machine.user("bob").home.join("of-bob");
    let bob = scene.machine.user("bob");
    scene.machine.file(&bob, &secret, 0o644, "a secret of Bob's\n");
    let (mut cli, helper) =
        stopped_before_the_switch(&scene, &["sh", "-c", "cat of-bob > /proc/self/cwd/found; id > here"]);
    fs::rename(&project, project.with_extension("before")).unwrap();
    symlink(&bob.home, &project).unwrap();
    chown(project.parent().unwrap(), Some(alice.uid), Some(alice.gid)).unwrap();
    go_on(helper);
    let (status, said) = end(&scene, &mut cli);
    assert_eq!(status, Some(125), "{said}");
    let left: Vec<_> = fs::read_dir(&bob.home).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["of-bob"], "nothing was written there");
}

/// DESIGN: the caller cannot stop or kill the helper at any moment after its first instructions.
fn after_the_uid_switch_the_caller_cannot_stop_us(mode: Mode) {
    let scene = Scene::new(mode);
    let scratch = scene.machine.scratch();
    let signals = ["SIGCHLD", "SIGSTOP", "SIGTERM", "SIGKILL"];
    let refused = signals.map(|signal| (signal, "EPERM"));
    let (mut cli, helper) = stopped_before_the_switch(&scene, &["true"]);
    let before = attack(&scene, &["interfere", &helper.to_string(), "SIGCHLD", "SIGSTOP"]);
    assert_eq!(worked(&before), ["SIGCHLD", "SIGSTOP"], "the control: before it, they can\n{before}");
    for (call, nth) in [("umask", 1), ("clone3", 1), ("clone3", 2), ("clone3", 2)] {
        // From one place to the next in the same process: each stop is root's, by strace. A call that was stopped is
        // made again first, and counts.
        stopped_at(helper, false, call, nth, &scratch.join("log-stops"));
        let output = attack(&scene, &[&["interfere", &helper.to_string()], signals.as_slice()].concat());
        assert_eq!(differences(&output, &refused), Vec::<String>::new(), "at {call} {nth}");
    }
    go_on(helper);
    assert_eq!(end(&scene, &mut cli).0, Some(0), "and it lives");
}
