//! Credential reads at each door.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use crate::{micros, percentile, sys, timed};

const SOCKET: &str = "/run/agent-aws/credentials.sock";
const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
const HTTP: &str = "169.254.170.2:80";
const REQUEST: &[u8] = b"GET /credentials HTTP/1.1\r\nhost: 169.254.170.2\r\nconnection: close\r\n\r\n";
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Reads in all, however many clients.
pub(crate) const READS: usize = 2_000;

type Door = fn() -> std::io::Result<String>;

/// Prints `DOOR CLIENTS p50 p99 FAILED READS`, times in microseconds.
pub(crate) fn run(http: bool) {
    let mut doors: Vec<(&str, Door)> = vec![("socket", socket), ("fd", capability)];
    if http {
        doors.push(("http", container));
    }
    for (name, door) in doors {
        for (clients, each) in [(1, READS), (50, READS / 50), (500, 1)] {
            print(name, clients, &mut at_once(clients, each, door));
        }
    }
    print("client", 1, &mut at_once(1, 100, client));
}

pub(crate) fn print(name: &str, clients: usize, reads: &mut [(Duration, bool)]) {
    let failed = reads.iter().filter(|(_, good)| !good).count();
    let mut times: Vec<Duration> = reads.iter().map(|(time, _)| *time).collect();
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    println!("{name} {clients} {:.1} {:.1} {failed} {}", micros(p50), micros(p99), times.len());
}

/// Clients that begin together and read so often each.
pub(crate) fn at_once(
    clients: usize,
    each: usize,
    door: impl Fn() -> std::io::Result<String> + Sync,
) -> Vec<(Duration, bool)> {
    let start = Barrier::new(clients);
    let client = || {
        start.wait();
        let read = || timed(&door);
        (0..each).map(|_| read()).map(|(time, answer)| (time, is_good(answer))).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, client).expect("a thread"))
            .collect();
        threads.into_iter().flat_map(|t| t.join().expect("a client")).collect()
    })
}

fn is_good(answer: std::io::Result<String>) -> bool {
    // elhaz has names of its own in what its socket gives.
    answer.is_ok_and(|text| text.contains("AccessKeyId") || text.contains("\"ok\":true"))
}

pub(crate) fn read_all(mut from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    Ok(text)
}

fn socket() -> std::io::Result<String> {
    let stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    read_all(stream)
}

fn capability() -> std::io::Result<String> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [theirs.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(sys::door(), &[IoSlice::new(b"?")], &mut control, SendFlags::NOSIGNAL)?;
    drop(theirs);
    let stream = UnixStream::from(ours);
    stream.set_read_timeout(Some(PATIENCE))?;
    read_all(stream)
}

fn container() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(HTTP)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    read_all(stream)
}

/// A whole process of the static client.
fn client() -> std::io::Result<String> {
    let output = Command::new(CLIENT).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
