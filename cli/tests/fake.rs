//! The CLI against a helper that speaks the protocol and decides nothing (`examples/fake-helper.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used)] // The helpers of these tests are tests too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// An installation of its own for each test.
struct Place {
    root: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&root);
        let place = Self { root };
        let own = Path::new(env!("CARGO_BIN_EXE_agent-aws"));
        let fake = own.parent().unwrap().join("examples/fake-helper");
        for directory in ["bin", "libexec/agent-aws", "home", "work"] {
            std::fs::create_dir_all(place.root.join(directory)).unwrap();
        }
        place.link(own, "bin/agent-aws");
        place.link(&fake, "libexec/agent-aws/agent-aws-helper");
        place
    }

    /// A hard link where it can be one: the program finds its own directory by its real name.
    fn link(&self, from: &Path, to: &str) {
        let to = self.root.join(to);
        if std::fs::hard_link(from, &to).is_err() {
            std::fs::copy(from, &to).expect("examples are built by `cargo test -p agent-aws`, without --test");
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        // A runner in the background ignores SIGINT, which we would pass on.
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("--default-signal")
            .arg(self.root.join("bin/agent-aws"))
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.root.join("home"))
            .env("LANG", "C")
            .env("FAKE_REQUEST", self.root.join("request"))
            .current_dir(self.root.join("work"))
            .stdin(Stdio::null());
        command
    }

    fn request(&self) -> String {
        std::fs::read_to_string(self.root.join("request")).unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn the_agents_status_output_and_arguments_are_passed_through_as_bytes() {
    let place = Place::new("status");
    let output = place
        .command(&["run", "--as", "x", "--", "sh", "-c", "printf %s \"$1\"; exit 42", "sh"])
        .arg(OsStr::from_bytes(b"\xff --as"))
        .output()
        .unwrap();
    assert_eq!(status(&output), Some(42));
    assert_eq!(output.stdout, b"\xff --as");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn an_agent_that_a_signal_killed_is_seen_to_be_killed_by_that_signal() {
    let place = Place::new("signal");
    for (name, number) in [("TERM", 15), ("KILL", 9), ("PIPE", 13), ("SEGV", 11), ("RTMIN", 34)] {
        let script = format!("kill -{name} $$");
        let output = place.command(&["run", "--as", "x", "bash", "-c", &script]).output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{name}");
        assert!(!output.status.core_dumped(), "{name}");
    }
}

#[test]
fn a_refusal_is_two_lines_without_escapes_and_has_its_own_status() {
    let place = Place::new("refusal");
    let output = place.command(&["run", "--as", "x", "true"]).env("FAKE", "refuse").output().unwrap();
    assert_eq!(status(&output), Some(126));
    assert_eq!(text(&output.stderr), "agent-aws: no \\u{1b}[31mway (audit id a1)\n  > go home\n");
    let utf8 = place.command(&["identities"]).env("FAKE", "refuse").env("LANG", "C.UTF-8").output().unwrap();
    assert!(text(&utf8.stderr).contains("  → go home\n"));
}

#[test]
fn a_helper_that_dies_or_is_missing_or_not_executable_is_125_and_says_what_to_do() {
    let place = Place::new("dead");
    let output = place.command(&["run", "--as", "x", "true"]).env("FAKE", "die").output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("exit status 7"), "{output:?}");
    let helper = place.root.join("libexec/agent-aws/agent-aws-helper");
    std::fs::remove_file(&helper).unwrap();
    let output = place.command(&["run", "--as", "x", "true"]).output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("make install"), "{output:?}");
    std::fs::write(&helper, "").unwrap();
    let output = place.command(&["run", "--as", "x", "true"]).output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("Permission denied"), "{output:?}");
}

#[test]
fn usage_errors_of_run_are_125_and_others_2() {
    let place = Place::new("usage");
    for words in [&["run"][..], &["run", "--odd", "x"], &["run", "--as", "x"]] {
        assert_eq!(status(&place.command(words).output().unwrap()), Some(125), "{words:?}");
    }
    assert_eq!(status(&place.command(&["sessions", "--odd"]).output().unwrap()), Some(2));
    let help = place.command(&["run", "--help"]).output().unwrap();
    assert_eq!(status(&help), Some(0));
    assert!(text(&help.stdout).contains("--no-wait"));
}

#[test]
fn only_listed_variables_are_sent_and_an_own_source_has_a_list_of_its_own() {
    let place = Place::new("environment");
    let run = |words: &[&str]| {
        let mut command = place.command(words);
        command.env("TERM", "vt52").env("AWS_CONFIG_FILE", "/conf").env("SECRET", "s3cr3t");
        assert_eq!(status(&command.output().unwrap()), Some(0));
        place.request()
    };
    let bytes = |text: &str| format!("{:?}", text.as_bytes());
    let named = run(&["run", "--as", "x", "true"]);
    assert!(named.contains(&bytes("vt52")) && !named.contains(&bytes("/conf")));
    assert!(named.contains("Named(\"x\")"));
    let own = run(&["run", "--profile", "dev", "--env", "A=b", "true"]);
    assert!(own.contains("Own(\"dev\")") && own.contains(&bytes("/conf")));
    assert!(own.contains(&format!("EnvVar {{ name: {}, value: {} }}", bytes("A"), bytes("b"))));
    assert!(!own.contains(&bytes("s3cr3t")));
}

#[test]
fn a_request_that_does_not_fit_names_the_largest_variable() {
    let place = Place::new("size");
    let output =
        place.command(&["run", "--as", "x", "--env", "BIG", "true"]).env("BIG", "x".repeat(70_000)).output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("BIG with 70000"), "{output:?}");
}

