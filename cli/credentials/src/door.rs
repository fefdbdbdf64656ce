//! The three doors that this client knows.

mod fifo;

use std::ffi::OsString;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with, socketpair, sockopt,
};

use crate::sys;

/// For the whole conversation. Brokers answer in milliseconds, or within a second while they mint.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const LARGEST: usize = 64 * 1024;
/// Where the socket is inside a sandbox. The FIFO pair is beside it.
const SOCKET: &str = "/run/agent-aws/credentials.sock";

/// Where that of the model's identity is.
const MODEL_SOCKET: &str = "/run/agent-aws/model.sock";

/// Asks at one door.
type Ask<'a> = &'a dyn Fn() -> io::Result<Vec<u8>>;

/// The broker's answer, from the first door that is there.
pub(crate) fn ask() -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + PATIENCE;
    let path = std::env::var_os("AGENT_AWS_SOCKET").unwrap_or_else(|| OsString::from(SOCKET));
    let beside = Path::new(&path).parent().unwrap_or(Path::new("/"));
    // Programs between the agent and us may have closed the descriptor, and its number may be something else by now. An
    // inner sandbox may forbid sockets.
    let tries: [(String, Ask<'_>); 3] = [
        ("the descriptor in AGENT_AWS_FD".into(), &|| by_capability(capability()?, deadline)),
        (path.to_string_lossy().into_owned(), &|| by_socket(&path, deadline)),
        (beside.join(fifo::REQUEST).to_string_lossy().into_owned(), &|| fifo::ask(beside, deadline)),
    ];
    let mut failures = Vec::new();
    let none_given = usize::from(std::env::var_os("AGENT_AWS_FD").is_none());
    for (door, answer) in tries.into_iter().skip(none_given) {
        match answer() {
            Ok(answer) => return Ok(answer),
            Err(failure) => failures.push((door, failure)),
        }
        // Another door would not be given any time.
        if left(deadline).is_err() {
            break;
        }
    }
    Err(complaint(&failures))
}

/// The answer of the broker of the model's identity. No variable says where it is, and no other door is tried.
pub(crate) fn ask_for_model() -> Result<Vec<u8>, String> {
    by_socket(MODEL_SOCKET.as_ref(), Instant::now() + PATIENCE).map_err(|failure| match failure.kind() {
        io::ErrorKind::NotFound => {
            "this session has no identity of its own for its model (see --model-identity)".into()
        }
        _ => complaint(&[(MODEL_SOCKET.into(), failure)]),
    })
}

/// Every door that was tried, and why it gave nothing.
fn complaint(failures: &[(String, io::Error)]) -> String {
    let why = |failure: &io::Error| match failure.kind() {
        io::ErrorKind::NotFound => "not there".into(),
        io::ErrorKind::TimedOut => format!("no answer within {} s", PATIENCE.as_secs()),
        io::ErrorKind::ConnectionRefused => "nobody answers, so the session has ended".into(),
        _ => failure.to_string(),
    };
    let all: Vec<String> = failures.iter().map(|(door, failure)| format!("{door}: {}", why(failure))).collect();
    let nowhere = failures.iter().rev().take(2).all(|(_, failure)| failure.kind() == io::ErrorKind::NotFound);
    let hint = if nowhere { " (this runs only inside agent-aws run)" } else { "" };
    format!("no door gives credentials: {}{hint}", all.join("; "))
}

/// The inherited descriptor, if it is what it should be.
fn capability() -> io::Result<BorrowedFd<'static>> {
    let number = std::env::var("AGENT_AWS_FD").ok().and_then(|n| n.parse().ok());
    let descriptor = number.and_then(sys::inherited).ok_or_else(|| io::Error::other("none was left to us"))?;
    match (sockopt::socket_type(descriptor)?, sockopt::socket_domain(descriptor)?) {
        (SocketType::SEQPACKET, AddressFamily::UNIX) => Ok(descriptor),
        _ => Err(io::Error::other("something else by now")),
    }
}

/// Sends one end of a socket pair of our own and reads the other.
fn by_capability(capability: BorrowedFd<'_>, deadline: Instant) -> io::Result<Vec<u8>> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [theirs.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // Not waiting for a full door: there is another one.
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(capability, &[IoSlice::new(b"?")], &mut control, flags)?;
    drop(theirs);
    read(ours, deadline)
}

fn by_socket(path: &std::ffi::OsStr, deadline: Instant) -> io::Result<Vec<u8>> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A full backlog keeps connect waiting, and this is how that is bounded.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(left(deadline)?))?;
    connect(&socket, &address).map_err(|e| match e {
        rustix::io::Errno::AGAIN => io::ErrorKind::TimedOut.into(),
        e => io::Error::from(e),
    })?;
    read(socket, deadline)
}

/// Reads to the end, within the time and the size that are left.
fn read(socket: OwnedFd, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::from(socket).take(LARGEST as u64);
    let mut answer = Vec::with_capacity(8 * 1024);
    let mut part = [0u8; 8 * 1024];
    loop {
        stream.get_ref().set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut part) {
            Ok(0) if answer.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(answer),
            Ok(n) => answer.extend_from_slice(part.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(e) => return Err(e),
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
