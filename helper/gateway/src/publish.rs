//! Ports of the agent's loopback on the host's: for login callbacks and dev servers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use agent_aws_pipes::{GatewayToPlumber, PlumberToGateway};
use agent_aws_protocol::Channel;
use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::relay::{relay, reset};
use crate::serve::Ears;
use crate::sys;

/// For the plumber to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes the ports of the host. Before the process is confined, which can listen to nothing new.
pub(crate) fn bind(ports: &[u16]) -> Result<Vec<(u16, StdListener)>, String> {
    let bind = |&port: &u16| {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|e| format!("port {port} of 127.0.0.1 cannot be published: {e}; choose another --publish port"))?;
        Ok((port, listener))
    };
    ports.iter().map(bind).collect()
}

/// Who makes sockets in the sandbox's network namespace.
#[derive(Debug)]
pub(crate) struct Plumber {
    /// None after it broke off: a late answer would be taken for the next one.
    line: Mutex<Option<(Channel, AsyncFd<OwnedFd>)>>,
    /// The namespace of the listeners.
    cookie: Option<u64>,
}

impl Plumber {
    pub(crate) fn new(channel: Channel, cookie: Option<u64>) -> io::Result<Self> {
        let watched = sys::watch(channel.as_fd().try_clone_to_owned()?)?;
        Ok(Self { line: Mutex::new(Some((channel, watched))), cookie })
    }

    async fn socket(&self, v6: bool) -> io::Result<OwnedFd> {
        let mut line = self.line.lock().await;
        let (channel, watched) = line.take().ok_or(io::ErrorKind::NotConnected)?;
        let ask = async {
            channel.send(&GatewayToPlumber::Socket { v6 }).map_err(io::Error::other)?;
            let mut ready = watched.readable().await?;
            ready.clear_ready();
            channel.receive::<PlumberToGateway>(Some(Duration::ZERO)).map_err(io::Error::other)
        };
        let mut received = timeout(PATIENCE, ask).await??;
        let socket = match (received.message, received.descriptors.pop()) {
            (PlumberToGateway::Socket, Some(socket)) if received.descriptors.is_empty() => socket,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        *line = Some((channel, watched));
        self.check(&socket, v6)?;
        Ok(socket)
    }

    /// A TCP socket of that namespace and of no other: the host's would lead anywhere.
    fn check(&self, socket: &OwnedFd, v6: bool) -> io::Result<()> {
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let good = sockopt::socket_domain(socket)? == family
            && sockopt::socket_type(socket)? == SocketType::STREAM
            && sockopt::socket_protocol(socket)? == Some(rustix::net::ipproto::TCP)
            && self.cookie.is_some_and(|cookie| sys::namespace_cookie(socket).is_ok_and(|other| other == cookie));
        if good { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let v4 = self.connect_to((Ipv4Addr::LOCALHOST, port).into()).await;
        match v4 {
            Ok(stream) => Ok(stream),
            Err(_) => self.connect_to((Ipv6Addr::LOCALHOST, port).into()).await,
        }
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = std::net::TcpStream::from(self.socket(address.is_ipv6()).await?);
        socket.set_nonblocking(true)?;
        TcpSocket::from_std_stream(socket).connect(address).await
    }
}

/// Serves one port for ever.
pub(crate) async fn serve(gateway: Rc<Gateway>, plumber: Rc<Plumber>, port: u16, listener: TcpListener) {
    let ears = Ears::new(listener);
    loop {
        let Some((client, place)) = ears.next(&gateway).await else { continue };
        let (gateway, plumber) = (Rc::clone(&gateway), Rc::clone(&plumber));
        tokio::task::spawn_local(async move {
            match plumber.connect(port).await {
                Ok(inside) => relay(&gateway.scratch, client.into(), inside.into()).await,
                Err(_) => reset(client),
            }
            drop(place);
        });
        tokio::task::yield_now().await;
    }
}
