//! What a session may use up. Where the machine has no controller of control groups for the setuid helper, it is shown
//! that it refuses; that it limits is shown in `tests/vm`, on kernels that have them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::limits::{doctor, glutton, got, scene, small, unified};
use agent_aws_e2e::session::Running;
use agent_aws_harness::{Case, Mode, SOON, Scene, Setup, case, suite, within};

const CASES: &[Case] = &[
    case!(a_fork_bomb_ends_in_eagain_and_others_of_the_caller_go_on).unprivileged().private(),
    case!(threads_count_as_processes_do).unprivileged().private(),
    case!(a_user_namespace_of_the_agents_own_lifts_no_limit).unprivileged().private(),
    case!(sessions_do_not_count_each_others_processes).unprivileged().private(),
    case!(a_sandbox_that_says_nothing_has_the_usual_limit).unprivileged(),
    case!(open_files_are_limited_and_never_above_the_callers).private(),
    case!(what_cannot_be_counted_is_refused_by_name).setuid().private(),
    case!(what_cannot_be_counted_and_is_not_asked_for_is_done_without).setuid(),
    case!(memory_is_refused_without_the_setuid_bit).unprivileged().private(),
    case!(doctor_says_which_limit_cannot_be_had_and_for_whom).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// While a bomb has all that it gets, Alice starts as many processes outside as she likes.
fn a_fork_bomb_ends_in_eagain_and_others_of_the_caller_go_on(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let tool = scene.machine.tool("glutton").display().to_string();
    let up = scene.machine.project(&scene.machine.user("alice")).join("up");
    let hold = format!("{tool} processes 200 1000 > up");
    let session = Running::start(&small(&scene, &["sh", "-c", &hold]));
    within(SOON, "the bomb", || std::fs::read_to_string(&up).is_ok_and(|said| said.ends_with('\n')));
    let said = std::fs::read_to_string(&up).unwrap();
    let (number, error) = got(said.trim());
    assert!((30..48).contains(&number) && error == "EAGAIN", "{said}");
    let outside = scene.machine.call("alice", &tool).args(&["processes", "100"]).run().says();
    assert_eq!(outside, "100");
    assert!(session.lives());
    // The control: the same bomb in a sandbox with more room.
    drop(session);
    assert_eq!(scene.run(&STANDARD, &glutton(&tool, "processes 200")).run().says(), "200");
}

fn threads_count_as_processes_do(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let tool = scene.machine.tool("glutton").display().to_string();
    let said = small(&scene, &glutton(&tool, "threads 200")).run().says();
    let (number, error) = got(&said);
    assert!((30..48).contains(&number) && error == "EAGAIN", "{said}");
}

/// The kernel counts a nested namespace's processes in those around it too.
fn a_user_namespace_of_the_agents_own_lifts_no_limit(mode: Mode) {
    let scene = scene(mode, "pids = 48\nnesting = true");
    let tool = scene.machine.tool("glutton").display().to_string();
    let said = small(&scene, &glutton(&tool, "nested processes 200")).run().says();
    let (number, error) = got(&said);
    assert!((30..48).contains(&number) && error == "EAGAIN", "{said}");
    let lifted = small(&scene, &["bash", "-c", "ulimit -u unlimited && echo lifted"]).run();
    assert_eq!(lifted.stdout, "", "{lifted}");
}

fn sessions_do_not_count_each_others_processes(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let tool = scene.machine.tool("glutton").display().to_string();
    let up = scene.machine.project(&scene.machine.user("alice")).join("up");
    let full = format!("{tool} processes 200 1000 > up");
    let session = Running::start(&small(&scene, &["sh", "-c", &full]));
    within(SOON, "the first is full", || std::fs::read_to_string(&up).is_ok_and(|said| said.ends_with('\n')));
    let second = small(&scene, &glutton(&tool, "processes 20")).run().says();
    assert_eq!(second, "20");
    drop(session);
}

const STANDARD: [&str; 3] = ["--no-wait", "--sandbox", "standard"];
const LIMIT: &str = "grep 'Max processes' /proc/self/limits | tr -s ' ' | cut -d' ' -f3,4";

/// A bomb that takes thousands of processes would be felt by the machine; the limit itself is what is looked at.
fn a_sandbox_that_says_nothing_has_the_usual_limit(mode: Mode) {
    let scene = Scene::new(mode);
    let said = scene.run(&["--no-wait"], &["sh", "-c", LIMIT]).run().says();
    let all: Vec<u64> = said.split(' ').map(|n| n.parse().unwrap()).collect();
    assert!(all.len() == 2 && all.iter().all(|n| *n <= 8192), "{said}");
}

fn open_files_are_limited_and_never_above_the_callers(mode: Mode) {
    let scene = scene(mode, "open-files = 300");
    let tool = scene.machine.tool("glutton").display().to_string();
    let said = small(&scene, &glutton(&tool, "files 500")).run().says();
    let (number, error) = got(&said);
    assert!((280..300).contains(&number) && error == "EMFILE", "{said}");
    let lifted = small(&scene, &["bash", "-c", "ulimit -n 301 && echo lifted"]).run();
    assert_eq!(lifted.stdout, "", "{lifted}");
    // The control, and the caller's own limit where that is less.
    assert_eq!(scene.run(&STANDARD, &glutton(&tool, "files 500")).run().says(), "500");
    let less = rustix::process::Rlimit { current: Some(170), maximum: Some(190) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, less).unwrap();
    let said = small(&scene, &["bash", "-c", "ulimit -Sn; ulimit -Hn"]).run().says();
    assert_eq!(said, "170\n190");
}

/// Counted against the caller's other processes, a limit would strike those; so it is not done at all.
fn what_cannot_be_counted_is_refused_by_name(mode: Mode) {
    for (key, value) in [("pids", "48"), ("memory", "\"64MiB\"")] {
        let scene = scene(mode, &format!("{key} = {value}"));
        let call = small(&scene, &["echo", "ran"]);
        if unified(key).is_some() {
            // With cgroup v2 it is given: what that does is shown in `tests/vm`.
            assert_eq!(call.run().says(), "ran");
            continue;
        }
        let output = call.run().refused("limiting the session");
        assert!(output.stderr.contains("/sys/fs/cgroup"), "{output}");
        assert!(output.stderr.contains("agent-aws doctor"), "{output}");
        assert_eq!(output.stdout, "");
    }
}

fn what_cannot_be_counted_and_is_not_asked_for_is_done_without(mode: Mode) {
    let scene = Scene::new(mode);
    // With the host's network there is a group all the same, for what is attached to it.
    let session = Running::start(&scene.run(&["--no-wait", "--network", "none"], &["sleep", "1000"]));
    let group = std::fs::read_to_string(format!("/proc/{}/cgroup", session.agent)).unwrap();
    let ours = group.lines().any(|line| line.starts_with("0::") && line.contains("agent-aws"));
    assert_eq!(ours, unified("pids").is_some(), "{group}");
}

fn memory_is_refused_without_the_setuid_bit(mode: Mode) {
    let scene = scene(mode, "memory = \"64MiB\"");
    small(&scene, &["true"]).run().refused("only the setuid helper can limit it");
}

fn doctor_says_which_limit_cannot_be_had_and_for_whom(mode: Mode) {
    let has = |controller| unified(controller).is_some();
    let grade = |fine: bool, otherwise: &'static str| if fine { "ok" } else { otherwise };
    let asking = scene(mode, "pids = 48\nmemory = \"64MiB\"");
    let setuid = mode == Mode::Setuid;
    let [pids, asked, _] = doctor(&asking, "limit pids");
    assert_eq!((pids.as_str(), asked.as_str()), (grade(!setuid || has("pids"), "fail"), "sandbox small"));
    let [memory, asked, _] = doctor(&asking, "limit memory");
    assert_eq!((memory.as_str(), asked.as_str()), (grade(setuid && has("memory"), "fail"), "sandbox small"));
    // The control: a policy that asks for neither.
    asking.machine.policy(&asking.policy(&Setup::default()));
    let [pids, asked, _] = doctor(&asking, "limit pids");
    assert!(pids == grade(!setuid || has("pids"), "warn") && asked.starts_with("8192"), "{pids} {asked}");
    assert_eq!(doctor(&asking, "limit memory")[0], "ok");
}
