//! Every parser that reads what the agent sends, behind one function each: for the fuzz targets, and for the bounded run in
//! the ordinary tests.

use std::time::Duration;

use agent_aws_protocol::gateway;
use http_body_util::{Either, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::blocked::Blocked;
use crate::dns::answer::{Over, answer};
use crate::gateway::Gateway;
use crate::rules::{Host, check_word};
use crate::{dns, proxy};

/// No input takes so long.
const LIMIT: Duration = Duration::from_secs(5);
/// What a pipe of the tests holds, in bytes.
const PIPE: usize = 64 * 1024;

fn run<T>(future: impl Future<Output = T>) -> Option<T> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    LocalSet::new().block_on(&runtime, async { tokio::time::timeout(LIMIT, future).await.ok() })
}

/// A DNS message of a client, answered by a gateway that asks nobody. Returns the answer.
pub fn dns_message(bytes: &[u8]) -> Option<Vec<u8>> {
    let rules = gateway::Rules {
        allow: vec!["*".into()],
        upstream_proxy: Some("http://127.0.0.1:1".into()),
        local_ports: vec![80],
        ..gateway::Rules::default()
    };
    let gateway = Gateway::new(&rules, b"", b"", Blocked::new(|_| true)).ok()?;
    run(async {
        let by_udp = answer(&gateway, bytes, Over::Udp).await;
        answer(&gateway, bytes, Over::Tcp).await.or(by_udp)
    })?
}

/// What a name server answers.
pub fn dns_answer(bytes: &[u8]) {
    dns::lookup::read(bytes);
}

/// A word of a rule, and the same text as a host.
pub fn word(text: &str) {
    let _ = check_word(text);
    let _ = Host::parse(text);
}

/// Bytes of a client of the explicit proxy, HTTP.
pub fn http(bytes: &[u8]) {
    let handle = async |request: hyper::Request<hyper::body::Incoming>| match proxy::http::target(&request) {
        Ok(_) => hyper::Response::new(Either::Right(Full::default())),
        Err(response) => *response,
    };
    run(talk(bytes, async |stream| proxy::http::connection(stream, handle).await));
}

/// Bytes of a client of the explicit proxy, SOCKS5.
pub fn socks(bytes: &[u8]) {
    run(talk(bytes, async |stream| drop(proxy::socks::greet(stream).await)));
}

/// A client that says `bytes`, says no more, and listens until the other side has ended.
async fn talk(bytes: &[u8], serve: impl AsyncFnOnce(DuplexStream)) {
    let (mut client, server) = tokio::io::duplex(PIPE);
    let client = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard).await;
    };
    tokio::join!(serve(server), client);
}
