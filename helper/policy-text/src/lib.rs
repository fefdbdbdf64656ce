//! The language that policies of agent-aws are written in.
//!
//! Bytes in, a checked [`Policy`] or everything that is wrong with it out. This crate opens nothing and prints nothing:
//! the caller hands over the files. It is small on purpose: no includes, no globbing, no expansion (a leading `~` stays
//! symbolic), one meaning per token. It is not linked into the setuid program, which has the policy read by a process
//! without privilege.
//!
//! ```
//! use agent_aws_policy::{Ask, Subject, Wanted};
//! use agent_aws_policy_text::{DEFAULT_POLICY, SourceFile, parse};
//!
//! let file = SourceFile { name: "/etc/agent-aws/policy.toml", bytes: DEFAULT_POLICY.as_bytes() };
//! let policy = parse(&[file]).map_err(|all| all.len()).unwrap();
//! let caller = Subject { uid: 1000, login: Some("jo".into()), process_groups: vec![], database_groups: vec![] };
//! let ask = Ask { wanted: Wanted::Own("dev"), sandbox: None, network: None };
//! assert_eq!(policy.decide(&caller, &ask).unwrap().sandbox.name, "standard");
//! ```
#![forbid(unsafe_code)]

mod check;
mod diagnostic;
mod narrowing;
mod parse;
mod reach;
mod read;
mod syntax;

use agent_aws_policy::Policy;

pub use diagnostic::Diagnostic;
pub use parse::{MAX_FILE_BYTES, MAX_FILES, SourceFile};
pub use syntax::{DURATION_RANGE, is_login_name};

/// Why no action of this service can be meant (`service:Action`), where IAM has no such service; with what may be meant.
pub fn unknown_service(action: &str) -> Option<String> {
    let problem = syntax::unknown_service(action)?;
    Some(problem.hint.map_or(problem.message.clone(), |hint| format!("{}; {hint}", problem.message)))
}

/// The policy that is installed when there is none: everybody may use AWS profiles of their own in one sandbox.
pub const DEFAULT_POLICY: &str = include_str!("default-policy.toml");

/// Reads all files of a policy as one, in the given order.
///
/// # Errors
/// Everything that is wrong with it, ordered by file, line and column; at most 200 entries.
pub fn parse(files: &[SourceFile<'_>]) -> Result<Policy, Vec<Diagnostic>> {
    parse::policy(files)
}
