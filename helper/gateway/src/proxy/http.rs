//! HTTP: CONNECT, and requests for `http://` in absolute form.

use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::HANDSHAKE;
use crate::dial::{Failure, dial};
use crate::gateway::Gateway;
use crate::places::Place;
use crate::relay::{Side, relay};
use crate::rules::Host;

/// For the head of a request, in bytes.
const LARGEST: usize = 64 * 1024;
/// Why a request was refused, for programs.
const REFUSED: HeaderName = HeaderName::from_static("x-agent-aws-refused");
/// Headers between two neighbours, which a proxy keeps (RFC 9110, 7.6.1; `Proxy-Connection` was never a header and is sent).
const HOP_BY_HOP: &[&str] = &[
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
];

pub(crate) type Body = Either<Incoming, Full<Bytes>>;

pub(crate) async fn serve(gateway: Rc<Gateway>, stream: TcpStream, place: Rc<Place>) {
    connection(stream, async |request| handle(&gateway, request, &place).await).await;
}

/// Reads requests and gives each to `handle`.
pub(crate) async fn connection<S>(stream: S, handle: impl AsyncFn(Request<Incoming>) -> Response<Body>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| async { Ok::<_, Infallible>(handle(request).await) });
    // A client that goes away or sends garbage is no event.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_buf_size(LARGEST)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// What a request is for.
#[derive(Debug)]
pub(crate) struct Target {
    host: Host,
    port: u16,
    is_tunnel: bool,
}

/// Reads it of a request's line. The error is for the client.
pub(crate) fn target(request: &Request<Incoming>) -> Result<Target, Box<Response<Body>>> {
    let is_tunnel = request.method() == Method::CONNECT;
    let wrong = |why: &str| Err(Box::new(respond(StatusCode::BAD_REQUEST, why)));
    let Some(authority) = request.uri().authority() else {
        return wrong("this is a proxy: it takes CONNECT, and requests for http:// addresses");
    };
    let port = match (is_tunnel, request.uri().scheme_str()) {
        (true, _) => authority.port_u16(),
        (false, Some("http")) => authority.port_u16().or(Some(80)),
        (false, _) => return wrong("this proxy asks for http:// only; for everything else it takes CONNECT"),
    };
    let Some(port) = port.filter(|port| *port > 0) else { return wrong("CONNECT needs a port") };
    match Host::parse(authority.host()) {
        Ok(host) => Ok(Target { host, port, is_tunnel }),
        Err(e) => Err(Box::new(refuse(&e.to_string()))),
    }
}

async fn handle(gateway: &Rc<Gateway>, request: Request<Incoming>, place: &Rc<Place>) -> Response<Body> {
    let target = match target(&request) {
        Ok(target) => target,
        Err(response) => return *response,
    };
    let asked = format!("{}:{}", target.host, target.port);
    let server = match dial(gateway, target.host, target.port).await {
        Ok(server) => server,
        Err(failure) => return explain(&asked, &failure),
    };
    if !target.is_tunnel {
        return exchange(request, server)
            .await
            .unwrap_or_else(|e| respond(StatusCode::BAD_GATEWAY, &format!("agent-aws: {asked} broke off: {e}")));
    }
    let (gateway, place) = (Rc::clone(gateway), Rc::clone(place));
    tokio::task::spawn_local(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await
            && let Some(client) = plain(upgraded)
        {
            relay(&gateway.scratch, client, server).await;
        }
        drop(place);
    });
    Response::new(Either::Right(Full::default()))
}

/// The connection below, with what was read of it already.
pub(crate) fn plain(upgraded: Upgraded) -> Option<Side> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Side { stream: parts.io.into_inner(), early: parts.read_buf })
}

/// One request and its response.
async fn exchange(mut request: Request<Incoming>, server: Side) -> hyper::Result<Response<Body>> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LARGEST)
        .handshake::<_, Incoming>(TokioIo::new(server.stream))
        .await?;
    tokio::task::spawn_local(connection);
    let uri = std::mem::take(request.uri_mut());
    strip(request.headers_mut());
    if let Some(host) = uri.authority().and_then(host_header) {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    *request.version_mut() = hyper::Version::HTTP_11;
    let mut response = sender.send_request(request).await?;
    strip(response.headers_mut());
    Ok(response.map(Either::Left))
}

/// Of what was dialled, whatever the client wrote into the header: a name that is let through must not lend another name
/// its way.
fn host_header(authority: &Authority) -> Option<HeaderValue> {
    let bare = authority.as_str().rsplit('@').next().unwrap_or_default();
    HeaderValue::from_str(bare).ok()
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

fn explain(asked: &str, failure: &Failure) -> Response<Body> {
    let status = match failure {
        Failure::Refused(why) => return refuse(&format!("{asked} ({why})")),
        Failure::NoName | Failure::Unresolved => StatusCode::BAD_GATEWAY,
        Failure::Unreachable(e) if e.kind() == std::io::ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Failure::Unreachable(_) => StatusCode::BAD_GATEWAY,
    };
    respond(status, &format!("agent-aws: no connection to {asked}: {failure}"))
}

fn refuse(why: &str) -> Response<Body> {
    let mut response = respond(StatusCode::FORBIDDEN, &format!("agent-aws: blocked {why}"));
    if let Ok(value) = HeaderValue::from_str(why) {
        response.headers_mut().insert(REFUSED, value);
    }
    response
}

fn respond(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
