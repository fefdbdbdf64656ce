//! A running session that loses one of its processes: within a second nothing is left of it, however it died.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::session::{AT_ONCE, Running, State, all_is_gone, is_stopped, the_next_run_sweeps};
use agent_aws_e2e::start::nothing_is_left;
use agent_aws_harness::{Case, Mode, SOON, Scene, case, processes, suite, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CASES: &[Case] = &[
    case!(killed_any_process_takes_the_session_with_it),
    case!(killed_while_the_agent_has_children_that_ignore_signals_all_go),
    case!(killed_while_everything_else_is_stopped_all_go).private(),
    case!(hung_up_the_session_ends),
    case!(no_credential_is_served_after_any_death).private(),
    case!(a_thousand_orphans_are_reaped),
    case!(a_fork_bomb_inside_meets_the_callers_own_limit).private(),
    case!(sessions_lists_the_callers_own_and_no_others).private(),
    case!(stop_ends_a_session_of_ones_own).private(),
    case!(stop_does_not_end_a_session_of_somebody_else).private(),
    case!(what_is_no_session_id_stops_nothing).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// All processes of a session, by what they are.
fn everybody(session: &Running) -> [(&'static str, i32); 5] {
    let [supervisor, broker, init] = session.ours();
    [("agent-aws", session.cli.id().cast_signed()), supervisor, broker, init, ("agent", session.agent)]
}

/// Ends when `agent-aws` has ended by itself.
fn ended(mut session: Running, what: &str) {
    within(AT_ONCE, &format!("{what}: agent-aws ends"), || session.cli.try_wait().unwrap().is_some());
}

/// Cases 62 and 63 (origin: bubblewrap's --die-with-parent, firecracker's jailer).
fn killed_any_process_takes_the_session_with_it(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    let mounts = scene.machine.mounts();
    for victim in 0..5 {
        let session = Running::idle(&scene);
        assert!(session.lives(), "the control");
        let (name, pid) = everybody(&session)[victim];
        let tree = session.tree();
        signal(pid, Signal::SIGKILL);
        ended(session, name);
        all_is_gone(&scene, &mounts, &tree, name);
        the_next_run_sweeps(&scene);
    }
}

/// Case 62: what the agent started goes too, whatever it did to stay.
fn killed_while_the_agent_has_children_that_ignore_signals_all_go(mode: Mode) {
    let scene = Scene::new(mode);
    let stubborn =
        "trap '' HUP INT TERM QUIT; (setsid sh -c 'sleep 1000' &) ; nohup sleep 1000 & sleep 1000 & touch up; wait";
    let up = scene.machine.project(&scene.machine.user("alice")).join("up");
    let mounts = scene.machine.mounts();
    for victim in 0..5 {
        agent_aws_e2e::session::forget(&up);
        let session = Running::start(&scene.run(&["--no-wait"], &["sh", "-c", stubborn]));
        within(SOON, "its children run", || up.exists());
        let (name, pid) = everybody(&session)[victim];
        let tree = session.tree();
        signal(pid, Signal::SIGKILL);
        ended(session, name);
        all_is_gone(&scene, &mounts, &tree, name);
    }
}

/// A death is noticed by the kernel and by whoever still runs: stopped processes cannot hold a session together.
fn killed_while_everything_else_is_stopped_all_go(mode: Mode) {
    let scene = Scene::new(mode);
    let mounts = scene.machine.mounts();
    let session = Running::idle(&scene);
    for pid in [session.broker, session.init, session.agent] {
        signal(pid, Signal::SIGSTOP);
        is_stopped(pid);
    }
    signal(session.supervisor, Signal::SIGKILL);
    ended(session, "supervisor");
    all_is_gone(&scene, &mounts, &[], "supervisor, while the others were stopped");
}

/// Case 63: the terminal is closed.
fn hung_up_the_session_ends(mode: Mode) {
    let scene = Scene::new(mode);
    let mounts = scene.machine.mounts();
    let session = Running::idle(&scene);
    let tree = session.tree();
    signal(session.cli.id().cast_signed(), Signal::SIGHUP);
    ended(session, "SIGHUP");
    all_is_gone(&scene, &mounts, &tree, "SIGHUP");
}

/// What the door in a sandbox says, asked from outside by root: how a stolen descriptor would be used.
fn ask_at(door: &fs::File) -> Result<String, std::io::ErrorKind> {
    let mut stream = UnixStream::connect(format!("/proc/self/fd/{}", door.as_raw_fd())).map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|e| e.kind())?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(|e| e.kind())?;
    Ok(said)
}

/// Case 62: whoever still holds a door when a session has died gets nothing at it.
fn no_credential_is_served_after_any_death(mode: Mode) {
    let scene = Scene::new(mode);
    for victim in 0..5 {
        let session = Running::start(&scene.run(&[], &["sleep", "1000"]));
        let path = format!("/proc/{}/root/run/agent-aws/credentials.sock", session.agent);
        let door = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(path).unwrap();
        let answer = ask_at(&door);
        assert!(answer.as_ref().is_ok_and(|said| said.contains("AccessKeyId")), "the control: {answer:?}");
        let (name, pid) = everybody(&session)[victim];
        signal(pid, Signal::SIGKILL);
        let refused = std::io::ErrorKind::ConnectionRefused;
        within(AT_ONCE, &format!("{name}: the door is closed"), || ask_at(&door).err() == Some(refused));
        ended(session, name);
    }
}

/// Case 65: init reaps what the agent leaves to it.
fn a_thousand_orphans_are_reaped(mode: Mode) {
    let scene = Scene::new(mode);
    let up = scene.machine.project(&scene.machine.user("alice")).join("up");
    let orphans = "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done; touch up; exec sleep 1000";
    let session = Running::start(&scene.run(&["--no-wait"], &["sh", "-c", orphans]));
    within(Duration::from_secs(60), "a thousand orphans", || up.exists());
    let children = |of: i32| processes().into_iter().filter(|p| p.parent == of).collect::<Vec<_>>();
    within(SOON, "all are reaped", || children(session.init).len() == 1);
    assert_eq!(children(session.agent), []);
    // The control: a parent that does not reap keeps a zombie.
    let careless = "sh -c 'exit 0' & exec sleep 1000";
    let mut careless = scene.machine.call("alice", "/bin/sh").args(&["-c", careless]).spawn();
    let zombie = |p: &agent_aws_harness::Process| State::of(p.pid).field("State").starts_with('Z');
    within(SOON, "a zombie", || children(careless.id().cast_signed()).iter().any(zombie));
    careless.kill().unwrap();
    careless.wait().unwrap();
}

/// Case 66: helper and broker run without the caller's limits, the agent must have them back and cannot lift them. The
/// session's own limits are in `limits`.
fn a_fork_bomb_inside_meets_the_callers_own_limit(mode: Mode) {
    let scene = Scene::new(mode);
    let ask =
        "grep 'Max processes' /proc/self/limits | tr -s ' ' | cut -d' ' -f3,4; ulimit -u unlimited && echo lifted";
    let limit = rustix::process::Rlimit { current: Some(4321), maximum: Some(5432) };
    rustix::process::setrlimit(rustix::process::Resource::Nproc, limit).unwrap();
    let output = scene.run(&["--no-wait"], &["bash", "-c", ask]).run();
    assert_eq!(output.stdout, "4321 5432\n", "{output}");
}

/// Ids of the sessions that a user sees.
fn ids(scene: &Scene, user: &str) -> Vec<String> {
    let said = scene.machine.agent_aws(user, &["sessions", "--json"]).run().says();
    let mut ids = Vec::new();
    for piece in said.split('"') {
        if piece.len() == 16 && piece.bytes().all(|b| b.is_ascii_hexdigit()) {
            ids.push(piece.to_owned());
        }
    }
    ids
}

fn sessions_lists_the_callers_own_and_no_others(mode: Mode) {
    let scene = Scene::new(mode);
    assert_eq!(ids(&scene, "alice"), Vec::<String>::new());
    let one = Running::idle(&scene);
    let two = Running::idle(&scene);
    assert_eq!(ids(&scene, "alice").len(), 2);
    assert_eq!(ids(&scene, "bob"), Vec::<String>::new());
    drop(one);
    within(SOON, "the first is gone", || ids(&scene, "alice").len() == 1);
    drop(two);
}

fn stop_ends_a_session_of_ones_own(mode: Mode) {
    let scene = Scene::new(mode);
    let mounts = scene.machine.mounts();
    let session = Running::idle(&scene);
    let ids = ids(&scene, "alice");
    scene.machine.agent_aws("alice", &["stop", &ids[0]]).run().ends(0);
    ended(session, "stop");
    all_is_gone(&scene, &mounts, &[], "stop");
    nothing_is_left(&scene);
}

fn stop_does_not_end_a_session_of_somebody_else(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let id = ids(&scene, "alice").remove(0);
    let refused = scene.machine.agent_aws("bob", &["stop", &id]).run().ends(125);
    let unknown = scene.machine.agent_aws("bob", &["stop", "0123456789abcdef"]).run().ends(125);
    assert_eq!(refused.stderr, unknown.stderr, "whether it exists is not Bob's to know");
    assert!(session.lives());
    scene.machine.agent_aws("alice", &["stop", &id]).run().ends(0);
    ended(session, "the control: its owner may");
}

/// An id is a file name below a directory of root's: what is more than a name must not reach it.
fn what_is_no_session_id_stops_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let id = ids(&scene, "alice").remove(0);
    for wrong in
        ["", ".", "..", "../sessions", &format!("./{id}"), &format!("../sessions/{id}"), &id[..15], &id.to_uppercase()]
    {
        if wrong == id {
            continue;
        }
        let output = scene.machine.agent_aws("alice", &["stop", wrong]).run();
        assert_ne!(output.code(), 0, "{wrong:?}\n{output}");
    }
    assert!(session.lives());
}
