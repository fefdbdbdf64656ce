//! Sessions that are shorter than the run: they renew ahead of time, what they cannot renew they serve to its end and
//! then say why, and what is taken away is gone at the next renewal.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_aws_harness::emulator::{Config, Emulator};
use agent_aws_harness::{ACCOUNT, Case, Mode, OWN_ROLE, ROLE, Scene, Setup, case, processes, suite, until, within};
use serde_json::{Value, json};

use inside::Inside;

const CASES: &[Case] = &[
    case!(a_loop_of_signed_calls_works_for_three_lifetimes_of_20_seconds),
    case!(without_sts_credentials_last_to_their_end_then_the_cause_is_said_until_it_is_back),
    case!(an_sts_that_never_answers_is_named_as_the_cause),
    case!(an_sts_that_is_not_there_is_named_as_the_cause),
    case!(whatever_sts_answers_what_is_held_lasts_to_its_end_and_no_longer).limit(400),
    case!(an_answer_that_comes_byte_by_byte_is_given_up).limit(200),
    case!(an_identity_taken_out_of_policy_is_not_refreshed).private(),
    case!(without_its_reader_no_policy_grants_anything).private(),
    case!(a_policy_file_that_was_no_roots_for_a_while_only_delays).setuid(),
    case!(a_rotated_source_serves_once_the_old_key_is_refused),
    case!(a_source_that_others_may_read_is_not_used).setuid(),
    case!(sessions_say_how_the_credentials_fare),
    case!(fifty_clients_cost_one_call_of_sts_for_each_renewal),
    case!(fifty_clients_that_wait_for_the_first_session_share_one_call),
];

