//! The conversation with the supervisor.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use agent_aws_protocol::{BrokerToHelper, Channel, ChannelError, Door, HelperToBroker, Minting, Received};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::cause::Cause;
use crate::entry;
use crate::sys;

/// How long the supervisor is heard after the broker has given up.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The answer to [`BrokerToHelper::Renew`].
#[derive(Debug)]
pub(crate) enum Renewal {
    /// Still granted; the source comes along where it is a file.
    Granted(Option<OwnedFd>),
    /// It could not be decided, and why.
    Undecided(String),
    /// No longer granted, and why.
    Revoked(String),
}

/// The supervisor, once the session runs.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    channel: &'a Channel,
    readable: AsyncFd<OwnedFd>,
    renewals: RefCell<UnboundedReceiver<Renewal>>,
    asked: Cell<bool>,
}

/// Waits for the message that says what to mint; with it comes the descriptor of a source that is a file.
pub(crate) fn first_message(channel: &Channel, wait: Duration) -> Result<(Box<Minting>, Option<OwnedFd>), Cause> {
    match channel.receive(Some(wait)) {
        Ok(Received { message: HelperToBroker::Mint(minting), descriptors, .. }) => Ok((minting, single(descriptors)?)),
        Ok(_) => Err(Cause::last("the supervisor did not begin with what to mint")),
        Err(ChannelError::Closed) => entry::end(),
        Err(e) => Err(Cause::last(format!("no word from the supervisor: {e}"))),
    }
}

/// Tells why there will be no session, then hears the supervisor out: what it still has to say must not fail because
/// we are gone, or that failure would hide the cause.
pub(crate) fn give_up(channel: &Channel, cause: Cause) {
    let told = channel.send(&BrokerToHelper::Failed { cause: cause.text, retry: None });
    let deadline = Instant::now() + LAST_WORDS;
    let mut left = told.is_ok().then_some(LAST_WORDS);
    while let Some(wait) = left.filter(|left| !left.is_zero()) {
        match channel.receive::<HelperToBroker>(Some(wait)) {
            Ok(_) => left = Some(deadline.saturating_duration_since(Instant::now())),
            Err(_) => return,
        }
    }
}

fn single(mut descriptors: Vec<OwnedFd>) -> Result<Option<OwnedFd>, Cause> {
    let first = descriptors.pop();
    if descriptors.is_empty() { Ok(first) } else { Err(Cause::last("more than one descriptor came as the source")) }
}

impl<'a> Supervisor<'a> {
    /// Watches the channel from now on. The second value is for [`Supervisor::listen`].
    pub(crate) fn new(channel: &'a Channel) -> io::Result<(Self, UnboundedSender<Renewal>)> {
        let readable = sys::watch(channel.as_fd().try_clone_to_owned()?)?;
        let (inbox, renewals) = unbounded_channel();
        let supervisor = Self { channel, readable, renewals: RefCell::new(renewals), asked: Cell::new(false) };
        Ok((supervisor, inbox))
    }

    /// Tells the supervisor. If it cannot be told, it is gone, and so are we.
    pub(crate) fn tell(&self, message: &BrokerToHelper) {
        if self.channel.send(message).is_err() {
            entry::end();
        }
    }

    /// Asks whether the session may be refreshed, and waits as long as the answer takes.
    // The one task that refreshes is the one that borrows.
    #[allow(clippy::await_holding_refcell_ref)]
    pub(crate) async fn renew(&self) -> Renewal {
        self.asked.set(true);
        self.tell(&BrokerToHelper::Renew);
        match self.renewals.borrow_mut().recv().await {
            Some(renewal) => renewal,
            None => entry::end(),
        }
    }

    /// Hears the supervisor until it is gone or says something that may not come.
    pub(crate) async fn listen(
        &self,
        inbox: UnboundedSender<Renewal>,
        open_doors: impl Fn(&[Door], Vec<OwnedFd>) -> Result<(), Cause>,
    ) {
        let mut doors_are_open = false;
        while let Some(received) = self.next().await {
            let heard = match received.message {
                HelperToBroker::Doors(doors) if !doors_are_open => {
                    doors_are_open = true;
                    open_doors(&doors, received.descriptors)
                }
                HelperToBroker::Renewed if self.asked.replace(false) => single(received.descriptors).map(|fd| {
                    let _ = inbox.send(Renewal::Granted(fd));
                }),
                HelperToBroker::NotNow { why } if self.asked.replace(false) => {
                    let _ = inbox.send(Renewal::Undecided(why));
                    Ok(())
                }
                HelperToBroker::Revoked { why } if self.asked.replace(false) => {
                    let _ = inbox.send(Renewal::Revoked(why));
                    Ok(())
                }
                // A grant that waits for a later question would be an old one by then.
                _ => Err(Cause::last("the supervisor said a thing twice, or one that was not asked for")),
            };
            if let Err(cause) = heard {
                self.tell(&BrokerToHelper::Failed { cause: cause.text, retry: None });
                return;
            }
        }
    }

    /// The next message; none if the supervisor is gone or no longer makes sense.
    async fn next(&self) -> Option<Received<HelperToBroker>> {
        loop {
            let mut ready = self.readable.readable().await.ok()?;
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut [PollFd::new(&self.channel, PollFlags::IN)], Some(&now)) {
                Ok(0) => ready.clear_ready(),
                // A frame is sent with one call, so the rest of it does not keep us waiting.
                Ok(_) => return self.channel.receive(Some(Duration::ZERO)).ok(),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}
