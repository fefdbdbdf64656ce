//! Case 53 (origin: the RLIMIT_NPROC class of setuid holes): every step that gives privilege up or builds a wall is made
//! to fail. Then the command runs with exactly the privilege and the view of an undisturbed run, or it does not run.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_e2e::inside::placed;
use agent_aws_e2e::session::{START, State, all_is_gone, forget};
use agent_aws_e2e::trace::{Tracer, calls, go_on, held, stopped_at};
use agent_aws_harness::{Case, Mode, Scene, case, suite, within};

const CASES: &[Case] = &[
    case!(the_probe_sees_a_wall_that_is_missing).setuid(),
    case!(a_failing_drop_of_who_asks_the_user_database_runs_nothing_wrong).setuid(),
    case!(a_failing_drop_of_the_broker_runs_nothing_wrong).setuid(),
    case!(a_failing_drop_of_init_runs_nothing_wrong).private(),
    case!(a_failing_wall_of_init_runs_nothing_wrong).private(),
    case!(a_failing_mount_runs_nothing_wrong).private(),
    case!(without_random_numbers_nothing_runs).private(),
];

const IDS: [&str; 6] = ["setgroups", "setresgid", "setresuid", "setuid", "capset", "capget"];
const WALLS: [&str; 5] =
    ["seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "execveat"];
const MOUNTS: [&str; 9] =
    ["openat2", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsconfig", "fsmount", "pivot_root", "umount2"];

fn main() -> ExitCode {
    suite(CASES)
}

/// The agent's command: says what it is, in full, before the file has its name.
const MARK: &str = "{ cat /proc/self/status; echo VIEW; cut -d' ' -f5,6 /proc/self/mountinfo; \
                    /opt/agent-aws-test/attacker securebits; } > new && mv new marker";

/// Whose birth a trial begins with: the helper forks them in this order.
#[derive(Clone, Copy)]
enum Child {
    Database = 1,
    Broker = 2,
    Builder = 3,
}

/// What the agent said of itself: privilege; mounts with their options, and securebits.
type Said = (State, BTreeSet<String>);

struct Trials {
    scene: Scene,
    marker: PathBuf,
    mounts: Vec<String>,
    child: Child,
    undisturbed: Said,
    /// How often each call is made, by the process that makes it most often.
    counts: BTreeMap<String, usize>,
    /// Which times of prctl(2) are more than one of the many that empty the bounding set.
    prctl: BTreeSet<usize>,
}

impl Trials {
    fn new(mode: Mode, child: Child) -> Self {
        let scene = Scene::new(mode);
        let marker = scene.machine.project(&scene.machine.user("alice")).join("marker");
        placed(&scene, env!("CARGO_BIN_EXE_attacker"));
        // The first run of all makes homes and mount points that later ones find.
        scene.run(&[], &["true"]).run().ends(0);
        let said = (State::parse(""), BTreeSet::new());
        let mounts = scene.machine.mounts();
        let mut trials =
            Self { scene, marker, mounts, child, undisturbed: said, counts: BTreeMap::new(), prctl: BTreeSet::new() };
        let all = [IDS.as_slice(), &WALLS, &MOUNTS, &["prctl", "clone3", "getrandom"]].concat().join(",");
        let (log, said) = trials.run(&[&format!("trace={all}")]);
        trials.undisturbed = said.expect("the control: undisturbed, the command runs");
        trials.undisturbed.0.has_no_privilege();
        assert!(trials.undisturbed.1.contains("securebits 0xef"), "the control: {:?}", trials.undisturbed.1);
        let mut by_process: BTreeMap<(i32, String), usize> = BTreeMap::new();
        for (pid, call) in calls(&log) {
            let name = call.split('(').next().unwrap_or_default().to_owned();
            let nth = by_process.entry((pid, name)).or_default();
            *nth += 1;
            if call.starts_with("prctl(") && (!call.starts_with("prctl(PR_CAPBSET_") || *nth % 40 == 5) {
                trials.prctl.insert(*nth);
            }
        }
        for ((_, name), count) in by_process {
            let most = trials.counts.entry(name).or_default();
            *most = count.max(*most);
        }
        trials
    }

    /// A run that is traced from the birth of that child on.
    fn run(&self, expressions: &[&str]) -> (String, Option<Said>) {
        forget(&self.marker);
        let scratch = self.scene.machine.scratch();
        let call = self.scene.run(&[], &["sh", "-c", MARK]);
        let mut cli = held(&call, &scratch.join("said"));
        let helper = stopped_at(cli.id().cast_signed(), true, "umask", 1, &scratch.join("log-1"));
        stopped_at(helper, false, "clone3", self.child as usize, &scratch.join("log-2"));
        let tracer = Tracer::attach(helper, true, expressions, &scratch.join("log-3"));
        go_on(helper);
        within(START, "the run ends", || cli.try_wait().unwrap().is_some());
        let log = tracer.end();
        (log, fs::read_to_string(&self.marker).ok().map(|text| parse(&text)))
    }

    /// Makes one call fail for the nth time in every process; whether the command ran nevertheless.
    fn fails(&self, call: &str, nth: usize) -> bool {
        // In its stead a harmless call is made, which a filter that is already there lets pass.
        let fault = format!("inject={call}:error=EPERM:syscall=getpid:when={nth}");
        let (log, said) = self.run(&[&format!("trace={call}"), &fault]);
        let what = format!("{call} failing at {nth}");
        assert!(log.contains("(INJECTED)"), "{what}: nothing was disturbed");
        if let Some(said) = &said {
            assert_eq!(*said, self.undisturbed, "{what}");
        }
        all_is_gone(&self.scene, &self.mounts, &[], &what);
        said.is_some()
    }

    /// prctl(2), wherever it does something of its own.
    fn fail_prctl(&self) {
        for nth in &self.prctl {
            self.fails("prctl", *nth);
        }
    }

    /// All of these, at their first times, at their last, and some between.
    fn fail_each(&self, names: &[&str]) -> Vec<(String, usize)> {
        let mut ran = Vec::new();
        for name in names {
            let count = self.counts.get(*name).copied().unwrap_or(0);
            let some = |n: &usize| count <= 4 || *n <= 2 || *n == count / 2 || *n == count;
            for nth in (1..=count).filter(some) {
                if self.fails(name, nth) {
                    ran.push(((*name).to_owned(), nth));
                }
            }
        }
        ran
    }
}

fn parse(text: &str) -> Said {
    let (status, mounts) = text.split_once("VIEW\n").unwrap_or((text, ""));
    (State::parse(status).privilege(), mounts.lines().map(str::to_owned).collect())
}

/// The control: a filter of init's that only pretends to be installed is seen by the comparison that all trials rest on.
/// strace makes the call succeed without doing anything, which no kernel does.
fn the_probe_sees_a_wall_that_is_missing(mode: Mode) {
    let trials = Trials::new(mode, Child::Builder);
    let (log, said) = trials.run(&["trace=seccomp", "inject=seccomp:retval=0:syscall=getpid:when=2"]);
    assert!(log.contains("(INJECTED)"), "{log}");
    let said = said.expect("it runs, for it cannot know");
    assert_ne!(said, trials.undisturbed);
}

fn a_failing_drop_of_who_asks_the_user_database_runs_nothing_wrong(mode: Mode) {
    let trials = Trials::new(mode, Child::Database);
    for call in ["setgroups", "setresgid", "setresuid", "capset"] {
        assert!(!trials.fails(call, 1), "{call}: the helper trusted an answer of root's");
    }
    trials.fail_prctl();
}

fn a_failing_drop_of_the_broker_runs_nothing_wrong(mode: Mode) {
    let trials = Trials::new(mode, Child::Broker);
    for call in ["setgroups", "setresgid", "setresuid", "capset"] {
        assert!(!trials.fails(call, 1), "{call}");
    }
    trials.fail_prctl();
}

/// Only one call may fail and the command run: the attempt to get root back, which is to fail.
fn a_failing_drop_of_init_runs_nothing_wrong(mode: Mode) {
    let trials = Trials::new(mode, Child::Builder);
    let ran = trials.fail_each(&IDS);
    let back = |(call, nth): &(String, usize)| (call == "setresuid" && *nth > 1) || call == "setuid";
    assert!(ran.iter().all(back), "the command ran although these failed: {ran:?}");
    trials.fail_prctl();
}

fn a_failing_wall_of_init_runs_nothing_wrong(mode: Mode) {
    let trials = Trials::new(mode, Child::Builder);
    assert_eq!(trials.fail_each(&WALLS), [], "the command ran although these failed");
}

fn a_failing_mount_runs_nothing_wrong(mode: Mode) {
    let trials = Trials::new(mode, Child::Builder);
    let ran = trials.fail_each(&MOUNTS);
    let critical = |(call, _): &&(String, usize)| {
        ["move_mount", "mount_setattr", "pivot_root", "fsmount"].contains(&call.as_str())
    };
    assert_eq!(ran.iter().find(critical), None, "the command ran although this failed");
}

/// Case 70: a helper that cannot go on ends everything that it has begun.
fn without_random_numbers_nothing_runs(mode: Mode) {
    let trials = Trials::new(mode, Child::Database);
    let count = trials.counts.get("getrandom").copied().unwrap_or(0);
    assert!(count > 0, "the control: it asks for some");
    for nth in 1..=count.min(3) {
        let fault = format!("inject=getrandom:error=ENOMEM:when={nth}");
        let (_, said) = trials.run(&["trace=getrandom", &fault]);
        assert!(said.is_none_or(|said| said == trials.undisturbed));
        all_is_gone(&trials.scene, &trials.mounts, &[], &format!("getrandom at {nth}"));
    }
}
