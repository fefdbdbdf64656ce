//! Entry conditions 33 to 35: who the caller is, by numbers and by names that anybody may have chosen.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::ExitCode;

use agent_aws_e2e::start::{Start, nothing_is_left, request};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(a_caller_without_an_entry_is_refused).private(),
    case!(an_odd_login_name_is_a_name_and_nothing_else).private(),
    case!(an_entry_for_root_by_another_name_changes_no_uid).private(),
    case!(uids_and_gids_are_unsigned).private(),
    case!(a_broker_user_with_no_usable_uid_is_refused).setuid(),
    case!(groups_of_the_process_are_kept_however_many).setuid(),
    case!(a_primary_group_without_an_entry_is_no_obstacle).private(),
    case!(the_uid_that_means_unchanged_is_refused)
        .setuid()
        .ignored("the kernel gives no process the uid 4294967295; see the broker user with that uid"),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Everybody may use the identity: the name is not what is tested.
fn open_scene(mode: Mode) -> Scene {
    let policy = "[[allow]]\nusers = [\"*\"]\nidentities = [\"incident\"]\nsandbox = \"standard\"\n";
    Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() })
}

/// Rewrites a database of this world, line by line; `None` leaves a line out.
fn rewrite(database: &str, each: impl Fn(&str) -> Option<String>) {
    let text = std::fs::read_to_string(database).unwrap();
    let lines: Vec<String> = text.lines().filter_map(each).collect();
    std::fs::write(database, lines.join("\n") + "\n").unwrap();
}

/// Alice's entry replaced by this one, or by none.
fn alice_is(entry: Option<&str>) {
    let entry = entry.map(str::to_owned);
    rewrite("/etc/passwd", |line| match line.contains(":/home/alice:") {
        true => entry.clone(),
        false => Some(line.to_owned()),
    });
}

/// Case 33: a uid of a container or of a directory service that is down.
fn a_caller_without_an_entry_is_refused(mode: Mode) {
    let scene = open_scene(mode);
    alice_is(None);
    let uid = scene.machine.user("alice").uid;
    let words = format!("uid {uid} has no entry in the user database");
    Start::helper(&scene, &["true"]).ask(request(&scene)).refused(&words);
    Start::run_of(&scene, &["true"]).run().refused(&words);
    assert!(scene.sts.requests().is_empty());
    nothing_is_left(&scene);
}

/// Case 33, CLN-001 and CVE-2023-42456 (sudo-rs): a name that is a path, an option, a format, a number.
fn an_odd_login_name_is_a_name_and_nothing_else(mode: Mode) {
    let long = "x".repeat(256);
    for name in [
        "a b", "..", "../../tmp/agent-aws-odd-name", "a/b", "%s%n", "x -rf", "ünï€", &long, "0", "root ",
        "a\u{1b}[31m\r", "$(id)",
    ] {
        let scene = open_scene(mode);
        let uid = scene.machine.user("alice").uid;
        let _ = std::fs::remove_file("/var/log/agent-aws/audit.jsonl");
        alice_is(Some(&format!("{name}:x:{uid}:{uid}::/home/alice:/bin/sh")));
        println!("{name:?}");
        let answer = Start::helper(&scene, &["id", "-u"]).ask(request(&scene));
        assert_eq!(answer.says().trim(), uid.to_string());
        for record in scene.machine.audit() {
            assert_eq!(record.get("uid").and_then(|u| u.as_str()), Some(uid.to_string().as_str()), "{record}");
            assert_eq!(record.get("login").and_then(|l| l.as_str()), Some(name), "{record}");
        }
        let trail = std::fs::read("/var/log/agent-aws/audit.jsonl").unwrap_or_default();
        assert!(trail.iter().all(|b| *b == b'\n' || (b' '..=b'~').contains(b)), "{name:?} is in the trail as it is");
        assert_eq!(trail.is_empty(), mode == Mode::Unprivileged);
        assert!(!Path::new("/tmp/agent-aws-odd-name").exists(), "a file by the name {name:?}");
        nothing_is_left(&scene);
        alice_is(Some(&format!("alice:x:{uid}:{uid}::/home/alice:/bin/sh")));
    }
    // To the C library this is no entry at all (nss_compat).
    let scene = open_scene(mode);
    alice_is(Some("-rf:x:4242:4242::/home/alice:/bin/sh"));
    Start::helper(&scene, &["true"]).ask(request(&scene)).refused("has no entry");
}

