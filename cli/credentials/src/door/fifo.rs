//! The FIFO pair, for an inner sandbox that forbids sockets.
//!
//! One client at a time holds a lock on the FIFO of answers, writes its nonce into the FIFO of requests, and takes from
//! the other what has that nonce. What a client left that was killed is not taken for an answer; the lock of a client
//! that was killed is free.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::{LARGEST, left};

/// What clients write to, beside the socket.
pub(super) const REQUEST: &str = "request";
/// What clients read from.
const ANSWER: &str = "answer";
/// The longest line of a broker's.
const LINE: usize = 4096;
/// Ask again after so long: somebody who ignores the lock may have taken the answer. A broker that has to mint first
/// answers sooner.
const AGAIN: Duration = Duration::from_millis(1500);

/// The broker's answer.
pub(super) fn ask(directory: &Path, deadline: Instant) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let answer = open(directory.join(ANSWER), flags | OFlags::RDONLY, Mode::empty())?;
    let request = open(directory.join(REQUEST), flags | OFlags::WRONLY, Mode::empty()).map_err(|e| match e {
        Errno::NXIO => io::ErrorKind::ConnectionRefused.into(),
        e => io::Error::from(e),
    })?;
    let answer = alone(answer, deadline)?;
    let mut chance = [0u8; 16];
    getrandom(&mut chance, GetRandomFlags::empty())?;
    let nonce: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    converse(&request, &answer, nonce.as_bytes(), deadline)
}

/// Waits until nobody else asks. flock(2) knows no deadline, so another thread waits in the kernel's queue, in which
/// nobody is overtaken.
fn alone(answer: OwnedFd, deadline: Instant) -> io::Result<OwnedFd> {
    match flock(&answer, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(answer),
        Err(Errno::WOULDBLOCK) => {}
        Err(e) => return Err(e.into()),
    }
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let locked = rustix::io::retry_on_intr(|| flock(&answer, FlockOperation::LockExclusive));
        let _ = sender.send(locked.map(|()| answer));
    })?;
    match receiver.recv_timeout(left(deadline)?) {
        Ok(locked) => Ok(locked?),
        Err(_) => Err(io::Error::other("another client inside does not let go of it")),
    }
}

/// With the lock.
fn converse(request: &OwnedFd, answer: &OwnedFd, nonce: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let line = [b"\n", nonce, b"\n"].concat();
    let mut answers = Answers::new(nonce);
    let mut part = [0u8; LINE];
    loop {
        write(request, &line, deadline)?;
        let again = Instant::now() + AGAIN;
        while wait(answer, PollFlags::IN, deadline.min(again))? {
            match rustix::io::read(answer, &mut part) {
                Ok(0) => return Err(io::ErrorKind::ConnectionRefused.into()),
                Ok(length) => {
                    if let Some(text) = answers.hear(part.get(..length).unwrap_or_default()) {
                        return Ok(text);
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        left(deadline)?;
    }
}

/// All of it: it is shorter than what a FIFO takes at once.
fn write(request: &OwnedFd, line: &[u8], deadline: Instant) -> io::Result<()> {
    loop {
        match rustix::io::write(request, line) {
            Ok(_) => return Ok(()),
            Err(Errno::AGAIN) if !wait(request, PollFlags::OUT, deadline)? => left(deadline).map(drop)?,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether something is to be had before `until`.
fn wait(fifo: &OwnedFd, what: PollFlags, until: Instant) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(fifo, what)], Some(&left)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(true),
        Err(e) => Err(e.into()),
    }
}

/// What came so far of `NONCE PART/PARTS TEXT`.
struct Answers<'n> {
    nonce: &'n [u8],
    line: Vec<u8>,
    parts: usize,
    text: Vec<u8>,
}

impl<'n> Answers<'n> {
    fn new(nonce: &'n [u8]) -> Self {
        Self { nonce, line: Vec::with_capacity(LINE), parts: 0, text: Vec::with_capacity(2 * LINE) }
    }

    /// The whole answer, once its last part is there.
    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        for byte in bytes {
            match byte {
                b'\n' if self.part() == Some(true) => {
                    self.text.push(b'\n');
                    return Some(std::mem::take(&mut self.text));
                }
                b'\n' => self.line.clear(),
                // A line that is too long is nobody's.
                byte if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
        None
    }

    /// Takes a line that is the next part of ours; whether it is the last one.
    fn part(&mut self) -> Option<bool> {
        let rest = self.line.strip_prefix(self.nonce)?.strip_prefix(b" ")?;
        let (count, text) = rest.split_at_checked(rest.iter().position(|byte| *byte == b' ')?)?;
        let (part, parts) = std::str::from_utf8(count).ok()?.split_once('/')?;
        let (part, parts): (usize, usize) = (part.parse().ok()?, parts.parse().ok()?);
        if part == 1 {
            (self.parts, self.text) = (0, Vec::with_capacity(2 * LINE));
        }
        if part != self.parts + 1 || self.text.len() + text.len() > LARGEST {
            return None;
        }
        self.parts = part;
        self.text.extend_from_slice(text.get(1..)?);
        Some(part == parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn heard(lines: &[&str]) -> Option<String> {
        let mut answers = Answers::new(NONCE);
        let all: String = lines.iter().map(|l| l.replace("NONCE", "0123456789abcdef0123456789abcdef")).collect();
        // In pieces of an odd size, as they may come.
        let text = all.as_bytes().chunks(7).find_map(|piece| answers.hear(piece));
        text.map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn an_answer_is_put_together_from_its_parts() {
        assert_eq!(heard(&["\nNONCE 1/1 {}\n"]).unwrap(), "{}\n");
        assert_eq!(heard(&["\nNONCE 1/3 {a\n", "\nNONCE 2/3 b c\n", "\nNONCE 3/3 }\n"]).unwrap(), "{ab c}\n");
    }

    #[test]
    fn what_is_anothers_or_garbage_is_passed_over() {
        let other = "\nfedcba9876543210fedcba9876543210 1/1 {other}\n";
        assert_eq!(heard(&[other]), None);
        assert_eq!(heard(&["1/1 tail of one\n", other, "\nNONCE\n", "\nNONCE 1/1 {}\n"]).unwrap(), "{}\n");
        let long = "x".repeat(100_000);
        assert_eq!(heard(&[&long, "\nNONCE 1/1 {}\n"]).unwrap(), "{}\n");
        assert_eq!(heard(&["\nNONCE x/y {}\n", "\nNONCE 1/1{}\n", "\nNONCE /\n", "\nNONCE 0/0 {}\n"]), None);
    }

    #[test]
    fn a_part_that_is_missing_is_not_made_up_for() {
        assert_eq!(heard(&["\nNONCE 2/2 b}\n"]), None);
        assert_eq!(heard(&["\nNONCE 1/3 {a\n", "\nNONCE 3/3 c}\n"]), None);
        let again = ["\nNONCE 1/2 {a\n", "\nNONCE 1/2 {a\n", "\nNONCE 2/2 b}\n"];
        assert_eq!(heard(&again).unwrap(), "{ab}\n");
    }

    #[test]
    fn an_endless_answer_is_given_up() {
        let parts: Vec<String> =
            (1..100).map(|part| format!("\nNONCE {part}/99 {}\n", "x".repeat(LINE - 100))).collect();
        assert_eq!(heard(&parts.iter().map(String::as_str).collect::<Vec<_>>()), None);
    }
}