fn main() -> ExitCode {
    suite(CASES)
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
/// A lifetime that a test can wait for.
const SHORT: u32 = 6;
/// Longer than a short lifetime and the pauses between tries.
const LATER: Duration = Duration::from_secs(30);

fn short() -> Setup {
    Setup { lifetime: Some(SHORT), ..Setup::default() }
}

fn calls(scene: &Scene) -> usize {
    scene.sts.requests().iter().filter(|r| r.action == "AssumeRole").count()
}

fn events(scene: &Scene, event: &str) -> Vec<Value> {
    let is = |record: &Value| record.get("event").and_then(Value::as_str) == Some(event);
    scene.machine.audit().into_iter().filter(is).collect()
}

fn member(answer: &str, name: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    answer.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// Asks the door until it has nothing more; how it said so. Whatever it gave before was not over.
#[track_caller]
fn until_it_ends(inside: &mut Inside) -> String {
    let refused = until(LATER, || {
        let before = now();
        let said = inside.does(CLIENT);
        if said.status != 0 {
            return Some(said.text);
        }
        let expires = seconds(&member(&said.text, "Expiration"));
        assert!(expires >= before, "an answer that was over by {} s", before - expires);
        None
    });
    refused.expect("credentials come to an end")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Seconds since 1970 of `2026-11-20T18:33:40Z`, by the calendar's own arithmetic.
fn seconds(time: &str) -> u64 {
    let numbers: Vec<u64> = time.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else {
        panic!("no time: {time}");
    };
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}

/// Every half second a signed call; the first session, kept in a file, is over by then.
fn a_loop_of_signed_calls_works_for_three_lifetimes_of_20_seconds(mode: Mode) {
    let scene = Scene::with(mode, &Setup { lifetime: Some(20), ..Setup::default() });
    let (client, url) = (scene.machine.tool("sts-whoami").display().to_string(), scene.sts.url());
    let script = format!(
        "{CLIENT} >kept; printf '[default]\\ncredential_process = cat %s/kept\\n' $PWD >config.kept; \
         AWS_CONFIG_FILE=config.kept {client} {url} >/dev/null || exit 8; \
         end=$(($(date +%s) + 61)); while [ $(date +%s) -lt $end ]; do {client} {url} || exit 7; sleep 0.5; done; \
         AWS_CONFIG_FILE=config.kept {client} {url} 2>&1 && exit 9; exit 0"
    );
    let output = scene.sh(&script).run_within(Duration::from_secs(100)).ends(0);
    let (calls, last) = output.stdout.trim().rsplit_once('\n').expect("lines");
    assert!(last.contains("ExpiredToken"), "the first session was to be over: {last}");
    assert!(calls.lines().all(|arn| arn.starts_with(&scene.assumed())), "{output}");
    let callers = scene.sts.requests().into_iter().filter(|r| r.action == "GetCallerIdentity" && r.verdict == "ok");
    let mut keys: Vec<String> = callers.map(|r| r.access_key_id).filter(|key| key.starts_with("ASIA")).collect();
    keys.sort();
    keys.dedup();
    assert!(keys.len() >= 4, "three lifetimes are at least four sessions: {keys:?}");
}

fn without_sts_credentials_last_to_their_end_then_the_cause_is_said_until_it_is_back(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    let expires = seconds(&member(&inside.does(CLIENT).well(), "Expiration"));
    scene.set_faults(r#"{"fail":{"status":503,"code":"ServiceUnavailable","message":"it is being repaired"}}"#);
    let why = until_it_ends(&mut inside);
    assert!(now() >= expires, "{} s too early: {why}", expires - now());
    assert!(why.contains("ended at") && why.contains("it is being repaired"), "{why}");
    scene.set_faults("{}");
    within(LATER, "it serves again", || inside.does(CLIENT).status == 0);
    if mode == Mode::Setuid {
        let failures = events(&scene, "refresh-failure");
        assert!(failures.iter().any(|f| f.to_string().contains("it is being repaired")), "{failures:?}");
    }
}

fn an_sts_that_never_answers_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    scene.set_faults(r#"{"hang":true}"#);
    let said = until_it_ends(&mut inside);
    // While the call is still out, it is only said that it is.
    let cause = "did not answer in time";
    assert!(said.contains("is being minted") || said.contains(cause), "{said}");
    within(LATER, "the cause is said", || inside.does(CLIENT).badly().contains(cause));
}

fn an_sts_that_is_not_there_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let Scene { sts, machine: _machine } = scene;
    drop(sts);
    let why = until_it_ends(&mut inside);
    assert!(why.contains("refused") || why.contains("cannot be reached"), "{why}");
}

/// Each answer in turn to the one session, which serves again between them.
fn whatever_sts_answers_what_is_held_lasts_to_its_end_and_no_longer(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    for (fault, cause) in [
        (r#"{"fail":{"status":403,"code":"AccessDenied","message":"not today"}}"#, "not today"),
        (r#"{"fail":{"status":500,"code":"InternalFailure","message":"not now"}}"#, "not now"),
        (r#"{"throttle":100000}"#, "Throttling"),
        (r#"{"malformed":true}"#, "no usable answer"),
        (r#"{"huge_body":true}"#, "no usable answer"),
    ] {
        let answer = inside.does(CLIENT).well();
        let expires = seconds(&member(&answer, "Expiration"));
        scene.set_faults(fault);
        let why = until_it_ends(&mut inside);
        assert!(now() >= expires, "{} s too early: {why}", expires - now());
        within(LATER, cause, || inside.does(CLIENT).badly().contains(cause));
        scene.set_faults("{}");
        within(LATER, "it serves again", || inside.does(CLIENT).status == 0);
    }
}

/// A server that never ends its answer, and never pauses for long.
fn dribble(listener: &std::net::TcpListener) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut stream = stream;
            let line = b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
            for byte in line {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
    }
}

fn an_answer_that_comes_byte_by_byte_is_given_up(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let Scene { sts, machine: _machine } = scene;
    let address = sts.address();
    drop(sts);
    let listener = until(LATER, || std::net::TcpListener::bind(address).ok()).expect("the address is free again");
    std::thread::spawn(move || dribble(&listener));
    until_it_ends(&mut inside);
    let cause = "did not answer in time";
    within(Duration::from_secs(60), cause, || inside.does(CLIENT).badly().contains(cause));
}

/// What was read of a policy that could not be read to its end is not read a second time with the next one.
fn a_policy_file_that_was_no_roots_for_a_while_only_delays(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let more = std::path::Path::new("/etc/agent-aws/policy.d/more.toml");
    std::fs::create_dir_all(more.parent().expect("a directory")).expect("a directory");
    scene.machine.root_file(more, 0o644, "[sandbox.more]\n");
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    scene.machine.root_file(more, 0o666, "[sandbox.more]\n");
    let why = until_it_ends(&mut inside);
    assert!(why.contains("can be changed by others"), "{why}");
    scene.machine.root_file(more, 0o644, "[sandbox.more]\n");
    within(LATER, "it serves again", || inside.does(CLIENT).status == 0);
}

/// Whoever ends the process that reads policy gains nothing by it: what was served lasts to its end.
fn without_its_reader_no_policy_grants_anything(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let readers: Vec<i32> =
        processes().iter().filter(|p| p.command.starts_with("agent-aws-reader")).map(|p| p.pid).collect();
    assert_eq!(readers.len(), 1);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(readers.first().copied().expect("one")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("killing it");
    let why = until_it_ends(&mut inside);
    assert!(why.contains("agent-aws-reader"), "{why}");
    if mode == Mode::Setuid {
        std::fs::rename("/usr/local/libexec/agent-aws/agent-aws-reader", "/usr/local/reader").expect("moving it away");
        scene.run(&[], &["echo", "it ran"]).run().refused("agent-aws-reader: No such file");
    }
}

fn an_identity_taken_out_of_policy_is_not_refreshed(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    within(LATER, "a first refresh", || calls(&scene) >= 2);
    let policy = scene.policy(&Setup::default());
    let without = match mode {
        Mode::Setuid => policy.replace("users = [\"alice\"]", "users = [\"bob\"]"),
        Mode::Unprivileged => policy.replace("identities = [\"own:*\"]", "identities = [\"incident\"]"),
    };
    scene.machine.policy(&without);
    let before = calls(&scene);
    let why = until_it_ends(&mut inside);
    assert!(why.contains("no longer granted") && why.contains("policy"), "{why}");
    // One that was under way when policy changed may still have come.
    let after = calls(&scene);
    assert!(after <= before + 1, "{before}, then {after}");
    // Back in policy it is not back in this session, which lasts.
    scene.machine.policy(&policy);
    assert!(inside.does(CLIENT).badly().contains("no longer granted"));
    assert_eq!(calls(&scene), after);
    if mode == Mode::Setuid {
        let revoked = events(&scene, "revoked");
        assert_eq!(revoked.len(), 1, "{revoked:?}");
        assert!(revoked.iter().all(|r| r.to_string().contains("incident")), "{revoked:?}");
    }
    assert_eq!(inside.end(), Some(0));
    scene.run(&[], &["true"]).run().ends(0);
}

/// An STS at the place of the scene's that knows one key only.
fn sts_with(address: std::net::SocketAddr, key: &str, secret: &str) -> Emulator {
    let user = json!({ "name": "workstation", "account": ACCOUNT, "access_key_id": key, "secret_access_key": secret });
    let role = |arn: &str| json!({ "arn": arn, "trusted": ["*"], "allow_source_identity": true, "allow_tags": true });
    let config = json!({ "users": [user], "roles": [role(ROLE), role(OWN_ROLE)],
                         "session_lifetime_seconds": SHORT, "minimum_duration": 1 });
    let config = Config::parse(&config.to_string(), "a test").expect("a configuration");
    until(LATER, || Emulator::start(config.clone(), address).ok()).expect("the address is free again")
}

fn a_rotated_source_serves_once_the_old_key_is_refused(mode: Mode) {
    let (key, secret) = ("AKIANEWNEWNEWNEWNEW1", "new-secret-0123456789");
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let credentials = scene.aws("credentials");
    let Scene { sts, machine } = scene;
    let address = sts.address();
    drop(sts);
    let sts = sts_with(address, key, secret);
    let why = until_it_ends(&mut inside);
    assert!(why.contains("InvalidClientTokenId"), "the old key was to be refused: {why}");
    match mode {
        Mode::Setuid => machine.source("workstation", key, secret),
        Mode::Unprivileged => {
            let own = format!("[base]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
            machine.file(&machine.user("alice"), &credentials, 0o600, own);
        }
    }
    within(LATER, "the new key serves", || inside.does(CLIENT).status == 0);
    let accepted = sts.requests().into_iter().filter(|r| r.action == "AssumeRole" && r.verdict == "ok");
    assert!(accepted.map(|r| r.access_key_id).all(|used| used == key));
}

fn a_source_that_others_may_read_is_not_used(mode: Mode) {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    within(LATER, "a first refresh", || !events(&scene, "refresh").is_empty());
    let source = "/etc/agent-aws/sources/workstation";
    let mode_of_it = |mode| std::fs::set_permissions(source, std::fs::Permissions::from_mode(mode)).expect("chmod");
    mode_of_it(0o644);
    let before = calls(&scene);
    let why = until_it_ends(&mut inside);
    assert!(why.contains(source), "{why}");
    assert!(calls(&scene) <= before + 1);
    let recorded = events(&scene, "refresh-failure")
        .iter()
        .chain(&events(&scene, "revoked"))
        .any(|r| r.to_string().contains(source));
    assert!(recorded, "{:?}", scene.machine.audit());
    scene.run(&[], &["true"]).run().refused(source);
    mode_of_it(0o600);
    scene.run(&[], &["true"]).run().ends(0);
    within(LATER, "it serves again", || inside.does(CLIENT).status == 0);
}

/// Fifty threads that connect and read for so many seconds, or once: how many answers there were of each kind.
const CROWD: &str = r#"
import collections, json, socket, sys, threading, time
end = time.monotonic() + float(sys.argv[1])
start, seen, lock = threading.Barrier(50), collections.Counter(), threading.Lock()
def one():
    start.wait()
    while True:
        s = socket.socket(socket.AF_UNIX); s.connect("/run/agent-aws/credentials.sock")
        data = b""
        while part := s.recv(65536): data += part
        s.close()
        answer = json.loads(data)
        with lock: seen["served" if "SecretAccessKey" in answer else answer["Error"]] += 1
        if time.monotonic() >= end: return
threads = [threading.Thread(target=one) for _ in range(50)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(seen))
"#;

fn crowd(scene: &Scene, options: &[&str], seconds: &str) -> Value {
    let machine = &scene.machine;
    let script = machine.project(&machine.user("alice")).join("crowd.py");
    machine.file(&machine.user("alice"), &script, 0o644, CROWD);
    let said = scene.run(options, &["/usr/bin/python3", "crowd.py", seconds]).run().says();
    serde_json::from_str(&said).expect("JSON")
}

fn fifty_clients_cost_one_call_of_sts_for_each_renewal(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let begun = now();
    let seen = crowd(&scene, &[], "10");
    let most = (now() - begun) / u64::from(SHORT / 2) + 2;
    let served = seen.get("served").and_then(Value::as_u64).unwrap_or(0);
    assert!(served > 500 && seen.as_object().is_some_and(|o| o.len() == 1), "{seen}");
    let calls = calls(&scene);
    assert!(calls >= 3 && calls as u64 <= most, "{calls} calls of STS, {most} expected at most");
    if mode == Mode::Setuid {
        assert_eq!(calls, events(&scene, "issue").len() + events(&scene, "refresh").len());
    }
}

fn fifty_clients_that_wait_for_the_first_session_share_one_call(mode: Mode) {
    let scene = Scene::new(mode);
    scene.set_faults(r#"{"delay_ms":500}"#);
    let seen = crowd(&scene, &["--no-wait"], "3");
    assert!(seen.get("served").and_then(Value::as_u64).is_some_and(|n| n >= 50), "{seen}");
    assert_eq!(calls(&scene), 1);
}

/// What `sessions` says of the one session that runs.
fn listed(scene: &Scene) -> Value {
    let said = scene.agent_aws(&["sessions", "--json"]).run().says();
    let mut all: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(all.len(), 1, "{said}");
    all.pop().expect("one")
}

fn sessions_say_how_the_credentials_fare(mode: Mode) {
    let scene = Scene::with(mode, &short());
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let first = listed(&scene);
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_u64);
    assert!(
        number(&first, "expires") > number(&first, "refreshed") && first.get("error") == Some(&Value::Null),
        "{first}"
    );
    within(LATER, "a refresh is told", || number(&listed(&scene), "refreshed") > number(&first, "refreshed"));
    scene.set_faults(r#"{"fail":{"status":500,"code":"InternalFailure","message":"not now"}}"#);
    within(LATER, "a failure is told", || {
        listed(&scene).get("error").and_then(Value::as_str).is_some_and(|why| why.contains("not now"))
    });
    let table = scene.agent_aws(&["sessions"]).run().says();
    assert!(table.contains("CREDENTIALS") && table.contains("not now"), "{table}");
    scene.set_faults("{}");
    within(LATER, "it is over", || listed(&scene).get("error") == Some(&Value::Null));
    inside.does(CLIENT).well();
}
