//! What an administrator does: looks at what was recorded, changes the policy, asks it about others, ends sessions.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use agent_aws_e2e::session::Running;
use agent_aws_harness::{Case, Mode, Output, SOON, Scene, Setup, case, suite, within};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(audit_shows_what_was_recorded_and_of_whom).private().setuid(),
    case!(audit_says_which_lines_are_no_records).private().setuid(),
    case!(audit_is_for_root).private().setuid(),
    case!(without_the_setuid_bit_nothing_is_recorded_and_that_is_said).private().unprivileged(),
    case!(root_ends_the_sessions_of_one_user_and_all).private().setuid(),
    case!(a_user_ends_all_their_own_and_no_others).private(),
    case!(policy_says_how_many_sessions_a_user_has_at_once).private(),
    case!(policy_says_how_long_a_session_lasts).private(),
    case!(diff_says_who_gains_and_who_loses).private().setuid(),
    case!(install_checks_keeps_the_former_and_moves_at_once).private().setuid(),
    case!(install_of_a_bad_file_changes_nothing).private().setuid(),
    case!(install_is_for_root_and_takes_no_path_elsewhere).private().setuid(),
    case!(explain_answers_for_another_user).private().setuid(),
    case!(doctor_tries_each_identity_if_it_is_asked_to).private().setuid(),
];

fn main() -> ExitCode {
    suite(CASES)
}

const POLICY: &str = "/etc/agent-aws/policy.toml";

/// `agent-aws` as root.
fn root(scene: &Scene, arguments: &[&str]) -> Output {
    let ended = Command::new(scene.machine.program()).args(arguments).output().expect("agent-aws");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { status: ended.status, stdout: text(&ended.stdout), stderr: text(&ended.stderr) }
}

fn json(output: Output) -> Vec<Value> {
    let said = output.says();
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn field<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A file of root's with the policy of the scene, and more of it.
fn file(scene: &Scene, name: &str, more: &str) -> String {
    let path = scene.machine.scratch().join(name);
    let setup = Setup { policy: more.into(), ..Setup::default() };
    fs::write(&path, scene.policy(&setup)).unwrap();
    path.display().to_string()
}

/// Asks for names that are refused, again and again.
const BUSY: &str = "while :; do getent hosts $$.invalid; sleep 0.05; done >/dev/null 2>&1";
const FOR_BOB: &str = "[[allow]]\nusers = [\"bob\"]\nidentities = [\"incident\"]\nsandbox = \"standard\"\n";

fn audit_shows_what_was_recorded_and_of_whom(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&[], &["echo", "one two"]).run().ends(0);
    scene.machine.agent_aws("bob", &["run", "--as", "incident", "--", "true"]).run().ends(125);
    let table = root(&scene, &["audit"]).says();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let row =
        |event: &str| lines.iter().find(|words| words.get(2) == Some(&event)).unwrap_or_else(|| panic!("{table}"));
    assert!(row("start").ends_with(&["alice", "incident", "echo", "one", "two"]), "{table}");
    assert!(row("end").ends_with(&["exit", "0"]), "{table}");
    assert!(row("deny").contains(&"bob") && row("deny").contains(&"incident:"), "{table}");
    assert!(row("issue").iter().any(|word| word.starts_with(&scene.assumed())), "{table}");
    let events = |words: &[&str]| -> Vec<String> {
        let all = json(root(&scene, &[&["audit", "--json"], words].concat()));
        all.iter().map(|record| field(record, "event").to_owned()).collect()
    };
    assert_eq!(events(&["--user", "alice"]), ["start", "issue", "end"]);
    assert_eq!(events(&["--user", "4243"]), events(&["--user", "bob"]));
    assert_eq!(events(&["--event", "deny"]), ["deny"]);
    assert_eq!(events(&["--since", "1h"]).len(), 4);
    assert_eq!(events(&["--since", "2020-01-01"]).len(), 4);
    assert_eq!(events(&["--since", "2999-01-01"]), Vec::<String>::new());
    let session = json(root(&scene, &["audit", "--json", "--event", "start"])).remove(0);
    assert_eq!(events(&["--session", field(&session, "session")]), ["start", "issue", "end"]);
    root(&scene, &["audit", "--since", "tomorrow"]).ends(125);
}

