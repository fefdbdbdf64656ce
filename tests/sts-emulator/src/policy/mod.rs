//! IAM policy documents: what AWS accepts as one, and what it allows.

mod document;
mod evaluate;
mod glob;
mod managed;

pub(crate) use document::Document;
pub(crate) use evaluate::{Access, Decision, evaluate};
pub(crate) use managed::managed_policy;
