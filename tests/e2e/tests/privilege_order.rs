//! In which order privilege is given up, as the kernel hears it, and who reads the user database.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::session::START;
use agent_aws_e2e::trace::{Tracer, calls, go_on, held};
use agent_aws_harness::{Case, Mode, Scene, case, suite, within};

const CASES: &[Case] = &[
    case!(the_helper_takes_root_before_it_does_anything_else).setuid(),
    case!(every_child_gives_privilege_up_in_the_one_right_order).private(),
    case!(after_each_drop_a_way_back_is_tried_and_refused).private(),
    case!(the_helper_signals_by_descriptor_only).private(),
    case!(the_user_database_is_read_by_nobody_who_is_root).setuid(),
];

const PRIVILEGE: &str = "trace=%creds,prctl,capset,seccomp,landlock_restrict_self,execve,execveat,pivot_root,umount2";

fn main() -> ExitCode {
    suite(CASES)
}

/// A whole run under strace: `agent-aws` and every system call of these that it and its children made.
fn traced(scene: &Scene, expression: &str) -> (i32, Vec<(i32, String)>) {
    let scratch = scene.machine.scratch();
    let mut cli = held(&scene.run(&[], &["true"]), &scratch.join("said"));
    let pid = cli.id().cast_signed();
    let tracer = Tracer::attach(pid, true, &[expression], &scratch.join("log"));
    go_on(pid);
    let mut status = None;
    within(START, "the run ends", || {
        status = cli.try_wait().unwrap();
        status.is_some()
    });
    let said = std::fs::read_to_string(scratch.join("said")).unwrap();
    assert_eq!(status.and_then(|s| s.code()), Some(0), "{said}");
    (pid, calls(&tracer.end()))
}

/// The calls of one process.
fn of(all: &[(i32, String)], pid: i32) -> Vec<&str> {
    all.iter().filter(|(p, _)| *p == pid).map(|(_, call)| call.as_str()).collect()
}

/// Processes in the order of their first call.
fn pids(all: &[(i32, String)]) -> Vec<i32> {
    let mut found = Vec::new();
    for (pid, _) in all {
        if !found.contains(pid) {
            found.push(*pid);
        }
    }
    found
}

/// The name of a step; none for calls that change nothing of privilege.
fn step(call: &str) -> Option<&'static str> {
    const STEPS: [(&str, &str); 15] = [
        ("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)", "not dumpable"),
        ("prctl(PR_SET_DUMPABLE, SUID_DUMP_USER)", "dumpable"),
        ("prctl(PR_CAPBSET_DROP", "bounding set"),
        ("prctl(PR_SET_SECUREBITS", "securebits"),
        ("setgroups(", "groups"),
        ("setresgid(", "gid"),
        ("setresuid(", "uid"),
        ("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL", "ambient"),
        ("capset(", "capabilities"),
        ("prctl(PR_SET_NO_NEW_PRIVS", "no_new_privs"),
        ("landlock_restrict_self(", "Landlock"),
        ("seccomp(SECCOMP_SET_MODE_FILTER", "seccomp"),
        ("prctl(PR_SET_SECCOMP", "seccomp"),
        ("pivot_root(", "root"),
        ("execve", "execute"),
    ];
    let refused = call.contains(" = -1 ");
    STEPS.iter().find(|(start, _)| call.starts_with(start)).filter(|_| !refused).map(|(_, name)| *name)
}

/// Steps of a process, each only once where it is repeated. Whoever installs a filter sets no_new_privs once more.
fn steps(all: &[(i32, String)], pid: i32) -> Vec<&'static str> {
    let mut steps: Vec<_> = of(all, pid).into_iter().filter_map(step).collect();
    let mut again = false;
    steps.retain(|s| *s != "no_new_privs" || !std::mem::replace(&mut again, true));
    steps.dedup();
    steps
}

/// The process that executed this program of ours by descriptor.
fn who_executed(all: &[(i32, String)], program: &str) -> i32 {
    let is = |call: &str| {
        call.starts_with("execveat(") && call.contains(&format!("[\"{program}\"")) && call.ends_with("= 0")
    };
    all.iter().find(|(_, call)| is(call)).map(|(pid, _)| *pid).unwrap_or_else(|| panic!("no {program} in {all:#?}"))
}

