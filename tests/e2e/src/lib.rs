//! The tests of this package are programs: see `tests/`. What several of them share is here.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

pub mod aws_clients;
pub mod calls;
pub mod inside;
mod left;
pub mod limits;
pub mod session;
pub mod start;
pub mod sys;
pub mod terminal;
pub mod trace;
pub mod ways;
