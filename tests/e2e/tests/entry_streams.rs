//! Entry conditions 5 to 8: the descriptors that a caller leaves open, closed, or broken.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::fs::File;
use std::io::Error;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use agent_aws_e2e::start::{Start, nothing_is_left, pid_of, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::{Exit, Request};

const CASES: &[Case] = &[
    case!(closed_standard_streams_become_dev_null),
    case!(no_file_of_the_helpers_takes_the_number_of_a_standard_stream),
    case!(a_closed_pipe_as_output_is_no_panic),
    case!(a_full_disk_as_output_is_no_panic),
    case!(leaked_descriptors_reach_nobody).private(),
    case!(leaked_descriptors_reach_no_agent),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Combinations of standard streams that a caller may close.
const CLOSED: [&[i32]; 5] = [&[0], &[1], &[2], &[1, 2], &[0, 1, 2]];

fn without(start: Start, closed: &'static [i32]) -> Start {
    start.as_caller(move || closed.iter().try_for_each(|number| sys::close(*number)))
}

/// Case 5, doas and chromium's sandbox: with fd 2 closed, the next file to be opened would take the error messages.
fn closed_standard_streams_become_dev_null(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    // A redirection would be seen too.
    let script =
        "all=; for n in 0 1 2; do all=\"$all $(readlink /proc/$$/fd/$n || echo closed)\"; done; echo $all >seen";
    for closed in CLOSED {
        for through_cli in [true, false] {
            let command = ["sh", "-c", script];
            match through_cli {
                true => drop(without(Start::run_of(&scene, &command), closed).run().ends(0)),
                false => drop(without(Start::helper(&scene, &command), closed).ask(request(&scene)).says()),
            }
            let seen = std::fs::read_to_string(project.join("seen")).unwrap();
            for (number, place) in seen.split_whitespace().enumerate() {
                let expected = closed.contains(&i32::try_from(number).unwrap());
                // Where they are not closed, 0 is /dev/null too, and the others are pipes.
                let null = ["/dev/null", "/dev/full"].contains(&place);
                assert_eq!(null, expected || number == 0, "{closed:?} through the CLI: {through_cli}: {seen}");
            }
            std::fs::remove_file(project.join("seen")).unwrap();
        }
    }
    nothing_is_left(&scene);
}

/// Case 5: seen from outside, in the helper itself while a session runs.
fn no_file_of_the_helpers_takes_the_number_of_a_standard_stream(mode: Mode) {
    let scene = Scene::new(mode);
    let closed: &[i32] = &[0, 1, 2];
    let start = without(Start::helper(&scene, &["sleep", "1000"]), closed);
    let talk = start.talk(Request::Run(Box::new(request(&scene)))).begun();
    if scene.machine.is_private() {
        let broker = pid_of(&scene, "agent-aws-broke");
        for (who, pid) in [("supervisor", talk.pid()), ("broker", broker)] {
            for number in 0..=2 {
                let place = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
                let name = place.map(|p| p.display().to_string()).unwrap_or_default();
                assert!(name == "/dev/null" || name == "/dev/full", "{number} of the {who} is {name:?}");
            }
        }
    }
    talk.say(&agent_aws_protocol::CliToHelper::Signal(libc::SIGTERM));
    assert_eq!(talk.end().exit(), Some(Exit::Signal(libc::SIGTERM)));
    nothing_is_left(&scene);
}

/// Case 6, sudo-rs `macros.rs`: `println!` panics on EPIPE, and SIGPIPE may be at its default or ignored.
fn a_closed_pipe_as_output_is_no_panic(mode: Mode) {
    let scene = Scene::new(mode);
    broken_output(&scene, || {
        let (reading, writing) = std::io::pipe().unwrap();
        drop(reading);
        writing.into()
    });
}

/// Case 7, sudo-rs `does_not_panic_on_io_errors`.
fn a_full_disk_as_output_is_no_panic(mode: Mode) {
    let scene = Scene::new(mode);
    broken_output(&scene, || File::options().write(true).open("/dev/full").unwrap().into());
}

/// Everything that says something, with nowhere to say it: 1 and 2 are what `open` gives.
fn broken_output(scene: &Scene, open: impl Fn() -> OwnedFd) {
    let broken = |start: Start, ignored: bool| {
        let fd = open();
        start.as_caller(move || {
            if ignored {
                sys::ignore(libc::SIGPIPE)?;
            }
            sys::duplicate(fd.as_raw_fd(), 1).and_then(|()| sys::duplicate(fd.as_raw_fd(), 2))
        })
    };
    // The control: it does break a program that writes, and its status tells.
    let control = broken(Start::program(scene, "/bin/echo", &["x"]), true).run();
    assert_eq!(control.code(), 1, "{control}");
    for ignored in [false, true] {
        // A refusal, words about usage, an agent that writes, one that does not.
        broken(Start::agent_aws(scene, &["run", "--as", "nothing-like-it", "--", "true"]), ignored).run().ends(125);
        broken(Start::agent_aws(scene, &["run", "--no-such-option"]), ignored).run().ends(125);
        broken(Start::run_of(scene, &["true"]), ignored).run().ends(0);
        let said = broken(Start::run_of(scene, &["sh", "-c", "trap '' PIPE; echo x; exit 9"]), ignored);
        said.run().ends(9);
        broken(Start::helper(scene, &[]), ignored).run().ends(2);
        for question in ["identities", "sessions", "doctor", "--help"] {
            let output = broken(Start::agent_aws(scene, &[question]), ignored).run();
            assert!([0, 1, 125, 128 + libc::SIGPIPE].contains(&output.code()), "{question}: {output}");
        }
        let answer = broken(Start::helper(scene, &["sh", "-c", "trap '' PIPE; echo x; exit 9"]), ignored);
        assert_eq!(answer.ask(request(scene)).exit(), Some(Exit::Code(9)));
    }
    nothing_is_left(scene);
}

/// What a caller leaves open: from 4 (or from 3, through the CLI) to 1000.
fn leak(start: Start, first: i32) -> Start {
    let path_only = File::options().read(true).custom_flags(libc::O_PATH).open("/").unwrap();
    let setuid = File::open("/bin/su").or_else(|_| File::open("/bin/sh")).unwrap();
    let (socket, _) = UnixStream::pair().unwrap();
    let root = File::open("/").unwrap();
    let held: [OwnedFd; 4] = [path_only.into(), setuid.into(), socket.into(), root.into()];
    start.as_caller(move || {
        sys::limit(libc::RLIMIT_NOFILE, 1024, 1024)?;
        for (number, fd) in (first..=1000).zip(held.iter().cycle()) {
            // What is open already is the test's own and closed when it executes.
            if !sys::is_open(number) {
                sys::duplicate(fd.as_raw_fd(), number)?;
            }
        }
        Ok::<(), Error>(())
    })
}

/// How many of its own descriptors above 2 a shell sees, without the one it reads the directory by.
const COUNT: &str = "set -- /proc/self/fd/*; for n; do n=${n##*/}; test $n -gt 2 && echo $n; done";

/// Case 8, CVE-2024-21626 (runc's leaked directory) and doas: closed before anything is parsed.
fn leaked_descriptors_reach_nobody(mode: Mode) {
    let scene = Scene::new(mode);
    let talk = leak(Start::helper(&scene, &["sleep", "1000"]), 4).talk(Request::Run(Box::new(request(&scene)))).begun();
    let broker = pid_of(&scene, "agent-aws-broke");
    let init = pid_of(&scene, "agent-aws-init");
    let agent = pid_of(&scene, "sleep");
    for (who, pid) in [("supervisor", talk.pid()), ("broker", broker), ("init", init), ("agent", agent)] {
        let open: Vec<(i32, String)> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let place = std::fs::read_link(entry.path()).ok()?.display().to_string();
                Some((entry.file_name().to_str()?.parse().ok()?, place))
            })
            .collect();
        assert!(open.len() < 64 && !open.is_empty(), "{who}: {open:?}");
        for (number, place) in &open {
            assert!(*number <= 100 && place != "/" && !place.starts_with("/bin"), "{who}: {number} is {place}");
            assert!(!place.ends_with("/su") && !place.ends_with("/dash"), "{who}: {number} is {place}");
        }
    }
    talk.say(&agent_aws_protocol::CliToHelper::Signal(libc::SIGTERM));
    talk.end();
    nothing_is_left(&scene);
}

/// Case 8, through the CLI too, and seen from inside.
fn leaked_descriptors_reach_no_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let command = ["sh", "-c", COUNT];
    let control = leak(Start::program(&scene, "/bin/sh", &["-c", COUNT]), 3).run().says();
    assert!(control.lines().count() > 900, "the control leaks only {control}");
    let door = |seen: &str| seen.lines().filter(|n| *n != "100" && *n != "3").count();
    let direct = leak(Start::helper(&scene, &command), 4).ask(request(&scene)).says();
    assert!(door(&direct) == 0, "directly: {direct}");
    let through = leak(Start::run_of(&scene, &command), 3).run().says();
    assert!(door(&through) == 0, "through the CLI: {through}");
    nothing_is_left(&scene);
}
