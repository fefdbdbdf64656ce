//! What the processes of a session are allowed, exactly, as the kernel shows it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use agent_aws_e2e::inside::{differences, inside, placed};
use agent_aws_e2e::session::{Running, State, core_limit, is_dumpable};
use agent_aws_harness::{Case, Mode, Process, SOON, Scene, case, suite, within};

const CASES: &[Case] = &[
    case!(the_broker_of_a_system_source_is_a_user_of_its_own_with_nothing_else).setuid(),
    case!(the_reader_of_the_policy_is_nobody_with_nothing).private(),
    case!(the_broker_of_an_own_source_is_the_caller_with_nothing_else).private(),
    case!(init_and_agent_are_the_caller_with_nothing_else).private(),
    case!(the_supervisor_keeps_the_power_to_kill_and_nothing_else).setuid(),
    case!(the_supervisor_without_the_setuid_bit_is_the_caller_and_gains_nothing).unprivileged().private(),
    case!(the_root_of_the_supervisor_is_empty).setuid(),
    case!(capabilities_that_the_caller_has_do_not_reach_the_agent).private(),
    case!(no_privilege_can_be_regained_inside).private(),
    case!(the_agent_is_in_a_process_group_of_its_own),
    case!(only_the_agent_can_be_traced_or_leave_a_core).private(),
    case!(a_crash_of_the_broker_leaves_no_core).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// All groups of a user, as the process of one shows them.
fn groups_of(scene: &Scene, user: &str) -> String {
    let status = scene.machine.call(user, "/bin/cat").arg("/proc/self/status").run().says();
    State::parse(&status).field("Groups").to_owned()
}

/// Case 54 (origin: snap-confine-privs): not the caller, not root, no group, no capability, filters.
fn the_broker_of_a_system_source_is_a_user_of_its_own_with_nothing_else(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let entry = users.lines().find(|l| l.starts_with("_agent-aws:")).unwrap();
    let ids: Vec<u32> = entry.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
    State::of(session.broker).has_ids(ids[0], ids[1], "").has_no_privilege();
    let alice = scene.machine.user("alice");
    assert!(ids[0] != 0 && ids[0] != alice.uid && ids[1] != 0 && ids[1] != alice.gid, "{entry}");
}

/// Whoever reads the policy has no privilege, no file but /dev/null, and no way to open one.
fn the_reader_of_the_policy_is_nobody_with_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let is_reader = |p: &Process| p.parent == session.supervisor && p.command.starts_with("agent-aws-reader");
    let reader = session.tree().into_iter().find(is_reader).expect("a reader").pid;
    let state = State::of(reader);
    state.is("NoNewPrivs", "1").is("Seccomp", "2");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        state.is(set, "0000000000000000");
    }
    let open = fs::read_dir(format!("/proc/{reader}/fd")).unwrap().count();
    assert_eq!(open, 4, "three of /dev/null, and the conversation");
    if mode == Mode::Setuid {
        state.has_ids(65534, 65534, "").has_no_privilege();
    }
    let environment = fs::read(format!("/proc/{reader}/environ")).unwrap();
    assert!(environment.is_empty(), "{}", environment.escape_ascii());
}

/// The broker of an own source reads the caller's configuration with the caller's rights, and has no others. Without
/// the setuid bit nobody can empty the bounding set: no_new_privs makes it mean nothing.
fn the_broker_of_an_own_source_is_the_caller_with_nothing_else(mode: Mode) {
    let scene = Scene::new(mode);
    let call = scene.agent_aws(&["run", "--profile", "dev", "--no-wait", "--", "sleep", "1000"]);
    let session = Running::start(&call);
    let (alice, state) = (scene.machine.user("alice"), State::of(session.broker));
    state.has_ids(alice.uid, alice.gid, &groups_of(&scene, "alice"));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        state.is(set, "0000000000000000");
    }
    state.is("NoNewPrivs", "1");
    if mode == Mode::Setuid {
        State::of(session.broker).has_no_privilege();
    }
}

/// Case 55 (origin: bubblewrap's test of capabilities).
fn init_and_agent_are_the_caller_with_nothing_else(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let (alice, groups) = (scene.machine.user("alice"), groups_of(&scene, "alice"));
    assert!(groups.contains("4250"), "the control: Alice is in a supplementary group ({groups})");
    for pid in [session.init, session.agent] {
        State::of(pid).has_ids(alice.uid, alice.gid, &groups).has_no_privilege();
    }
    let plain = State::of(1);
    assert_ne!(plain.field("CapBnd"), "0000000000000000", "the control: a plain process has a bounding set");
}

/// DESIGN: without CAP_KILL not even uid 0 may end a process of another uid; more than that is not needed.
fn the_supervisor_keeps_the_power_to_kill_and_nothing_else(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let kill = format!("{:016x}", 1 << 5);
    let state = State::of(session.supervisor);
    state.has_ids(0, 0, "").is("CapEff", &kill).is("CapPrm", &kill).is("NoNewPrivs", "1").is("Seccomp", "2");
    for set in ["CapInh", "CapBnd", "CapAmb"] {
        state.is(set, "0000000000000000");
    }
}

/// Without privilege there is none to give up but the way to more.
fn the_supervisor_without_the_setuid_bit_is_the_caller_and_gains_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let alice = scene.machine.user("alice");
    let state = State::of(session.supervisor);
    state.has_ids(alice.uid, alice.gid, &groups_of(&scene, "alice"));
    state.is("CapEff", "0000000000000000").is("CapPrm", "0000000000000000").is("NoNewPrivs", "1").is("Seccomp", "2");
}

