//! `agent-aws serve`: one identity at a socket, for whatever is not in a sandbox of ours. Nobody but the caller reaches
//! it, it can be asked for nothing, and it is there only while its session is.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/served.rs"]
mod served;

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::start::{Start, request};
use agent_aws_harness::{Case, Mode, SOON, Scene, Setup, case, processes, suite, within};
use agent_aws_protocol::{HelperToCli, RunRequest};
use nix::sys::signal::Signal;
use serde_json::Value;

use served::{Server, asks, directory, key, socket};

const CASES: &[Case] = &[
    case!(whoever_connects_gets_the_one_identity_and_others_cannot_connect).private(),
    case!(the_socket_is_there_only_while_credentials_are),
    case!(no_process_of_the_callers_holds_the_socket_or_a_secret).setuid(),
    case!(two_at_once_have_one_identity_each).private(),
    case!(five_hundred_at_once_are_served),
    case!(it_goes_on_after_the_first_credentials_are_over),
    case!(a_narrowed_one_is_narrowed),
    case!(with_a_command_it_lasts_as_long_and_ends_alike),
    case!(signals_reach_the_command),
    case!(stopped_it_ends_the_command_and_says_so),
    case!(killed_any_process_takes_the_rest_with_it_and_the_next_one_begins),
    case!(what_is_refused_leaves_no_socket),
    case!(a_place_that_will_not_do_is_refused_before_anything_starts),
    case!(a_directory_holds_what_a_container_needs_and_is_empty_afterwards),
    case!(the_audit_trail_tells_a_server_from_a_run).private(),
    case!(a_caller_with_other_words_gets_no_broker).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn whoever_connects_gets_the_one_identity_and_others_cannot_connect(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &[]);
    server.is_ready(&path);
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket() && found.permissions().mode() & 0o7777 == 0o600, "{found:?}");
    let session = key(&asks(&scene, "alice", &path).says());
    let issued = scene.sts.issued();
    let ours = issued.iter().find(|issued| issued.access_key_id == session).expect("a key of the emulator's");
    assert!(ours.arn.starts_with(&scene.assumed()), "{ours:?}");
    // The control above: the same program, as its owner. Its directory lets everybody through.
    let said = asks(&scene, "bob", &path).ends(1);
    assert!(said.stderr.contains("ermission denied"), "{said}");
    server.ends_by(Signal::SIGTERM);
    assert!(!Path::new(&path).exists());
    asks(&scene, "alice", &path).ends(1);
}

/// A script that waits for the path has credentials.
fn the_socket_is_there_only_while_credentials_are(mode: Mode) {
    let scene = Scene::new(mode);
    scene.set_faults(r#"{"delay_ms": 1500}"#);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &[]);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!Path::new(&path).exists(), "there are no credentials yet");
    scene.set_faults("{}");
    server.is_ready(&path);
    asks(&scene, "alice", &path).ends(0);
    server.ends_by(Signal::SIGINT);
    let left: Vec<_> = std::fs::read_dir(Path::new(&path).parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// With a source of root's the broker is another user's process, and nobody else has what it has.
fn no_process_of_the_callers_holds_the_socket_or_a_secret(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &[]);
    server.is_ready(&path);
    let answer = asks(&scene, "alice", &path).says();
    let secret = served::member(&answer, "SecretAccessKey");
    let of_alice = scene.machine.user("alice").uid;
    let cli = processes().into_iter().find(|p| p.name == "agent-aws" && p.uid == of_alice).expect("the CLI");
    assert_eq!(cli.pid, server.pid());
    let open: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", cli.pid))
        .unwrap()
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.display().to_string()))
        .filter(|to| to.starts_with("socket:"))
        .collect();
    // Inode of the listening socket, by the kernel's own table.
    let table = std::fs::read_to_string(format!("/proc/{}/net/unix", cli.pid)).unwrap();
    let listening = table.lines().filter(|line| line.split_whitespace().nth(3) == Some("00010000"));
    let listening: Vec<String> =
        listening.filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(6)?))).collect();
    assert!(!listening.is_empty(), "the control: somebody listens\n{table}");
    assert!(!open.iter().any(|socket| listening.contains(socket)), "the CLI still listens: {open:?}");
    assert!(!served::memory_holds(cli.pid, &secret), "the CLI has seen the secret");
    let broker = processes().into_iter().find(|p| p.name == "agent-aws-broke").expect("the broker");
    assert!(served::memory_holds(broker.pid, &secret), "the control");
    assert!(broker.uid != of_alice && broker.uid != 0, "{broker:?}");
}

