//! The real gateway program in a world of three network namespaces: the sandbox's, the host's, and an internet behind it.
//! Needs root, to make them; the gateway itself runs as nobody.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as loudly as the test"
)]

mod entry;
mod limits;
mod names;
mod proxies;
mod streams;
mod world;
