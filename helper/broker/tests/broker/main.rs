//! The real broker program, spoken to as the supervisor and as clients speak to it, against an STS that checks
//! signatures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as loudly as the test"
)]

mod doors;
mod entry;
mod factor;
mod faults;
mod fifo;
mod minting;
mod own;
mod refresh;
mod scene;
mod system;
mod tls;
