//! STS over TLS, name resolution and trusted certificates included, all of it under the filter.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::scene::{Broker, SECRET, Start, emulator, file, keys, minting, open_directory};

/// TLS for `localhost` in front of `upstream`; its port, and its certificate.
fn front(upstream: SocketAddr) -> (u16, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await?;
                    let mut inner = tokio::net::TcpStream::connect(upstream).await?;
                    tokio::io::copy_bidirectional(&mut outer, &mut inner).await
                });
            }
        });
    });
    (port, cert.pem())
}

#[test]
fn a_session_is_minted_where_a_trusted_certificate_vouches_for_the_name() {
    let sts = emulator(None);
    let (port, certificate) = front(sts.address());
    let directory = open_directory();
    let trusted = directory.path().join("trusted.pem");
    std::fs::write(&trusted, certificate).unwrap();
    let mut tls = minting(&sts);
    tls.sts_endpoint = Some(format!("https://localhost:{port}"));
    let start =
        Start { environment: vec![("SSL_CERT_FILE".into(), trusted.display().to_string())], ..Start::default() };
    let broker = Broker::start_as(&start, tls, Some(file(&keys(SECRET))));
    let key = broker.minted().access_key_id;
    assert_eq!(broker.by_socket()["AccessKeyId"], key);
}

#[test]
fn an_unknown_certificate_is_refused_and_nothing_is_sent() {
    let sts = emulator(None);
    let (port, _) = front(sts.address());
    let mut tls = minting(&sts);
    tls.sts_endpoint = Some(format!("https://localhost:{port}"));
    let broker = Broker::start(tls, Some(file(&keys(SECRET))));
    let (cause, _) = broker.failed();
    assert!(cause.contains("cannot be reached: invalid peer certificate"), "{cause}");
    assert!(sts.requests().is_empty());
}
