//! What a session did to rows that others execute or trust, and that no mount could protect, is said: at its end, however
//! that comes, and by `sessions` while it runs.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::PathBuf;
use std::process::{Child, ExitCode};

use agent_aws_e2e::inside::{file, inside, outside};
use agent_aws_e2e::session::{START, forget};
use agent_aws_harness::{Case, Mode, SOON, Scene, case, suite, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_session_that_touches_no_row_is_quiet),
    case!(each_row_is_said_once_with_its_reason_and_what_to_do),
    case!(git_that_is_led_elsewhere_ends_the_session),
    case!(repositories_inside_the_project_are_said),
    case!(a_row_that_is_a_link_is_said_when_what_it_leads_to_changes),
    case!(more_writable_paths_are_looked_at_too),
    case!(it_is_said_however_the_session_ends),
    case!(a_killed_cli_leaves_a_snapshot_that_the_next_run_sweeps).private(),
    case!(sessions_say_it_while_the_session_runs),
    case!(sessions_of_others_are_not_looked_at).private(),
    case!(a_home_that_cannot_be_written_to_keeps_nobody_from_the_report).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A git repository of Alice's, with rows and without.
fn repository(scene: &Scene) -> PathBuf {
    for name in [".git/config", ".git/HEAD", ".git/hooks/pre-commit.sample", ".envrc", ".vscode/tasks.json"] {
        file(scene, name, "original\n");
    }
    scene.machine.project(&scene.machine.user("alice"))
}

/// The lines on standard error that are about rows.
fn said(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.contains(" during the session")).collect()
}

fn a_session_that_touches_no_row_is_quiet(mode: Mode) {
    let scene = Scene::new(mode);
    repository(&scene);
    let script =
        "cat .envrc .git/config .vscode/*; ls -R . ; touch README.md .git/index; mkdir -p src/a; ! touch .envrc";
    let output = inside(&scene, &[], script).run().ends(0);
    assert!(!output.stderr.contains("during the session"), "{output}");
    // The control: the same with one more file.
    let output = inside(&scene, &[], &format!("{script}; touch .mcp.json")).run().ends(0);
    assert_eq!(said(&output.stderr).len(), 1, "{output}");
}

fn each_row_is_said_once_with_its_reason_and_what_to_do(mode: Mode) {
    let scene = Scene::new(mode);
    repository(&scene);
    let script = "echo x > .mcp.json; mkdir -p .claude/hooks .husky; echo x > .claude/hooks/a; echo x > .husky/pre-commit; \
                  echo x > .tool-versions; echo x > README.md; exit 3";
    let output = inside(&scene, &[], script).run().ends(3);
    let mut lines = said(&output.stderr);
    lines.sort_unstable();
    let expected = [
        "agent-aws: .claude appeared during the session (hooks): the next agent executes them",
        "agent-aws: .husky appeared during the session (pre-commit): git hooks",
        "agent-aws: .mcp.json appeared during the session: agents execute the servers it names",
        "agent-aws: .tool-versions appeared during the session: asdf and mise take programs from the directories that it \
         names",
    ];
    assert_eq!(lines, expected, "{output}");
    assert!(output.stderr.contains("→ look at them before you use git"), "{output}");
    // They are there now, and the next session can do nothing to them.
    let output = inside(&scene, &[], "echo y > .mcp.json; rm -r .husky; true").run().ends(0);
    assert_eq!(said(&output.stderr), Vec::<&str>::new(), "{output}");
}

