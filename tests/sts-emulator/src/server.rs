//! A running emulator: a thread with a listener on loopback.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::config::Config;
use crate::faults::Faults;
use crate::http;
use crate::state::{IssuedSession, RecordedRequest, State};

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It hands out credentials to whoever knows a test secret, over plain HTTP: nobody else's business.
    #[error("refusing to listen on {0}: only loopback addresses are allowed")]
    NotLoopback(SocketAddr),
    /// The listener could not be made.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The thread or its runtime could not be made.
    #[error("cannot start the server thread: {0}")]
    Thread(std::io::Error),
}

/// A running emulator. It ends when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Listens on `address` (port 0 for any free one) and serves until dropped.
    pub fn start(config: Config, address: SocketAddr) -> Result<Self, StartError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listen_error = |error| StartError::Listen { address, error };
        let listener = TcpListener::bind(address).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let bound = listener.local_addr().map_err(listen_error)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let state = Arc::new(State::new(config));
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
            .name("sts-emulator".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(StartError::Thread)?;
        Ok(Self { address: bound, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL for clients, like `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, oldest first; at most the last 10,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.requests()
    }

    /// Forgets the recorded requests.
    pub fn clear_requests(&self) {
        self.state.clear_requests();
    }

    /// All sessions issued so far, oldest first; at most the last 10,000.
    pub fn issued(&self) -> Vec<IssuedSession> {
        self.state.issued()
    }

    /// Replaces the faults in force; `Faults::default()` ends them.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
