//! Cases 98, 100, 105 and 106: whoever speaks with the broker and means it no good. Clients inside, processes outside, an STS,
//! the AWS configuration of a caller.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::inside::placed;
use agent_aws_e2e::session::State;
use agent_aws_harness::{Case, Mode, SOON, Scene, case, processes, suite, until, within};

use inside::Inside;

const CASES: &[Case] = &[
    case!(no_process_of_a_session_has_an_abstract_name_or_a_port_of_the_host).private(),
    case!(no_misuse_of_a_door_starves_a_client_that_keeps_the_rules).private().limit(400),
    case!(who_speaks_with_sts_has_no_privilege_and_survives_its_answers).private().limit(300),
    case!(a_program_of_an_own_profile_is_the_caller_and_nobody_else).private(),
    case!(a_program_named_by_a_system_source_is_not_run).private().setuid(),
    case!(an_own_configuration_is_read_with_the_callers_rights).private(),
    case!(an_own_configuration_without_end_or_that_nobody_writes_holds_nothing_up),
];

fn main() -> ExitCode {
    suite(CASES)
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
const MISUSE: &str = concat!(include_str!("parts/doors.py"), include_str!("parts/misuse.py"));

fn broker() -> i32 {
    let found = processes().into_iter().find(|p| p.name.starts_with("agent-aws-broke"));
    found.expect("a broker").pid
}

/// The sockets that a process has open, by inode.
fn sockets(pid: i32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned));
    links.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Lines of a table of sockets: their words.
fn table(pid: i32, name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Processes of the session that somebody outside of the sandbox could connect to without a path, and how.
fn within_reach(scene: &Scene) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let us = std::process::id().cast_signed();
    for process in scene.machine.others() {
        let own = sockets(process.pid);
        let is_own = |row: &[String], column: usize| row.get(column).is_some_and(|inode| own.contains(inode));
        let abstracts = [us, process.pid].into_iter().flat_map(|pid| table(pid, "unix"));
        if abstracts.into_iter().any(|row| is_own(&row, 6) && row.get(7).is_some_and(|name| name.starts_with('@'))) {
            found.insert(format!("{} by an abstract name", process.name));
        }
        let ports = ["tcp", "tcp6"].into_iter().flat_map(|name| table(us, name));
        if ports.into_iter().any(|row| is_own(&row, 9) && row.get(3).is_some_and(|state| state == "0A")) {
            found.insert(format!("{} by a port", process.name));
        }
    }
    found
}

fn no_process_of_a_session_has_an_abstract_name_or_a_port_of_the_host(mode: Mode) {
    let scene = Scene::new(mode);
    for network in ["none", "shared"] {
        let mut inside = Inside::new(&scene, &["--network", network]);
        inside.does(CLIENT).well();
        assert_eq!(within_reach(&scene), BTreeSet::new(), "{network}");
        // The control: an agent that makes such sockets is seen.
        let names = "import socket, sys; u = socket.socket(socket.AF_UNIX); u.bind(\"\"); u.listen(); \
                     t = socket.create_server((\"127.0.0.1\", 0)); open(\"ready\", \"w\"); sys.stdin.read()";
        inside.does(&format!("mkfifo hold; /usr/bin/python3 -c '{names}' <hold & exec 9>hold")).well();
        let project = scene.machine.project(&scene.machine.user("alice"));
        within(SOON, "it listens", || project.join("ready").exists());
        let mut seen = BTreeSet::from(["python3 by an abstract name".to_owned()]);
        if network == "shared" {
            seen.insert("python3 by a port".into());
        }
        assert_eq!(within_reach(&scene), seen, "the control, {network}");
        inside.does("exec 9>&-; wait; rm hold ready").well();
        inside.end();
    }
}

