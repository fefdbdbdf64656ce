//! Both ways, over sockets of loopback.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A client, a server, and a relay between them.
fn between(test: impl AsyncFnOnce(TcpStream, TcpStream, tokio::task::JoinHandle<()>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (client, left) = pair().await;
        let (right, server) = pair().await;
        let relay = tokio::task::spawn_local(async move {
            relay(&Scratch::default(), left.into(), Side { stream: right, early: Bytes::from_static(b"early ") }).await;
        });
        let all = test(client, server, relay);
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    });
}

#[test]
fn what_was_read_already_comes_first_and_half_of_a_connection_may_end() {
    between(async |mut client, mut server, relay| {
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "question");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "early answer");
        relay.await.unwrap();
    });
}

#[test]
fn much_passes_a_slow_reader_whole() {
    between(async |mut client, mut server, _relay| {
        const SIZE: usize = 24 * 1024 * 1024;
        let writer = tokio::task::spawn_local(async move {
            let chunk: Vec<u8> = (0..=250u8).cycle().take(100_000).collect();
            let mut left = SIZE;
            while left > 0 {
                let n = left.min(chunk.len());
                server.write_all(&chunk[..n]).await.unwrap();
                left -= n;
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        writer.await.unwrap();
        assert_eq!(heard.len(), SIZE + b"early ".len());
        let chunk: Vec<u8> = (0..=250u8).cycle().take(100_000).collect();
        assert!(heard[6..].chunks(100_000).all(|part| part == &chunk[..part.len()]));
    });
}

#[test]
fn a_reset_is_passed_on_even_after_half_an_end() {
    between(async |mut client, mut server, relay| {
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        reset(client);
        let gone = loop {
            match server.write_all(&[0; 1024]).await {
                Ok(()) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(e) => break e.kind(),
            }
        };
        assert!(matches!(gone, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{gone:?}");
        relay.await.unwrap();
    });
}

#[test]
fn a_reset_of_the_server_reaches_the_client() {
    between(async |mut client, server, relay| {
        reset(server);
        let mut heard = Vec::new();
        let e = client.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::ConnectionReset);
        relay.await.unwrap();
    });
}
