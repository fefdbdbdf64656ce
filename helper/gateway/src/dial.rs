//! From what a client asked for to a connection: the rules first, one look-up, every address held against the rules, and
//! the connection goes to an address that was.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dns::lookup::Found;
use crate::gateway::Gateway;
use crate::pool;
use crate::relay::Side;
use crate::rules::{HOST_INTERNAL, Host, Name, Refusal};

/// What an address has as a start before the next is tried as well (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// For all of them together.
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses of one name that are tried.
const TRIED: usize = 8;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule. It has been told.
    Refused(Refusal),
    /// There is no such name, or no address of it.
    NoName,
    /// The name servers did not answer.
    Unresolved,
    /// Nobody answers there.
    Unreachable(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::NoName => f.write_str("there is no such name"),
            Self::Unresolved => f.write_str("the name servers of this machine do not answer"),
            Self::Unreachable(e) => e.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Self::Unreachable(e)
    }
}

/// Connects to what was asked for. What is refused is told.
pub(crate) async fn dial(gateway: &Gateway, host: Host, port: u16) -> Result<Side, Failure> {
    let host = match host {
        Host::Address(address) => stand_in(gateway, address)?,
        host @ Host::Name(_) => host,
    };
    let dialled = match &host {
        Host::Name(name) => by_name(gateway, name, port).await,
        Host::Address(address) => literal(gateway, *address, port).await,
    };
    if let Err(Failure::Refused(why)) = &dialled {
        gateway.blocked.report(&host.to_string(), port, why);
    }
    dialled
}

/// The name that an address of the pool stands for.
fn stand_in(gateway: &Gateway, address: IpAddr) -> Result<Host, Failure> {
    let address = address.to_canonical();
    let name = match pool::number(address) {
        None => return Ok(Host::Address(address)),
        Some(pool::HOST) => Name::parse(HOST_INTERNAL).ok(),
        Some(number) => gateway.pool.borrow_mut().name(number),
    };
    name.map(Host::Name).ok_or(Failure::NoName)
}

async fn by_name(gateway: &Gateway, name: &Name, port: u16) -> Result<Side, Failure> {
    gateway.rules.name(name, port).map_err(Failure::Refused)?;
    if name.as_str() == HOST_INTERNAL {
        return local(gateway, port).await;
    }
    if let Some(proxy) = &gateway.proxy {
        return proxy.connect(gateway, name, port).await;
    }
    let addresses = resolve(gateway, name).await?;
    let permitted = gateway.permitted(name, &addresses, port).map_err(Failure::Refused)?;
    Ok(race(permitted).await?.into())
}

/// The addresses of a name, none of them checked.
pub(crate) async fn resolve(gateway: &Gateway, name: &Name) -> Result<std::rc::Rc<[IpAddr]>, Failure> {
    match gateway.lookups.find(name).await {
        Found::Addresses(addresses) => Ok(addresses),
        Found::NoAddress | Found::NoName => Err(Failure::NoName),
        Found::Failed => Err(Failure::Unresolved),
    }
}

async fn literal(gateway: &Gateway, address: IpAddr, port: u16) -> Result<Side, Failure> {
    let own = gateway.own.has(address);
    gateway.rules.literal(address, port, own).map_err(Failure::Refused)?;
    Ok(race(vec![SocketAddr::new(address, port)]).await?.into())
}

/// A port of the host's loopback.
pub(crate) async fn local(gateway: &Gateway, port: u16) -> Result<Side, Failure> {
    gateway.rules.local(port).map_err(Failure::Refused)?;
    let places = vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    Ok(race(places).await?.into())
}

/// The first that answers. Each has a head start before the next, or none if it failed.
pub(crate) async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let run = async {
        let mut running = JoinSet::new();
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut next = addresses.into_iter().take(TRIED);
        loop {
            let more = next.next();
            let is_last = more.is_none();
            if let Some(address) = more {
                running.spawn_local(TcpStream::connect(address));
            }
            let wait = if is_last { PATIENCE } else { HEAD_START };
            match timeout(wait, running.join_next()).await {
                Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
                Ok(Some(Ok(Err(e)))) => last = e,
                Ok(Some(Err(e))) => last = e.into(),
                Ok(None) if is_last => return Err(last),
                Ok(None) | Err(_) => {}
            }
        }
    };
    timeout(PATIENCE, run).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