/// Whoever could write to it may have: nothing of it moves a terminal's cursor.
fn audit_says_which_lines_are_no_records(mode: Mode) {
    let scene = Scene::new(mode);
    scene.sh("true").run().ends(0);
    let trail = Path::new("/var/log/agent-aws/audit.jsonl");
    let mut text = fs::read_to_string(trail).unwrap();
    text.push_str("no json\n{\"event\":\"start\",\"command\":\"\\u001b[2J\"}\n");
    fs::write(trail, text).unwrap();
    let said = root(&scene, &["audit"]).ends(1);
    assert!(said.stderr.contains("audit.jsonl:4: this is no record of the helper's"), "{said}");
    assert!(said.stdout.contains("exit 0") && !said.stdout.contains('\u{1b}'), "{said}");
    let other = scene.machine.scratch().join("older");
    fs::write(&other, "{\"event\":\"end\",\"how\":\"long ago\"}\n").unwrap();
    let said = root(&scene, &["audit", "--file", &other.display().to_string()]).says();
    assert!(said.contains("long ago") && !said.contains("exit 0"), "{said}");
}

fn audit_is_for_root(mode: Mode) {
    let scene = Scene::new(mode);
    scene.sh("true").run().ends(0);
    let said = scene.agent_aws(&["audit"]).run().refused("others cannot read what was recorded of everybody");
    assert_eq!(said.stdout, "");
}

fn without_the_setuid_bit_nothing_is_recorded_and_that_is_said(mode: Mode) {
    let scene = Scene::new(mode);
    let _ = fs::remove_dir_all("/var/log/agent-aws");
    scene.sh("true").run().ends(0);
    scene.agent_aws(&["audit"]).run().refused("nothing has been recorded");
}

fn sessions(scene: &Scene) -> usize {
    json(root(scene, &["sessions", "--json"])).len()
}

fn root_ends_the_sessions_of_one_user_and_all(mode: Mode) {
    let scene = Scene::with(mode, &Setup { policy: FOR_BOB.into(), ..Setup::default() });
    let of = |user: &str| {
        Running::start(&scene.machine.agent_aws(user, &["run", "--no-wait", "--as", "incident", "--", "sleep", "1000"]))
    };
    let mut all = [of("alice"), of("alice"), of("bob")];
    assert_eq!(sessions(&scene), 3, "the control");
    scene.agent_aws(&["stop", "--user", "bob"]).run().refused("root's to end");
    assert_eq!(root(&scene, &["stop", "--user", "alice"]).says().lines().count(), 2);
    within(SOON, "those of alice end", || sessions(&scene) == 1);
    let [first, second, bobs] = &mut all;
    within(SOON, "both", || first.cli.try_wait().unwrap().is_some() && second.cli.try_wait().unwrap().is_some());
    assert_eq!(bobs.cli.try_wait().unwrap(), None, "bob's goes on");
    root(&scene, &["stop", "--all"]).ends(0);
    within(SOON, "that of bob ends", || bobs.cli.try_wait().unwrap().is_some());
    assert!(root(&scene, &["stop", "--all"]).ends(0).stderr.contains("no such session runs"));
    root(&scene, &["stop"]).ends(2);
}

fn a_user_ends_all_their_own_and_no_others(mode: Mode) {
    let scene = Scene::new(mode);
    let mut mine = Running::idle(&scene);
    assert!(scene.machine.agent_aws("bob", &["stop", "--all"]).run().ends(0).stderr.contains("no such session runs"));
    assert_eq!(mine.cli.try_wait().unwrap(), None);
    scene.agent_aws(&["stop", "--all"]).run().ends(0);
    within(SOON, "it ends", || mine.cli.try_wait().unwrap().is_some());
}

