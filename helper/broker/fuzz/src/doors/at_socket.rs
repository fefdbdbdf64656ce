//! The Unix socket, at which nothing is read: clients that say something all the same, or send descriptors.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg};

use super::clients::undertaker;
use super::{closes, rest};
use crate::{moment, pieces, run, vault};

/// Of one input; the backlog of a listener has room for twice as many.
const CLIENTS: usize = 64;

/// Every client that stays hears the one answer, whatever it says, and no descriptor is kept.
pub fn socket(bytes: &[u8]) {
    let (vault, answer) = vault();
    let (address, listener) = listener();
    let mut pipes = Vec::new();
    run(async {
        super::socket::serve(listener.into(), undertaker().expect("a thread"), Rc::clone(&vault)).expect("a door");
        let mut staying = Vec::new();
        for piece in pieces(bytes).into_iter().take(CLIENTS) {
            let Some((how, said)) = piece.split_first() else { continue };
            let client = UnixStream::connect_addr(&address).expect("a place in the backlog");
            client.set_nonblocking(true).expect("a socket");
            if how & 1 != 0 {
                moment().await;
            }
            pipes.extend(say(&client, said, how & 2 != 0));
            if how & 4 != 0 {
                let _ = rustix::net::shutdown(&client, Shutdown::Write);
            }
            if how & 8 == 0 {
                staying.push(client);
            }
        }
        staying.push(UnixStream::connect_addr(&address).expect("a place in the backlog"));
        for client in &staying {
            let heard = rest(client).await;
            assert!(heard == answer, "a client hears {}", heard.escape_ascii());
        }
    });
    pipes.iter().for_each(|pipe| closes(pipe, "a descriptor"));
}

/// Says it, perhaps with a descriptor: then what tells when that is closed.
fn say(client: &UnixStream, said: &[u8], with_descriptor: bool) -> Option<OwnedFd> {
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    let sent = [write.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(!with_descriptor || control.push(SendAncillaryMessage::ScmRights(&sent)));
    // The door may have told its answer and be gone already.
    let _ = sendmsg(client, &[IoSlice::new(said)], &mut control, SendFlags::NOSIGNAL);
    Some(read).filter(|_| with_descriptor)
}

fn listener() -> (SocketAddr, UnixListener) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("agent-aws-fuzz-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let address = SocketAddr::from_abstract_name(name).expect("an address");
    let listener = UnixListener::bind_addr(&address).expect("a listener");
    (address, listener)
}
