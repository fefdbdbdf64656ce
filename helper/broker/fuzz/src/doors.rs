//! The doors, and at each what clients do.

mod at_capability;
mod at_fifo;
mod at_http;
mod at_socket;
#[path = "../../src/doors/capability.rs"]
mod capability;
#[path = "../../src/doors/clients.rs"]
mod clients;
#[path = "../../src/doors/fifo.rs"]
mod fifo;
#[path = "../../src/doors/http.rs"]
mod http;
#[path = "../../src/doors/socket.rs"]
mod socket;

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::moment;

pub use at_capability::capability;
pub use at_fifo::fifo;
pub use at_http::http;
pub use at_socket::socket;

/// For a thread of the broker's to close something, on a machine that is busy.
const CLOSED: Duration = Duration::from_secs(10);

/// Waits until nobody has the other end of this any more.
fn closes(ours: impl AsFd, what: &str) {
    let start = Instant::now();
    loop {
        let mut watched = [PollFd::new(&ours, PollFlags::IN)];
        let ready = poll(&mut watched, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }));
        let [watched] = watched;
        if ready.is_ok() && watched.revents().contains(PollFlags::HUP) {
            return;
        }
        assert!(start.elapsed() < CLOSED, "the broker keeps {what}");
    }
}

/// All that comes. A door that is gone with something unread makes an error of the end.
async fn rest(mut client: &UnixStream) -> Vec<u8> {
    client.set_nonblocking(true).expect("a socket");
    let (mut heard, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match client.read(&mut part) {
            Ok(length @ 1..) => heard.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => moment().await,
            Ok(_) | Err(_) => return heard,
        }
    }
}