#[test]
fn the_configured_default_is_used_and_aws_profile_comes_before_it() {
    let place = Place::new("default");
    let run = |profile: &str| {
        let output = place.command(&["run", "true"]).env("AWS_PROFILE", profile).output().unwrap();
        assert_eq!(status(&output), Some(0), "{output:?}");
        place.request()
    };
    assert!(run("").contains("identity: Unnamed"));
    let set = place.command(&["config", "default", "incident"]).output().unwrap();
    assert_eq!(status(&set), Some(0));
    assert!(run("").contains("Named(\"incident\")"));
    assert!(run("dev").contains("Own(\"dev\")"));
    std::fs::write(place.root.join("home/.config/agent-aws/config.toml"), "x = 1\n").unwrap();
    let output = place.command(&["run", "true"]).output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("config.toml:1:1: unknown field `x`"), "{output:?}");
}

#[test]
fn a_deleted_working_directory_is_an_error_of_its_own() {
    let place = Place::new("deleted");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" run --as x true";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(place.root.join("bin/agent-aws"))
        .current_dir(place.root.join("work"))
        .output()
        .unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(text(&output.stderr).contains("working directory"), "{output:?}");
}

#[test]
fn the_project_is_the_git_top_level_and_project_moves_the_working_directory() {
    let place = Place::new("project");
    let work = place.root.join("work");
    std::fs::create_dir_all(work.join("a/b")).unwrap();
    std::fs::create_dir(work.join(".git")).unwrap();
    let bytes = |path: &Path| format!("{:?}", path.as_os_str().as_bytes());
    let output = place.command(&["run", "--as", "x", "true"]).current_dir(work.join("a/b")).output();
    assert_eq!(status(&output.unwrap()), Some(0));
    assert!(place.request().contains(&format!("project: {}", bytes(&work))));
    assert!(place.request().contains(&format!("directory: {}", bytes(&work.join("a/b")))));
    let output = place
        .command(&["run", "--as", "x", "--project", "../work/a", "true"])
        .current_dir(place.root.join("home"))
        .output();
    assert_eq!(status(&output.unwrap()), Some(0));
    assert!(place.request().contains(&format!("directory: {}", bytes(&work.join("a")))));
}

#[test]
fn signals_are_forwarded_and_end_nothing_that_handles_them() {
    let place = Place::new("forward");
    let script = "trap 'echo int' INT; trap 'echo usr' USR1; trap 'echo term; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = place.command(&["run", "--as", "x", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "ready");
    let pid = Pid::from_child(&child);
    for (signal, answer) in [(Signal::INT, "int"), (Signal::USR1, "usr"), (Signal::TERM, "term")] {
        kill_process(pid, signal).unwrap();
        assert_eq!(next(), answer);
    }
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_signal_before_the_agent_runs_ends_the_run_at_once() {
    let place = Place::new("early");
    let mut child =
        place.command(&["run", "--as", "x", "true"]).env("FAKE", "silent").process_group(0).spawn().unwrap();
    let request = place.root.join("request");
    let begin = Instant::now();
    while !request.exists() && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new("nohup");
    let program = place.root.join("bin/agent-aws");
    let script = "trap '' HUP; exec \"$0\" run --as x sh -c 'echo ready; sleep 0.5; exit 4'";
    let mut child = Command::new("sh").args(["-c", script]).arg(program).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_killed_cli_leaves_no_agent() {
    let place = Place::new("killed");
    let mut child = place
        .command(&["run", "--as", "x", "sh", "-c", "echo $$; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let agent = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let begin = Instant::now();
    while Path::new("/proc").join(&agent).join("exe").exists() {
        assert!(begin.elapsed() < Duration::from_secs(5), "{agent} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn explain_lists_and_reports_go_to_standard_output() {
    let place = Place::new("lists");
    let out = |words: &[&str]| text(&place.command(words).output().unwrap().stdout).to_owned();
    assert_eq!(out(&["run", "--as", "x", "--explain", "true"]), "the plan\n");
    assert_eq!(out(&["policy", "explain", "--as", "x"]), "because\n");
    assert_eq!(out(&["stop", "0123"]), "0123 ended\n");
    assert!(out(&["identities"]).contains("incident  your own AWS profile  read"));
    let sessions = out(&["sessions"]);
    assert!(sessions.contains("  2026-11-20 14:05  ") && sessions.ends_with("  cl\\xffude\n"), "{sessions}");
    let json: serde_json::Value = serde_json::from_str(&out(&["sessions", "--json"])).unwrap();
    assert_eq!(json[0]["id"], "0123456789abcdef");
    assert!(out(&["doctor"]).contains("ok    policy"));
}

#[test]
fn nobody_reading_is_no_panic() {
    let place = Place::new("epipe");
    let script = "\"$0\" identities 2>&1 | true; \"$0\" odd 2>&1 | true; exec \"$0\" identities >/dev/full";
    let output = Command::new("sh").args(["-c", script]).arg(place.root.join("bin/agent-aws")).output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(!text(&output.stderr).contains("panic"), "{output:?}");
}

#[test]
fn policy_check_points_at_line_and_column() {
    let place = Place::new("check");
    let file = place.root.join("work/p.toml");
    std::fs::write(&file, "[sandbox.s]\nhome = \"agent\"\nnetwrok = \"none\"\n").unwrap();
    let output = place.command(&["policy", "check", "p.toml"]).output().unwrap();
    assert_eq!(status(&output), Some(1));
    assert!(text(&output.stderr).starts_with("p.toml:3:1: "), "{output:?}");
    let json = place.command(&["policy", "check", "--json", "p.toml"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["valid"], &json["diagnostics"][0]["line"]), (&false.into(), &3.into()));
}