/// Origin: OpenSSH's monitor, bubblewrap's socket. Too much, half of it, one byte a second, thousands, other protocols,
/// descriptors, urgent data.
fn no_misuse_of_a_door_starves_a_client_that_keeps_the_rules(mode: Mode) {
    let scene = Scene::new(mode);
    let script = scene.machine.project(&scene.machine.user("alice")).join("misuse.py");
    scene.machine.file(&scene.machine.user("alice"), &script, 0o644, MISUSE);
    let control = scene.machine.call("alice", "/usr/bin/python3").args(&["misuse.py", "control"]).run().says();
    assert_eq!(control, "before True\nbeside half a request False", "the control");
    let probe = placed(&scene, env!("CARGO_BIN_EXE_probe"));
    let mut inside = Inside::new(&scene, &["--network", "none"]);
    let by_fifo = format!("{probe} without-sockets {CLIENT}");
    [CLIENT, &by_fifo].iter().for_each(|client| drop(inside.does(client).well()));
    let open = || fs::read_dir(format!("/proc/{}/fd", broker())).expect("its descriptors").count();
    let resident =
        || State::of(broker()).field("VmRSS").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0_u32);
    let (pid, descriptors, memory) = (broker(), open(), resident());
    inside.tell("/usr/bin/python3 misuse.py");
    let ways = ["oversized", "partial", "slow", "many", "version", "descriptors", "urgent"];
    // Whoever shares a descriptor can shut it down for all who do. Then there are the other doors.
    let served: Vec<String> =
        ways.iter().map(|way| format!("{way} served")).chain(["shut at_capability".into()]).collect();
    assert_eq!(inside.hear("the misuse").well().lines().collect::<Vec<_>>(), served);
    [CLIENT, &by_fifo].iter().for_each(|client| drop(inside.does(client).well()));
    within(Duration::from_secs(70), "no descriptor is kept", || open() <= descriptors + 1);
    assert_eq!(broker(), pid);
    assert!(resident() < memory + 8 * 1024, "{memory} kB, then {} kB", resident());
    assert_eq!(inside.end(), Some(0));
}

/// Which processes of the session have a connection to this port of the machine's loopback.
fn speakers(scene: &Scene, port: u16) -> BTreeSet<i32> {
    let us = std::process::id().cast_signed();
    let peer = format!("0100007F:{port:04X}");
    let rows = table(us, "tcp").into_iter().filter(|row| row.get(2) == Some(&peer));
    let inodes: Vec<String> = rows.filter_map(|row| row.get(9).cloned()).collect();
    let speaks = |pid: &i32| sockets(*pid).iter().any(|socket| inodes.contains(socket));
    scene.machine.others().into_iter().map(|p| p.pid).filter(speaks).collect()
}

/// No capability, and no way to one. Without the setuid bit nobody may empty the bounding set, and it gives nothing.
fn has_nothing(state: &State) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        state.is(set, "0000000000000000");
    }
    state.is("NoNewPrivs", "1").is("Seccomp", "2");
}

