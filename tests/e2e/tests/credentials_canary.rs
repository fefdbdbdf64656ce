//! Case 102: where a secret is while a session runs, and after it. In the memory of the broker, in the file of the source,
//! and with the client that asked for it: nowhere else, as far as the caller, the agent and root can read.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_aws_e2e::inside::{memory_over, root};
use agent_aws_e2e::session::State;
use agent_aws_e2e::start::{files_below, nothing_is_left};
use agent_aws_harness::{Case, Mode, Process, SOON, Scene, Setup, case, processes, suite, until, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use inside::Inside;

const CASES: &[Case] = &[
    case!(no_secret_is_anywhere_but_where_a_client_asked_for_it).private().limit(300),
    case!(what_holds_a_secret_is_not_swapped_out),
    case!(a_process_that_is_aborted_leaves_no_secret_in_a_core).private().limit(300),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// As much of it as the kernel lets: all, where the broker's limit could be lifted, else the answers.
fn what_holds_a_secret_is_not_swapped_out(mode: Mode) {
    let scene = Scene::new(mode);
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let broker = processes().into_iter().find(|p| p.command.starts_with("agent-aws-broker")).expect("the broker");
    let state = State::of(broker.pid);
    let kilobytes = |field: &str| state.field(field).trim_end_matches(" kB").parse::<u64>().expect("a size");
    let limits = fs::read_to_string(format!("/proc/{}/limits", broker.pid)).expect("its limits");
    let unlimited = limits.lines().any(|l| l.starts_with("Max locked memory") && l.contains("unlimited"));
    let (locked, answers) = (kilobytes("VmLck"), 32);
    assert!(if unlimited { locked > kilobytes("VmRSS") } else { locked >= answers }, "{locked} kB, {limits}");
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
const CANARY: &str = include_str!("parts/canary.py");
/// Where the host's programs and people keep files; /proc is searched by everybody.
const PLACES: [&str; 9] = ["/proc", "/tmp", "/run", "/var", "/home", "/root", "/etc", "/dev/shm", "/opt"];
/// Below the root of the sandbox, what is not the host's.
const OF_THE_SANDBOX: [&str; 4] = ["tmp", "run", "var", "dev/shm"];
/// A session that is renewed while the test looks on, in seconds.
const LIFETIME: u32 = 16;
const RENEWED: Duration = Duration::from_secs(60);

/// A scene whose temporary files are nobody else's, and what the search is told of it.
struct Search {
    scene: Scene,
    begun: u64,
    secrets: Vec<(&'static str, String)>,
}

/// What one search found, and how many files, open files and processes it looked at.
#[derive(Debug)]
struct Found {
    places: BTreeSet<(String, String)>,
    looked: [usize; 3],
}

impl Search {
    fn new(mode: Mode) -> Self {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        ["/tmp", "/var/tmp", "/dev/shm"].iter().for_each(|place| memory_over(place, 0o1777));
        let scene = Scene::with(mode, &Setup { lifetime: Some(LIFETIME), ..Setup::default() });
        scene.machine.file(&scene.machine.user("alice"), &program(&scene), 0o644, CANARY);
        let secrets = vec![("source", scene.secret().to_owned())];
        Self { scene, begun, secrets }
    }

    /// Notes the secrets of a session that a client was given.
    fn learn(&mut self, answer: &str) {
        let answer: Value = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        for (name, member) in [("key", "SecretAccessKey"), ("token", "SessionToken")] {
            self.secrets.push((name, answer.get(member).and_then(Value::as_str).expect("a member").to_owned()));
        }
    }

    fn words(&self) -> String {
        self.secrets.iter().map(|(name, secret)| format!("{name} {secret}\n")).collect()
    }

    /// As root, everything but the memory of these, of this test, and of what started it, which is the same program.
    fn as_root(&self, spared: &[i32]) -> Found {
        let ours = [std::process::id().cast_signed(), 1];
        let spared: Vec<String> = spared.iter().chain(&ours).map(i32::to_string).collect();
        let mut places: Vec<String> = PLACES.map(str::to_owned).into();
        if let Some(agent) = agent(&self.scene) {
            places.extend(OF_THE_SANDBOX.map(|place| format!("/proc/{}/root/{place}", agent.pid)));
        }
        let mut python = Command::new("/usr/bin/python3");
        python.arg(program(&self.scene)).args([self.begun.to_string(), spared.join(",")]).args(places);
        let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
        python.stdin.take().expect("a pipe").write_all(self.words().as_bytes()).expect("a reader");
        Found::parse(&String::from_utf8_lossy(&python.wait_with_output().expect("its end").stdout))
    }

    fn as_caller(&self) -> Found {
        let python = self.scene.machine.call("alice", "/usr/bin/python3").arg(program(&self.scene));
        let python = python.args(&[self.begun.to_string(), String::new()]).args(&PLACES).stdin(self.words());
        Found::parse(&python.run_within(Duration::from_secs(100)).says())
    }

    /// The secrets come by a FIFO: the shell of the session is not told.
    fn as_agent(&self, inside: &mut Inside) -> Found {
        let fifo = program(&self.scene).with_file_name("words");
        self.scene.machine.call("alice", "/usr/bin/mkfifo").arg(&fifo).run().ends(0);
        let places = PLACES.join(" ");
        let line = format!("/usr/bin/python3 canary.py {} , {places} <words", self.begun);
        inside.tell(&line);
        fs::write(&fifo, self.words()).expect("the search reads it");
        let found = Found::parse(&inside.hear(&line).well());
        fs::remove_file(&fifo).expect("its FIFO");
        found
    }

    /// Where the source itself lies.
    fn source(&self) -> String {
        match self.scene.machine.mode {
            Mode::Setuid => "/etc/agent-aws/sources/workstation".into(),
            Mode::Unprivileged => self.scene.aws("credentials").display().to_string(),
        }
    }
}

impl Found {
    fn parse(said: &str) -> Self {
        let (places, looked) = said.trim_end().rsplit_once('\n').unwrap_or(("", said.trim_end()));
        let numbers = looked.strip_prefix("looked ").unwrap_or_else(|| panic!("it did not end: {said}"));
        let numbers: Vec<usize> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
        let places = places.lines().filter_map(|line| line.split_once(' '));
        Self {
            places: places.map(|(name, place)| (name.to_owned(), place.to_owned())).collect(),
            looked: numbers.try_into().expect("three numbers"),
        }
    }

    /// It looked at something, and found what it was to find and nothing else.
    #[track_caller]
    fn is(&self, who: &str, wanted: &[(&str, &str)]) {
        let wanted = wanted.iter().map(|(name, place)| ((*name).to_owned(), (*place).to_owned())).collect();
        assert_eq!(self.places, wanted, "{who}, who looked at {:?}", self.looked);
        assert!(self.looked.first().is_some_and(|files| *files > 100), "{who} looked at {:?}", self.looked);
    }
}

fn program(scene: &Scene) -> PathBuf {
    scene.machine.project(&scene.machine.user("alice")).join("canary.py")
}

/// The shell of the session.
fn agent(scene: &Scene) -> Option<Process> {
    let alice = scene.machine.user("alice").uid;
    processes().into_iter().find(|p| p.uid == alice && p.command.starts_with("sh -c while IFS= read"))
}

fn broker() -> i32 {
    let found = processes().into_iter().find(|p| p.name.starts_with("agent-aws-broke"));
    found.expect("a broker").pid
}

fn no_secret_is_anywhere_but_where_a_client_asked_for_it(mode: Mode) {
    let mut search = Search::new(mode);
    let mut inside = Inside::new(&search.scene, &["--network", "none"]);
    let first = inside.does(CLIENT).well();
    search.learn(&first);
    let mut second = String::new();
    within(RENEWED, "another session", || {
        second = inside.does(CLIENT).well();
        second != first
    });
    search.learn(&second);
    let source = search.source();
    let of_root: &[(&str, &str)] = &[("source", &source)];
    let of_caller = if mode == Mode::Setuid { &[] } else { of_root };
    let during = search.as_root(&[broker()]);
    during.is("root", of_root);
    let [_, open, memories] = during.looked;
    assert!(open > 0 && memories >= 4, "root looked into too little: {:?}", during.looked);
    search.as_caller().is("the caller", of_caller);
    search.as_agent(&mut inside).is("the agent", &[]);
    // The control: what the client wrote down, as it is and in other clothes, is found by each of them.
    inside.does(&format!("{CLIENT} >kept; {CLIENT} | base64 -w0 >/tmp/kept")).well();
    let last = fs::read_to_string(program(&search.scene).with_file_name("kept")).expect("what was kept");
    search.learn(&last);
    let kept = program(&search.scene).with_file_name("kept").display().to_string();
    let inner = format!("/proc/{}/root/tmp/kept", agent(&search.scene).expect("a shell").pid);
    let of_project = [("key", kept.as_str()), ("token", kept.as_str())];
    let of_sandbox = [("key", "/tmp/kept"), ("token", "/tmp/kept")];
    let of_both = [("key", inner.as_str()), ("token", inner.as_str())];
    search.as_root(&[broker()]).is("root", &[of_root, &of_project, &of_both].concat());
    search.as_caller().is("the caller", &[of_caller, &of_project].concat());
    search.as_agent(&mut inside).is("the agent", &[of_project, of_sandbox].concat());
    // The memory of the broker is where it is: what is served now, as long as it is.
    let of_broker = ("key".to_owned(), "memory of agent-aws-broke".to_owned());
    within(RENEWED, "the key in the memory of the broker", || {
        search.learn(&inside.does(CLIENT).well());
        search.as_root(&[]).places.contains(&of_broker)
    });
    fs::remove_file(&kept).expect("what was kept");
    assert_eq!(inside.end(), Some(0));
    nothing_is_left(&search.scene);
    search.as_root(&[]).is("root, later", of_root);
    search.as_caller().is("the caller, later", of_caller);
}

/// Cores as the kernel writes them: of the agent's programs, of the agent, of `agent-aws`; and of the broker, of which none is
/// written.
fn a_process_that_is_aborted_leaves_no_secret_in_a_core(mode: Mode) {
    let mut search = Search::new(mode);
    let all = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Core, all).expect("root may");
    let alice = search.scene.machine.user("alice");
    let project = search.scene.machine.project(&alice);
    let cores = || {
        let mut found = files_below(&project);
        found.retain(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"core")));
        found
    };
    let abort = |pid: i32| kill(Pid::from_raw(pid), Signal::SIGABRT).expect("root may");
    let source = search.source();
    for victim in ["a child", "the agent", "agent-aws", "the broker"] {
        let mut inside = Inside::new(&search.scene, &["--network", "none"]);
        search.learn(&inside.does(CLIENT).well());
        let agent = agent(&search.scene).expect("a shell");
        match victim {
            "a child" => drop(inside.does("sh -c 'kill -ABRT $$'")),
            "the agent" => abort(agent.pid),
            "the broker" => abort(broker()),
            _ => abort(processes().iter().find(|p| p.command.contains("agent-aws run")).expect("agent-aws").pid),
        }
        let written = until(SOON, || Some(cores()).filter(|cores| !cores.is_empty()));
        assert_eq!(written.is_some(), victim != "the broker", "a core of {victim}");
        for core in written.unwrap_or_default() {
            // It is a core: who it was of is in it.
            let words = if victim == "agent-aws" { "LOGNAME=alice" } else { "AGENT_AWS_SESSION=" };
            root(&["grep", "-qaF", words, &core.display().to_string()]);
        }
        let of_caller: &[(&str, &str)] = if mode == Mode::Setuid { &[] } else { &[("source", &source)] };
        search.as_caller().is(victim, of_caller);
        drop(inside);
        nothing_is_left(&search.scene);
        search.as_root(&[]).is(victim, &[("source", &source)]);
        cores().iter().for_each(|core| fs::remove_file(core).expect("a core"));
    }
}
