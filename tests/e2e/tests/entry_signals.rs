//! Entry conditions 16 to 19: timers, signals and the umask that a caller leaves behind.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agent_aws_e2e::start::{Start, files_below, nothing_is_left, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::{CliToHelper, Exit, Request};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode as Umask, umask};

const CASES: &[Case] = &[
    case!(timers_of_the_caller_end_nothing),
    case!(timer_slack_of_the_caller_reaches_nobody),
    case!(ignored_and_blocked_signals_reach_no_agent),
    case!(an_ignored_sigchld_hides_no_end),
    case!(signals_pending_at_exec_are_harmless).setuid(),
    case!(signals_pending_at_exec_end_it_cleanly_or_not_at_all).unprivileged(),
    case!(no_umask_changes_what_is_written),
    case!(no_umask_reaches_the_agent),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Longer than the timers below.
const PAST: &str = "sleep 1; echo alive";

/// Case 16: a timer set before exec survives it, and its signal would end the helper in the middle.
fn timers_of_the_caller_end_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    // The other two count processor time, of which the helper uses little: they go off at the first tick.
    let timers = [
        (libc::ITIMER_REAL, libc::SIGALRM, 300),
        (libc::ITIMER_VIRTUAL, libc::SIGVTALRM, 1),
        (libc::ITIMER_PROF, libc::SIGPROF, 1),
    ];
    let armed = |start: Start, which: i32, after| start.as_caller(move || sys::arm(which, after));
    let control = armed(Start::program(&scene, "/bin/sleep", &["1"]), libc::ITIMER_REAL, 300).run();
    assert_eq!(control.status.signal(), Some(libc::SIGALRM), "{control}");
    let busy = ["-c", "while :; do :; done"];
    let control = armed(Start::program(&scene, "/bin/sh", &busy), libc::ITIMER_VIRTUAL, 1).run();
    assert_eq!(control.status.signal(), Some(libc::SIGVTALRM), "{control}");
    for (which, signal, after) in timers {
        // One that goes off before our first statement ends what has not begun.
        let lived = (0..20).any(|_| {
            let output = armed(Start::helper(&scene, &["sh", "-c", PAST]), which, after).ask(request(&scene));
            let early = after == 1 && output.output.status.signal() == Some(signal);
            if !early {
                assert_eq!(output.says(), "alive\n", "timer {which}");
            }
            !early
        });
        assert!(lived, "timer {which}");
    }
    nothing_is_left(&scene);
}

/// Case 16: slack is inherited by a fork, and cannot be read of another process but by root.
fn timer_slack_of_the_caller_reaches_nobody(mode: Mode) {
    let scene = Scene::new(mode);
    let slack = |start: Start| {
        start.as_caller(|| {
            let twenty_seconds = 20_000_000_000;
            nix::sys::prctl::set_timerslack(twenty_seconds).map_err(Into::into)
        })
    };
    let read = ["-c", "cat /proc/self/timerslack_ns"];
    assert_eq!(slack(Start::program(&scene, "/bin/sh", &read)).run().says(), "20000000000");
    // The helper resets its own to the default, which is the one it was started with: nothing may wait for it.
    let begin = Instant::now();
    slack(Start::helper(&scene, &["true"])).ask(request(&scene)).says();
    assert!(begin.elapsed() < Duration::from_secs(15), "slow: {:?}", begin.elapsed());
    nothing_is_left(&scene);
}

const HOSTILE: [Signal; 6] =
    [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGALRM, Signal::SIGUSR1, Signal::SIGINT, Signal::SIGPIPE];

/// Everything blocked and ignored that a caller may leave so.
fn hostile_signals(start: Start) -> Start {
    start.as_caller(|| {
        for signal in [libc::SIGCHLD, libc::SIGHUP, libc::SIGPIPE, libc::SIGTTOU] {
            sys::ignore(signal)?;
        }
        HOSTILE.into_iter().collect::<SigSet>().thread_block().map_err(Into::into)
    })
}

/// Case 17, bwrap #705 and unix_chkpwd: dispositions and mask are inherited through exec.
fn ignored_and_blocked_signals_reach_no_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let look = "grep -E '^Sig(Blk|Ign|Pnd)|^ShdPnd' /proc/self/status";
    let clear = |said: &str| {
        assert_eq!(said.lines().count(), 4, "{said}");
        // 32 and 33 are the C library's own: nobody can set them through it, and whoever uses them sets them up first.
        let own = 0b11 << 31;
        let bits = |line: &str| line.rsplit('\t').next().and_then(|word| u64::from_str_radix(word, 16).ok());
        said.lines().all(|line| bits(line).unwrap() & !own == 0)
    };
    let control = hostile_signals(Start::program(&scene, "/bin/sh", &["-c", look])).run().says();
    assert!(!clear(&control), "the control shows nothing: {control}");
    let direct = hostile_signals(Start::helper(&scene, &["sh", "-c", look])).ask(request(&scene)).says();
    assert!(clear(&direct), "directly:\n{direct}");
    let through = hostile_signals(Start::run_of(&scene, &["sh", "-c", look])).run().says();
    assert!(clear(&through), "through the CLI:\n{through}");
    nothing_is_left(&scene);
}

