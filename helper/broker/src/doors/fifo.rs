//! The FIFO pair, for clients in an inner sandbox that forbids sockets.
//!
//! A client holds a lock, writes one line with a nonce into the one and reads the lines with that nonce from the other.
//! Lines begin and end with a newline and fit into one atomic write, so whoever comes after garbage, or after a client
//! that died, is understood and understands.
//!
//! ```text
//! request:  \n NONCE \n
//! answer:   \n NONCE SP PART/PARTS SP TEXT \n
//! ```
//!
//! Both ends are open both ways: a FIFO without a client is neither an end of file nor a broken pipe.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::answer;
use crate::sys;
use crate::vault::Vault;

/// A nonce, in bytes: 16 of chance as hexadecimal digits.
const NONCE: usize = 32;
/// The longest atomic write (PIPE_BUF).
const LINE: usize = 4096;
/// Newlines, nonce, spaces and two numbers of up to three digits.
const FRAME: usize = NONCE + 11;
/// As much as is read of requests at once: what a FIFO holds unless a client made it larger.
const BATCH: usize = 64 * 1024;
/// After requests that no client sends that keeps the rules.
const PAUSE: Duration = Duration::from_millis(5);
/// For an answer that is larger than the FIFO to be read. Its client waits no longer than five seconds.
const READING: Duration = Duration::from_secs(2);
/// Between looks whether there is room again.
const LOOK: Duration = Duration::from_millis(1);

/// Serves for ever.
pub(super) fn serve(request: OwnedFd, answer: OwnedFd, vault: Rc<Vault>) -> io::Result<()> {
    // A wait in read or write would be a wait of the whole process.
    rustix::io::ioctl_fionbio(&request, true)?;
    rustix::io::ioctl_fionbio(&answer, true)?;
    let request = sys::watch(request)?;
    tokio::task::spawn_local(async move {
        let mut requests = Requests::default();
        let mut space = vec![0; BATCH];
        loop {
            let Ok(length) = request.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut space)?)).await
            else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (asked, rules_kept) = requests.read(space.get(..length).unwrap_or_default());
            if let Some(nonce) = asked {
                tell(&answer, &nonce, &vault).await;
            }
            // A flood at this door leaves room for the others after each batch.
            match rules_kept {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Ok(())
}

/// The stream of requests, cut into lines.
#[derive(Debug, Default)]
struct Requests {
    /// The beginning of a line whose end did not come yet; more than a nonce and one is not kept.
    begun: Vec<u8>,
}

impl Requests {
    /// The nonce to answer, and whether the bytes are what one client sends that holds the lock. Of several nonces the
    /// last one counts: whoever sent an earlier one has lost the lock, or never had it.
    fn read(&mut self, bytes: &[u8]) -> (Option<String>, bool) {
        let (mut last, mut count, mut garbage) = (None, 0, false);
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            let room = (NONCE + 1).saturating_sub(self.begun.len());
            self.begun.extend(part.iter().take(room));
            if lines.peek().is_none() {
                break;
            }
            match nonce(&self.begun) {
                Some(nonce) => (last, count) = (Some(nonce), count + 1),
                None => garbage |= !self.begun.is_empty(),
            }
            self.begun.clear();
        }
        (last, count == 1 && !garbage)
    }
}

fn nonce(line: &[u8]) -> Option<String> {
    let digits = line.len() == NONCE && line.iter().all(u8::is_ascii_hexdigit);
    digits.then(|| String::from_utf8_lossy(line).into_owned())
}

/// Answers one client. Whoever else waits has no lock, so nobody is kept waiting but by the wait for a mint.
async fn tell(fifo: &OwnedFd, nonce: &str, vault: &Vault) {
    match vault.answer().await {
        Ok(answer) => write(fifo, nonce, &answer.process).await,
        Err(refused) => write(fifo, nonce, &answer::refusal(refused.text())).await,
    }
}