/// The process that `agent-aws` executed: the helper.
fn helper(all: &[(i32, String)]) -> i32 {
    let is = |call: &str| call.starts_with("execve(") && call.contains("agent-aws-helper\", ") && call.ends_with("= 0");
    all.iter().find(|(_, call)| is(call)).map(|(pid, _)| *pid).unwrap()
}

/// Case 51, DESIGN "entry": until `setresuid(0, 0, 0)` the caller can stop and kill us, so nothing comes before it.
fn the_helper_takes_root_before_it_does_anything_else(mode: Mode) {
    let scene = Scene::new(mode);
    let (_, all) = traced(&scene, PRIVILEGE);
    let main = helper(&all);
    let wanted = ["execute", "not dumpable", "uid", "groups", "gid", "not dumpable"];
    assert_eq!(steps(&all, main)[..wanted.len()], wanted);
    let end = ["bounding set", "ambient", "capabilities", "no_new_privs", "not dumpable", "seccomp"];
    let steps = steps(&all, main);
    assert_eq!(steps[steps.len() - end.len()..], end, "the supervisor");
}

/// Case 52 (origin: youki's test of its system calls): groups before gid before uid, or they would not take; the
/// bounding set and securebits while that is still allowed; no_new_privs before the filters, which need it; filters
/// last.
fn every_child_gives_privilege_up_in_the_one_right_order(mode: Mode) {
    let scene = Scene::new(mode);
    let (_, all) = traced(&scene, PRIVILEGE);
    let drop = match mode {
        Mode::Setuid => vec![
            "not dumpable", "bounding set", "securebits", "groups", "gid", "uid", "ambient", "capabilities",
            "no_new_privs", "not dumpable",
        ],
        // setgroups is denied in a user namespace of the caller's.
        Mode::Unprivileged => vec![
            "not dumpable", "bounding set", "securebits", "gid", "uid", "ambient", "capabilities", "no_new_privs",
            "not dumpable",
        ],
    };
    let init = who_executed(&all, "agent-aws-init");
    let found = steps(&all, init);
    let before = found.iter().position(|s| *s == "root").expect("a root of its own");
    let walls = ["Landlock", "seccomp", "execute"];
    let after: Vec<_> = found[before + 1..].iter().copied().take(drop.len() + walls.len()).collect();
    assert_eq!(after, [drop.as_slice(), &walls].concat(), "init: {found:?}");
    let broker = who_executed(&all, "agent-aws-broker");
    let found = steps(&all, broker);
    let executed = found.iter().position(|s| *s == "execute").unwrap();
    match mode {
        Mode::Setuid => assert_eq!(found[..executed], drop, "broker"),
        Mode::Unprivileged => assert_eq!(found[..executed], ["ambient", "no_new_privs", "not dumpable"], "broker"),
    }
    let walls = match mode {
        Mode::Setuid => vec!["execute", "not dumpable", "seccomp", "Landlock", "seccomp"],
        // Its source may start any program.
        Mode::Unprivileged => vec!["execute", "not dumpable", "seccomp"],
    };
    assert_eq!(found[executed..], walls, "broker");
    let reader = who_executed(&all, "agent-aws-reader");
    let found = steps(&all, reader);
    let executed = found.iter().position(|s| *s == "execute").unwrap();
    match mode {
        Mode::Setuid => assert_eq!(found[..executed], drop, "reader"),
        Mode::Unprivileged => assert_eq!(found[..executed], ["ambient", "no_new_privs", "not dumpable"], "reader"),
    }
    assert_eq!(found[executed..], ["execute", "not dumpable", "seccomp"], "reader");
    if mode == Mode::Setuid {
        // It keeps three capabilities, which no file that it executes can add to.
        let plumber = who_executed(&all, "agent-aws-plumber");
        let found = steps(&all, plumber);
        let executed = found.iter().position(|s| *s == "execute").unwrap();
        let order = [
            "not dumpable", "capabilities", "bounding set", "groups", "gid", "uid", "capabilities", "no_new_privs",
            "not dumpable",
        ];
        assert_eq!(found[..executed], order, "plumber");
        let others = [helper(&all), init, broker, plumber, reader];
        let rest = pids(&all).into_iter().filter(|pid| !others.contains(pid));
        let dropped: Vec<_> = rest.map(|pid| steps(&all, pid)).filter(|s| s.contains(&"uid")).collect();
        assert_eq!(dropped, [drop], "the one who asks the database");
    }
}

