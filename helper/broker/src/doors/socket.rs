//! The Unix socket: connect, read the answer, done.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::SocketFlags;
use tokio::io::Interest;

use super::clients::{Places, Undertaker};
use crate::sys;
use crate::vault::Vault;

/// Clients at once; more wait in the listener's backlog.
const CLIENTS: usize = 1024;
/// Pause after a failed accept: out of descriptors or memory, which passes.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves for ever.
pub(super) fn serve(listener: OwnedFd, undertaker: Undertaker, vault: Rc<Vault>) -> io::Result<()> {
    // Another client's connection may be gone between the wake-up and accept.
    rustix::io::ioctl_fionbio(&listener, true)?;
    let listener = sys::watch(listener)?;
    let places = Places::new(CLIENTS, undertaker);
    tokio::task::spawn_local(async move {
        while let Some(place) = places.free().await {
            let accepted =
                listener.async_io(Interest::READABLE, |l| Ok(rustix::net::accept_with(l, SocketFlags::CLOEXEC)?)).await;
            match accepted {
                Ok(connection) => places.seat(place, connection).serve(&vault),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            tokio::task::yield_now().await;
        }
    });
    Ok(())
}
