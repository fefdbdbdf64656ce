//! The explicit proxy: HTTP and SOCKS5 at one port, told apart by the first byte.

pub(crate) mod http;
pub(crate) mod socks;
pub(crate) mod upstream;

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::places::Place;

/// For a client to say what it wants.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(30);

/// One client, to its end.
pub(crate) async fn serve(gateway: Rc<Gateway>, stream: TcpStream, place: Rc<Place>) {
    let mut first = [0u8];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [socks::VERSION] => socks::serve(&gateway, stream).await,
        Ok(Ok(1)) => http::serve(gateway, stream, place).await,
        _ => {}
    }
}