fn two_at_once_have_one_identity_each(mode: Mode) {
    let setup = Setup {
        policy: "[identity.other]\nrole = \"arn:aws:iam::111122223333:role/agent-dev\"\nsource = \"workstation\"\n\
                 [[allow]]\nusers = [\"alice\"]\nidentities = [\"other\"]\nsandbox = \"standard\"\n"
            .into(),
        ..Setup::default()
    };
    let scene = Scene::with(mode, &setup);
    if mode == Mode::Unprivileged {
        let keys = scene.keys("base");
        scene.configure("[profile dev]\nrole_arn = arn:aws:iam::111122223333:role/agent-dev\nsource_profile = base\nregion = eu-west-1\n[profile other]\nrole_arn = arn:aws:iam::111122223333:role/agent-incident\nsource_profile = base\nregion = eu-west-1\n", &keys);
    }
    let (one, two) = (socket(&scene, "one.sock"), socket(&scene, "two.sock"));
    let first = Server::start(&scene, &["--socket", &one], &[]);
    let other = match mode {
        Mode::Setuid => ["--as", "other"],
        Mode::Unprivileged => ["--profile", "other"],
    };
    let second = Server::as_another(&scene, &other, &["--socket", &two]);
    first.is_ready(&one);
    second.is_ready(&two);
    let arn = |path: &str| {
        let key = key(&asks(&scene, "alice", path).says());
        scene.sts.issued().into_iter().find(|issued| issued.access_key_id == key).unwrap().arn
    };
    assert!(arn(&one) != arn(&two) && arn(&one).starts_with(&scene.assumed()), "{} {}", arn(&one), arn(&two));
    second.ends_by(Signal::SIGTERM);
    asks(&scene, "alice", &one).ends(0);
}

fn five_hundred_at_once_are_served(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &[]);
    server.is_ready(&path);
    let script = format!(
        "import socket, threading\n\
         start, good = threading.Barrier(500), []\n\
         def one():\n    start.wait(); s = socket.socket(socket.AF_UNIX); s.connect({path:?}); got = b''\n    \
         while (more := s.recv(65536)): got += more\n    good.append(b'SecretAccessKey' in got)\n\
         threads = [threading.Thread(target=one) for _ in range(500)]\n\
         [t.start() for t in threads]; [t.join() for t in threads]\nprint(good.count(True))"
    );
    let said = scene.machine.call("alice", "/usr/bin/python3").args(&["-c", &script]).run().says();
    assert_eq!(said, "500");
}

fn it_goes_on_after_the_first_credentials_are_over(mode: Mode) {
    let scene = Scene::with(mode, &Setup { lifetime: Some(6), ..Setup::default() });
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &[]);
    server.is_ready(&path);
    let first = key(&asks(&scene, "alice", &path).says());
    within(Duration::from_secs(20), "another key", || key(&asks(&scene, "alice", &path).says()) != first);
}

fn a_narrowed_one_is_narrowed(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path, "--deny-action", "s3:DeleteObject"], &[]);
    server.is_ready(&path);
    let asked = scene.sts.requests().into_iter().find(|request| request.action == "AssumeRole").expect("a request");
    let policy = asked.parameters.get("Policy").expect("a session policy");
    assert!(policy.contains("s3:DeleteObject") && policy.contains("Deny"), "{policy}");
}

fn with_a_command_it_lasts_as_long_and_ends_alike(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let client = scene.machine.libexec().join("agent-aws-credentials");
    let script = format!("AGENT_AWS_SOCKET={path} {} | grep -c SecretAccessKey; exit 7", client.display());
    let said = Server::call(&scene, &["--socket", &path], &["sh", "-c", &script]).run().ends(7);
    assert_eq!(said.stdout, "1\n", "{said}");
    assert!(!Path::new(&path).exists());
    Server::call(&scene, &["--socket", &path], &["sh", "-c", "kill -9 $$"]).run().ends(137);
    let said = Server::call(&scene, &["--socket", &path], &["/no/such/program"]).run().ends(127);
    assert!(said.stderr.contains("`/no/such/program` is not there"), "{said}");
    Server::call(&scene, &["--socket", &path], &["/etc/passwd"]).run().ends(126);
    assert!(!Path::new(&path).exists());
    // The environment is the caller's own, and nothing of ours is added: it is not a way to pass credentials.
    let all = Server::call(&scene, &["--socket", &path], &["env"]).run().says();
    assert!(!all.contains("SECRET") && !all.contains("SESSION_TOKEN"), "{all}");
}