/// Whatever STS answers is read by a process that has nothing, and that is still there afterwards.
fn who_speaks_with_sts_has_no_privilege_and_survives_its_answers(mode: Mode) {
    let scene = Scene::new(mode);
    let port = scene.sts.address().port();
    scene.set_faults(r#"{"hang":true}"#);
    let mut inside = Inside::new(&scene, &["--no-wait"]);
    within(SOON, "STS is asked", || !speakers(&scene, port).is_empty());
    let pid = broker();
    assert_eq!(speakers(&scene, port), BTreeSet::from([pid]));
    let state = State::of(pid);
    has_nothing(&state);
    let uid: u32 = state.field("Uid").split(' ').next().and_then(|uid| uid.parse().ok()).expect("a uid");
    let alice = scene.machine.user("alice").uid;
    assert!(uid != 0 && (uid == alice) == (mode == Mode::Unprivileged), "{state:#?}");
    // The control: whoever else speaks with it is seen.
    let speak = format!("import socket, sys; s = socket.create_connection((\"127.0.0.1\", {port})); sys.stdin.read()");
    inside.does(&format!("mkfifo hold; /usr/bin/python3 -c '{speak}' <hold & exec 9>hold")).well();
    let both = until(SOON, || Some(speakers(&scene, port)).filter(|all| all.len() == 2));
    assert!(both.is_some_and(|all| all.contains(&pid)), "the control");
    inside.does("exec 9>&-; wait").well();
    for fault in [r#"{"huge_body":true}"#, r#"{"malformed":true}"#, r#"{"throttle":1000}"#] {
        let before = scene.sts.requests().len();
        scene.set_faults(fault);
        within(Duration::from_secs(60), fault, || scene.sts.requests().len() >= before + 2);
        inside.does(CLIENT).badly();
    }
    scene.set_faults("{}");
    within(Duration::from_secs(60), "it serves", || inside.does(CLIENT).status == 0);
    assert_eq!(broker(), pid);
}

/// A program that says what it is, and gives credentials.
fn tells(scene: &Scene) -> (PathBuf, PathBuf) {
    let alice = scene.machine.user("alice");
    let session = scene.agent_aws(&["credentials", "--profile", "dev"]).run().says();
    let (said, program) = (scene.aws("said"), scene.aws("tells"));
    let script = format!("#!/bin/sh\ncat /proc/self/status >{}\necho '{session}'\n", said.display());
    scene.machine.file(&alice, &program, 0o755, script);
    (program, said)
}

/// The most dangerous thing that a configuration can ask for: it runs as who could have run it anyway, with less.
fn a_program_of_an_own_profile_is_the_caller_and_nobody_else(mode: Mode) {
    let scene = Scene::new(mode);
    let (program, said) = tells(&scene);
    scene.configure(&format!("[profile tool]\nregion = eu-west-1\ncredential_process = {}\n", program.display()), "");
    scene.machine.call("alice", &program).run().ends(0);
    let control = State::parse(&fs::read_to_string(&said).expect("what it said"));
    fs::remove_file(&said).expect("what it said");
    scene.agent_aws(&["run", "--profile", "tool", "--", "true"]).run().ends(0);
    let state = State::parse(&fs::read_to_string(&said).expect("what it said"));
    for ids in ["Uid", "Gid", "Groups"] {
        state.is(ids, control.field(ids));
    }
    has_nothing(&state);
    control.is("NoNewPrivs", "0").is("Seccomp", "0");
}

/// The file of a system source is root's, and gives keys only: a program in it would be run by the broker's user.
fn a_program_named_by_a_system_source_is_not_run(mode: Mode) {
    let scene = Scene::new(mode);
    let marker = scene.machine.scratch().join("marker");
    let setting = format!("credential_process = /usr/bin/touch {}\n", marker.display());
    fs::set_permissions(scene.machine.scratch(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let source = "/etc/agent-aws/sources/workstation".as_ref();
    scene.machine.root_file(source, 0o600, format!("[default]\n{setting}"));
    scene.run(&[], &["true"]).run().refused("source");
    assert!(!marker.exists(), "it was run");
    // The control: in a profile of the caller's it is.
    scene.configure(&format!("[profile tool]\nregion = eu-west-1\n{setting}"), "");
    scene.agent_aws(&["run", "--profile", "tool", "--", "true"]).run().ends(125);
    assert!(marker.exists(), "the control");
}

/// What a caller cannot read is no configuration of theirs, with the setuid bit too, and nothing of it is shown.
fn an_own_configuration_is_read_with_the_callers_rights(mode: Mode) {
    let scene = Scene::new(mode);
    let (bob, alice) = (scene.machine.user("bob"), scene.machine.user("alice"));
    let config = fs::read_to_string(scene.aws("config")).expect("hers");
    let keys = fs::read_to_string(scene.aws("credentials")).expect("hers");
    let place = bob.home.join("keys");
    let run = || {
        let call = scene.agent_aws(&["run", "--profile", "dev", "--", "true"]);
        call.env("AWS_SHARED_CREDENTIALS_FILE", &place).run()
    };
    scene.machine.file(&bob, &place, 0o600, &keys);
    let output = run().ends(125);
    assert!(!format!("{output}").contains("alice-secret"), "{output}");
    let link = scene.aws("link");
    std::os::unix::fs::symlink(&place, &link).expect("a link");
    let call = scene.agent_aws(&["run", "--profile", "dev", "--", "true"]);
    let output = call.env("AWS_SHARED_CREDENTIALS_FILE", &link).run().ends(125);
    assert!(!format!("{output}").contains("alice-secret"), "{output}");
    // The control: the same file where she may read it, beside the same configuration.
    let hers = scene.aws("other");
    scene.machine.file(&alice, &hers, 0o600, &keys);
    let call = scene.agent_aws(&["run", "--profile", "dev", "--", "true"]);
    call.env("AWS_SHARED_CREDENTIALS_FILE", &hers).run().ends(0);
    assert!(config.contains("source_profile"));
}

/// Neither memory nor time of anybody's: a device, and a FIFO, which would hold up whoever opens it.
fn an_own_configuration_without_end_or_that_nobody_writes_holds_nothing_up(mode: Mode) {
    let scene = Scene::new(mode);
    let fifo = scene.machine.scratch().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
    // The control: whoever reads it as any file waits.
    let read = ["1", "cat", &fifo.display().to_string()].map(str::to_owned);
    scene.machine.call("alice", "/usr/bin/timeout").args(&read).run().ends(124);
    for variable in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        for place in ["/dev/zero".into(), fifo.clone()] {
            let call = scene.agent_aws(&["run", "--profile", "dev", "--", "true"]).env(variable, &place);
            call.run_within(Duration::from_secs(25)).refused("is no regular file");
        }
    }
}
