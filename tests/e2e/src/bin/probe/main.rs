//! What an attacker inside would try, one attempt at a time. Runs inside and outside, so that a test can compare.
//!
//! `probe calls`: every row of the table, each in a process of its own: `NAME ok`, `NAME ERRNO` or `NAME signal N`.
//! `probe connect HOST:PORT`, `probe abstract NAME`, `probe unix PATH`: whether somebody answers there.
//! `probe without-sockets CMD...`: becomes CMD, for which there are no sockets: what inner sandboxes do to theirs.
#![allow(clippy::panic)] // a probe fails by panicking

mod sys;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use agent_aws_e2e::calls;
use nix::errno::Errno;

const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["calls"] => return all(),
        ["call", name] => call(name),
        ["without-sockets", command @ ..] => Err(without_sockets(command)),
        ["connect", address] => connect(address),
        ["abstract", name] => {
            SocketAddr::from_abstract_name(name).and_then(|a| UnixStream::connect_addr(&a)).map_err(errno)
        }
        ["unix", path] => UnixStream::connect(path).map_err(errno),
        _ => panic!("probe calls | call NAME | connect HOST:PORT | abstract NAME | unix PATH | without-sockets CMD"),
    };
    match outcome {
        Ok(_) => println!("ok"),
        Err(e) => println!("{e:?}"),
    }
    ExitCode::SUCCESS
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

fn connect(address: &str) -> Result<UnixStream, Errno> {
    let address = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
    let connected = std::net::TcpStream::connect_timeout(&address, PATIENCE);
    // Only whether there is one counts; both kinds of stream as one type.
    connected
        .map_err(|e| if e.kind() == std::io::ErrorKind::TimedOut { Errno::ETIMEDOUT } else { errno(e) })
        .map(|stream| UnixStream::from(std::os::fd::OwnedFd::from(stream)))
}

/// socket, socketpair and connect are EPERM from here on.
fn without_sockets(command: &[&str]) -> Errno {
    use std::os::unix::process::CommandExt;
    let [program, arguments @ ..] = command else { panic!("without-sockets CMD...") };
    sys::refuse(&[libc::SYS_socket, libc::SYS_socketpair, libc::SYS_connect])
        .unwrap_or_else(|e| panic!("seccomp: {e}"));
    errno(Command::new(program).args(arguments).exec())
}

fn all() -> ExitCode {
    for row in calls::rows() {
        let output = Command::new("/proc/self/exe").args(["call", row.name]).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", row.name));
        match output.status.signal() {
            Some(signal) => println!("{} signal {signal}", row.name),
            None => print!("{} {}", row.name, String::from_utf8_lossy(&output.stdout)),
        }
    }
    ExitCode::SUCCESS
}

fn call(name: &str) -> Result<UnixStream, Errno> {
    let row = calls::rows().into_iter().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no row {name}"));
    // The type of the other probes; nobody looks at it.
    row.attempt().and_then(|()| UnixStream::pair().map(|(one, _)| one).map_err(errno))
}
