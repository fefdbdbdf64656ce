//! What the times of refreshes know of a failure; its words are the SDK's business.

#[path = "../../src/cause/kind.rs"]
mod kind;

pub(crate) use kind::Kind;
