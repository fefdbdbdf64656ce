//! The real client against doors that behave well and badly.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as loudly as the test"
)]

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg, socketpair,
};

const ANSWER: &str = "{\"Version\":1,\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"2030-01-01T00:00:00Z\"}\n";

fn client() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-aws-credentials"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A socket whose every client gets `bytes` after `pause`.
fn door(bytes: &'static [u8], pause: Duration) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::sleep(pause);
            let _ = (&stream).write_all(bytes);
        }
    });
    (directory, path)
}

/// A capability that gives `ANSWER`, and its other end.
fn capability() -> OwnedFd {
    let (theirs, ours) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).unwrap();
    std::thread::spawn(move || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0; 8];
        recvmsg(&ours, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                for descriptor in descriptors {
                    UnixStream::from(descriptor).write_all(ANSWER.as_bytes()).unwrap();
                }
            }
        }
    });
    theirs
}

#[test]
fn the_socket_gives_the_answer_as_it_is() {
    let (_directory, path) = door(ANSWER.as_bytes(), Duration::ZERO);
    let output = client().env("AGENT_AWS_SOCKET", &path).output().unwrap();
    assert_eq!(said(&output), (Some(0), ANSWER.into(), String::new()));
}

#[test]
fn the_inherited_descriptor_comes_first() {
    let descriptor = capability();
    let output = client()
        .env("AGENT_AWS_FD", descriptor.as_raw_fd().to_string())
        .env("AGENT_AWS_SOCKET", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(said(&output), (Some(0), ANSWER.into(), String::new()));
}

#[test]
fn a_number_that_is_no_capability_any_more_is_passed_over() {
    let (_directory, path) = door(ANSWER.as_bytes(), Duration::ZERO);
    let (stream, _other) = UnixStream::pair().unwrap();
    rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::empty()).unwrap();
    for number in ["0", "777", "-1", "x", &stream.as_raw_fd().to_string()] {
        let output = client().env("AGENT_AWS_FD", number).env("AGENT_AWS_SOCKET", &path).output().unwrap();
        assert_eq!(said(&output).1, ANSWER, "{number}");
    }
}

#[test]
fn a_refusal_goes_to_stderr_and_nothing_to_stdout() {
    let (_directory, path) = door(b"{\"Error\":\"no longer granted\"}\n", Duration::ZERO);
    let output = client().env("AGENT_AWS_SOCKET", &path).output().unwrap();
    let expected = "agent-aws-credentials: no longer granted\n";
    assert_eq!(said(&output), (Some(1), String::new(), expected.into()));
}

#[test]
fn an_answer_that_is_cut_is_not_printed() {
    let (_directory, path) = door(b"{\"Version\":1,\"AccessKeyId\":\"A", Duration::ZERO);
    let output = client().env("AGENT_AWS_SOCKET", &path).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn outside_of_a_sandbox_it_says_so() {
    let output = client().env("AGENT_AWS_SOCKET", "/nowhere").output().unwrap();
    let (code, _, text) = said(&output);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "agent-aws-credentials: no door gives credentials: /nowhere: not there; /request: not there (this runs only inside agent-aws run)\n"
    );
}

#[test]
fn a_silent_door_is_given_up_after_five_seconds() {
    let (_directory, path) = door(b"", Duration::from_secs(30));
    let start = Instant::now();
    let output = client().env("AGENT_AWS_SOCKET", &path).output().unwrap();
    assert!((Duration::from_secs(4)..Duration::from_secs(7)).contains(&start.elapsed()));
    assert!(said(&output).2.contains("no answer"), "{}", said(&output).2);
}

#[test]
fn any_argument_is_misuse() {
    for argument in ["--profile", "x", "--as=other", ""] {
        let output = client().arg(argument).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{argument}");
    }
    assert!(said(&client().arg("--help").output().unwrap()).1.starts_with("usage:"));
    assert!(said(&client().arg("--version").output().unwrap()).1.starts_with("agent-aws-credentials "));
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let (_directory, path) = door(ANSWER.as_bytes(), Duration::ZERO);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = client().env("AGENT_AWS_SOCKET", &path).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((child.wait().unwrap().code(), text.as_str()), (Some(1), ""));
}
