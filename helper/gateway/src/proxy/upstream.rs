//! The proxy of a corporate network, through which every connection to a name goes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::http::plain;
use crate::dial::{Failure, race, resolve};
use crate::gateway::Gateway;
use crate::relay::Side;
use crate::rules::{Host, Name, Rules};

/// For the proxy to connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is, and how it is greeted.
#[derive(Debug)]
pub(crate) struct UpstreamProxy {
    host: Host,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl UpstreamProxy {
    /// Reads `http://[user:password@]HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Never the text itself: it may have a password.
        let wrong = || "upstream-proxy is not of the form http://[USER:PASSWORD@]HOST:PORT".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        let host = Host::parse(authority.host()).map_err(|_| wrong())?;
        let port = authority.port_u16().filter(|port| *port > 0).ok_or_else(wrong)?;
        let authorization = match authority.as_str().rsplit_once('@') {
            Some((user, _)) => Some(basic(user).ok_or_else(wrong)?),
            None => None,
        };
        Ok(Self { host, port, authorization })
    }

    /// A connection to `name`, which the proxy resolves.
    pub(crate) async fn connect(&self, gateway: &Gateway, name: &Name, port: u16) -> Result<Side, Failure> {
        let addresses: Rc<[IpAddr]> = match &self.host {
            Host::Name(name) => resolve(gateway, name).await?,
            Host::Address(address) => Rc::new([*address]),
        };
        let good = addresses.iter().filter(|address| Rules::proxy(**address).is_ok());
        let stream = race(good.map(|address| SocketAddr::new(*address, self.port)).collect()).await?;
        match timeout(PATIENCE, self.tunnel(stream.into(), name, port)).await {
            Ok(tunnel) => Ok(tunnel.map_err(|e| io::Error::other(format!("the upstream proxy: {e}")))?),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    async fn tunnel(
        &self,
        side: Side,
        name: &Name,
        port: u16,
    ) -> Result<Side, Box<dyn std::error::Error + Send + Sync>> {
        let to = format!("{name}:{port}");
        let mut request = Request::builder().method(Method::CONNECT).uri(&to).header(HOST, &to);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(side.stream)).await?;
        tokio::task::spawn_local(connection.with_upgrades());
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()).into());
        }
        plain(hyper::upgrade::on(response).await?).ok_or_else(|| "no connection".into())
    }
}

/// RFC 7617, of what stands before the host in a URL.
fn basic(user: &str) -> Option<HeaderValue> {
    let decoded: Vec<u8> = percent_decode_str(user).collect();
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(decoded))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_decoded_and_never_told() {
        let proxy = UpstreamProxy::parse("http://al%40ice:s%3Acret@proxy.corp:3128").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic YWxAaWNlOnM6Y3JldA==");
        assert_eq!((proxy.host.to_string().as_str(), proxy.port), ("proxy.corp", 3128));
        assert!(!format!("{proxy:?}").contains("YWxA"));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        for text in [
            "", "proxy.corp:3128", "https://proxy.corp:3128", "http://proxy.corp", "http://s3cret@:1",
            "http://proxy.corp:3128/x", "http://proxy.corp:0", "http://2130706433:1",
        ] {
            let e = UpstreamProxy::parse(text).unwrap_err();
            assert!(e.contains("http://[USER") && !e.contains("s3cret"), "{text}: {e}");
        }
        assert!(UpstreamProxy::parse("http://[::1]:3128/").is_ok());
    }
}
