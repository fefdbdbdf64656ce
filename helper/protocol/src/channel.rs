//! A channel: frames over a Unix stream socket, with descriptors.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;
use core::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{FrameError, Header, decode, encode};
use crate::{MAX_DESCRIPTORS, MAX_PAYLOAD};

/// Why nothing came or went.
#[derive(Debug)]
pub enum ChannelError {
    /// The peer closed its end.
    Closed,
    /// Nothing (or not all of it) came in time.
    Timeout,
    /// The peer sent something that is no message.
    Frame(FrameError),
    /// The operating system's word.
    Os(Errno),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the other side closed the channel"),
            Self::Timeout => f.write_str("the other side did not answer in time"),
            Self::Frame(e) => e.fmt(f),
            Self::Os(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for ChannelError {}

impl From<FrameError> for ChannelError {
    fn from(e: FrameError) -> Self {
        Self::Frame(e)
    }
}

impl From<Errno> for ChannelError {
    fn from(e: Errno) -> Self {
        match e {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            e => Self::Os(e),
        }
    }
}

/// A message with what came along.
#[derive(Debug)]
pub struct Received<M> {
    /// The message.
    pub message: M,
    /// Descriptors, exactly as many as the frame declared, all close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// The sender's process id as seen from here, if [`Channel::with_credentials`] asked for it.
    pub pid: Option<i32>,
}

/// One end of a conversation. Every wait has a deadline; a peer that stops reading is an error, never a hang.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    patience: Duration,
}

impl Channel {
    /// Two connected ends, both close-on-exec.
    pub fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
    }

    /// Speaks over `socket`; a frame that has begun must be whole within `patience`.
    pub fn new(socket: OwnedFd, patience: Duration) -> Self {
        Self { socket, patience }
    }

    /// Asks the kernel for the sender's process id with each message. Must be called before the peer can send
    /// (a message queued earlier carries the overflow ids).
    pub fn with_credentials(self) -> rustix::io::Result<Self> {
        sockopt::set_socket_passcred(&self.socket, true)?;
        Ok(self)
    }

    /// Sends a message.
    pub fn send<M: Serialize>(&self, message: &M) -> Result<(), ChannelError> {
        self.send_with(message, &[])
    }

