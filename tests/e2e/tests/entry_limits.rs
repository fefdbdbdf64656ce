//! Entry conditions 10 to 15: resource limits that a caller set before the helper was executed.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_e2e::start::{Answer, Start, files_below, nothing_is_left, pid_of, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::{CliToHelper, Exit, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CASES: &[Case] = &[
    case!(a_file_size_limit_truncates_nothing_of_ours),
    case!(a_process_limit_is_a_refusal_or_the_agents_own),
    case!(a_descriptor_limit_is_a_refusal_or_the_agents_own),
    case!(a_memory_limit_leaves_nothing_behind),
    case!(no_process_of_ours_leaves_a_core),
    case!(processor_stack_and_other_limits_are_refused_or_harmless),
    case!(the_agent_gets_the_callers_limits_back),
];

fn main() -> ExitCode {
    suite(CASES)
}

type Which = libc::__rlimit_resource_t;
const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// Soft and hard: the caller cannot lift it again, root can.
fn limited(start: Start, which: Which, to: u64) -> Start {
    start.as_caller(move || sys::limit(which, to, to))
}

/// It ran, or it was refused in words, or the kernel would not even start it: nothing between, and nothing is left.
#[track_caller]
fn ran_or_refused(scene: &Scene, answer: &Answer) -> bool {
    let ran = match (answer.exit(), answer.refusal()) {
        (Some(Exit::Code(0)), None) => true,
        (None, Some(refusal)) => {
            assert!(!refusal.text.is_empty() && !refusal.text.contains("panic"), "{answer}");
            false
        }
        // Ended by the loader or the kernel before `main`, or by its own allocator: without a word, and not with 0.
        (None, None) => {
            assert_ne!(answer.output.code(), 0, "{answer}");
            false
        }
        _ => panic!("half of something: {answer}"),
    };
    assert_eq!(answer.output.stdout == "ran\n", ran, "{answer}");
    assert!(!answer.output.status.core_dumped() && !answer.output.stderr.contains("panicked"), "{answer}");
    nothing_is_left(scene);
    ran
}

/// Whether root on this machine may lift hard limits (CAP_SYS_RESOURCE): in some containers it may not.
fn may_lift() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|l| l.strip_prefix("CapEff:\t")).unwrap();
    u64::from_str_radix(set, 16).unwrap() & 1 << 24 != 0
}

fn is(record: &serde_json::Value, event: &str) -> bool {
    record.get("event").is_some_and(|e| e == event)
}

/// Every audit record is whole, and there is one for every session.
fn trail_is_whole(scene: &Scene) {
    let (mut begun, mut ended) = (0, 0);
    for record in scene.machine.audit() {
        begun += i32::from(is(&record, "start"));
        ended += i32::from(is(&record, "end"));
    }
    assert_eq!(begun, ended, "{:#?}", scene.machine.audit());
}

/// Case 10: as root a write beyond RLIMIT_FSIZE still raises SIGXFSZ, and leaves a truncated file.
fn a_file_size_limit_truncates_nothing_of_ours(mode: Mode) {
    let scene = Scene::new(mode);
    let write = ["-c", "head -c 4096 /dev/zero >control"];
    let control = limited(Start::program(&scene, "/bin/sh", &write), libc::RLIMIT_FSIZE, 10).run();
    assert_ne!(control.code(), 0, "the limit does nothing: {control}");
    for to in [0, 10] {
        let echo = || Start::helper(&scene, &["echo", "ran"]);
        let soft = echo().as_caller(move || sys::limit(libc::RLIMIT_FSIZE, to, UNLIMITED)).ask(request(&scene));
        assert!(ran_or_refused(&scene, &soft), "{soft}");
        let hard = limited(echo(), libc::RLIMIT_FSIZE, to).ask(request(&scene));
        let ran = ran_or_refused(&scene, &hard);
        assert_eq!(ran, mode == Mode::Setuid && may_lift(), "{hard}");
        if !ran {
            hard.refused("RLIMIT_FSIZE");
        }
    }
    trail_is_whole(&scene);
    assert_eq!(
        scene.machine.audit().iter().filter(|r| r["event"] == "end").count(),
        usize::from(mode == Mode::Setuid) * 2
    );
}

/// Case 11, the class of Android's setuid bugs: setresuid or fork fails, and a program that does not look goes on as
/// root.
fn a_process_limit_is_a_refusal_or_the_agents_own(mode: Mode) {
    let scene = Scene::new(mode);
    let forks = ["-c", "/bin/true; echo forked"];
    let control = limited(Start::program(&scene, "/bin/sh", &forks), libc::RLIMIT_NPROC, 0).run();
    assert!(!control.stdout.contains("forked"), "the limit does nothing: {control}");
    for to in [0, 1, 2, 3] {
        let answer = limited(Start::helper(&scene, &["echo", "ran"]), libc::RLIMIT_NPROC, to).ask(request(&scene));
        assert!(!ran_or_refused(&scene, &answer), "an agent under the caller's limit needs a process: {answer}");
        assert!(answer.refusal().is_some(), "without a word: {answer}");
    }
    // With room for the agent it runs, as the caller.
    let enough = limited(Start::helper(&scene, &["id", "-u"]), libc::RLIMIT_NPROC, 200).ask(request(&scene));
    assert_eq!(enough.says().trim(), scene.machine.user("alice").uid.to_string());
    trail_is_whole(&scene);
    nothing_is_left(&scene);
}

/// Case 12: what cannot be opened must not be taken for what is not there.
fn a_descriptor_limit_is_a_refusal_or_the_agents_own(mode: Mode) {
    let scene = Scene::new(mode);
    for to in [3, 4, 5, 6, 8, 12, 32, 64, 128] {
        let answer = limited(Start::helper(&scene, &["echo", "ran"]), libc::RLIMIT_NOFILE, to).ask(request(&scene));
        let ran = ran_or_refused(&scene, &answer);
        assert!(ran || to < 128, "{to} are enough for an agent: {answer}");
    }
    trail_is_whole(&scene);
}