fn signals_reach_the_command(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done";
    let server = Server::start(&scene, &["--socket", &path], &["sh", "-c", script]);
    server.is_ready(&path);
    server.hears("up");
    server.tell(Signal::SIGTERM);
    assert_eq!(server.ends(), 9);
    assert!(!Path::new(&path).exists());
}

fn stopped_it_ends_the_command_and_says_so(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let server = Server::start(&scene, &["--socket", &path], &["sleep", "1000"]);
    server.is_ready(&path);
    let rows: Value = serde_json::from_str(&scene.agent_aws(&["sessions", "--json"]).run().says()).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| served::text(row, "command") == format!("serve {path}"));
    let id = served::text(row.expect("a row"), "id");
    let sleeper = || processes().into_iter().any(|p| p.command == "sleep 1000");
    assert!(sleeper(), "the control");
    scene.agent_aws(&["stop", &id]).run().ends(0);
    assert_eq!(server.ends(), 125);
    assert!(!sleeper() && !Path::new(&path).exists());
}

fn killed_any_process_takes_the_rest_with_it_and_the_next_one_begins(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    for victim in ["agent-aws", "agent-aws-helpe", "agent-aws-broke"] {
        let server = Server::start(&scene, &["--socket", &path], &[]);
        server.is_ready(&path);
        let mut ours = server.tree();
        let found = ours.iter().find(|p| p.name == victim).unwrap_or_else(|| panic!("no {victim} in {ours:#?}"));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(found.pid), Signal::SIGKILL).unwrap();
        ours.retain(|p| p.name != victim);
        let alive = |pid: i32| processes().into_iter().any(|p| p.pid == pid && !p.ended);
        within(SOON, &format!("{victim}: the others end"), || !ours.iter().any(|p| alive(p.pid)));
        // What the CLI could not remove when it was killed is a name with nobody behind it.
        asks(&scene, "alice", &path).ends(1);
    }
    let server = Server::start(&scene, &["--socket", &path], &[]);
    server.is_ready(&path);
    asks(&scene, "alice", &path).ends(0);
    server.ends_by(Signal::SIGTERM);
    assert!(!Path::new(&path).exists());
}