/// With this file git takes hooks and configuration from elsewhere, whatever is read-only: the next `git status` of
/// somebody else executes what lies there.
fn git_that_is_led_elsewhere_ends_the_session(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    outside(&scene, "git init -q && mkdir -p evil/refs evil/objects").run().ends(0);
    file(&scene, "evil/config", "[core]\n\tfsmonitor = touch executed; false\n");
    let attack = "echo ../evil > .git/commondir";
    for (then, status) in
        [("sleep 60", 125), ("mv .git/commondir .git/x; mv .git/x .git/commondir; sleep 60", 125), ("true", 0)]
    {
        let output = inside(&scene, &[], &format!("{attack}; {then}")).run_within(SOON);
        // Ended while it had another name, it is not there.
        let between = std::fs::remove_file(project.join(".git/x")).is_ok();
        assert!(between || output.stderr.contains(".git/commondir appeared during the session"), "{output}");
        assert!(between || output.stderr.contains(".git/commondir is as it was again"), "{output}");
        // What ends at once may be gone before anybody has looked.
        assert!(output.code() == status || output.code() == 125, "{output}");
        assert!(output.code() == 0 || output.stderr.contains("leads git elsewhere"), "{output}");
        outside(&scene, "git status").run().ends(0);
        assert!(!project.join(".git/commondir").exists() && !project.join("executed").exists(), "{output}");
    }
    // Work ends nothing, and the control.
    let work = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && echo x > .git/commondirs";
    assert_eq!(inside(&scene, &[], work).run().ends(0).stderr, "");
    outside(&scene, &format!("{attack}; git status")).run();
    assert!(project.join("executed").exists());
}

fn repositories_inside_the_project_are_said(mode: Mode) {
    let scene = Scene::new(mode);
    let git = "git -c user.name=a -c user.email=a@b";
    let setup = format!(
        "git init -q . && {git} commit -q --allow-empty -m x && git init -q old && git init -q same && \
         git -c protocol.file.allow=always submodule --quiet add ./.git sub && sleep 0.1"
    );
    outside(&scene, &setup).run().ends(0);
    let script = "git init -q new && cd old && git config core.fsmonitor evil && cd ../sub && git config core.fsmonitor evil \
                  && cd ../same && git status > /dev/null";
    let output = inside(&scene, &[], script).run().ends(0);
    let mut lines = said(&output.stderr);
    lines.sort_unstable();
    let reason = "git executes its hooks and the commands that its configuration names";
    let expected = [(".git/modules/sub changed", "config"), ("new/.git appeared", ""), ("old/.git changed", "config")];
    assert_eq!(lines.len(), expected.len(), "{output}");
    for (line, (start, names)) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("agent-aws: {start} during")), "{line}");
        assert!(line.contains(names) && line.ends_with(reason), "{line}");
    }
}

fn a_row_that_is_a_link_is_said_when_what_it_leads_to_changes(mode: Mode) {
    let scene = Scene::new(mode);
    let shared = file(&scene, "shared-envrc", "original\n");
    std::os::unix::fs::symlink("shared-envrc", shared.with_file_name(".envrc")).unwrap();
    let output = inside(&scene, &[], "echo evil > shared-envrc").run().ends(0);
    assert!(said(&output.stderr)[0].contains(".envrc changed"), "{output}");
}

fn more_writable_paths_are_looked_at_too(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let other = scene.machine.project(&alice).with_file_name("other");
    scene.machine.directory(&alice, &other);
    let other = other.display().to_string();
    let output = inside(&scene, &["--rw", &other], &format!("touch {other}/.envrc")).run().ends(0);
    assert!(said(&output.stderr)[0].starts_with(&format!("agent-aws: {other}/.envrc appeared")), "{output}");
}

/// A session that has made a row and waits.
fn made(scene: &Scene) -> Child {
    let project = repository(scene);
    let [row, done] = [".mcp.json", "done"].map(|name| project.join(name));
    forget(&row);
    forget(&done);
    let mut command = inside(scene, &[], "echo evil > .mcp.json; touch done; read line").command();
    let pipe = std::process::Stdio::piped;
    let child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    within(START, "the row", || done.exists());
    child
}

/// How a session ends, and what ends it.
type Way<'a> = (&'a str, &'a dyn Fn(&mut Child));