/// Case 17: with SIGCHLD ignored, waiting for a child finds none (ECHILD) and its status is lost.
fn an_ignored_sigchld_hides_no_end(mode: Mode) {
    let scene = Scene::new(mode);
    let answer = hostile_signals(Start::helper(&scene, &["sh", "-c", "(exit 5); exit $?"])).ask(request(&scene));
    assert_eq!(answer.exit(), Some(Exit::Code(5)), "{answer}");
    hostile_signals(Start::run_of(&scene, &["sh", "-c", "(exit 5); exit $?"])).run().ends(5);
    let output = hostile_signals(Start::run_of(&scene, &["sh", "-c", "kill -TERM $$"])).run();
    assert_eq!(output.code(), 128 + libc::SIGTERM, "{output}");
    // The session can be ended from outside, as if nothing were blocked.
    let talk = hostile_signals(Start::helper(&scene, &["sleep", "1000"])).talk(Request::Run(Box::new(request(&scene))));
    let talk = talk.begun();
    talk.say(&CliToHelper::Signal(libc::SIGTERM));
    assert_eq!(talk.end().exit(), Some(Exit::Signal(libc::SIGTERM)));
    nothing_is_left(&scene);
}

/// These signals wait in the helper from its first instruction.
fn pending(start: Start, signals: &'static [Signal]) -> Start {
    start.as_caller(move || {
        signals.iter().copied().collect::<SigSet>().thread_block()?;
        signals.iter().try_for_each(|signal| sys::raise(*signal as i32))
    })
}

const PENDING: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGALRM,
    Signal::SIGHUP,
    Signal::SIGCHLD,
    Signal::SIGTSTP,
    Signal::SIGUSR1,
    Signal::SIGQUIT,
    Signal::SIGSEGV,
    Signal::SIGABRT,
];

/// Case 18: a mask that is reset while signals wait delivers them all at once. A SIGTERM of the caller's is no
/// `agent-aws stop`.
fn signals_pending_at_exec_are_harmless(mode: Mode) {
    let scene = Scene::new(mode);
    let control = pending(Start::program(&scene, "/usr/bin/grep", &["ShdPnd", "/proc/self/status"]), PENDING).run();
    assert!(!control.clone().says().ends_with("0000000000000000"), "{control}");
    let answer = pending(Start::helper(&scene, &["sh", "-c", "grep ShdPnd /proc/self/status"]), PENDING);
    assert!(answer.ask(request(&scene)).says().ends_with("0000000000000000\n"));
    nothing_is_left(&scene);
}

/// Case 18 without privilege: the caller's SIGTERM ends a session of their own, and nothing else ends it.
fn signals_pending_at_exec_end_it_cleanly_or_not_at_all(mode: Mode) {
    let scene = Scene::new(mode);
    let others = PENDING.split_first().unwrap().1;
    assert_eq!(pending(Start::helper(&scene, &["echo", "ran"]), others).ask(request(&scene)).says(), "ran\n");
    pending(Start::helper(&scene, &["sleep", "5"]), PENDING).ask(request(&scene)).refused("stopped");
    nothing_is_left(&scene);
}

/// The masks of case 19.
const MASKS: [u32; 3] = [0, 0o777, 0o077];

fn masked(start: Start, mask: u32) -> Start {
    start.as_caller(move || {
        umask(Umask::from_bits_truncate(mask));
        Ok(())
    })
}

/// Case 19, snap-confine and the jailer: modes are said, not left to whatever mask there is.
fn no_umask_changes_what_is_written(mode: Mode) {
    for mask in MASKS {
        let (scene, name) = (Scene::new(mode), format!("control-{mask:o}"));
        let control = masked(Start::program(&scene, "/usr/bin/touch", &[&name]), mask).run();
        control.ends(0);
        let made = scene.machine.project(&scene.machine.user("alice")).join(name);
        assert_eq!(std::fs::metadata(&made).unwrap().mode() & 0o777, 0o666 & !mask);
        if scene.machine.is_private() {
            let _ = std::fs::remove_file("/var/log/agent-aws/audit.jsonl");
        }
        let start = masked(Start::helper(&scene, &["sleep", "1000"]), mask);
        let talk = start.talk(Request::Run(Box::new(request(&scene)))).begun();
        if mode == Mode::Setuid {
            for (path, expected) in [("/var/log/agent-aws/audit.jsonl", 0o600), ("/run/agent-aws/sessions", 0o700)] {
                let found = std::fs::metadata(path).unwrap();
                assert_eq!(
                    (found.mode() & 0o7777, found.uid(), found.gid()),
                    (expected, 0, 0),
                    "{path}, mask {mask:o}"
                );
            }
            let files = files_below(Path::new("/run/agent-aws"));
            assert_eq!(files.len(), 1, "{files:?}");
            assert!(files.iter().all(|f| std::fs::metadata(f).unwrap().mode() & 0o777 == 0o600));
        }
        check_home(&scene, mask);
        talk.say(&CliToHelper::Signal(libc::SIGTERM));
        talk.end();
        nothing_is_left(&scene);
    }
}

/// What is made in the caller's home is theirs, and nobody else may write to it.
fn check_home(scene: &Scene, mask: u32) {
    let ours: PathBuf = scene.machine.user("alice").home.join(".local/share/agent-aws");
    let mut here = vec![ours];
    while let Some(path) = here.pop() {
        let found = std::fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mode = found.mode();
        let (owner, others) = (mode & 0o600, mode & 0o022);
        assert!(found.is_symlink() || (owner == 0o600 && others == 0), "{} {mode:o}, mask {mask:o}", path.display());
        assert_eq!(found.uid(), scene.machine.user("alice").uid, "{}", path.display());
        if found.is_dir() {
            here.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// Case 19: the agent starts with the usual one, so that what it makes in the project is as usual.
fn no_umask_reaches_the_agent(mode: Mode) {
    let scene = Scene::new(mode);
    for mask in MASKS {
        let control = masked(Start::program(&scene, "/bin/sh", &["-c", "umask"]), mask).run().says();
        assert_eq!(control, format!("{mask:04o}"));
        assert_eq!(masked(Start::helper(&scene, &["sh", "-c", "umask"]), mask).ask(request(&scene)).says(), "0022\n");
    }
    nothing_is_left(&scene);
}
