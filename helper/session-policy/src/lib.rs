//! From a narrowing to the session policy that STS takes with AssumeRole. Pure.
//!
//! A session may do what its role may do *and* what its session policies allow, less what either denies. Session
//! policies are a union among themselves, so there is always exactly one base (`Allow *` in the inline policy, AWS's
//! managed ReadOnlyAccess, or what the admin says), and all else denies. The one exception: `may-assume` together with
//! another base than `Allow *` allows just `sts:AssumeRole` on just those roles.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>
#![forbid(unsafe_code)]

mod compile;
mod data_reads;
mod exempt;
mod model_calls;
mod pattern;

pub use agent_aws_protocol::{Access, Narrowing};
pub use compile::{CompileError, Compiled, MAX_CHARACTERS, compile, compile_for, spelt};
pub use data_reads::{DATA_READS, DataRead};
pub use exempt::{AWS_OWNED, Exempt, GLOBAL_SERVICES};
pub use model_calls::{MODEL_CALLS, ModelCall};
pub use pattern::{is_account, is_action, is_organization, is_policy};