/// The policy of the scene with one more limit of its sandbox.
fn limited(mode: Mode, key: &str) -> Scene {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace("[sandbox.standard]", &format!("[sandbox.standard]\n{key}"));
    scene.machine.policy(&policy);
    scene
}

fn policy_says_how_many_sessions_a_user_has_at_once(mode: Mode) {
    let scene = limited(mode, "max-sessions = 2");
    let (first, second) = (Running::idle(&scene), Running::idle(&scene));
    let said = scene.sh("true").run().refused("you have 2 sessions running, which is as many as one user may have");
    assert!(said.stderr.contains("agent-aws stop ID"), "{said}");
    drop(first);
    within(SOON, "there is room again", || scene.sh("true").run().code() == 0);
    drop(second);
}

/// However busy it is: a session that says something all the time ends too.
fn policy_says_how_long_a_session_lasts(mode: Mode) {
    let scene = limited(mode, "max-time = \"10s\"");
    let began = std::time::Instant::now();
    let said = scene.run(&["--network", "filtered"], &["sh", "-c", BUSY]).run_within(Duration::from_secs(50));
    said.refused("it has lasted as long as policy lets a session last here");
    assert!((9..30).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

fn diff_says_who_gains_and_who_loses(mode: Mode) {
    let scene = Scene::new(mode);
    let (old, new) = (file(&scene, "old.toml", ""), file(&scene, "new.toml", FOR_BOB));
    let said = root(&scene, &["policy", "diff", &old, &new]).ends(1);
    assert_eq!(said.stdout, "+ user bob may use incident in sandbox standard\n");
    let said = scene.agent_aws(&["policy", "diff", &new, &old]).run().ends(1);
    assert_eq!(said.stdout, "- user bob may no longer use incident in sandbox standard\n");
    let same = root(&scene, &["policy", "diff", &old, "/etc/agent-aws"]).ends(0);
    assert!(same.stdout.contains("nobody gains or loses anything"), "{same}");
    let said = root(&scene, &["policy", "diff", "--json", &old, &new]).ends(1);
    let changes: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(changes.get(0).map(|change| (field(change, "kind"), field(change, "who"))), Some(("gains", "user bob")));
    fs::write(&new, "[identity.x]\n").unwrap();
    root(&scene, &["policy", "diff", &old, &new]).refused("new.toml:1");
}

fn install_checks_keeps_the_former_and_moves_at_once(mode: Mode) {
    let scene = Scene::new(mode);
    let before = fs::read_to_string(POLICY).unwrap();
    let bob = || scene.machine.agent_aws("bob", &["run", "--as", "incident", "--", "true"]).run().code();
    let new = file(&scene, "new.toml", FOR_BOB);
    let said = root(&scene, &["policy", "install", "--dry-run", &new]).ends(0);
    assert!(said.stdout.contains("+ user bob may use incident"), "{said}");
    assert_eq!((fs::read_to_string(POLICY).unwrap(), bob()), (before.clone(), 125), "nothing was done");
    let said = root(&scene, &["policy", "install", &new]).ends(0);
    assert!(said.stdout.contains("+ user bob may use incident") && said.stderr.contains("is in place"), "{said}");
    assert_eq!(fs::read_to_string(format!("{POLICY}.former")).unwrap(), before);
    assert_eq!((fs::read(POLICY).unwrap(), bob()), (fs::read(&new).unwrap(), 0));
    // A part of it, and a document beside it.
    let part = scene.machine.scratch().join("x.toml");
    fs::write(&part, "[[deny]]\nusers = [\"bob\"]\nidentities = [\"*\"]\n").unwrap();
    let said = root(&scene, &["policy", "install", "--part", "50-bob.toml", &part.display().to_string()]).ends(0);
    assert!(said.stdout.contains("- user bob may no longer use incident"), "{said}");
    assert_eq!(bob(), 125);
    let names: Vec<String> = fs::read_dir("/etc/agent-aws")
        .unwrap()
        .chain(fs::read_dir("/etc/agent-aws/policy.d").unwrap())
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!names.iter().any(|name| name.ends_with(".new")), "{names:?}");
}

fn install_of_a_bad_file_changes_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let before = fs::read(POLICY).unwrap();
    let bad =
        file(&scene, "bad.toml", "[[allow]]\nusers = [\"bob\"]\nidentites = [\"incident\"]\nsandbox = \"standard\"\n");
    let said = root(&scene, &["policy", "install", &bad]).ends(1);
    assert!(said.stderr.contains("bad.toml:") && said.stderr.contains("did you mean `identities`?"), "{said}");
    assert!(said.stderr.contains("nothing was changed"), "{said}");
    let long = format!("deny-actions = {:?}", (0..100).map(|n| format!("sqs:PurgeQueueNumber{n}")).collect::<Vec<_>>());
    let setup = Setup { identity: long, ..Setup::default() };
    fs::write(&bad, scene.policy(&setup)).unwrap();
    assert!(root(&scene, &["policy", "install", &bad]).ends(1).stderr.contains("AWS takes 2048"));
    root(&scene, &["policy", "install", "/no/such/file"]).refused("/no/such/file");
    assert_eq!(fs::read(POLICY).unwrap(), before);
    assert!(!Path::new(&format!("{POLICY}.former")).exists());
}

