//! SOCKS5, CONNECT only, without authentication (RFC 1928).

use std::net::{Ipv4Addr, SocketAddr};

use fast_socks5::server::{Socks5ServerProtocol, states};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::HANDSHAKE;
use crate::dial::{Failure, dial};
use crate::gateway::Gateway;
use crate::relay::relay;
use crate::rules::Host;

/// First byte of a client.
pub(crate) const VERSION: u8 = 5;

/// A client that has said what it wants.
type Asked<S> = (Socks5ServerProtocol<S, states::CommandRead>, Socks5Command, TargetAddr);

pub(crate) async fn serve(gateway: &Gateway, stream: TcpStream) {
    let Ok(Some((protocol, command, target))) = timeout(HANDSHAKE, greet(stream)).await else { return };
    if command != Socks5Command::TCPConnect {
        let _ = protocol.reply_error(&ReplyError::CommandNotSupported).await;
        return;
    }
    let (host, port) = match target {
        TargetAddr::Ip(address) => (Ok(Host::Address(address.ip())), address.port()),
        TargetAddr::Domain(name, port) => (Host::parse(&name), port),
    };
    let dialled = match host {
        Ok(host) => dial(gateway, host, port).await,
        Err(e) => Err(Failure::Refused(e.to_string())),
    };
    match dialled {
        Ok(server) => {
            let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let here = server.stream.local_addr().unwrap_or(nowhere);
            if let Ok(client) = protocol.reply_success(here).await {
                relay(&gateway.scratch, client.into(), server).await;
            }
        }
        Err(failure) => drop(protocol.reply_error(&code(&failure)).await),
    }
}

/// Reads method and request. None if that is not what they are.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<Asked<S>> {
    Socks5ServerProtocol::accept_no_auth(stream).await.ok()?.read_command().await.ok()
}

fn code(failure: &Failure) -> ReplyError {
    match failure {
        Failure::Refused(_) => ReplyError::ConnectionNotAllowed,
        Failure::NoName | Failure::Unresolved => ReplyError::HostUnreachable,
        Failure::Unreachable(e) => match e.kind() {
            std::io::ErrorKind::ConnectionRefused => ReplyError::ConnectionRefused,
            std::io::ErrorKind::NetworkUnreachable => ReplyError::NetworkUnreachable,
            _ => ReplyError::HostUnreachable,
        },
    }
}
