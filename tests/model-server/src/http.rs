//! HTTP: connections, what is answered to which path, and event streams.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::state::{Interface, Recorded, State};
use crate::{bedrock, messages, responses};

/// Agents send their whole conversation each time.
const MAX_BODY: usize = 32 * 1024 * 1024;

pub(crate) type Answer = Response<Either<Full<Bytes>, Events>>;

/// Accepts connections until the returned future is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&state)))),
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
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(state: &State, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE, &json!({})),
    };
    let headers = parts.headers.iter();
    let request = Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let answer = answer(state, &parts.method, &request);
    state.record(request);
    answer
}

fn answer(state: &State, method: &Method, request: &Recorded) -> Answer {
    let (path, body) = (request.path.as_str(), &request.body);
    match (method, Interface::of(path)) {
        (&Method::POST, Some(Interface::Messages)) if path.ends_with(bedrock::STREAM) => {
            let turn = state.script.turn(messages::results(body).len(), &messages::offered(body));
            bedrock::streamed(messages::stream(&turn, body))
        }
        (&Method::POST, Some(interface)) => turn(state, interface, body),
        // A proxy's question: whatever is out there, is not there.
        (&Method::CONNECT, _) => plain(StatusCode::FORBIDDEN, &json!({})),
        (&Method::HEAD, _) => plain(StatusCode::OK, &json!({})),
        (&Method::POST, None) if path.ends_with("/count_tokens") => {
            plain(StatusCode::OK, &json!({ "input_tokens": 1 }))
        }
        _ => plain(StatusCode::NOT_FOUND, &json!({ "error": { "type": "not_found_error", "message": "not here" } })),
    }
}

fn turn(state: &State, interface: Interface, body: &Value) -> Answer {
    let (results, offered) = match interface {
        Interface::Messages => (messages::results(body), messages::offered(body)),
        Interface::Responses => (responses::results(body), responses::offered(body)),
    };
    let turn = state.script.turn(results.len(), &offered);
    match (interface, body["stream"] == true) {
        (Interface::Messages, true) => streamed(messages::stream(&turn, body)),
        (Interface::Messages, false) => plain(StatusCode::OK, &messages::whole(&turn, body)),
        (Interface::Responses, true) => streamed(responses::stream(&turn, body)),
        (Interface::Responses, false) => plain(StatusCode::OK, &responses::whole(&turn, body)),
    }
}

fn plain(status: StatusCode, body: &Value) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn streamed(events: Vec<Event>) -> Answer {
    let mut response = Response::new(Either::Right(Events(events.into())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// One server-sent event, and its data.
#[derive(Debug)]
pub(crate) struct Event(Bytes, Value);

impl Event {
    /// Both interfaces name an event by the `type` of its data.
    pub(crate) fn named_by_type(data: Value) -> Self {
        let name = data["type"].as_str().unwrap_or_default();
        Self(Bytes::from(format!("event: {name}\ndata: {data}\n\n")), data)
    }

    pub(crate) fn data(&self) -> &Value {
        &self.1
    }
}

/// Events, each a chunk of its own.
#[derive(Debug)]
pub(crate) struct Events(VecDeque<Event>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|event| Ok(Frame::data(event.0))))
    }
}
