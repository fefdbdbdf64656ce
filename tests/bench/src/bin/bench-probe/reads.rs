//! Credential reads at what others serve. Each is a connection of its own, as clients make them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::doors::{PATIENCE, READS, at_once, print, read_all};

/// Fewer than at our own doors: theirs take longer.
const FEWER: usize = READS / 10;
const PROCESSES: usize = 10;

/// At a Unix socket: a line is the question, a line the answer.
pub(crate) fn unix(path: &str, ask: &str) {
    let door = || {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{ask}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    crowds(door);
}

/// Over HTTP, with a token.
pub(crate) fn http(address: &str, token: &str) {
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
    let door = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        read_all(stream)
    };
    crowds(door);
}

/// By a process that prints them.
pub(crate) fn process(command: &[&str]) {
    let door = || {
        let (program, arguments) = command.split_first().expect("a command");
        let output = Command::new(program).args(arguments).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    print("process", 1, &mut at_once(1, PROCESSES, door));
}

fn crowds(door: impl Fn() -> std::io::Result<String> + Sync) {
    for (clients, each) in [(1, FEWER), (50, FEWER / 50), (500, 1)] {
        print("read", clients, &mut at_once(clients, each, &door));
    }
}
