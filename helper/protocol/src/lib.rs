//! What the programs of agent-aws say to each other, and how much of it they accept.
//!
//! One message is one frame on a Unix stream: length (u32), version (u16), count of descriptors (u16), all little
//! endian, then the message in postcard. There is one enum for each direction of each conversation; [`state`] says
//! which message may come when. Paths, arguments and values are bytes, never `String`.
#![forbid(unsafe_code)]
// Init is linked without the standard library.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod broker;
mod channel;
mod cli;
mod frame;
pub mod gateway;
mod init;
mod narrowing;
mod reader;
pub mod state;

use alloc::vec::Vec;

pub use broker::{BrokerToHelper, Door, HelperToBroker, MintedSession, Minting, SourceCredentials};
pub use channel::{Channel, ChannelError, Received, wait_for};
pub use cli::{
    Ask, CliToHelper, EnvVar, Exit, FailureCode, Fare, Granted, HelperToCli, IdentityOffer, ModelAsk, OwnSource,
    PolicyQuestion, Prepared, Refusal, Request, RunRequest, SessionRow, Showing, Shown, Started,
};
pub use frame::{Frame, FrameError, Header, decode, encode};
pub use init::{HelperToInit, InitToHelper};
pub use narrowing::{Access, Narrowing};
pub use reader::{HelperToReader, ReaderToHelper};

/// Version of every message here. A peer that speaks another one is refused with advice to reinstall.
pub const VERSION: u16 = 1;
/// The largest payload of one frame, in bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// The most descriptors one frame may carry.
pub const MAX_DESCRIPTORS: usize = 8;

/// A path, an argument or a value: bytes as the kernel has them.
pub type Bytes = Vec<u8>;
