//! The real broker program, spoken to as the supervisor and as clients speak to it, against an STS that checks
//! signatures.

mod doors;
mod entry;
mod minting;
mod own;
mod refresh;
mod scene;
