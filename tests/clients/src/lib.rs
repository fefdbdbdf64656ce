//! Real clients inside, with the network `filtered`, against servers of a fake internet: each reaches the server that it
//! names, first without any proxy variable, then, if it obeys them, with those that agent-aws sets.
//!
//! A client is a row of `table.tsv`, which is printed in docs/clients.md, and a script `rows/NAME.sh`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

mod place;
mod servers;
mod table;
mod trial;

pub use place::{NAMES, Place};
pub use table::{Row, table};
pub use trial::trial;
