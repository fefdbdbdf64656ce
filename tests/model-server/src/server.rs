//! A running server: a thread with a listener on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::http;
use crate::script::Script;
use crate::state::{Recorded, State, ToolResult};

/// What failed when a server did not start, and what the operating system said.
#[derive(Debug)]
pub struct StartError(&'static str, std::io::Error);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {}: {}", self.0, self.1)
    }
}

impl std::error::Error for StartError {}

/// A running model. It ends when this is dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Listens on a free port of 127.0.0.1 and says what the script says, until dropped.
    pub fn start(script: Script) -> Result<Self, StartError> {
        Self::start_at(script, 0)
    }

    /// The same on this port.
    pub fn start_at(script: Script, port: u16) -> Result<Self, StartError> {
        let failed = |what| move |error| StartError(what, error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed("listen on loopback"))?;
        listener.set_nonblocking(true).map_err(failed("listen on loopback"))?;
        let address = listener.local_addr().map_err(failed("listen on loopback"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed("start the server's thread"))?;
        let state = Arc::new(State::new(script));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                () = http::serve(listener, served) => {}
                _ = stopped => {}
            }
        };
        let thread = std::thread::Builder::new()
            .name("model-server".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(failed("start the server's thread"))?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// The base URL, like `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.requests()
    }

    /// What the agent's tools gave back, in order, in the conversation that went furthest.
    pub fn results(&self) -> Vec<ToolResult> {
        self.state.results()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
