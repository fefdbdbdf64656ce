//! The doors of the broker, behind one function each that takes whatever clients do there as bytes, and panics if a door
//! breaks, hangs, tells somebody else's answer, or keeps from the next client what is theirs.
//!
//! The doors are the broker's own files. It is a program, and what it has besides them takes minutes to build.
#![allow(dead_code, reason = "the broker uses more of these modules than its doors do")]

#[path = "../../src/answer.rs"]
mod answer;
mod cause;
#[path = "../../src/clock.rs"]
mod clock;
mod doors;
#[path = "../../src/schedule.rs"]
mod schedule;
#[path = "../../src/sys.rs"]
#[allow(unsafe_code)]
mod sys;
#[path = "../../src/vault.rs"]
mod vault;

use std::rc::Rc;
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::task::LocalSet;

use crate::answer::Answer;
use crate::clock::Now;
use crate::schedule::Window;
use crate::vault::Vault;

pub use doors::{capability, fifo, http, socket};

/// No input takes so long, on a clock that goes on where nothing else does.
const LIMIT: Duration = Duration::from_secs(60);
/// What only an answer holds.
const SECRET: &str = "only-an-answer-holds-this";

/// A vault with a session, and its answer as every door but HTTP gives it. It is too long for one line of the FIFO.
fn vault() -> (Rc<Vault>, Vec<u8>) {
    let now = Now::read();
    let window = Window::new(now, now.wall.as_secs() + 3600, None).expect("an hour is left");
    let session = Credentials::new("ASIA", SECRET, Some("t".repeat(5000)), None, "fuzzing");
    let answer = Answer::new(&session, window.reported()).expect("JSON");
    let text = answer.process.to_vec();
    let vault = Vault::new("incident");
    vault.put(answer, window);
    (Rc::new(vault), text)
}

/// Runs doors and clients on one thread, as the broker does.
fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let work = async { tokio::time::timeout(LIMIT, work).await };
    assert!(LocalSet::new().block_on(&runtime.expect("a runtime"), work).is_ok(), "the door hangs");
}

/// What a client writes at once, one after the other: a byte that says how much, and so many bytes or what is left.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        bytes = after;
    }
    pieces
}

/// Lets everybody else go on for a moment.
async fn moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
