//! The container credentials endpoint, which every SDK asks natively.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::answer::Answer;
use crate::vault::{Refused, Vault};

/// Connections at once. One more, and the oldest goes: a client needs milliseconds, so the oldest is one that idles.
const CONNECTIONS: usize = 512;
/// For a request to arrive, or to follow on a kept connection.
const HEADER: Duration = Duration::from_secs(5);
/// For a connection as a whole, however it is used.
const CONNECTION: Duration = Duration::from_secs(60);
/// For a request with all its headers, in bytes.
const LARGEST: usize = 8 * 1024;
/// Pause after a failed accept: out of descriptors or memory, which passes.
const PAUSE: Duration = Duration::from_millis(20);

type Reply = Response<Full<Bytes>>;

/// Serves for ever.
pub(super) fn serve(listener: OwnedFd, vault: Rc<Vault>) -> io::Result<()> {
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    tokio::task::spawn_local(async move {
        let open = Rc::new(RefCell::new(VecDeque::new()));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => admit(&open, connection(stream, Rc::clone(&vault))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Ok(())
}

fn admit(open: &Rc<RefCell<VecDeque<AbortHandle>>>, connection: impl Future<Output = ()> + 'static) {
    let mut open = open.borrow_mut();
    open.retain(|c| !c.is_finished());
    if open.len() >= CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
    open.push_back(tokio::task::spawn_local(connection).abort_handle());
}

/// One client, from its first byte to its last.
pub(super) async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, vault: Rc<Vault>) {
    let service = service_fn(|request| {
        let vault = Rc::clone(&vault);
        async move { Ok::<_, Infallible>(reply(&request, &vault).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(LARGEST)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away or sends garbage is no event.
    let _ = tokio::time::timeout(CONNECTION, connection).await;
}

async fn reply(request: &Request<Incoming>, vault: &Vault) -> Reply {
    if let Err(misuse) = check(request) {
        return misuse.reply();
    }
    match vault.answer().await {
        Ok(answer) => respond(StatusCode::OK, Bytes::from_owner(Served(answer))),
        Err(refused) => refuse(&refused),
    }
}

/// How a request can ask for something else than the one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misuse {
    Method,
    Parameter,
    Host,
    Path,
}

impl Misuse {
    fn reply(self) -> Reply {
        match self {
            Self::Method => {
                let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "only GET");
                reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
                reply
            }
            Self::Parameter => {
                let text = "no parameter is taken: neither a query nor a body";
                error(StatusCode::BAD_REQUEST, "BadRequest", text)
            }
            Self::Host => error(StatusCode::BAD_REQUEST, "BadRequest", "the Host header must be an address"),
            Self::Path => error(StatusCode::NOT_FOUND, "NotFound", "only / and /credentials"),
        }
    }
}

/// There is one thing to ask for, and one way to ask.
fn check<B: Body>(request: &Request<B>) -> Result<(), Misuse> {
    if request.method() != Method::GET {
        return Err(Misuse::Method);
    }
    if !request.body().is_end_stream() || request.uri().query().is_some() {
        return Err(Misuse::Parameter);
    }
    // A page whose name was made to resolve to this address must not read it in a browser inside.
    if !request.headers().get(HOST).is_some_and(is_address) {
        return Err(Misuse::Host);
    }
    match request.uri().path() {
        "/" | "/credentials" => Ok(()),
        _ => Err(Misuse::Path),
    }
}

fn is_address(host: &HeaderValue) -> bool {
    host.to_str().is_ok_and(|host| {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let name = host.split(':').next();
        host.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok() || name == Some("localhost")
    })
}

/// With a known cause the status is 4xx: Rust, Go and Java retry a 5xx with growing pauses before they show anything,
/// and JS v3 keeps code and message of a 4xx only. botocore and JS v3 try three times, a second apart, whatever the
/// status, and botocore then prints the body. A mint that is under way is 503, which is worth those retries.
fn refuse(refused: &Refused) -> Reply {
    let (status, code) = match refused {
        Refused::Pending(_) => (StatusCode::SERVICE_UNAVAILABLE, "NotYetMinted"),
        Refused::Failed(_) => (StatusCode::FAILED_DEPENDENCY, "MintFailed"),
        Refused::Revoked(_) => (StatusCode::FORBIDDEN, "Revoked"),
    };
    error(status, code, refused.text())
}

/// Both spellings: Go reads `message`, JS v3 `Message`.
fn error(status: StatusCode, code: &str, text: &str) -> Reply {
    let body = serde_json::json!({ "code": code, "message": text, "Code": code, "Message": text });
    respond(status, Bytes::from(body.to_string()))
}

fn respond(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// Lends the answer's bytes to hyper, so that they are cleared with the answer.
struct Served(Arc<Answer>);

impl AsRef<[u8]> for Served {
    fn as_ref(&self) -> &[u8] {
        &self.0.container
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;

    fn status(method: &str, uri: &str, host: &str) -> u16 {
        let request =
            Request::builder().method(method).uri(uri).header(HOST, host).body(Empty::<Bytes>::new()).unwrap();
        check(&request).map_or_else(|misuse| misuse.reply().status().as_u16(), |()| 200)
    }

    #[test]
    fn only_get_of_two_paths_without_query_is_served() {
        assert_eq!(status("GET", "/", "169.254.170.2"), 200);
        assert_eq!(status("GET", "/credentials", "169.254.170.2"), 200);
        assert_eq!(status("PUT", "/", "169.254.170.2"), 405);
        assert_eq!(status("GET", "/?role=other", "169.254.170.2"), 400);
        assert_eq!(status("GET", "/latest/meta-data", "169.254.170.2"), 404);
    }

    #[test]
    fn a_body_is_a_parameter_and_none_is_taken() {
        let request = Request::builder().header(HOST, "127.0.0.1").body(Full::new(Bytes::from("x")));
        assert_eq!(check(&request.unwrap()), Err(Misuse::Parameter));
    }

    #[test]
    fn a_name_that_was_made_to_resolve_here_is_refused() {
        assert_eq!(status("GET", "/", "evil.example"), 400);
        assert_eq!(status("GET", "/", "169.254.170.2.evil.example"), 400);
        for host in ["127.0.0.1:8080", "[::1]:80", "[::1]", "localhost:9"] {
            assert_eq!(status("GET", "/", host), 200, "{host}");
        }
    }

    #[test]
    fn a_known_cause_is_not_worth_a_retry_and_a_mint_under_way_is() {
        assert_eq!(refuse(&Refused::Failed("x".into())).status(), 424);
        assert_eq!(refuse(&Refused::Revoked("x".into())).status(), 403);
        assert_eq!(refuse(&Refused::Pending("x".into())).status(), 503);
    }
}
