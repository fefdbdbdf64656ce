//! Clients that are told one thing and let go.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use rustix::net::{SendFlags, Shutdown};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer;
use crate::vault::{Refused, Vault};

/// A descriptor to close, and the place that becomes free when it is closed.
type Grave = (OwnedFd, OwnedSemaphorePermit);

/// Closes descriptors that came from clients. See [`undertaker`].
pub(crate) type Undertaker = mpsc::Sender<Grave>;

/// Starts the thread that closes what came from clients. Closing may take as long as a client likes: a TCP socket with
/// SO_LINGER, a file of a FUSE file system, or either of them inside the queue of a Unix socket. Minting and the
/// other doors must not wait for that. A place is free again only after the close, so whoever insists can use up the
/// places of these two doors, for its own sandbox.
pub(crate) fn undertaker() -> io::Result<Undertaker> {
    let (sender, graves) = mpsc::channel::<Grave>();
    std::thread::Builder::new().name("closing".into()).stack_size(64 * 1024).spawn(move || {
        for (descriptor, place) in graves {
            drop(descriptor);
            drop(place);
        }
    })?;
    Ok(sender)
}

/// Places for clients at one door.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    undertaker: Undertaker,
}

impl Places {
    pub(super) fn new(count: usize, undertaker: Undertaker) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), undertaker }
    }

    /// Waits for a free place.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Gives the place to a client.
    pub(super) fn seat(&self, place: OwnedSemaphorePermit, descriptor: OwnedFd) -> Client {
        Client { grave: Some((descriptor, place)), undertaker: self.undertaker.clone() }
    }
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    grave: Option<Grave>,
    undertaker: Undertaker,
}

impl Client {
    /// Tells it the answer: at once if there is one, else in a task of its own, so that nobody waits for its wait.
    pub(super) fn serve(self, vault: &Rc<Vault>) {
        match vault.now() {
            Err(Refused::Pending(_)) => {
                let vault = Rc::clone(vault);
                tokio::task::spawn_local(async move {
                    match vault.answer().await {
                        Ok(answer) => self.tell(&answer.process),
                        Err(refused) => self.tell(&answer::refusal(refused.text())),
                    }
                });
            }
            Err(refused) => self.tell(&answer::refusal(refused.text())),
            Ok(answer) => self.tell(&answer.process),
        }
    }

    /// One call that never waits. The answer is far below a socket's buffer, so whoever has no room for it has filled
    /// or shrunk the buffer on purpose and gets nothing.
    fn tell(&self, bytes: &[u8]) {
        if let Some((descriptor, _)) = &self.grave {
            let _ = rustix::net::send(descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            // The end of the answer, however long the close takes.
            let _ = rustix::net::shutdown(descriptor, Shutdown::Write);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(grave) = self.grave.take() {
            // The thread ends with the process only.
            let _ = self.undertaker.send(grave);
        }
    }
}
