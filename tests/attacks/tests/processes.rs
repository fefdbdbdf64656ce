//! Who could act for an agent outside of its sandbox, and how the walls are put up.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, ExitCode};

use agent_aws_attacks::promised;
use agent_aws_e2e::inside::{inside, memory_over, outside};
use agent_aws_e2e::session::{AT_ONCE, Running, START, State};
use agent_aws_e2e::trace::{Tracer, calls, go_on, held};
use agent_aws_harness::{Case, Mode, Scene, case, suite, within};

const CASES: &[Case] = &[
    case!(nobody_starts_anything_outside_for_an_agent).private(),
    case!(walls_are_put_up_before_there_is_a_second_thread).private(),
    case!(an_agent_does_not_outlive_a_supervisor_without_more_than_the_power_to_kill).setuid(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Case 80: `systemd-run --user`, `dbus-send`, `flatpak-spawn`, `gio launch`, `at`, `crontab` and a desktop's autostart
/// all come down to a socket that somebody listens at, or a directory that somebody looks into.
fn nobody_starts_anything_outside_for_an_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let sockets =
        ["/run/user/4242/bus", "/run/user/4242/systemd/private", "/run/dbus/system_bus_socket", "/run/systemd/private"];
    let directories = [
        "/var/spool/cron/crontabs", "/var/spool/cron/atspool", "/home/alice/.config/systemd/user",
        "/home/alice/.config/autostart", "/home/alice/.local/share/applications", "/run/user/4242/systemd/transient",
    ];
    scene.machine.directory(&alice, Path::new("/run/user/4242"));
    memory_over("/var/spool", 0o755);
    for directory in directories {
        scene.machine.directory(&alice, Path::new(directory));
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(format!("{directory}/of-the-host"), "").unwrap();
    }
    let listen = |place: &str| {
        scene.machine.directory(&alice, Path::new(place).parent().unwrap());
        let _ = fs::remove_file(place);
        let listener = UnixListener::bind(place).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
        listener
    };
    let _listeners: Vec<UnixListener> = sockets.iter().map(|place| listen(place)).collect();
    let attack = format!(
        "for s in {}; do python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $s \
         2>/dev/null && echo connected $s; done; for d in {}; do [ -e $d/of-the-host ] && touch $d/job && echo planted $d; \
         done; echo ${{DBUS_SESSION_BUS_ADDRESS:-no bus}}",
        sockets.join(" "),
        directories.join(" ")
    );
    let bus = |call: agent_aws_harness::Call| call.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/4242/bus");
    let control = bus(outside(&scene, &attack)).run().ends(0).stdout;
    assert_eq!(control.lines().count(), sockets.len() + directories.len() + 1, "the control: {control}");
    assert!(control.contains("unix:path"), "the control: {control}");
    let output = bus(inside(&scene, &[], &attack)).run().ends(0);
    assert_eq!(output.stdout.trim_end().replace('\n', ", "), promised!(mode), "{output}");
}

/// Case 92: Landlock and seccomp bind the thread that asks; one that there is already goes on without.
fn walls_are_put_up_before_there_is_a_second_thread(mode: Mode) {
    let scene = Scene::new(mode);
    let traced = |call: &agent_aws_harness::Call, name: &str| {
        let log = scene.machine.scratch().join(name);
        let mut child = held(call, &log.with_extension("said"));
        let expressions = ["trace=clone,clone3,execve,execveat,landlock_restrict_self,seccomp"];
        let tracer = Tracer::attach(child.id().cast_signed(), true, &expressions, &log);
        go_on(child.id().cast_signed());
        let status = child.wait().unwrap();
        assert!(status.success(), "{}", fs::read_to_string(log.with_extension("said")).unwrap());
        walled(&tracer.end())
    };
    let ours = traced(&inside(&scene, &[], "true"), "ours");
    // The control: a program that has a thread and then restricts itself.
    let late = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1,)).start(); \
                c = ctypes.CDLL(None); c.prctl(38, 1, 0, 0, 0); c.syscall(446, -1, 0)";
    let control = traced(&scene.machine.call("alice", "/usr/bin/python3").args(&["-c", late]), "late");
    assert_eq!(control, (1, 1), "the control");
    assert!(ours.0 >= 1, "no wall was seen: {ours:?}");
    assert_eq!(format!("{} of its walls", ours.1), promised!(mode), "{ours:?}");
}

/// DESIGN: uid 0 without capabilities ends no process of another uid. The supervisor, which keeps that one capability,
/// does.
fn an_agent_does_not_outlive_a_supervisor_without_more_than_the_power_to_kill(mode: Mode) {
    let scene = Scene::new(mode);
    let sleeper = || {
        let child = scene.machine.call("alice", "/bin/sleep").arg("1000").command().spawn().unwrap();
        within(START, "the sleeper is Alice's", || {
            State::of(child.id().cast_signed()).field("Uid").starts_with("4242 ")
        });
        child
    };
    // The control: root as which of the two kills?
    let kills = |capability: &str| {
        let mut victim = sleeper();
        let pid = victim.id().to_string();
        let bounded = format!("--bounding-set={capability}");
        let status =
            Command::new("setpriv").args([&bounded, "--inh-caps=-all", "kill", "-KILL", &pid]).status().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        status.success()
    };
    assert_eq!([kills("-all"), kills("-all,+kill")], [false, true], "the control");
    let session = Running::idle(&scene);
    let (agent, supervisor) = (session.agent, session.supervisor);
    assert_eq!(State::of(supervisor).field("CapEff"), format!("{:016x}", 1 << 5));
    scene.agent_aws(&["sessions"]).run().ends(0);
    let listed = scene.agent_aws(&["sessions"]).run().says();
    let id = listed.lines().last().and_then(|line| line.split_whitespace().next()).unwrap_or_default().to_owned();
    scene.agent_aws(&["stop", &id]).run().ends(0);
    within(AT_ONCE, "the agent ends", || State::of(agent).field("State").is_empty());
    assert_eq!(if State::of(agent).field("State").is_empty() { "ends at once" } else { "goes on" }, promised!(mode));
}

/// Of a log of strace: how many calls put a wall up, and how many of those by a process with other threads.
fn walled(log: &str) -> (usize, usize) {
    let mut threads: BTreeMap<i32, usize> = BTreeMap::new();
    let (mut walls, mut late) = (0, 0);
    for (pid, call) in calls(log) {
        if call.starts_with("clone") && call.contains("CLONE_THREAD") {
            *threads.entry(pid).or_default() += 1;
        } else if call.starts_with("execve") {
            threads.remove(&pid);
        } else if call.starts_with("landlock_restrict_self") || call.starts_with("seccomp(SECCOMP_SET_MODE_FILTER") {
            walls += 1;
            late += usize::from(threads.contains_key(&pid));
        }
    }
    (walls, late)
}
