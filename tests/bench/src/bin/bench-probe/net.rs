//! A client of a server far away: how long a download takes, and what one connection costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::{micros, timed};

const PATIENCE: Duration = Duration::from_secs(60);
/// What programs read at once.
const CHUNK: usize = 64 * 1024;

/// Where the server is, and the proxy before it.
struct Way {
    at: SocketAddr,
    /// Asked for with CONNECT.
    through: Option<String>,
}

/// Reads numbers, until there are no more, and prints for each how many microseconds it took to get 2^NUMBER bytes over a
/// connection of its own. The request is one byte, the number.
pub(crate) fn run(server: &str, proxy: Option<&str>) {
    let at = proxy.unwrap_or(server).to_socket_addrs().expect("a place").next().expect("an address");
    let way = Way { at, through: proxy.map(|_| server.to_owned()) };
    let mut buffer = vec![0; CHUNK];
    for line in std::io::stdin().lock().lines() {
        let exponent: u8 = line.expect("a line").parse().expect("a number");
        let (time, got) = timed(|| way.get(exponent, &mut buffer));
        match got {
            Ok(bytes) if bytes == 1 << exponent => println!("{:.1}", micros(time)),
            other => println!("failed: {other:?}"),
        }
        std::io::stdout().flush().expect("somebody listens");
    }
}

impl Way {
    fn get(&self, exponent: u8, buffer: &mut [u8]) -> std::io::Result<u64> {
        let mut stream = TcpStream::connect_timeout(&self.at, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        if let Some(server) = &self.through {
            tunnel(&mut stream, server)?;
        }
        stream.write_all(&[exponent])?;
        let mut left = 1u64 << exponent;
        while left > 0 {
            match stream.read(buffer)? {
                0 => break,
                n => left -= n as u64,
            }
        }
        Ok((1 << exponent) - left)
    }
}

fn tunnel(stream: &mut TcpStream, server: &str) -> std::io::Result<()> {
    write!(stream, "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
    // Nothing comes behind the answer before the server is asked.
    let mut answer = BufReader::new(stream).lines();
    let status = answer.next().transpose()?.unwrap_or_default();
    while answer.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    if status.contains(" 200 ") { Ok(()) } else { Err(std::io::Error::other(status)) }
}
