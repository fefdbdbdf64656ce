//! What a gateway that was taken over can still do: this program confines itself as the gateway does, and then tries.
//!
//! Started without arguments it is the test, and starts itself for each case; `confine` needs a process with one thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::unistd::{Gid, Uid, setresgid, setresuid};
use rustix::net::{AddressFamily, SocketType, socket};

const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("as-the-helper-starts-it") => child(|| empty_root(words.get(2).unwrap())),
        Some("unprivileged") => child(ordinary),
        Some("with-a-capability") => refused(|| rustix::process::chroot(words.get(2).unwrap()).unwrap()),
        _ => test(),
    }
}

fn test() -> ExitCode {
    if !Uid::effective().is_root() {
        // An ordinary user is in the second case already.
        return run("unprivileged", Path::new("/"));
    }
    let root = tempfile::tempdir().unwrap();
    let cases = ["as-the-helper-starts-it", "unprivileged", "with-a-capability"];
    let failed: Vec<_> = cases.into_iter().filter(|case| run(case, root.path()) != ExitCode::SUCCESS).collect();
    println!("{} passed, {} failed", cases.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(case: &str, root: &Path) -> ExitCode {
    let place = tempfile::tempdir().unwrap();
    let socket = UnixListener::bind(place.path().join("socket")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ended = command.arg(case).arg(root).stdin(Stdio::null()).current_dir(place.path()).status().unwrap();
    drop(socket);
    println!("test {case} ... {}", if ended.success() { "ok" } else { "FAILED" });
    if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As in setuid mode: another user, an empty root, no capability.
fn empty_root(root: &str) {
    rustix::process::chroot(root).unwrap();
    ordinary();
}

fn ordinary() {
    if Uid::effective().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setresgid(gid, gid, gid).unwrap();
        setresuid(uid, uid, uid).unwrap();
    }
}

fn refused(prepare: impl FnOnce()) -> ExitCode {
    prepare();
    let e = agent_aws_gateway::confine().unwrap_err();
    if e.contains("capability") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn child(prepare: impl FnOnce()) -> ExitCode {
    prepare();
    // What it was given stays usable.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (_, end) = UnixStream::pair().unwrap();
    agent_aws_gateway::confine().unwrap();
    let port = listener.local_addr().unwrap().port();
    let tried = [
        ("a file of the host is read", std::fs::read("/etc/passwd").is_ok()),
        ("a directory is listed", std::fs::read_dir("/").is_ok()),
        ("the working directory is a way out", std::fs::read_dir(".").is_ok()),
        ("a file is created", std::fs::write("x", "x").is_ok()),
        ("a program is started", Command::new("/bin/true").status().is_ok()),
        ("a thread is started", std::thread::Builder::new().spawn(|| ()).is_ok()),
        ("a Unix socket is reached", UnixStream::connect("socket").is_ok()),
        ("a Unix socket is made", UnixDatagram::unbound().is_ok()),
        ("a pair of them is made", UnixStream::pair().is_ok()),
        ("the inherited end is turned elsewhere", rustix::net::connect(&end, &abstract_address()).is_ok()),
        ("a raw socket is made", socket(AddressFamily::INET, SocketType::RAW, None).is_ok()),
        ("a sequenced socket is made", socket(AddressFamily::INET, SocketType::SEQPACKET, None).is_ok()),
        ("netlink is spoken", socket(AddressFamily::NETLINK, SocketType::RAW, None).is_ok()),
        ("a vsock is made", socket(AddressFamily::from_raw(40), SocketType::STREAM, None).is_ok()),
        ("a packet socket is made", socket(AddressFamily::PACKET, SocketType::DGRAM, None).is_ok()),
        ("MPTCP is spoken", socket(AddressFamily::INET, SocketType::STREAM, Some(rustix::net::ipproto::MPTCP)).is_ok()),
        ("a new port is listened at", TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).is_ok()),
        ("a signal is sent", rustix::process::test_kill_process(rustix::process::getpid()).is_ok()),
        ("a namespace is made", nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).is_ok()),
        (
            "it becomes dumpable",
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).is_ok(),
        ),
        ("a capability is left", rustix::thread::capabilities(None).is_ok_and(|c| !c.permitted.is_empty())),
        // The controls: what it is for must work, or the rest shows nothing.
        ("CONTROL: no TCP", TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()),
        ("CONTROL: no accept", listener.accept().is_err()),
        ("CONTROL: no UDP", UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).is_err()),
    ];
    let mut failed = false;
    for (what, happened) in tried {
        if happened {
            println!("{what}");
            failed = true;
        }
    }
    let missing = std::fs::metadata("/proc/self").map_err(|e| e.kind());
    failed |= !matches!(missing, Err(ErrorKind::Unsupported | ErrorKind::NotFound | ErrorKind::Other) | Err(_));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn abstract_address() -> rustix::net::SocketAddrUnix {
    rustix::net::SocketAddrUnix::new_abstract_name(b"agent-aws-test").unwrap()
}
