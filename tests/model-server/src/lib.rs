//! A language model whose every turn is written down beforehand. It speaks the streaming interfaces that coding agents
//! speak, Anthropic's Messages (its own and Bedrock's) and OpenAI's Responses, over plain HTTP on loopback, so that tests can make real agents
//! do things, and see what came of them.
//!
//! Which turn is due is read from the conversation itself: the number of tool results in it. So a request that is sent
//! twice is answered twice alike, and what an agent asks on the side (a title, a summary) does not take a turn away.
#![allow(clippy::indexing_slicing)] // of JSON, where what is missing is null

mod bedrock;
mod http;
mod messages;
mod responses;
mod script;
mod server;
mod state;

pub use script::{Script, Turn};
pub use server::{ModelServer, StartError};
pub use state::{Recorded, ToolResult};
