//! The listeners of the sandbox.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use agent_aws_pipes::PROXY_PORT;
use tokio::net::{TcpListener, TcpStream};

use crate::dial::{self, Failure};
use crate::dns::server::serve_tcp;
use crate::gateway::Gateway;
use crate::places::Place;
use crate::relay::{Side, relay, reset};
use crate::rules::Host;
use crate::{pool, proxy};

/// The resolver's port.
const DNS: u16 = 53;
/// Pause after a failed accept: out of memory, which passes.
const PAUSE: Duration = Duration::from_millis(20);
/// Accepted in a row before others have their turn.
const IN_A_ROW: usize = 64;

/// What a listener is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    /// Whatever was dialled.
    Any,
    /// Questions for names.
    Dns,
    /// A port of the host's loopback.
    Local(u16),
}

/// Makes a listener of a descriptor.
pub(crate) fn listener(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves for ever.
pub(crate) async fn serve(gateway: Rc<Gateway>, listener: TcpListener, door: Door) {
    let ears = Ears::new(listener);
    loop {
        for _ in 0..IN_A_ROW {
            let Some((stream, place)) = ears.next(&gateway).await else { continue };
            let gateway = Rc::clone(&gateway);
            tokio::task::spawn_local(async move { connection(gateway, stream, place, door).await });
        }
        tokio::task::yield_now().await;
    }
}

/// A listener that answers even when nothing can be accepted any more.
#[derive(Debug)]
pub(crate) struct Ears {
    listener: TcpListener,
    /// Closed to accept, and thereby refuse, a connection for which there is no descriptor.
    spare: RefCell<Option<OwnedFd>>,
}

impl Ears {
    pub(crate) fn new(listener: TcpListener) -> Self {
        let spare = RefCell::new(listener.as_fd().try_clone_to_owned().ok());
        Self { listener, spare }
    }

    /// The next connection that there is a place for.
    pub(crate) async fn next(&self, gateway: &Gateway) -> Option<(TcpStream, Rc<Place>)> {
        match self.listener.accept().await {
            Ok((stream, _)) => {
                let place = gateway.places.take();
                if place.is_none() {
                    refuse_for_lack(gateway, stream);
                    return None;
                }
                Some((stream, place?))
            }
            Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                self.make_room(gateway).await;
                None
            }
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }

    async fn make_room(&self, gateway: &Gateway) {
        drop(self.spare.take());
        if let Ok(accepted) = tokio::time::timeout(PAUSE, self.listener.accept()).await
            && let Ok((stream, _)) = accepted
        {
            refuse_for_lack(gateway, stream);
        } else {
            // Whoever took the descriptor meanwhile will give one back.
            tokio::time::sleep(PAUSE).await;
        }
        *self.spare.borrow_mut() = self.listener.as_fd().try_clone_to_owned().ok();
    }
}

fn refuse_for_lack(gateway: &Gateway, stream: TcpStream) {
    reset(stream);
    gateway.blocked.report(
        "(descriptors)",
        0,
        "too many connections at once; raise the limit of open files (ulimit -n)",
    );
}

async fn connection(gateway: Rc<Gateway>, stream: TcpStream, place: Rc<Place>, door: Door) {
    let Ok(dialled) = stream.local_addr() else { return };
    let dialled = SocketAddr::new(dialled.ip().to_canonical(), dialled.port());
    match door {
        Door::Dns => drop(serve_tcp(&gateway, stream).await),
        Door::Any if dialled.port() == DNS => drop(serve_tcp(&gateway, stream).await),
        Door::Local(port) => join(&gateway, stream, dial::local(&gateway, port).await).await,
        Door::Any if pool::number(dialled.ip()) == Some(pool::GATEWAY) => {
            if dialled.port() == PROXY_PORT {
                proxy::serve(gateway, stream, place).await;
            } else {
                reset(stream);
            }
        }
        Door::Any => {
            let server = dial::dial(&gateway, Host::Address(dialled.ip()), dialled.port()).await;
            join(&gateway, stream, server).await;
        }
    }
}

/// Joins a client with what it asked for. A refusal is a reset, so that it fails at once.
async fn join(gateway: &Gateway, client: TcpStream, server: Result<Side, Failure>) {
    match server {
        Ok(server) => relay(&gateway.scratch, client.into(), server).await,
        Err(_) => reset(client),
    }
}
