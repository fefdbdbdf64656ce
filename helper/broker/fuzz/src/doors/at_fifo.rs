//! The FIFO pair: any bytes in any pieces, then a client that keeps the rules.

use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

use crate::{moment, pieces, run, vault};

/// Of the client that keeps the rules. An input that holds it is no matter.
const NONCE: &str = "00112233445566778899aabbccddeeff";

/// Every line that is heard is a part of the answer to a nonce that was asked with, and who asks last hears all of it.
pub fn fifo(bytes: &[u8]) {
    let (pieces, (vault, answer)) = (pieces(bytes), vault());
    let last = format!("\n{NONCE}\n");
    let asked = [&pieces.concat(), last.as_bytes()].concat();
    run(async {
        let ((request, to_door), (reply, from_door)) = (pair(), pair());
        super::fifo::serve(request, reply, Rc::clone(&vault)).expect("a door");
        let mut heard = Vec::new();
        for piece in pieces.iter().copied().chain([last.as_bytes()]) {
            write(&to_door.1, piece).await;
            read(&from_door.0, &mut heard);
        }
        while parts(&heard, NONCE) != answer.trim_ascii_end() {
            moment().await;
            read(&from_door.0, &mut heard);
        }
        for line in heard.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let nonce = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            assert!(nonce.len() == NONCE.len(), "{}", String::from_utf8_lossy(line));
            let mut lines = asked.split(|byte| *byte == b'\n');
            assert!(lines.any(|line| line == nonce), "nobody asked with {}", String::from_utf8_lossy(nonce));
        }
    });
}

/// The texts of the lines with this nonce, those of the last answer.
fn parts(heard: &[u8], nonce: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    for line in heard.split(|byte| *byte == b'\n') {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        if let (Some(first), Some(number), Some(text)) = (words.next(), words.next(), words.next())
            && first == nonce.as_bytes()
        {
            if number.starts_with(b"1/") {
                whole.clear();
            }
            whole.extend_from_slice(text);
        }
    }
    whole
}

/// A pipe: open both ways as the door has it, and the ends of a client.
fn pair() -> (OwnedFd, (OwnedFd, OwnedFd)) {
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    for end in [&read, &write] {
        rustix::io::ioctl_fionbio(end, true).expect("a pipe");
    }
    let place = format!("/proc/self/fd/{}", read.as_raw_fd());
    let both = rustix::fs::open(place, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    (both.expect("a pipe is opened again"), (read, write))
}

async fn write(to: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = rustix::io::write(to, bytes).unwrap_or(0);
        bytes = bytes.get(written..).unwrap_or_default();
        moment().await;
    }
}

/// What is there now.
fn read(from: &OwnedFd, heard: &mut Vec<u8>) {
    let mut space = [0; 64 * 1024];
    while let Ok(length @ 1..) = rustix::io::read(from, &mut space) {
        heard.extend_from_slice(space.get(..length).unwrap_or_default());
    }
}
