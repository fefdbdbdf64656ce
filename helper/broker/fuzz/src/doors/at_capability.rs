//! The inherited descriptor: messages of any length with any descriptors, then a client that keeps the rules.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use super::clients::undertaker;
use super::{closes, rest};
use crate::{moment, run, vault};

/// Of one input; the door has places for four times as many.
const MESSAGES: usize = 64;
/// Of one message.
const DESCRIPTORS: usize = 7;

/// An end that stays with the client, and whether it is to hear the answer.
struct Kept {
    ours: OwnedFd,
    kind: u8,
    hears: bool,
}

/// Who sends exactly one end of a pair hears the answer there, nobody else hears anything, and nothing is kept.
pub fn capability(bytes: &[u8]) {
    let (vault, answer) = vault();
    let mut kept = Vec::new();
    run(async {
        let (ours, theirs) = packets();
        super::capability::serve(theirs, undertaker().expect("a thread"), Rc::clone(&vault)).expect("a door");
        let mut bytes = bytes.iter().copied();
        for _ in 0..MESSAGES {
            let Some(count) = bytes.next() else { break };
            let kinds: Vec<u8> = bytes.by_ref().take(usize::from(count) % (DESCRIPTORS + 1)).collect();
            let length = 16 * usize::from(bytes.next().unwrap_or(0));
            kept.extend(tell(&ours, &kinds, length).await);
        }
        let (client, sent) = UnixStream::pair().expect("a pair");
        send(&ours, &[sent.as_fd()], 1).await;
        drop(sent);
        assert!(rest(&client).await == answer, "the client that keeps the rules hears something else");
    });
    for Kept { ours, kind, hears } in kept {
        // A pair of datagram sockets does not say that its other end is gone.
        if kind != 2 {
            closes(&ours, "a descriptor");
        }
        let mut heard = vec![0; 64 * 1024];
        let length = rustix::io::read(&ours, &mut heard).unwrap_or(0);
        let wanted: &[u8] = if hears { &answer } else { b"" };
        assert!(heard.get(..length) == Some(wanted), "kind {kind} hears {length} bytes");
    }
}

/// One message with descriptors of these kinds.
async fn tell(door: &OwnedFd, kinds: &[u8], length: usize) -> Vec<Kept> {
    let pairs: Vec<(Option<OwnedFd>, OwnedFd)> = kinds.iter().map(|kind| pair(kind % 6)).collect();
    let theirs: Vec<BorrowedFd<'_>> = pairs.iter().map(|(_, theirs)| theirs.as_fd()).collect();
    send(door, &theirs, length).await;
    let hears = |kind: u8| kinds.len() == 1 && kind < 2;
    let ends = pairs.into_iter().zip(kinds.iter().map(|kind| kind % 6));
    ends.filter_map(|((ours, _), kind)| Some(Kept { ours: ours?, kind, hears: hears(kind) })).collect()
}

/// What stays with the client, if anything, and what is sent.
fn pair(kind: u8) -> (Option<OwnedFd>, OwnedFd) {
    let sockets = |kind| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, kind, flags, None).expect("a pair")
    };
    let (ours, theirs) = match kind {
        0 => sockets(SocketType::STREAM),
        1 => sockets(SocketType::SEQPACKET),
        2 => sockets(SocketType::DGRAM),
        3 => rustix::pipe::pipe().expect("a pipe"),
        4 => return (None, std::fs::File::open("/dev/null").expect("/dev/null").into()),
        _ => return (None, std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket").into()),
    };
    (Some(ours), theirs)
}

async fn send(door: &OwnedFd, descriptors: &[BorrowedFd<'_>], length: usize) {
    let bytes = vec![b'?'; length];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(descriptors.is_empty() || control.push(SendAncillaryMessage::ScmRights(descriptors)));
        match sendmsg(door, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => moment().await,
            sent => return assert!(sent.is_ok(), "{sent:?}"),
        }
    }
}

fn packets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a pair")
}
