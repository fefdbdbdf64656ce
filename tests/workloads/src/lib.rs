//! Real programs, run inside the sandbox of the shipped policy and outside, as the same user, in an equal directory: what
//! they print and how they end is the same.
//!
//! A workload is a row of `table.tsv`, which is printed in docs/workloads.md, and a script `rows/NAME.sh`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

pub mod place;
mod script;
mod server;
mod table;
mod trial;

pub use script::Script;
pub use table::{Need, Row, absent, table};
pub use trial::{run, trial};