/// Case 33: an entry with Alice's uid that is called `root`, before and after root's own.
fn an_entry_for_root_by_another_name_changes_no_uid(mode: Mode) {
    let scene = open_scene(mode);
    let uid = scene.machine.user("alice").uid;
    alice_is(None);
    let text = std::fs::read_to_string("/etc/passwd").unwrap();
    std::fs::write("/etc/passwd", format!("root:x:{uid}:{uid}::/home/alice:/bin/sh\n{text}")).unwrap();
    let look = ["sh", "-c", "id -u; grep Uid /proc/self/status"];
    let said = Start::helper(&scene, &look).ask(request(&scene)).says();
    let all = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}");
    assert_eq!(said.lines().collect::<Vec<_>>(), [uid.to_string().as_str(), &all]);
    for record in scene.machine.audit() {
        assert_eq!(record.get("uid").and_then(|u| u.as_str()), Some(uid.to_string().as_str()), "{record}");
    }
    nothing_is_left(&scene);
}

/// Case 34, CVE-2019-14287 (sudo) and CVE-2018-19788 (polkit): beyond 2^31 a number is still a number.
fn uids_and_gids_are_unsigned(mode: Mode) {
    for id in [4_294_967_294_u32, 2_147_483_648, 2_147_483_647] {
        let scene = open_scene(mode);
        scene.machine.project(&scene.machine.user("alice"));
        alice_is(Some(&format!("alice:x:{id}:{id}::/home/alice:/bin/sh")));
        let mut places = vec![std::path::PathBuf::from("/home/alice")];
        while let Some(place) = places.pop() {
            chown(&place, Some(id), Some(id)).unwrap();
            if place.is_dir() {
                places.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        let mut start = Start::helper(&scene, &["sh", "-c", "id -u; id -g; touch it-ran; stat -c '%u %g' it-ran"]);
        start.ids = Some((id, id, vec![id]));
        let said = start.ask(request(&scene)).says();
        assert_eq!(said, format!("{id}\n{id}\n{id} {id}\n"));
        for record in scene.machine.audit().iter().filter(|r| r.get("event").is_some_and(|e| e == "start")) {
            assert_eq!(record.get("uid").and_then(|u| u.as_str()), Some(id.to_string().as_str()), "{record}");
        }
        let _ = std::fs::remove_file("/var/log/agent-aws/audit.jsonl");
        nothing_is_left(&scene);
        alice_is(Some("alice:x:4242:4242::/home/alice:/bin/sh"));
    }
}

/// Case 34: setresuid(-1) changes nothing and succeeds. A broker would stay root.
fn a_broker_user_with_no_usable_uid_is_refused(mode: Mode) {
    for ids in ["4294967295:4294967295", "4294967295:4240", "4240:4294967295", "0:0", "4242:4242", "-1:-1"] {
        let scene = open_scene(mode);
        rewrite("/etc/passwd", |line| match line.starts_with("_agent-aws:") {
            true => Some(format!("_agent-aws:x:{ids}::/:/usr/sbin/nologin")),
            false => Some(line.to_owned()),
        });
        let answer = Start::helper(&scene, &["echo", "ran"]).ask(request(&scene));
        answer.refused("");
        assert!(scene.sts.requests().is_empty(), "{ids}: a broker ran: {:?}", scene.sts.requests());
        nothing_is_left(&scene);
    }
}

/// Case 35, sudo-rs `works_with_large_groups`: 0, 1 and as many as the kernel takes.
fn groups_of_the_process_are_kept_however_many(mode: Mode) {
    let scene = open_scene(mode);
    let gid = scene.machine.user("alice").gid;
    for count in [0_u32, 1, 33, 1025, 65_536] {
        let mut start = Start::helper(&scene, &["sh", "-c", "grep Groups: /proc/self/status; id -g"]);
        let groups: Vec<u32> = (100_000..100_000 + count).collect();
        start.ids = start.ids.map(|(uid, gid, _)| (uid, gid, groups.clone()));
        let said = start.ask(request(&scene)).says();
        let mut lines = said.lines();
        let kept = lines.next().unwrap().trim_start_matches("Groups:").split_whitespace();
        assert_eq!(kept.map(|g| g.parse().unwrap()).collect::<Vec<u32>>(), groups, "of {count}");
        assert_eq!(lines.next(), Some(gid.to_string().as_str()));
    }
    nothing_is_left(&scene);
}

/// Case 35, sudo-rs `missing_primary_group`.
fn a_primary_group_without_an_entry_is_no_obstacle(mode: Mode) {
    let scene = open_scene(mode);
    let alice = scene.machine.user("alice");
    rewrite("/etc/group", |line| (!line.starts_with("alice:")).then(|| line.to_owned()));
    let said = Start::helper(&scene, &["id", "-g"]).ask(request(&scene)).says();
    assert_eq!(said.trim(), alice.gid.to_string());
    // Nor is a primary gid of the process that the database does not give.
    let mut start = Start::helper(&scene, &["id", "-g"]);
    start.ids = Some((alice.uid, 999_999, vec![]));
    assert_eq!(start.ask(request(&scene)).says().trim(), "999999");
    nothing_is_left(&scene);
}

fn the_uid_that_means_unchanged_is_refused(_: Mode) {}