fn it_is_said_however_the_session_ends(mode: Mode) {
    let scene = Scene::new(mode);
    let of_agent = |child: &Child| {
        let session = agent_aws_e2e::session::find(child.id().cast_signed());
        session.expect("a session")
    };
    let ends: [Way<'_>; 6] = [
        ("by itself", &|child| drop(child.stdin.take())),
        ("SIGTERM to agent-aws", &|child| signal(child.id().cast_signed(), Signal::SIGTERM)),
        ("SIGHUP to agent-aws", &|child| signal(child.id().cast_signed(), Signal::SIGHUP)),
        ("the agent is killed", &|child| signal(of_agent(child)[3], Signal::SIGKILL)),
        ("init is killed", &|child| signal(of_agent(child)[2], Signal::SIGKILL)),
        ("the supervisor is killed", &|child| signal(of_agent(child)[0], Signal::SIGKILL)),
    ];
    for (how, end) in ends {
        if !scene.machine.is_private() && how.contains("supervisor") && mode == Mode::Setuid {
            continue;
        }
        let mut child = made(&scene);
        end(&mut child);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(".mcp.json appeared during the session"), "{how}: {stderr}");
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The snapshots that are kept for `sessions`.
fn snapshots(scene: &Scene) -> PathBuf {
    scene.machine.user("alice").home.join(".local/share/agent-aws/trusted")
}

fn a_killed_cli_leaves_a_snapshot_that_the_next_run_sweeps(mode: Mode) {
    let scene = Scene::new(mode);
    let count = || fs::read_dir(snapshots(&scene)).map_or(0, Iterator::count);
    let mut child = made(&scene);
    within(SOON, "a snapshot", || count() == 1);
    let found = fs::read_dir(snapshots(&scene)).unwrap().next().unwrap().unwrap().path();
    let mode_of = |path: &PathBuf| std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o777;
    assert_eq!((mode_of(&snapshots(&scene)), mode_of(&found)), (0o700, 0o600));
    child.kill().unwrap();
    child.wait().unwrap();
    inside(&scene, &[], "true").run().ends(0);
    assert_eq!(count(), 1, "one that is young may be another session's that has no lock yet");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::options().write(true).open(&found).unwrap().set_modified(old).unwrap();
    let mut lives = made(&scene);
    within(SOON, "the old one goes, that of the running session stays", || count() == 1 && !found.exists());
    drop(lives.stdin.take());
    lives.wait().unwrap();
    assert_eq!(count(), 0);
}

fn sessions(scene: &Scene, user: &str) -> Vec<Value> {
    let said = scene.machine.agent_aws(user, &["sessions", "--json"]).run().says();
    serde_json::from_str::<Value>(&said).unwrap().as_array().unwrap().clone()
}

fn sessions_say_it_while_the_session_runs(mode: Mode) {
    let scene = Scene::new(mode);
    let mut child = made(&scene);
    let project = scene.machine.project(&scene.machine.user("alice"));
    // It is written while the agent begins.
    let mut rows = Value::Null;
    within(SOON, "the rows are known", || {
        let listed = sessions(&scene, "alice");
        let ours = |s: &&Value| s["command"].as_str().unwrap_or_default().contains("bash");
        rows = listed.iter().find(ours).map_or(Value::Null, |s| s["changed_rows"].clone());
        rows != Value::Null
    });
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0]["path"], project.join(".mcp.json").display().to_string());
    assert_eq!(rows[0]["change"], "appeared");
    assert_eq!(rows[0]["reason"], "agents execute the servers it names");
    let table = scene.machine.agent_aws("alice", &["sessions"]).run().says();
    assert!(table.contains("CHANGED ROWS") && table.contains(" .mcp.json "), "{table}");
    fs::remove_file(project.join(".mcp.json")).unwrap();
    let listed = sessions(&scene, "alice");
    assert_eq!(listed[0]["changed_rows"], serde_json::json!([]), "{listed:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A snapshot says where to look. Root does not look where somebody else says.
fn sessions_of_others_are_not_looked_at(mode: Mode) {
    let scene = Scene::new(mode);
    let mut child = made(&scene);
    within(SOON, "a snapshot", || fs::read_dir(snapshots(&scene)).is_ok_and(|found| found.count() == 1));
    if mode == Mode::Setuid {
        let alice = scene.machine.user("alice").home;
        let call = std::process::Command::new(scene.machine.program())
            .args(["sessions", "--json"])
            .env_clear()
            .env("HOME", alice)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&call.stdout).unwrap();
        assert_eq!(said[0]["user"], "alice", "{said}");
        assert_eq!(said[0]["changed_rows"], Value::Null, "{said}");
    }
    assert!(!sessions(&scene, "alice").is_empty(), "the control");
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn a_home_that_cannot_be_written_to_keeps_nobody_from_the_report(mode: Mode) {
    let scene = Scene::new(mode);
    repository(&scene);
    let output = inside(&scene, &[], "touch .mcp.json").env("HOME", "/nowhere").run().ends(0);
    assert_eq!(said(&output.stderr).len(), 1, "{output}");
}
