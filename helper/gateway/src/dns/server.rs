//! Questions from inside, by UDP and TCP.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::AddressFamily;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{LARGEST, Over, answer, fail};
use crate::gateway::Gateway;
use crate::sys;

/// Questions by UDP that are being answered at once; one more fails at once.
const AT_ONCE: usize = 1024;
/// Read in a row before others have their turn.
const IN_A_ROW: usize = 64;
/// A question by UDP is no longer.
const LONGEST: usize = 4096;
/// A connection without a whole question for so long is over.
const IDLE: Duration = Duration::from_secs(10);
/// Pause after an error that is not of one message.
const PAUSE: Duration = Duration::from_millis(20);

/// The address that was asked, so that the answer comes from there.
#[derive(Debug, Clone, Copy)]
enum Asked {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
    Unknown,
}

/// One question and where it came from.
type Question = (Vec<u8>, Option<SockaddrStorage>, Asked);

/// Has the kernel say which address was asked.
pub(crate) fn prepare(socket: &OwnedFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(socket, true)?;
    if rustix::net::sockopt::socket_domain(socket)? == AddressFamily::INET {
        return Ok(setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?);
    }
    // The addresses asked are routed here without being any interface's, and the kernel sends from no such IPv6 address
    // without this.
    rustix::net::sockopt::set_ipv6_freebind(socket, true)?;
    Ok(setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?)
}

/// Serves for ever. One socket of each family, or one for both.
pub(crate) async fn serve_udp(gateway: Rc<Gateway>, socket: OwnedFd) {
    let Ok(socket) = sys::watch(socket) else { return };
    let socket = Rc::new(socket);
    let open = Rc::new(Cell::new(0usize));
    loop {
        for _ in 0..IN_A_ROW {
            match socket.async_io(Interest::READABLE, receive).await {
                Ok(question) => take(&gateway, &socket, &open, question),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        tokio::task::yield_now().await;
    }
}

fn take(gateway: &Rc<Gateway>, socket: &Rc<AsyncFd<OwnedFd>>, open: &Rc<Cell<usize>>, question: Question) {
    let (bytes, from, asked) = question;
    if open.get() >= AT_ONCE {
        send(socket.get_ref(), fail(&bytes), from, asked);
        return;
    }
    open.set(open.get() + 1);
    let (gateway, socket, open) = (Rc::clone(gateway), Rc::clone(socket), Rc::clone(open));
    tokio::task::spawn_local(async move {
        let reply = answer(&gateway, &bytes, Over::Udp).await;
        send(socket.get_ref(), reply, from, asked);
        open.set(open.get().saturating_sub(1));
    });
}

fn receive(socket: &OwnedFd) -> io::Result<Question> {
    let mut buffer = [0u8; LONGEST];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut space = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let flags = MsgFlags::MSG_DONTWAIT;
    let got = recvmsg::<SockaddrStorage>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut asked = Asked::Unknown;
    for message in got.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => asked = Asked::V4(info),
            ControlMessageOwned::Ipv6PacketInfo(info) => asked = Asked::V6(info),
            _ => {}
        }
    }
    let (length, from) = (got.bytes, got.address);
    Ok((buffer.get(..length).unwrap_or_default().to_vec(), from, asked))
}

/// What cannot be sent is lost, as with every network.
fn send(socket: &OwnedFd, reply: Option<Vec<u8>>, to: Option<SockaddrStorage>, asked: Asked) {
    let Some(reply) = reply else { return };
    let v4;
    let v6;
    let message = match asked {
        Asked::V4(info) => {
            v4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: info.ipi_addr, ipi_addr: info.ipi_addr };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Asked::V6(info) => {
            v6 = libc::in6_pktinfo { ipi6_addr: info.ipi6_addr, ipi6_ifindex: 0 };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
        Asked::Unknown => None,
    };
    let parts = [IoSlice::new(&reply)];
    let _ = sendmsg(socket.as_fd().as_raw_fd(), &parts, message.as_slice(), MsgFlags::MSG_DONTWAIT, to.as_ref());
}

/// Answers one question after the other until the client is done.
pub(crate) async fn serve_tcp(gateway: &Gateway, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut message = vec![0u8; usize::from(length).min(LARGEST)];
        timeout(IDLE, stream.read_exact(&mut message)).await??;
        let Some(reply) = answer(gateway, &message, Over::Tcp).await else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        timeout(IDLE, stream.write_all(&framed)).await??;
    }
}
