//! From a narrowing to the session policy that STS takes with AssumeRole. Pure.
//!
//! A session may do what its role may do *and* what its session policies allow, less what either denies. Session
//! policies are a union among themselves, so there is always exactly one base (`Allow *` in the inline policy, or
//! AWS's managed ReadOnlyAccess), and all else denies. The one exception: `may-assume` together with the managed base,
//! which knows no `sts:AssumeRole`, allows just that on just those roles.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>
#![forbid(unsafe_code)]

mod compile;
mod data_reads;
mod pattern;

pub use compile::{CompileError, Compiled, MAX_CHARACTERS, Narrowing, compile};
pub use data_reads::{DATA_READS, DataRead};
pub use pattern::is_action;

/// How much of the role's permissions a session gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// All that the role has.
    Full,
    /// What AWS's managed ReadOnlyAccess allows of it.
    Read,
    /// The same without [`DATA_READS`].
    ReadMetadata,
}

impl Access {
    /// The meaning of a word of the policy language: `full`, `read`, `read-metadata`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "full" => Some(Self::Full),
            "read" => Some(Self::Read),
            "read-metadata" => Some(Self::ReadMetadata),
            _ => None,
        }
    }
}
