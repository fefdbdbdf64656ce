//! Entry conditions 1 to 4 and 9: what a caller puts into argv and under the number of the channel.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::ffi::OsString;
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::ExitCode;

use agent_aws_e2e::start::{CHANNEL, Start, nothing_is_left, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::{CliToHelper, Request};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};

const CASES: &[Case] = &[
    case!(a_null_argv_is_a_usage_error),
    case!(the_name_the_helper_is_called_by_means_nothing),
    case!(a_hundred_thousand_arguments_arrive_and_more_are_refused),
    case!(more_arguments_than_the_kernel_takes_start_nothing),
    case!(the_helper_has_no_options),
    case!(the_cli_refuses_options_that_it_does_not_know_or_has_twice),
    case!(a_command_begins_after_two_dashes_whatever_it_looks_like),
    case!(only_a_connected_unix_stream_is_a_channel),
    case!(a_message_that_is_no_request_is_refused),
    case!(a_caller_that_says_nothing_is_given_up),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// The words for whoever starts the helper by hand.
const BY_HAND: &str = "is started by `agent-aws`, not by hand";

/// Case 1, CVE-2021-4034 (PwnKit): with argc 0, `argv[1]` is the environment.
fn a_null_argv_is_a_usage_error(mode: Mode) {
    let scene = Scene::new(mode);
    let null = |mut start: Start| {
        start.arguments.clear();
        start.environment.insert(0, "--".into());
        start.environment.insert(1, "touch it-ran".into());
        start
    };
    let output = null(Start::helper(&scene, &[])).run().ends(2);
    assert!(output.stderr.contains(BY_HAND), "{output}");
    // Even where a proper caller asks, no command comes from anywhere else.
    null(Start::helper(&scene, &[])).ask(request(&scene)).refused("no command after `--`");
    nothing_is_left(&scene);
}

/// Case 2, pkexec and CVE-2012-0809 (sudo's format string): `argv[0]` is the caller's to choose.
fn the_name_the_helper_is_called_by_means_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let long = vec![b'N'; 128 * 1024 - 1];
    let names: [&[u8]; 8] =
        [b"", b"-x", b"--", &long, b"\xff\xfe", b"%n%n%s", b"/usr/bin/sudo", b"name\n\x1b[31mAUDIT: all is well"];
    for name in names {
        let start = Start::helper(&scene, &["echo", "ran"]).named(OsString::from_vec(name.to_vec()));
        let answer = start.ask(request(&scene));
        assert!(answer.output.stderr.is_empty(), "{answer}");
        assert_eq!(answer.says(), "ran\n");
    }
    let trail: Vec<String> = scene.machine.audit().iter().map(ToString::to_string).collect();
    assert_eq!(trail.is_empty(), mode == Mode::Unprivileged);
    for word in ["%n", "NNN", "/usr/bin/sudo", "AUDIT"] {
        assert!(!trail.iter().any(|record| record.contains(word)), "{word} in {trail:#?}");
    }
    nothing_is_left(&scene);
}

/// Case 3, CVE-2021-3156 (Baron Samedit): what there is a lot of is counted.
fn a_hundred_thousand_arguments_arrive_and_more_are_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let with = |count: usize| {
        let mut command = vec!["sh", "-c", "echo $#", "sh"];
        command.resize(count, "a");
        Start::helper(&scene, &command).ask(request(&scene))
    };
    assert_eq!(with(100_000).says(), "99996\n");
    with(100_001).refused("too many arguments");
    nothing_is_left(&scene);
}

/// Case 3, the other side: the kernel's limit comes first, and what it lets through the helper handles whole.
fn more_arguments_than_the_kernel_takes_start_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let long = "a".repeat(128 * 1024 - 1);
    let with = |count: usize| {
        let mut command = vec!["sh", "-c", "echo $# ${#1}", "sh"];
        command.resize(count + 4, &long);
        Start::helper(&scene, &command)
    };
    assert_eq!(with(8).ask(request(&scene)).says(), "8 131071\n");
    let refused = with(60).try_run().map(|output| output.to_string());
    assert_eq!(refused.map_err(|e| e.raw_os_error()), Err(Some(libc::E2BIG)));
    nothing_is_left(&scene);
}

/// Case 4, CVE-2024-32462 (flatpak): nothing but the command comes by argv, and nothing before `--`.
fn the_helper_has_no_options(mode: Mode) {
    let scene = Scene::new(mode);
    let odd: [&[&str]; 8] = [
        &["--help"],
        &["-x"],
        &["--channel=0", "--", "touch", "it-ran"],
        &["--fd", "99999", "--", "touch", "it-ran"],
        &["--as", "root", "--", "touch", "it-ran"],
        &["touch", "it-ran"],
        &["", "--", "touch", "it-ran"],
        &["--\n", "touch", "it-ran"],
    ];
    for words in odd {
        let mut start = Start::helper(&scene, &[]);
        start.arguments.extend(words.iter().map(OsString::from));
        start.ask(request(&scene)).refused("has no options");
    }
    for nothing in [&[][..], &["--"]] {
        let mut start = Start::helper(&scene, &[]);
        start.arguments.extend(nothing.iter().map(OsString::from));
        start.ask(request(&scene)).refused("no command after `--`");
    }
    assert!(!scene.machine.project(&scene.machine.user("alice")).join("it-ran").exists());
    nothing_is_left(&scene);
}