async fn write(fifo: &OwnedFd, nonce: &str, text: &[u8]) {
    // What a client left that died before it had read everything.
    drain(fifo);
    let deadline = Instant::now() + READING;
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let parts = text.chunks(LINE - FRAME);
    let count = parts.len();
    for (number, part) in (1..).zip(parts) {
        let mut line = Zeroizing::new(Vec::with_capacity(LINE));
        line.extend_from_slice(format!("\n{nonce} {number}/{count} ").as_bytes());
        line.extend_from_slice(part);
        line.push(b'\n');
        while let ControlFlow::Continue(()) = put(fifo, &line) {
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// All of the line, or nothing while there is no room.
fn put(fifo: &OwnedFd, line: &[u8]) -> ControlFlow<()> {
    match rustix::io::write(fifo, line) {
        Err(Errno::AGAIN | Errno::INTR) => ControlFlow::Continue(()),
        Ok(_) | Err(_) => ControlFlow::Break(()),
    }
}

/// Empties the FIFO. Somebody who fills it meanwhile (a root of their own user namespace, without the setuid bit) is
/// not waited for: clients know their nonce.
fn drain(fifo: &OwnedFd) {
    let mut space = Zeroizing::new([0u8; LINE]);
    for _ in 0..BATCH / LINE * 4 {
        if !matches!(rustix::io::read(fifo, &mut space[..]), Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    fn read(parts: &[&[u8]]) -> Vec<(Option<String>, bool)> {
        let mut requests = Requests::default();
        parts.iter().map(|part| requests.read(part)).collect()
    }

    fn asked(nonce: &str) -> Option<String> {
        Some(nonce.to_owned())
    }

    #[test]
    fn one_request_is_answered_and_keeps_the_rules() {
        assert_eq!(read(&[format!("\n{ONE}\n").as_bytes()]), [(asked(ONE), true)]);
    }

    #[test]
    fn of_several_requests_the_last_one_counts() {
        assert_eq!(read(&[format!("\n{ONE}\n\n{TWO}\n").as_bytes()]), [(asked(TWO), false)]);
    }

    #[test]
    fn a_request_after_garbage_is_understood() {
        for garbage in [&b"x"[..], b"\0\0\0", &[0xff; 70_000], b"GET / HTTP/1.1\r\n", &ONE.as_bytes()[..31]] {
            let line = [garbage, b"\n", ONE.as_bytes(), b"\n"].concat();
            assert_eq!(read(&[&line]), [(asked(ONE), false)]);
            let later = read(&[garbage, format!("\n{ONE}\n").as_bytes()]);
            assert_eq!((&later[0].0, &later[1].0), (&None, &asked(ONE)));
        }
    }

    #[test]
    fn a_request_may_come_in_parts() {
        let line = format!("\n{ONE}\n");
        for cut in 1..line.len() {
            let (first, second) = line.as_bytes().split_at(cut);
            let got = read(&[first, second]);
            assert_eq!(got[0].0.as_ref().or(got[1].0.as_ref()), asked(ONE).as_ref(), "{cut}");
        }
    }

    #[test]
    fn nothing_but_a_nonce_is_a_request() {
        for line in ["", "admin", &ONE[1..], &format!("{ONE}0"), &ONE.replace('a', "g"), &format!("{ONE} admin")] {
            assert_eq!(read(&[format!("\n{line}\n").as_bytes()])[0].0, None, "{line}");
        }
    }

    /// A FIFO that is as small as they get, open as the builder of a sandbox opens it.
    fn smallest() -> (tempfile::TempDir, OwnedFd) {
        use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("answer");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let fifo = open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
        rustix::pipe::fcntl_setpipe_size(&fifo, LINE).unwrap();
        (directory, fifo)
    }

    #[tokio::test]
    async fn an_answer_larger_than_the_fifo_comes_line_by_line() {
        let (_directory, fifo) = smallest();
        let text: String = (0..5000).map(|number| format!("{number} ")).collect();
        let reader = async {
            let mut got = String::new();
            while got.matches("/6 ").count() < 6 {
                let mut part = [0; LINE];
                match rustix::io::read(&fifo, &mut part) {
                    Ok(length) => got.push_str(std::str::from_utf8(&part[..length]).unwrap()),
                    Err(_) => tokio::time::sleep(LOOK).await,
                }
            }
            got
        };
        let ((), got) = tokio::join!(write(&fifo, ONE, text.as_bytes()), reader);
        let mut whole = String::new();
        for (number, line) in got.split("\n\n").enumerate() {
            let line = line.trim_matches('\n').strip_prefix(&format!("{ONE} {}/6 ", number + 1)).unwrap();
            whole.push_str(line);
        }
        assert_eq!(whole, text);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (_directory, fifo) = smallest();
        let start = Instant::now();
        write(&fifo, ONE, &[b'x'; 3 * LINE]).await;
        assert!((READING..READING * 2).contains(&start.elapsed()));
        // The next client finds its own.
        write(&fifo, TWO, b"{}\n").await;
        let mut part = [0; LINE];
        let length = rustix::io::read(&fifo, &mut part).unwrap();
        assert_eq!(part[..length], *format!("\n{TWO} 1/1 {{}}\n").as_bytes());
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut requests = Requests::default();
        for _ in 0..100 {
            requests.read(&[b'a'; BATCH]);
        }
        assert_eq!((requests.begun.len(), requests.begun.capacity() < 256), (NONCE + 1, true));
    }
}
