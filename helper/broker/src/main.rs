//! agent-aws-broker: holds and refreshes the credentials of one session.
//!
//! Started by the supervisor, never as root, with one descriptor: 3, the channel that says what to mint and which
//! doors to serve, and whose end is the broker's end. The AWS SDK and everything that listens to the agent is here,
//! so that none of it is in the setuid program.

mod answer;
mod cause;
mod clock;
mod doors;
mod entry;
mod mint;
mod refresh;
mod schedule;
mod seccomp;
mod source;
mod supervisor;
#[allow(unsafe_code)]
mod sys;
mod vault;
mod view;

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_aws_protocol::{Channel, Minting};

use crate::cause::Cause;
use crate::doors::Undertaker;
use crate::mint::Minter;
use crate::source::{Source, SourceReader};
use crate::supervisor::Supervisor;
use crate::vault::Vault;

/// A frame that has begun must be whole within this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// Threads that resolve names stay, because no others may be had later.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long the supervisor may take to say what to mint.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let channel = match entry::isolate() {
        Ok(fd) => Channel::new(fd, PATIENCE),
        Err(text) => {
            entry::complain(&text);
            return ExitCode::FAILURE;
        }
    };
    match session(&channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            supervisor::give_up(&channel, cause);
            ExitCode::FAILURE
        }
    }
}

/// One session, from the first message to the end of the channel. Returns only when it never began.
fn session(channel: &Channel) -> Result<(), Cause> {
    entry::check()?;
    seccomp::forbid_dangerous()?;
    let (minting, file) = supervisor::first_message(channel, FIRST_MESSAGE)?;
    if !minting.source_needs_programs() {
        view::restrict(&minting)?;
        seccomp::allow_only_needed()?;
    }
    let reader = SourceReader::new(&minting.source, minting.region.as_deref(), minting.sts_endpoint.as_deref());
    let first = reader.take(file)?;
    let minter = Minter::new(*minting, reader.http_client())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // The blocking pool resolves names; nothing else of ours may occupy it.
        .max_blocking_threads(4)
        .thread_stack_size(256 * 1024)
        .thread_keep_alive(FOR_EVER)
        .build()
        .map_err(|e| Cause::last(format!("cannot start the broker: {e}")))?;
    let undertaker = patiently(doors::undertaker)?;
    // The runtime panics when it has no thread at all to resolve a name with.
    patiently(room_for_a_thread)?;
    drop(runtime.spawn_blocking(|| ()));
    tokio::task::LocalSet::new().block_on(&runtime, serve(channel, undertaker, minter, reader, first))
}

/// Starts a thread. An agent that uses up the processes of a group that we are in too may leave none for a while, so all
/// threads that there will be are started here, and waited for.
fn patiently<T>(start: impl Fn() -> std::io::Result<T>) -> Result<T, Cause> {
    loop {
        match start() {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(20)),
            other => return other.map_err(|e| Cause::last(format!("cannot start a thread of the broker: {e}"))),
        }
    }
}

/// Tries whether there is room for one thread, with two: the kernel goes on to count one for a moment after its end.
fn room_for_a_thread() -> std::io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock();
    let start = || {
        let gate = Arc::clone(&gate);
        std::thread::Builder::new().spawn(move || drop(gate.lock()))
    };
    let threads = [start(), start()];
    drop(held);
    threads.into_iter().try_for_each(|thread| thread.map(|thread| drop(thread.join())))
}

/// Mints and serves until the supervisor is gone; then the process ends at once.
async fn serve(
    channel: &Channel,
    undertaker: Undertaker,
    minter: Minter,
    reader: SourceReader,
    first: Source,
) -> Result<(), Cause> {
    let vault = Rc::new(Vault::new(minter.identity()));
    let (supervisor, inbox) =
        Supervisor::new(channel).map_err(|e| Cause::last(format!("cannot watch the channel: {e}")))?;
    let conversation =
        supervisor.listen(inbox, |doors, descriptors| doors::open(&vault, &undertaker, doors, descriptors));
    let minting = async {
        refresh::keep_fresh(&supervisor, &minter, &reader, first, &vault).await;
        // Revoked, or nothing that time could mend: what is in the vault is still served.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = conversation => {}
        () = minting => {}
    }
    entry::end()
}

/// What the filter must know about a source.
trait NeedsPrograms {
    fn source_needs_programs(&self) -> bool;
}

impl NeedsPrograms for Minting {
    fn source_needs_programs(&self) -> bool {
        use agent_aws_protocol::SourceCredentials::{Own, Process};
        matches!(self.source, Own { .. } | Process { .. })
    }
}
