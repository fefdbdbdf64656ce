//! The policy of agent-aws: who may use which identity in which sandbox.
//!
//! Bytes in, decisions out. This crate opens nothing, asks nobody and prints nothing: the caller hands over the files
//! it has opened and checked, and who the subject is. It is linked into a setuid program, so nothing in it panics on
//! any input, and it depends on a TOML parser only.
//!
//! The language is small on purpose: no includes, no globbing, no expansion (a leading `~` stays symbolic), one
//! meaning per token. A deny wins over every allow, in whatever file and order they stand.
//!
//! ```
//! use agent_aws_policy::{Ask, DEFAULT_POLICY, Policy, SourceFile, Subject, Wanted};
//!
//! let file = SourceFile { name: "/etc/agent-aws/policy.toml", bytes: DEFAULT_POLICY.as_bytes() };
//! let policy = Policy::parse(&[file]).map_err(|all| all.len()).unwrap();
//! let caller = Subject { uid: 1000, login: Some("jo".into()), process_groups: vec![], database_groups: vec![] };
//! let ask = Ask { wanted: Wanted::Own("dev"), sandbox: None, network: None };
//! assert_eq!(policy.decide(&caller, &ask).unwrap().sandbox.name, "standard");
//! ```
#![forbid(unsafe_code)]

mod check;
mod decide;
mod diagnostic;
mod explain;
mod model;
mod parse;
mod reach;
mod read;
mod rule;
mod syntax;

pub use decide::{Ask, Decision, Denial, Granted, Offer, Offered, Wanted};
pub use diagnostic::{Diagnostic, Position};
pub use explain::{Explanation, RuleReport, Verdict};
pub use model::{Access, Attribution, BoundPath, Home, Identity, Limits, Network, Sandbox, Source, SourceKind, Waiver};
pub use parse::{MAX_FILE_BYTES, MAX_FILES, SourceFile};
pub use reach::{Names, PRESETS, Reach};
pub use rule::{Group, GroupRef, IdentityPattern, Rule, RuleKind, Subject, UserRef};
pub use syntax::{DURATION_RANGE, is_login_name, is_profile_name, is_region};

/// The policy that is installed when there is none: everybody may use AWS profiles of their own in one sandbox.
pub const DEFAULT_POLICY: &str = include_str!("default-policy.toml");

/// A checked policy: every reference in it leads somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where credentials come from, in the order of the files.
    pub sources: Vec<Source>,
    /// The identities of this policy, in the order of the files. `own` ones are not among them.
    pub identities: Vec<Identity>,
    /// The sandboxes, in the order of the files.
    pub sandboxes: Vec<Sandbox>,
    /// The presets of names that the site adds, in the order of the files.
    pub names: Vec<Names>,
    /// The `[[allow]]` rules, in the order of the files.
    pub allows: Vec<Rule>,
    /// The `[[deny]]` rules, in the order of the files.
    pub denies: Vec<Rule>,
}

impl Policy {
    /// Reads all files of a policy as one, in the given order.
    ///
    /// # Errors
    /// Everything that is wrong with it, ordered by file, line and column; at most 200 entries.
    pub fn parse(files: &[SourceFile<'_>]) -> Result<Self, Vec<Diagnostic>> {
        parse::policy(files)
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The identity of that name. Whether anybody may use it is for [`Policy::decide`] to say.
    pub fn identity(&self, name: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.name == name)
    }

    /// The sandbox of that name.
    pub fn sandbox(&self, name: &str) -> Option<&Sandbox> {
        self.sandboxes.iter().find(|sandbox| sandbox.name == name)
    }
}
