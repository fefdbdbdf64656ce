//! The audit trail: what happens to a session, one record each, whatever a caller writes into it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use agent_aws_e2e::inside::inside;
use agent_aws_harness::{Case, Mode, ROLE, SOON, Scene, Setup, case, suite, until, within};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_session_is_start_issue_and_end).private().setuid(),
    case!(the_end_says_how_the_agent_ended).private().setuid(),
    case!(a_denial_is_recorded_under_the_id_that_the_caller_reads).private().setuid(),
    case!(a_refresh_and_its_failure_are_recorded).private().setuid(),
    case!(a_revocation_is_recorded).private().setuid(),
    case!(a_first_mint_that_fails_is_recorded).private().setuid(),
    case!(a_killed_caller_leaves_an_end).private().setuid(),
    case!(no_record_holds_a_secret).private().setuid(),
    case!(hostile_words_stay_within_one_line).private().setuid(),
    case!(a_long_command_is_cut).private().setuid(),
    case!(two_sessions_at_once_do_not_mix_their_lines).private().setuid(),
    case!(without_privilege_there_is_no_trail).private().unprivileged(),
];

const TRAIL: &str = "/var/log/agent-aws/audit.jsonl";
/// A refresh comes within this, of STS sessions that live a few seconds.
const REFRESHED: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    suite(CASES)
}

fn text<'v>(record: &'v Value, name: &str) -> &'v str {
    record[name].as_str().unwrap_or_else(|| panic!("no {name} in {record}"))
}

fn events(scene: &Scene) -> Vec<String> {
    scene.machine.audit().iter().map(|r| text(r, "event").to_owned()).collect()
}