/// Case 13: an allocation that fails ends the process that wanted it, and with it the session.
fn a_memory_limit_leaves_nothing_behind(mode: Mode) {
    let scene = Scene::new(mode);
    for which in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
        for mebibytes in [0, 1, 4, 16, 64] {
            let start = limited(Start::helper(&scene, &["echo", "ran"]), which, mebibytes << 20);
            ran_or_refused(&scene, &start.ask(request(&scene)));
        }
        let enough = limited(Start::helper(&scene, &["echo", "ran"]), which, 4 << 30).ask(request(&scene));
        assert!(ran_or_refused(&scene, &enough), "{enough}");
    }
    trail_is_whole(&scene);
}

fn cores(scene: &Scene) -> Vec<PathBuf> {
    let home = scene.machine.project(&scene.machine.user("alice"));
    let all = files_below(&home).into_iter().chain(files_below(&scene.machine.libexec()));
    all.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"core"))).collect()
}

/// Case 14, sudo-rs #644: with RLIMIT_CORE unlimited, ended by a signal that dumps core.
fn no_process_of_ours_leaves_a_core(mode: Mode) {
    let scene = Scene::new(mode);
    let dumping = |start: Start| limited(start, libc::RLIMIT_CORE, UNLIMITED);
    let abort = ["-c", "kill -ABRT $$"];
    let control = dumping(Start::program(&scene, "/bin/sh", &abort)).run();
    assert_eq!(control.status.signal(), Some(libc::SIGABRT), "{control}");
    // Where the machine gives its cores to a program, the flag is set all the same.
    assert!(control.status.core_dumped(), "no control: this machine dumps no core at all");
    cores(&scene).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    for victim in ["agent-aws-helpe", "agent-aws-broke", "agent-aws-init"] {
        let talk = dumping(Start::helper(&scene, &["sleep", "1000"])).talk(Request::Run(Box::new(request(&scene))));
        let talk = talk.begun();
        if !scene.machine.is_private() && victim != "agent-aws-helpe" {
            continue;
        }
        let pid = if victim == "agent-aws-helpe" { talk.pid() } else { pid_of(&scene, victim) };
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let soft = limits.lines().find_map(|l| l.strip_prefix("Max core file size")).unwrap_or_default();
        // Init's limits are the agent's; it is not dumpable.
        let closed = soft.split_whitespace().next() == Some("0") || victim == "agent-aws-init";
        assert!(closed, "{victim}: {limits}");
        for signal in [Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGSEGV] {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        // Who blocks signals goes on; everybody is ended now.
        talk.say(&CliToHelper::Signal(libc::SIGTERM));
        let answer = talk.end();
        assert!(!answer.output.status.core_dumped(), "{victim}: {answer}");
        assert_eq!(cores(&scene), Vec::<PathBuf>::new(), "of {victim}");
        nothing_is_left(&scene);
    }
}

/// Case 15: every other limit, as low as it goes or without end.
fn processor_stack_and_other_limits_are_refused_or_harmless(mode: Mode) {
    let scene = Scene::new(mode);
    for (which, to, must_run) in [
        (libc::RLIMIT_CPU, 1, false),
        (libc::RLIMIT_STACK, UNLIMITED, true),
        (libc::RLIMIT_STACK, 256 << 10, false),
        (libc::RLIMIT_STACK, 0, false),
        (libc::RLIMIT_MEMLOCK, 0, true),
        (libc::RLIMIT_RTTIME, 1, true),
        (libc::RLIMIT_RTPRIO, 0, true),
        (libc::RLIMIT_SIGPENDING, 0, true),
        (libc::RLIMIT_MSGQUEUE, 0, true),
        (libc::RLIMIT_LOCKS, 0, true),
        (libc::RLIMIT_NICE, 0, true),
    ] {
        let start = limited(Start::helper(&scene, &["echo", "ran"]), which, to);
        let Ok(answer) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| start.ask(request(&scene)))) else {
            // With no stack at all the kernel starts nothing.
            assert_eq!((which, to), (libc::RLIMIT_STACK, 0));
            continue;
        };
        let ran = ran_or_refused(&scene, &answer);
        assert!(ran || !must_run, "limit {which} at {to}: {answer}");
    }
    trail_is_whole(&scene);
}

/// Cases 10 to 15: the limits are lifted for us, not for the agent, or a caller would gain by the setuid bit.
fn the_agent_gets_the_callers_limits_back(mode: Mode) {
    let scene = Scene::new(mode);
    // soft and hard, in the units of the shell: blocks of 512 bytes, KiB, seconds.
    let limits = |start: Start| {
        start.as_caller(|| {
            sys::limit(libc::RLIMIT_FSIZE, 128 << 20, 256 << 20)?;
            sys::limit(libc::RLIMIT_NOFILE, 200, 300)?;
            sys::limit(libc::RLIMIT_CPU, 500, 600)?;
            sys::limit(libc::RLIMIT_CORE, 0, 1 << 20)
        })
    };
    let look = "grep -E 'file size|open files|cpu time' /proc/self/limits";
    let control = limits(Start::program(&scene, "/bin/sh", &["-c", look])).run().says();
    let inside = limits(Start::helper(&scene, &["sh", "-c", look])).ask(request(&scene)).says();
    assert_eq!(inside.trim_end(), control.trim_end());
    let without = Start::program(&scene, "/bin/sh", &["-c", look]).run().says();
    assert_ne!(without, control, "the control shows nothing");
    nothing_is_left(&scene);
}
