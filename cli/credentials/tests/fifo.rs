//! The real client at a FIFO pair whose broker behaves well and badly, beside a socket that cannot be had.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as loudly as the test"
)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, mknodat};

const ANSWER: &str = "{\"Version\":1,\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"2030-01-01T00:00:00Z\"}";

/// A FIFO pair in a directory of its own, open both ways.
struct Pair {
    directory: tempfile::TempDir,
    request: File,
    answer: File,
}

impl Pair {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fifo = |name: &str| {
            let path = directory.path().join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            OpenOptions::new().read(true).write(true).open(path).unwrap()
        };
        let (request, answer) = (fifo("request"), fifo("answer"));
        Self { directory, request, answer }
    }

    /// A broker that says what `says` makes of each nonce and how many came before it.
    fn served(says: impl Fn(&str, usize) -> String + Send + 'static) -> Self {
        let pair = Self::new();
        let (request, mut answer) = (pair.request.try_clone().unwrap(), pair.answer.try_clone().unwrap());
        std::thread::spawn(move || {
            let lines = BufReader::new(request).lines().map_while(Result::ok).filter(|line| !line.is_empty());
            for (before, nonce) in lines.enumerate() {
                answer.write_all(says(&nonce, before).as_bytes()).unwrap();
            }
        });
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the client says, and how long it takes. The socket is where nothing is.
    fn client(&self) -> (Option<i32>, String, String, Duration) {
        let mut client = Command::new(env!("CARGO_BIN_EXE_agent-aws-credentials"));
        let begun = Instant::now();
        let client = client.env_clear().env("AGENT_AWS_SOCKET", self.path("s")).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (client.status.code(), text(client.stdout), text(client.stderr), begun.elapsed())
    }

    #[track_caller]
    fn gives_the_answer(&self) -> Duration {
        let (status, stdout, stderr, time) = self.client();
        assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(0), format!("{ANSWER}\n").as_str(), ""));
        time
    }
}

fn plain(nonce: &str, _: usize) -> String {
    assert!(nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()), "{nonce}");
    format!("\n{nonce} 1/1 {ANSWER}\n")
}

#[test]
fn where_the_socket_is_not_there_or_nobody_answers_the_fifo_gives_the_answer() {
    let pair = Pair::served(plain);
    pair.gives_the_answer();
    drop(UnixListener::bind(pair.path("s")).unwrap());
    pair.gives_the_answer();
}

#[test]
fn no_two_clients_send_the_same_nonce() {
    let (sender, nonces) = std::sync::mpsc::channel();
    let pair = Pair::served(move |nonce, before| {
        sender.send(nonce.to_owned()).unwrap();
        plain(nonce, before)
    });
    pair.gives_the_answer();
    pair.gives_the_answer();
    assert_ne!(nonces.recv().unwrap(), nonces.recv().unwrap());
}

#[test]
fn an_answer_in_parts_is_put_together() {
    let pair = Pair::served(|nonce, _| {
        let (first, second) = ANSWER.split_at(40);
        format!("\n{nonce} 1/2 {first}\n\n{nonce} 2/2 {second}\n")
    });
    pair.gives_the_answer();
}

#[test]
fn what_a_killed_client_left_and_garbage_are_no_answer() {
    let pair = Pair::served(plain);
    let other = "\nfedcba9876543210fedcba9876543210 1/1 {\"Version\":1,\"AccessKeyId\":\"OTHER\"}\n";
    for left in ["half a line", "\n\n\n", "1/1 {\"Version\":1}\n", "\0\u{1b}[31m", other] {
        (&pair.answer).write_all(left.as_bytes()).unwrap();
        pair.gives_the_answer();
    }
}

#[test]
fn an_answer_that_somebody_took_is_asked_for_again() {
    let pair = Pair::served(|nonce, before| if before == 0 { String::new() } else { plain(nonce, before) });
    let time = pair.gives_the_answer();
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&time), "{time:?}");
}

#[test]
fn a_refusal_is_told_in_its_own_words() {
    let pair = Pair::served(|nonce, _| format!("\n{nonce} 1/1 {{\"Error\":\"no longer granted\"}}\n"));
    let (status, stdout, stderr, _) = pair.client();
    let expected = "agent-aws-credentials: no longer granted\n";
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(1), "", expected));
}

#[test]
fn clients_that_come_together_are_served_one_after_the_other() {
    let pair = Pair::served(plain);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| pair.gives_the_answer());
        }
    });
}

#[test]
fn a_client_that_holds_the_door_is_named_after_five_seconds() {
    let pair = Pair::served(plain);
    let held =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(pair.path("answer"));
    let held = held.unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let (status, stdout, stderr, time) = pair.client();
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("/request: another client inside does not let go of it"), "{stderr}");
    assert!((Duration::from_secs(4)..Duration::from_secs(7)).contains(&time), "{time:?}");
    // The lock goes with its holder.
    drop(held);
    pair.gives_the_answer();
}

#[test]
fn a_silent_door_is_given_up_and_every_door_is_named() {
    let pair = Pair::new();
    drop(UnixListener::bind(pair.path("s")).unwrap());
    let (status, stdout, stderr, time) = pair.client();
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!((Duration::from_secs(4)..Duration::from_secs(7)).contains(&time), "{time:?}");
    let directory = pair.directory.path().display();
    let expected = format!(
        "agent-aws-credentials: no door gives credentials: {directory}/s: nobody answers, so the session has ended; \
         {directory}/request: no answer within 5 s\n"
    );
    assert_eq!(stderr, expected);
    // It asked, and asked again.
    let mut asked = [0; 34 * 3];
    (&pair.request).read_exact(&mut asked).unwrap();
    assert_eq!(asked[..34], asked[34..68]);
}

#[test]
fn a_request_fifo_that_is_full_is_given_up_after_five_seconds() {
    let pair = Pair::new();
    let full =
        OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(pair.path("request"));
    let mut full = full.unwrap();
    while full.write(&[0; 4096]).is_ok() {}
    while full.write(&[0]).is_ok() {}
    let (status, _, stderr, time) = pair.client();
    assert_eq!(status, Some(1));
    assert!(stderr.contains("no answer within 5 s"), "{stderr}");
    assert!((Duration::from_secs(4)..Duration::from_secs(7)).contains(&time), "{time:?}");
}

#[test]
fn a_pair_without_a_broker_says_that_the_session_has_ended() {
    let Pair { directory, request, answer } = Pair::new();
    drop((request, answer));
    let mut client = Command::new(env!("CARGO_BIN_EXE_agent-aws-credentials"));
    let client = client.env_clear().env("AGENT_AWS_SOCKET", directory.path().join("s")).output().unwrap();
    let stderr = String::from_utf8(client.stderr).unwrap();
    assert!(stderr.contains("/request: nobody answers, so the session has ended"), "{stderr}");
}