fn what_is_refused_leaves_no_socket(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let call =
        |identity: &[&str]| scene.agent_aws(&["serve"]).args(identity).args(&["--socket", &path, "--", "touch", "ran"]);
    call(&["--as", "nobody"]).run().ends(125);
    scene.set_faults(r#"{"fail": {"status": 403, "code": "AccessDenied", "message": "no"}}"#);
    let said = call(&scene.identity()).run().ends(125);
    assert!(said.stderr.contains("no credentials for"), "{said}");
    let project = scene.machine.project(&scene.machine.user("alice"));
    assert!(!project.join("ran").exists() && !Path::new(&path).exists());
    assert_eq!(std::fs::read_dir(Path::new(&path).parent().unwrap()).unwrap().count(), 0);
}

fn a_place_that_will_not_do_is_refused_before_anything_starts(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    let at = |option: &str, path: &str| Server::call(&scene, &[option, path], &["true"]).run();
    let place = Path::new(&path).parent().unwrap();
    let alice = scene.machine.user("alice");
    scene.machine.file(&alice, &place.join("file"), 0o644, "kept");
    at("--socket", &place.join("file").display().to_string()).refused("there is something already");
    assert_eq!(std::fs::read(place.join("file")).unwrap(), b"kept");
    let living = UnixListener::bind(place.join("taken")).unwrap();
    if scene.machine.is_private() {
        nix::unistd::chown(&place.join("taken"), Some(alice.uid.into()), None).unwrap();
    }
    at("--socket", &place.join("taken").display().to_string()).refused("somebody serves there already");
    drop(living);
    at("--socket", &place.join("x".repeat(120)).display().to_string()).refused("too long for a socket");
    at("--socket", &place.join("no/such/a.sock").display().to_string()).refused("No such file or directory");
    at("--directory", &place.display().to_string()).refused("there is `");
    let open = directory(&scene, "open");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    at("--socket", &format!("{open}/a.sock")).refused("others may write to this directory");
    at("--directory", &open).refused("others may write to this directory");
    scene.agent_aws(&["serve"]).args(&scene.identity()).arg("true").run().refused("--socket");
    assert!(scene.sts.requests().is_empty(), "nothing was asked for");
}

fn a_directory_holds_what_a_container_needs_and_is_empty_afterwards(mode: Mode) {
    let scene = Scene::new(mode);
    let place = format!("{}/new", directory(&scene, "above"));
    let server = Server::start(&scene, &["--directory", &place, "--region", "eu-west-3"], &[]);
    server.is_ready(&format!("{place}/credentials.sock"));
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o700);
    let config = std::fs::read_to_string(format!("{place}/config")).unwrap();
    assert!(config.contains("credential_process = /run/agent-aws/agent-aws-credentials"), "{config}");
    assert!(config.contains("region = eu-west-3"), "{config}");
    let client = format!("{place}/agent-aws-credentials");
    let said = scene.machine.call("alice", &client).env("AGENT_AWS_SOCKET", format!("{place}/credentials.sock")).run();
    assert!(said.ends(0).stdout.contains("SecretAccessKey"));
    Server::call(&scene, &["--directory", &place], &["true"]).run().refused("another `agent-aws serve` serves from it");
    server.ends_by(Signal::SIGTERM);
    assert!(!Path::new(&place).exists());
    // What a killed one left is taken over.
    let killed = Server::start(&scene, &["--directory", &place], &[]);
    killed.is_ready(&format!("{place}/credentials.sock"));
    killed.ends_by(Signal::SIGKILL);
    assert!(Path::new(&place).exists());
    within(SOON, "the lock of the one that was killed is gone", || {
        Server::call(&scene, &["--directory", &place], &["true"]).run().code() == 0
    });
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
}

fn the_audit_trail_tells_a_server_from_a_run(mode: Mode) {
    let scene = Scene::new(mode);
    let path = socket(&scene, "a.sock");
    Server::call(&scene, &["--socket", &path], &["true"]).run().ends(0);
    scene.sh("true").run().ends(0);
    let events: Vec<String> = scene
        .machine
        .audit()
        .iter()
        .filter_map(|record| Some(record.get("event")?.as_str()?.to_owned()))
        .filter(|event| ["serve", "start", "end", "issue"].contains(&event.as_str()))
        .collect();
    if mode == Mode::Setuid {
        assert_eq!(events, ["serve", "issue", "end", "start", "issue", "end"]);
        let served = scene.machine.audit().into_iter().find(|r| r.get("event").is_some_and(|e| e == "serve")).unwrap();
        assert_eq!(served.get("command").and_then(Value::as_str), Some(format!("serve {path}").as_str()));
    }
}

/// The helper as somebody calls it who wrote their own CLI.
fn a_caller_with_other_words_gets_no_broker(mode: Mode) {
    let scene = Scene::new(mode);
    let stream = || UnixListener::bind(socket(&scene, "x")).unwrap().into();
    let wrong: Vec<Vec<OwnedFd>> = vec![
        vec![],
        vec![UnixDatagram::unbound().unwrap().into()],
        vec![TcpListener::bind("127.0.0.1:0").unwrap().into()],
        vec![UnixStream::pair().unwrap().0.into()],
        vec![File::open("/dev/null").unwrap().into()],
        vec![stream(), File::open("/dev/null").unwrap().into()],
    ];
    let asked = || RunRequest { serve: true, project: vec![], ..request(&scene) };
    let ask = |descriptors| Start::helper(&scene, &["serve x"]).serving(descriptors).ask(asked());
    for descriptors in wrong {
        let answer = ask(descriptors);
        let refused = |m: &HelperToCli| matches!(m, HelperToCli::Refused(_));
        assert!(answer.messages.iter().any(refused), "{:?}", answer.messages);
    }
    let _ = std::fs::remove_file(socket(&scene, "x"));
    let served = ask(vec![stream()]);
    assert!(served.messages.iter().any(|m| matches!(m, HelperToCli::Started(_))), "the control: {:?}", served.messages);
}