/// A supervisor that was taken over finds no file by name.
fn the_root_of_the_supervisor_is_empty(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let count = |pid: i32, place: &str| fs::read_dir(format!("/proc/{pid}/{place}/")).unwrap().count();
    let ours = std::process::id().cast_signed();
    assert!(count(ours, "root") > 5, "the control: our own root is not empty");
    within(SOON, "the supervisor is confined", || State::of(session.supervisor).field("Seccomp") == "2");
    assert_eq!((count(session.supervisor, "root"), count(session.supervisor, "cwd")), (0, 0));
    let made = fs::write(format!("/proc/{}/root/x", session.supervisor), "");
    assert_eq!(made.map_err(|e| e.raw_os_error()), Err(Some(30)), "read-only even for root");
}

/// Case 56 (origin: pam_cap): what a login gives the caller by ambient and inheritable sets ends at our door.
fn capabilities_that_the_caller_has_do_not_reach_the_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let with_capability = |call: agent_aws_harness::Call| {
        let plain = call.command();
        let mut command = Command::new(plain.get_program());
        let gain = ["--inh-caps=+net_raw", "--ambient-caps=+net_raw"];
        for word in plain.get_args() {
            match word == "--inh-caps=-all" {
                true => command.args(gain),
                false => command.arg(word),
            };
        }
        command.env_clear().envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?))));
        let output = command.current_dir(plain.get_current_dir().unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        State::parse(&String::from_utf8_lossy(&output.stdout))
    };
    let control = with_capability(scene.machine.call("alice", "/bin/cat").arg("/proc/self/status"));
    control.is("CapAmb", "0000000000002000").is("CapInh", "0000000000002000").is("CapEff", "0000000000002000");
    let agent = with_capability(scene.run(&["--no-wait"], &["cat", "/proc/self/status"]));
    agent.has_no_privilege();
}

/// Case 57: securebits are locked, so that not even a hole that gives uid 0 would give capabilities with it.
fn no_privilege_can_be_regained_inside(mode: Mode) {
    let scene = Scene::new(mode);
    let attacker = placed(&scene, env!("CARGO_BIN_EXE_attacker"));
    let control = scene.machine.call("alice", &attacker).arg("regain").run().ends(0);
    let outside = [("securebits", "0x0"), ("keeps", "false"), ("keepcaps", "ok"), ("setuid", "EPERM")];
    assert_eq!(differences(&control, &outside), Vec::<String>::new());
    let script = format!("{attacker} regain");
    let output = inside(&scene, &[], &script).run().ends(0);
    // In the user namespace of unprivileged mode there is no root that one could become.
    let no_root = if mode == Mode::Setuid { "EPERM" } else { "EINVAL" };
    let locked = [
        ("securebits", "0xef"),
        ("keeps", "false"),
        ("keepcaps", "EPERM"),
        ("unlock", "EPERM"),
        ("setuid", no_root),
        ("setgid", no_root),
        ("setgroups", "EPERM"),
    ];
    assert_eq!(differences(&output, &locked), Vec::<String>::new());
}

/// DESIGN: in our group, kill(0) would reach host processes, and a shell that exits would lose the terminal.
fn the_agent_is_in_a_process_group_of_its_own(mode: Mode) {
    use nix::unistd::{Pid, getpgid};
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let group = |pid: i32| getpgid(Some(Pid::from_raw(pid))).unwrap().as_raw();
    assert_eq!(group(session.agent), session.agent);
    let cli = session.cli.id().cast_signed();
    for (name, pid) in session.ours().into_iter().chain([("agent-aws", cli)]) {
        assert_ne!(group(pid), session.agent, "{name}");
    }
}

/// Case 68, first half: a process that is not dumpable leaves no core and nobody of its uid may trace it. The agent is
/// the control: it is the caller's own.
fn only_the_agent_can_be_traced_or_leave_a_core(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    assert!(is_dumpable(session.agent), "the control");
    for (name, pid) in session.ours() {
        assert!(!is_dumpable(pid), "{name}");
    }
    for pid in [session.supervisor, session.broker] {
        assert_eq!(core_limit(pid), "0");
    }
}

/// Case 68, second half: with every limit lifted and a signal that dumps core, there is none. Supervisor and init block
/// every signal that is sent to them; for them the first half must do.
fn a_crash_of_the_broker_leaves_no_core(mode: Mode) {
    let scene = Scene::new(mode);
    let all = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Core, all).unwrap();
    let control = scene.machine.call("alice", "/bin/sh").args(&["-c", "kill -ABRT $$"]).run();
    assert!(control.status.core_dumped(), "the control: a process of the caller's dumps core\n{control}");
    let places = ["/".into(), scene.machine.project(&scene.machine.user("alice"))];
    let is_core = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("core");
    let in_place = |place| fs::read_dir(place).unwrap().filter(|e| is_core(&e.as_ref().unwrap().file_name())).count();
    let cores = || places.iter().map(in_place).sum::<usize>();
    let before = cores();
    let session = Running::idle(&scene);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(session.broker), nix::sys::signal::Signal::SIGABRT).unwrap();
    within(SOON, "the session ends", || !session.lives());
    drop(session);
    assert_eq!(cores(), before);
}