/// Case 51 (origin: OpenSSH's permanently_set_uid): having dropped, each tries to get root back, and goes on only
/// because it cannot.
fn after_each_drop_a_way_back_is_tried_and_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let (_, all) = traced(&scene, PRIVILEGE);
    let mut seen = 0;
    for pid in pids(&all) {
        let calls = of(&all, pid);
        let Some(dropped) = calls.iter().position(|c| c.starts_with("setresuid(") && !c.starts_with("setresuid(0"))
        else {
            continue;
        };
        seen += 1;
        let after = &calls[dropped + 1..];
        for call in ["setresuid(0, 0, 0) = -1 ", "setuid(0) = -1 "] {
            let refused = |c: &&str| c.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(call);
            assert!(after.iter().any(refused), "{call} in {after:#?}");
        }
        let back = after.iter().find(|c| c.starts_with("set") && c.contains("uid(") && c.ends_with("= 0"));
        assert_eq!(back, None, "in {after:#?}");
    }
    // The one who asks the database, reader, broker, plumber, init.
    assert_eq!(seen, if mode == Mode::Setuid { 5 } else { 1 }, "{all:#?}");
}

/// Case 64 (origin: runc's pidfd socket): a number may belong to somebody else by now, a pidfd never.
fn the_helper_signals_by_descriptor_only(mode: Mode) {
    let scene = Scene::new(mode);
    let (_, all) = traced(&scene, "trace=kill,tkill,tgkill,rt_sigqueueinfo,pidfd_send_signal,execve");
    let ours = of(&all, helper(&all));
    assert!(ours.iter().any(|call| call.starts_with("pidfd_send_signal(")), "the control: {ours:#?}");
    let by_number =
        |call: &&&str| ["kill(", "tkill(", "tgkill(", "rt_sigqueueinfo("].iter().any(|c| call.starts_with(c));
    assert_eq!(ours.iter().find(by_number), None);
}

/// DESIGN "decide": a module of the user database is foreign code, so no root process asks it anything.
fn the_user_database_is_read_by_nobody_who_is_root(mode: Mode) {
    let scene = Scene::new(mode);
    let (cli, all) = traced(&scene, "trace=open,openat,openat2,execve,execveat,setresuid,connect");
    let databases =
        ["/etc/passwd\"", "/etc/group\"", "/etc/nsswitch.conf\"", "libnss_", "/run/nscd", "/run/systemd/userdb"];
    let main = helper(&all);
    let (mut readers, mut dropped) = (Vec::new(), Vec::new());
    for (pid, call) in &all {
        if call.starts_with("setresuid(65534, 65534, 65534)") && call.ends_with("= 0") {
            dropped.push(*pid);
        }
        if databases.iter().any(|d| call.contains(d)) && (*pid == main || is_below(&all, main, *pid)) {
            assert!(dropped.contains(pid), "{pid} is no nobody: {call}");
            readers.push(*pid);
        }
    }
    readers.dedup();
    assert_eq!(readers.len(), 1, "the control: exactly one process reads them (agent-aws is {cli})\n{all:#?}");
}

/// Whether a process was started by the helper, and is not the agent, which may read what it likes.
fn is_below(all: &[(i32, String)], main: i32, pid: i32) -> bool {
    let first = |p: i32| all.iter().position(|(q, _)| *q == p);
    let is_agent = of(all, pid).iter().any(|c| c.starts_with("execve(") && c.contains("\"true\""));
    first(pid) > first(main) && !is_agent
}