fn install_is_for_root_and_takes_no_path_elsewhere(mode: Mode) {
    let scene = Scene::new(mode);
    let new = file(&scene, "new.toml", "");
    scene.agent_aws(&["policy", "install", &new]).run().refused("the policy is root's to change");
    for part in ["../policy.toml", "/tmp/x.toml", "x", ".x.toml", "policy.d/x.toml"] {
        root(&scene, &["policy", "install", "--part", part, &new]).refused("is no name in policy.d");
    }
}

fn explain_answers_for_another_user(mode: Mode) {
    let scene =
        Scene::with(mode, &Setup { identity: "deny-actions = [\"s3:DeleteObject\"]".into(), ..Setup::default() });
    let ask = |user: &str| root(&scene, &["policy", "explain", "--user", user, "--as", "incident"]);
    let said = ask("alice").says();
    assert!(
        said.starts_with("granted to alice: incident in sandbox standard") && said.contains("session policy"),
        "{said}"
    );
    let said = ask("bob").says();
    assert!(said.starts_with("not granted to bob") && said.contains("is about others"), "{said}");
    ask("nobody-of-that-name").refused("the user database has nobody");
    // Without privilege, of files that the caller can read.
    let policy = file(&scene, "new.toml", FOR_BOB);
    let words = ["policy", "explain", "--user", "bob", "--as", "incident", &policy];
    assert!(scene.agent_aws(&words).run().says().starts_with("granted to bob"));
}

fn doctor_tries_each_identity_if_it_is_asked_to(mode: Mode) {
    let scene = Scene::new(mode);
    let row = |words: &[&str]| -> Option<Value> {
        let said = scene.agent_aws(&[&["doctor", "--json"], words].concat()).run().stdout;
        let rows: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        rows.into_iter().find(|row| field(row, "what") == "identity incident")
    };
    assert_eq!(row(&[]), None, "nothing is minted without being asked for");
    assert!(scene.sts.requests().is_empty());
    let good = row(&["--deep"]).expect("a row");
    assert_eq!(field(&good, "grade"), "ok");
    assert!(field(&good, "given").starts_with(&scene.assumed()), "{good}");
    scene.set_faults(r#"{"fail": {"status": 403, "code": "AccessDenied", "message": "not today"}}"#);
    let bad = row(&["--deep"]).expect("a row");
    assert_eq!(field(&bad, "grade"), "fail");
    assert!(field(&bad, "given").contains("AccessDenied: not today"), "{bad}");
    assert!(json(root(&scene, &["sessions", "--json"])).is_empty(), "nothing is left");
}
