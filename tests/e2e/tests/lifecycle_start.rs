//! A session that loses one of its processes while it starts or ends, at many places: nothing is left of it then either.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use agent_aws_e2e::session::{Running, START, all_is_gone, the_next_run_sweeps};
use agent_aws_e2e::trace::{Tracer, calls, go_on, held, stopped_at};
use agent_aws_harness::{Case, Mode, Scene, case, suite, within};

const CASES: &[Case] = &[
    case!(agent_aws_killed_at_any_time_of_a_run_leaves_nothing).private(),
    case!(agent_aws_told_to_end_at_any_time_of_a_run_leaves_nothing).private(),
    case!(the_helper_killed_at_any_step_leaves_nothing).private(),
    case!(the_helper_crashing_leaves_nothing).private(),
    case!(whatever_process_is_killed_at_any_step_of_a_start_leaves_nothing).private(),
];

/// In how many places a run is cut.
const CUTS: usize = 12;

fn main() -> ExitCode {
    suite(CASES)
}

fn command(scene: &Scene) -> Child {
    let mut command = scene.run(&["--no-wait"], &["sleep", "0.02"]).command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn ends(child: &mut Child, what: &str) {
    within(START, &format!("{what}: agent-aws ends"), || child.try_wait().unwrap().is_some());
}

/// Runs are cut at even distances, from their first instant to after their end.
fn cut(mode: Mode, signal: nix::sys::signal::Signal) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    let mounts = scene.machine.mounts();
    let began = Instant::now();
    ends(&mut command(&scene), "undisturbed");
    let whole = began.elapsed().min(Duration::from_secs(2));
    for place in 0..=CUTS * 2 {
        let mut cli = command(&scene);
        let after = whole.mul_f64(place as f64 / (CUTS * 2) as f64);
        // The place is a time: there is nothing to wait for.
        std::thread::sleep(after);
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(cli.id().cast_signed()), signal);
        let what = format!("{signal} after {after:?} of {whole:?}");
        ends(&mut cli, &what);
        all_is_gone(&scene, &mounts, &[], &what);
    }
    the_next_run_sweeps(&scene);
}

/// Case 62: `agent-aws` is the caller's, who may kill it whenever they like.
fn agent_aws_killed_at_any_time_of_a_run_leaves_nothing(mode: Mode) {
    cut(mode, nix::sys::signal::Signal::SIGKILL);
}

/// Case 63.
fn agent_aws_told_to_end_at_any_time_of_a_run_leaves_nothing(mode: Mode) {
    cut(mode, nix::sys::signal::Signal::SIGTERM);
}

/// One run, in which the helper (or, if `follow`, whichever process of ours comes first) gets a signal at its nth
/// system call. What it saw, as a log.
fn struck(scene: &Scene, follow: bool, fault: &[String]) -> String {
    let scratch = scene.machine.scratch();
    let mut cli = held(&scene.run(&["--no-wait"], &["sleep", "0.02"]), &scratch.join("said"));
    let helper = stopped_at(cli.id().cast_signed(), true, "umask", 1, &scratch.join("log-1"));
    let fault: Vec<&str> = fault.iter().map(String::as_str).collect();
    let tracer = Tracer::attach(helper, follow, &fault, &scratch.join("log-2"));
    go_on(helper);
    ends(&mut cli, &format!("{fault:?}"));
    tracer.end()
}

/// Every system call of a log, with how often its process had made it by then: strace counts each by itself.
fn places(log: &str) -> Vec<(String, usize)> {
    // One process alone is logged without its id.
    let alone: String = log.lines().map(|line| format!("1 {line}\n")).collect();
    let all = if log.starts_with(|c: char| c.is_ascii_digit()) { calls(log) } else { calls(&alone) };
    let mut counts = BTreeMap::new();
    let mut place = |(pid, call): &(i32, String)| {
        let name = call.split_once('(')?.0.to_owned();
        let count = counts.entry((*pid, name.clone())).or_insert(0);
        *count += 1;
        Some((name, *count))
    };
    all.iter().filter_map(&mut place).collect()
}

/// Strikes at even distances over the life of a process.
fn strike(mode: Mode, follow: bool, signal: &str) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    let mounts = scene.machine.mounts();
    let log = struck(&scene, follow, &["trace=all".into()]);
    let seen = places(&log);
    assert!(seen.len() > 100, "the control: it makes system calls\n{log}");
    for cut in 0..CUTS {
        let (call, nth) = &seen[seen.len() * cut / CUTS];
        let what = format!("{signal} at {call} {nth}");
        let fault = [format!("trace={call}"), format!("inject={call}:signal={signal}:when={nth}")];
        let log = struck(&scene, follow, &fault);
        // Later calls depend on time, so that not each of them comes again.
        assert!(cut > CUTS / 2 || log.contains(&format!("killed by {signal}")), "{what}: nobody was struck\n{log}");
        all_is_gone(&scene, &mounts, &[], &what);
    }
    the_next_run_sweeps(&scene);
}

/// Case 62: from before it has read anything until after the session has ended.
fn the_helper_killed_at_any_step_leaves_nothing(mode: Mode) {
    strike(mode, false, "SIGKILL");
}

/// Wipes the code of the helper in the memory of one process: what it executes next is a fault of its own.
fn wipe(pid: i32) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let code = maps.lines().filter(|line| line.contains(" r-xp ") && line.ends_with("/agent-aws-helper"));
    let ranges: Vec<&str> = code.filter_map(|line| line.split(' ').next()).collect();
    assert!(!ranges.is_empty(), "no code in\n{maps}");
    for range in ranges {
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        memory.write_all_at(&vec![0; usize::try_from(end - start).unwrap()], start).unwrap();
    }
}

/// Case 70 (origin: firecracker's test of a panic): a helper that crashes, while it starts and while it supervises.
fn the_helper_crashing_leaves_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    let (mounts, scratch) = (scene.machine.mounts(), scene.machine.scratch());
    for (call, nth) in [("umask", 1), ("clone3", 1), ("clone3", 2), ("clone3", 3)] {
        let mut cli = held(&scene.run(&["--no-wait"], &["sleep", "1000"]), &scratch.join("said"));
        let helper = stopped_at(cli.id().cast_signed(), true, "umask", 1, &scratch.join("log-1"));
        if call != "umask" {
            stopped_at(helper, false, call, nth, &scratch.join("log-2"));
        }
        wipe(helper);
        go_on(helper);
        ends(&mut cli, call);
        all_is_gone(&scene, &mounts, &[], &format!("crashed at {call} {nth}"));
        let said = fs::read_to_string(scratch.join("said")).unwrap();
        assert_eq!(cli.wait().unwrap().code(), Some(125), "{said}");
        assert!(said.contains("signal") && !said.contains("backtrace"), "{said}");
    }
    let mut session = Running::idle(&scene);
    wipe(session.supervisor);
    // It waits; the next thing that it hears of is its last.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(session.agent), nix::sys::signal::Signal::SIGKILL);
    ends(&mut session.cli, "supervising");
    drop(session);
    all_is_gone(&scene, &mounts, &[], "crashed while supervising");
    the_next_run_sweeps(&scene);
}

/// Case 62: broker, init, the short-lived children, the agent, or the helper: whoever comes first.
fn whatever_process_is_killed_at_any_step_of_a_start_leaves_nothing(mode: Mode) {
    strike(mode, true, "SIGKILL");
}
