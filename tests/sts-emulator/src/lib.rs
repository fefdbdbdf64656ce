//! An AWS Security Token Service over plain HTTP, for tests and the demo; never part of what ships.
//!
//! It verifies Signature Version 4, enforces what STS enforces (trust, durations, session policies, source identity,
//! tags), evaluates session policies for a few actions of other services, records every request, and fails on demand.
//!
//! In a test: [`Config::parse`], [`Emulator::start`] on `127.0.0.1:0`, give [`Emulator::url`] to the client, then read
//! [`Emulator::requests`]. As a program it does the same and tells its URL on stdout.

mod answer;
mod clock;
mod config;
mod control;
mod dispatch;
mod encoding;
mod error;
mod faults;
mod http;
mod ids;
mod params;
mod policy;
mod principal;
mod server;
mod services;
mod sigv4;
mod state;
mod sts;

pub use config::{Config, ConfigError};
pub use faults::{Fail, Faults};
pub use server::{Emulator, StartError};
pub use state::{IssuedSession, RecordedRequest};
