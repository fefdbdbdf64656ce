//! Bytes both ways, for as long as both sides like.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use hyper::body::Bytes;
use rustix::net::{Shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Read at once; also the most that is kept of a connection whose other side does not take it.
const CHUNK: usize = 64 * 1024;
/// A peer that is gone without a word is noticed after this long, and a few tries.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where every connection reads to. There is one thread, and what was read is written before anything else is done, so that
/// a connection that idles costs no buffer.
pub(crate) struct Scratch(RefCell<Box<[u8]>>);

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self(RefCell::new(vec![0; CHUNK].into_boxed_slice()))
    }
}

/// One side of a connection, and what was already read of it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) stream: TcpStream,
    pub(crate) early: Bytes,
}

impl From<TcpStream> for Side {
    fn from(stream: TcpStream) -> Self {
        Self { stream, early: Bytes::new() }
    }
}

/// Until both have said all, or one is reset, which the other then is too.
pub(crate) async fn relay(scratch: &Scratch, client: Side, server: Side) {
    tune(&client.stream);
    tune(&server.stream);
    let done = both_ways(scratch, &client, &server).await;
    if done.is_err() {
        reset(client.stream);
        reset(server.stream);
    }
}

async fn both_ways(scratch: &Scratch, client: &Side, server: &Side) -> io::Result<()> {
    let up = pump(scratch, client, &server.stream);
    let down = pump(scratch, server, &client.stream);
    tokio::pin!(up, down);
    // Who has said all is not read any more, so that its reset must be looked for.
    tokio::select! {
        said = &mut up => {
            said?;
            tokio::select! { said = down => said, gone = until_reset(&client.stream) => gone }
        }
        said = &mut down => {
            said?;
            tokio::select! { said = up => said, gone = until_reset(&server.stream) => gone }
        }
    }
}

/// One way, until `from` has said all; then `to` is told so.
async fn pump(scratch: &Scratch, from: &Side, to: &TcpStream) -> io::Result<()> {
    write_all(to, &from.early).await?;
    loop {
        from.stream.readable().await?;
        match pass(scratch, &from.stream, to) {
            Ok(Passed::All) => {}
            Ok(Passed::Some(rest)) => write_all(to, &rest).await?,
            Ok(Passed::End) => break,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    rustix::net::shutdown(to, Shutdown::Write)?;
    Ok(())
}

enum Passed {
    All,
    Some(Vec<u8>),
    End,
}

/// Reads once and writes what the other side takes at once.
fn pass(scratch: &Scratch, from: &TcpStream, to: &TcpStream) -> io::Result<Passed> {
    let mut buffer = scratch.0.borrow_mut();
    let length = from.try_read(&mut buffer)?;
    if length == 0 {
        return Ok(Passed::End);
    }
    let read = buffer.get(..length).unwrap_or_default();
    let written = match to.try_write(read) {
        Ok(written) => written,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
        Err(e) => return Err(e),
    };
    let rest = read.get(written..).unwrap_or_default();
    Ok(if rest.is_empty() { Passed::All } else { Passed::Some(rest.to_vec()) })
}

async fn write_all(to: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        to.writable().await?;
        match to.try_write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

async fn until_reset(stream: &TcpStream) -> io::Result<()> {
    loop {
        if stream.ready(Interest::ERROR).await?.is_error() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
}

fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, KEEPALIVE);
}

/// Closes with a reset: whoever is at the other end sees at once that there is nothing to wait for.
pub(crate) fn reset(stream: TcpStream) {
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}

#[cfg(test)]
mod tests;
