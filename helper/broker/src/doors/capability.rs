//! The inherited descriptor: a SEQPACKET socket. Whoever holds it sends one end of its own socket pair, gets the
//! answer there, and shares no connection with anybody else.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketType, recvmsg, sockopt,
};
use tokio::io::Interest;

use super::clients::{Places, Undertaker};
use crate::sys;
use crate::vault::Vault;

/// Descriptors of clients that are held at once.
const CLIENTS: usize = 256;

/// What came with one message.
#[derive(Debug)]
enum Came {
    /// Exactly one descriptor, and any other number of them.
    Descriptors(Vec<OwnedFd>),
    /// Nobody holds the other end any more.
    End,
}

/// Serves until nobody can ask any more.
pub(super) fn serve(socket: OwnedFd, undertaker: Undertaker, vault: Rc<Vault>) -> io::Result<()> {
    if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
        return Err(io::Error::other("it is no SEQPACKET socket"));
    }
    let socket = sys::watch(socket)?;
    let places = Places::new(CLIENTS, undertaker);
    tokio::task::spawn_local(async move {
        // A place first: while none is free, messages wait in the kernel and their senders with them.
        while let Some(place) = places.free().await {
            match socket.async_io(Interest::READABLE, receive).await {
                Ok(Came::Descriptors(mut descriptors)) => {
                    let (Some(first), true) = (descriptors.pop(), descriptors.is_empty()) else {
                        bury(&places, descriptors).await;
                        continue;
                    };
                    let fits = answers(&first);
                    let client = places.seat(place, first);
                    if fits {
                        client.serve(&vault);
                    }
                }
                Ok(Came::End) | Err(_) => return,
            }
            // A flood at this door leaves room for the others after each message.
            tokio::task::yield_now().await;
        }
    });
    Ok(())
}

/// One message. Its bytes mean nothing and are not kept; with room for one descriptor the kernel hands over two at
/// the most and closes the rest of a larger number itself.
fn receive(socket: &OwnedFd) -> io::Result<Came> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0u8; 1];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            descriptors.extend(fds);
        }
    }
    // An empty message looks like the end; only the end hangs up.
    if got.bytes == 0 && descriptors.is_empty() && !got.flags.contains(ReturnFlags::CTRUNC) && hung_up(socket)? {
        return Ok(Came::End);
    }
    Ok(Came::Descriptors(descriptors))
}

fn hung_up(socket: &OwnedFd) -> io::Result<bool> {
    let mut watched = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    let [watched] = watched;
    Ok(watched.revents().intersects(PollFlags::HUP | PollFlags::RDHUP))
}

/// Whether this is what a client is to send: an end of a pair of Unix sockets.
fn answers(descriptor: &OwnedFd) -> bool {
    sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
        && matches!(sockopt::socket_type(descriptor), Ok(SocketType::STREAM | SocketType::SEQPACKET))
}

/// Has descriptors closed that nobody asked for.
async fn bury(places: &Places, descriptors: Vec<OwnedFd>) {
    for descriptor in descriptors {
        if let Some(place) = places.free().await {
            drop(places.seat(place, descriptor));
        }
    }
}