    /// Sends a message with descriptors.
    pub fn send_with<M: Serialize>(&self, message: &M, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let frame = encode(message, descriptors.len())?;
        let mut deadline = None;
        let mut rest = frame.as_slice();
        let mut pending = descriptors;
        while !rest.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !pending.is_empty() && !control.push(SendAncillaryMessage::ScmRights(pending)) {
                return Err(FrameError::TooManyDescriptors(pending.len()).into());
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.socket, &[IoSlice::new(rest)], &mut control, flags) {
                Ok(n) => {
                    rest = rest.get(n..).unwrap_or_default();
                    pending = &[];
                }
                Err(Errno::AGAIN) => self.wait_for_the_rest(PollFlags::OUT, &mut deadline)?,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Waits up to `timeout` for a message to begin, then up to the channel's patience for the rest of it.
    pub fn receive<M: DeserializeOwned>(&self, timeout: Option<Duration>) -> Result<Received<M>, ChannelError> {
        self.wait(PollFlags::IN, timeout.map(|t| now() + t))?;
        let mut deadline = None;
        let mut descriptors = Vec::new();
        let mut pid = None;
        let mut head = [0u8; Header::SIZE];
        self.fill(&mut head, &mut deadline, &mut descriptors, &mut pid)?;
        let header = Header::parse(head)?;
        let mut payload = vec![0u8; header.length.min(MAX_PAYLOAD)];
        self.fill(&mut payload, &mut deadline, &mut descriptors, &mut pid)?;
        if descriptors.len() != header.descriptors {
            return Err(FrameError::Malformed.into());
        }
        Ok(Received { message: decode(&payload)?, descriptors, pid })
    }

    fn fill(
        &self,
        mut buffer: &mut [u8],
        deadline: &mut Option<Duration>,
        descriptors: &mut Vec<OwnedFd>,
        pid: &mut Option<i32>,
    ) -> Result<(), ChannelError> {
        while !buffer.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let got = match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
                Ok(got) => got,
                Err(Errno::AGAIN) => {
                    self.wait_for_the_rest(PollFlags::IN, deadline)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            for message in control.drain() {
                match message {
                    RecvAncillaryMessage::ScmRights(fds) => descriptors.extend(fds),
                    RecvAncillaryMessage::ScmCredentials(c) => *pid = Some(c.pid.as_raw_nonzero().get()),
                    _ => {}
                }
            }
            if got.flags.contains(rustix::net::ReturnFlags::CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
                return Err(FrameError::TooManyDescriptors(descriptors.len()).into());
            }
            if got.bytes == 0 {
                return Err(ChannelError::Closed);
            }
            buffer = buffer.get_mut(got.bytes..).unwrap_or_default();
        }
        Ok(())
    }

    /// Most frames come and go in one piece: the clock is asked when one does not.
    fn wait_for_the_rest(&self, flags: PollFlags, deadline: &mut Option<Duration>) -> Result<(), ChannelError> {
        self.wait(flags, Some(*deadline.get_or_insert_with(|| now() + self.patience)))
    }

    fn wait(&self, flags: PollFlags, deadline: Option<Duration>) -> Result<(), ChannelError> {
        loop {
            let left = deadline.map(|d| d.saturating_sub(now()));
            match wait_for(&mut [PollFd::new(&self.socket, flags)], left) {
                Ok(0) => return Err(ChannelError::Timeout),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Time since some moment in the past.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// poll(2) with a time limit, or without: how many descriptors are ready.
pub fn wait_for(descriptors: &mut [PollFd<'_>], limit: Option<Duration>) -> Result<usize, Errno> {
    // A limit that is too long for the kernel is none.
    let limit = limit.and_then(|d| Timespec::try_from(d).ok());
    poll(descriptors, limit.as_ref())
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ends() -> (Channel, Channel) {
        let (a, b) = Channel::pair().unwrap();
        let patience = Duration::from_millis(300);
        (Channel::new(a, patience), Channel::new(b, patience))
    }

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (a, b) = ends();
        let (x, y) = Channel::pair().unwrap();
        a.send_with(&1u8, &[x.as_fd(), y.as_fd()]).unwrap();
        a.send(&2u8).unwrap();
        let first = b.receive::<u8>(None).unwrap();
        assert_eq!((first.message, first.descriptors.len()), (1, 2));
        assert_eq!(b.receive::<u8>(None).unwrap().descriptors.len(), 0);
    }

    #[test]
    fn a_peer_that_stops_in_the_middle_is_a_timeout_and_one_that_leaves_is_closed() {
        let (a, b) = Channel::pair().unwrap();
        let b = Channel::new(b, Duration::from_millis(100));
        let mut raw = UnixStream::from(a);
        raw.write_all(&[1, 0, 0]).unwrap();
        assert!(matches!(b.receive::<u8>(None), Err(ChannelError::Timeout)));
        drop(raw);
        assert!(matches!(b.receive::<u8>(None), Err(ChannelError::Closed)));
    }

    #[test]
    fn undeclared_descriptors_are_refused() {
        let (a, b) = ends();
        let frame = encode(&1u8, 0).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fd = [a.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fd)));
        sendmsg(&a, &[IoSlice::new(&frame)], &mut control, SendFlags::empty()).unwrap();
        assert!(matches!(b.receive::<u8>(None), Err(ChannelError::Frame(FrameError::Malformed))));
    }

    #[test]
    fn the_senders_process_id_is_told_when_asked_for() {
        let (a, b) = Channel::pair().unwrap();
        let b = Channel::new(b, Duration::from_secs(1)).with_credentials().unwrap();
        Channel::new(a, Duration::from_secs(1)).send(&3u8).unwrap();
        let got = b.receive::<u8>(None).unwrap();
        assert_eq!(got.pid, i32::try_from(std::process::id()).ok());
    }
}
