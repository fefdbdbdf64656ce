//! HTTP: connections, limits, and the faults that live here (delay, hang, huge body).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::answer::{Answer, STS};
use crate::error::ApiError;
use crate::faults::Strike;
use crate::sigv4::SignedRequest;
use crate::state::State;
use crate::{clock, control, dispatch};

const MAX_BODY: usize = 1024 * 1024;
const MAX_CONNECTIONS: usize = 256;
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 * 1024;
const READ_TIMEOUT: Duration = Duration::from_secs(20);
const HUGE_BODY: usize = 64 * 1024 * 1024;

type Answered = Response<Either<Full<Bytes>, HugeBody>>;

/// Accepts connections until the returned future is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    connection(stream, state).await;
                    drop(slot);
                });
            }
            // Out of descriptors, or a client that left: neither lasts.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(respond(&state, request).await) }
    });
    // An error here is the client's: it left, or did not speak HTTP.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(state: &State, request: Request<Incoming>) -> Answered {
    let (parts, body) = request.into_parts();
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > MAX_BODY) {
        return finish(state, too_large());
    }
    let body = match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return finish(state, too_large()),
        Err(_) => return finish(state, refusal(408, "RequestTimeout", "The body did not come in time.")),
    };
    let path = parts.uri.path();
    if path.starts_with(control::PREFIX) {
        return finish(state, control::handle(state, parts.method.as_str(), path, &body));
    }
    let headers: Vec<(String, Vec<u8>)> =
        parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let request = SignedRequest {
        method: parts.method.as_str(),
        path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let (delay_ms, strike) = state.next_fault();
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let Some(strike) = strike else {
        return finish(state, dispatch::handle(state, &request));
    };
    match (dispatch::handle_struck(state, &request, &strike), strike) {
        (Some(answer), _) => finish(state, answer),
        (None, Strike::HugeBody) => Response::new(Either::Right(HugeBody { left: HUGE_BODY })),
        (None, _) => std::future::pending().await,
    }
}

fn too_large() -> Answer {
    refusal(413, "RequestEntityTooLarge", "The body must not exceed 1 MiB.")
}

fn refusal(status: u16, code: &'static str, message: &str) -> Answer {
    STS.error(&ApiError::new(status, code, message))
}

fn finish(state: &State, answer: Answer) -> Answered {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(answer.body))));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    // Clients correct their clock from this, so it has to be the clock that judges them.
    if let Ok(date) = HeaderValue::from_str(&clock::http_date(state.now())) {
        headers.insert(DATE, date);
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// XML that goes on, made as it is read.
#[derive(Debug)]
pub(crate) struct HugeBody {
    left: usize,
}

impl Body for HugeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        const CHUNK: &[u8] = &[b'x'; 64 * 1024];
        let whole = self.left == HUGE_BODY;
        let Some(left) = self.left.checked_sub(CHUNK.len()) else {
            return Poll::Ready(None);
        };
        self.left = left;
        let chunk = if whole { b"<AssumeRoleResponse>".as_slice() } else { CHUNK };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}