/// What every record of a granted session says.
#[track_caller]
fn whole(records: &[Value]) {
    let session = text(&records[0], "session").to_owned();
    for record in records {
        let facts = ["session", "uid", "login", "identity", "role"].map(|name| text(record, name));
        assert_eq!(facts, [session.as_str(), "4242", "alice", "incident", ROLE], "{record}");
        let time = text(record, "time");
        assert!(time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }
}

fn a_session_is_start_issue_and_end(mode: Mode) {
    let scene = Scene::new(mode);
    let said = scene.sh("echo $AGENT_AWS_SESSION").run().says();
    let records = scene.machine.audit();
    assert_eq!(events(&scene), ["start", "issue", "end"]);
    whole(&records);
    assert_eq!(text(&records[0], "session"), said);
    let [start, issue, end] = &records[..] else { panic!("{records:?}") };
    let project = scene.machine.project(&scene.machine.user("alice")).display().to_string();
    let facts = ["sandbox", "network", "project"].map(|name| text(start, name));
    assert_eq!(facts, ["standard", "shared", project.as_str()]);
    assert!(text(start, "command").starts_with("sh -c echo"), "{start}");
    assert!(
        text(issue, "arn").starts_with(&scene.assumed()) && text(issue, "access_key_id").starts_with("ASIA"),
        "{issue}"
    );
    assert_eq!((text(issue, "account"), text(end, "how")), ("111122223333", "exit 0"));
}

fn the_end_says_how_the_agent_ended(mode: Mode) {
    let scene = Scene::new(mode);
    for script in ["exit 3", "kill -TERM $$", "kill -KILL $$"] {
        scene.sh(script).run();
    }
    let records = scene.machine.audit();
    let ends = records.iter().filter(|r| r["event"] == "end");
    assert_eq!(ends.map(|r| text(r, "how")).collect::<Vec<_>>(), ["exit 3", "signal 15", "signal 9"]);
}

fn a_denial_is_recorded_under_the_id_that_the_caller_reads(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene.agent_aws(&["run", "--as", "absent", "--", "true"]).run().ends(125);
    let records = scene.machine.audit();
    assert_eq!(events(&scene), ["deny"]);
    let facts = ["uid", "login", "asked"].map(|name| text(&records[0], name));
    assert_eq!(facts, ["4242", "alice", "absent"]);
    assert!(output.stderr.contains(&format!("(audit id {})", text(&records[0], "session"))), "{output}");
}

/// A session that has begun and waits for the end of its standard input.
fn waiting(scene: &Scene) -> Child {
    let mut command = scene.sh("echo begun; read line").command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn a_refresh_and_its_failure_are_recorded(mode: Mode) {
    let scene = Scene::with(mode, &Setup { lifetime: Some(4), ..Setup::default() });
    let child = waiting(&scene);
    within(REFRESHED, "a refresh", || events(&scene).contains(&"refresh".into()));
    scene.set_faults(r#"{"fail":{"status":500,"code":"InternalFailure","message":"not now"}}"#);
    within(REFRESHED, "a failure", || events(&scene).contains(&"refresh-failure".into()));
    end(child);
    let records = scene.machine.audit();
    whole(&records);
    let failure = records.iter().find(|r| r["event"] == "refresh-failure").unwrap();
    assert!(text(failure, "cause").contains("not now"), "{failure}");
    let all = events(&scene);
    assert_eq!((all[0].as_str(), all[1].as_str(), all[all.len() - 1].as_str()), ("start", "issue", "end"));
}

fn a_revocation_is_recorded(mode: Mode) {
    let scene = Scene::with(mode, &Setup { lifetime: Some(4), ..Setup::default() });
    let child = waiting(&scene);
    let policy = scene.policy(&Setup::default()).replace("users = [\"alice\"]", "users = [\"bob\"]");
    scene.machine.policy(&policy);
    within(REFRESHED, "the revocation", || events(&scene).contains(&"revoked".into()));
    end(child);
    let records = scene.machine.audit();
    whole(&records);
    let revoked = records.iter().find(|r| r["event"] == "revoked").unwrap();
    assert!(text(revoked, "cause").contains("does not grant"), "{revoked}");
}

fn a_first_mint_that_fails_is_recorded(mode: Mode) {
    let scene = Scene::new(mode);
    scene.set_faults(r#"{"fail":{"status":403,"code":"AccessDenied","message":"not today"}}"#);
    scene.sh("echo it-ran").run().ends(125);
    assert_eq!(events(&scene), ["start", "issue-failure", "end"]);
    let records = scene.machine.audit();
    whole(&records);
    assert!(text(&records[1], "cause").contains("not today") && text(&records[2], "how").contains("not today"));
}

fn a_killed_caller_leaves_an_end(mode: Mode) {
    let scene = Scene::new(mode);
    let mut child = waiting(&scene);
    // Its end would otherwise end the agent too, before we are missed.
    let input = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    within(SOON, "the end", || events(&scene).contains(&"end".into()));
    let records = scene.machine.audit();
    assert_eq!(text(&records[2], "how"), "agent-aws was gone");
    drop(input);
}

fn no_record_holds_a_secret(mode: Mode) {
    let scene = Scene::new(mode);
    let client = "/run/agent-aws/agent-aws-credentials";
    let answer: Value = serde_json::from_str(&scene.sh(client).run().says()).unwrap();
    let trail = fs::read_to_string(TRAIL).unwrap();
    assert!(trail.contains(text(&answer, "AccessKeyId")), "{trail}");
    for secret in [text(&answer, "SecretAccessKey"), text(&answer, "SessionToken"), "workstation-secret", "AKIAWORK"] {
        assert!(!trail.contains(secret), "{secret} in {trail}");
    }
}

fn hostile_words_stay_within_one_line(mode: Mode) {
    let scene = Scene::new(mode);
    let hostile = b"x\n{\"event\":\"start\",\"uid\":\"0\"}\r\x1b[2J\x1b]0;t\x07\xe2\x80\xae\xc2\x9b\xff\xfe\"\\\x7f";
    let word = || OsString::from_vec(hostile.to_vec());
    let alice = scene.machine.user("alice");
    let project = scene
        .machine
        .project(&alice)
        .join(OsString::from_vec(hostile[..40].to_vec()).to_str().unwrap().replace('/', ""));
    scene.machine.directory(&alice, &project);
    let call = scene.run(&["--no-wait"], &["true"]).arg(word()).cwd(&project);
    call.run().ends(0);
    let text_of_it = String::from_utf8_lossy(hostile).into_owned();
    scene.agent_aws(&["run", "--as", &text_of_it, "--", "true"]).run().ends(125);
    scene.agent_aws(&["run", "--as", "incident", "--sandbox", &text_of_it, "--", "true"]).run().ends(125);
    let trail = fs::read(TRAIL).unwrap();
    assert!(trail.iter().all(|b| *b == b'\n' || (b' '..=b'~').contains(b)), "{}", String::from_utf8_lossy(&trail));
    let records = scene.machine.audit();
    assert!(records.iter().all(|r| r["uid"] == "4242"), "{records:?}");
    let all = events(&scene);
    assert_eq!(all.iter().filter(|e| *e == "start").count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|e| *e == "deny").count(), 2, "{all:?}");
    let start = records.iter().find(|r| r["event"] == "start").unwrap();
    assert!(text(start, "command").contains("\\xff\\xfe") && text(start, "command").contains("\\n"), "{start}");
    assert!(text(start, "project").contains("{\"event\""), "{start}");
    assert!(records.iter().any(|r| r["asked"] == text_of_it.as_str()), "{records:?}");
}

fn a_long_command_is_cut(mode: Mode) {
    let scene = Scene::new(mode);
    let long = "\u{1b}".repeat(50_000);
    scene.run(&["--no-wait"], &["true", &long]).run().ends(0);
    assert!(fs::read(TRAIL).unwrap().split(|b| *b == b'\n').all(|line| line.len() < 16 * 1024));
    assert!(events(&scene).starts_with(&["start".into()]));
}

fn two_sessions_at_once_do_not_mix_their_lines(mode: Mode) {
    let scene = Scene::new(mode);
    let word = "y".repeat(900);
    let start = || inside(&scene, &[], &format!("true {word}")).spawn();
    let mut children: Vec<Child> = (0..8).map(|_| start()).collect();
    let ended = |child: &mut Child| until(Duration::from_secs(40), || child.try_wait().unwrap());
    assert!(children.iter_mut().all(|c| ended(c).is_some_and(|s| s.success())));
    // Each line parses, or this panics.
    let all = events(&scene);
    assert_eq!(all.iter().filter(|e| *e == "start").count(), 8);
    assert_eq!(all.iter().filter(|e| *e == "end").count(), 8);
}

fn without_privilege_there_is_no_trail(mode: Mode) {
    let scene = Scene::new(mode);
    inside(&scene, &[], "true").run().ends(0);
    assert!(scene.machine.audit().is_empty());
    assert_eq!(fs::read_dir("/var/log/agent-aws").unwrap().count(), 0);
}