/// Case 4 at the program that people type.
fn the_cli_refuses_options_that_it_does_not_know_or_has_twice(mode: Mode) {
    let scene = Scene::new(mode);
    let twice = [&["run"], scene.identity().as_slice(), &scene.identity(), &["--", "touch", "it-ran"]].concat();
    for (words, said) in [
        (&["run", "--no-such-option", "--", "touch", "it-ran"][..], "--no-such-option"),
        (&["run", "--allow-rot", "touch", "it-ran"], "--allow-rot"),
        (&twice, "multiple times"),
        (&["run", "--"], "required"),
    ] {
        let output = Start::agent_aws(&scene, words).run().ends(125);
        assert!(output.stderr.contains(said), "no {said:?} in\n{output}");
    }
    assert!(!scene.machine.project(&scene.machine.user("alice")).join("it-ran").exists());
    nothing_is_left(&scene);
}

/// Case 4: a command that looks like an option is a command, and so are its arguments.
fn a_command_begins_after_two_dashes_whatever_it_looks_like(mode: Mode) {
    let scene = Scene::new(mode);
    for command in ["-x", "--", "--help", "--allow-root"] {
        let output = Start::run_of(&scene, &[command]).run().ends(127);
        assert!(output.stderr.contains(&format!("`{command}`")), "{output}");
        let answer = Start::helper(&scene, &[command]).ask(request(&scene));
        assert_eq!(answer.not_executed(), Some((libc::ENOENT, false)), "{answer}");
    }
    let echo = ["echo", "--", "--as", "root", "--", "-n"];
    assert_eq!(Start::run_of(&scene, &echo).run().says(), "-- --as root -- -n");
    nothing_is_left(&scene);
}

/// Case 9, fusermount's `_FUSE_COMMFD` and bwrap's `--userns 0`: the number is ours, and so is what may lie there. That
/// a connected Unix stream is taken, every other test shows.
fn only_a_connected_unix_stream_is_a_channel(mode: Mode) {
    let scene = Scene::new(mode);
    let place = |name: &str| scene.machine.scratch().join(name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_reading, pipe) = std::io::pipe().unwrap();
    let unix = |kind| socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap().0;
    let path_only = File::options().read(true).custom_flags(libc::O_PATH).open("/").unwrap();
    let odd: [(&str, OwnedFd); 11] = [
        ("/dev/null", File::open("/dev/null").unwrap().into()),
        ("a file", File::create(place("file")).unwrap().into()),
        ("a directory", File::open("/").unwrap().into()),
        ("O_PATH", path_only.into()),
        ("a pipe", pipe.into()),
        ("a listening Unix socket", UnixListener::bind(place("listening")).unwrap().into()),
        ("a Unix datagram socket", UnixDatagram::unbound().unwrap().into()),
        ("a Unix SEQPACKET socket", unix(SockType::SeqPacket)),
        ("a connected TCP socket", TcpStream::connect(address).unwrap().into()),
        ("a listening TCP socket", listener.into()),
        ("a UDP socket", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
    ];
    for (what, fd) in odd {
        let start = Start::helper(&scene, &["true"]).as_caller(move || sys::duplicate(fd.as_raw_fd(), CHANNEL));
        let output = start.run().ends(2);
        assert!(output.stderr.contains(BY_HAND), "{what}: {output}");
    }
    let (_ours, elsewhere) = UnixStream::pair().unwrap();
    let start = Start::helper(&scene, &["true"]);
    let output = start.as_caller(move || sys::duplicate(elsewhere.as_raw_fd(), 4).and_then(|()| sys::close(CHANNEL)));
    output.run().ends(2);
    let lonely = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let start = Start::helper(&scene, &["true"]).as_caller(move || sys::duplicate(lonely.as_raw_fd(), CHANNEL));
    start.run().ends(125);
    nothing_is_left(&scene);
}

/// Case 9: what is said over a proper channel counts only in its turn.
fn a_message_that_is_no_request_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    for message in [CliToHelper::Begin, CliToHelper::Signal(9)] {
        Start::helper(&scene, &["true"]).talk_about(&message).end().refused("no request");
    }
    let talk = Start::helper(&scene, &["echo", "ran"]).talk(Request::Run(Box::new(request(&scene))));
    talk.say(&CliToHelper::Request(Request::Sessions));
    talk.end().refused("out of turn");
    nothing_is_left(&scene);
}

/// Case 9: a caller cannot park a root process.
fn a_caller_that_says_nothing_is_given_up(mode: Mode) {
    let scene = Scene::new(mode);
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let start = Start::helper(&scene, &["true"]).as_caller(move || sys::duplicate(theirs.as_raw_fd(), CHANNEL));
    start.run().ends(125);
    nothing_is_left(&scene);
}
