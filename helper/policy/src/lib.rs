//! The policy of agent-aws: who may use which identity in which sandbox.
//!
//! A policy and a subject in, decisions out. This crate opens nothing, asks nobody and prints nothing. It is linked into a
//! setuid program, so nothing in it panics on any input. The language that policies are written in is not known here:
//! `agent-aws-policy-text` reads it, in a process without privilege.
//!
//! A deny wins over every allow, in whatever file and order they stand.
#![forbid(unsafe_code)]

mod decide;
mod explain;
mod model;
mod reach;
mod rule;
mod words;

pub use agent_aws_protocol::{Access, Narrowing};
use serde::{Deserialize, Serialize};

pub use decide::{Ask, Decision, Denial, Granted, Offer, Offered, Wanted};
pub use explain::{Explanation, RuleReport, Verdict};
pub use model::{
    Attribution, BoundPath, Home, Identity, Limits, Network, Position, Sandbox, Source, SourceKind, Waiver,
};
pub use reach::{Names, PRESETS, Reach, is_allow_name, is_host, is_port, is_word};
pub use rule::{Group, GroupRef, IdentityPattern, Rule, RuleKind, Subject, UserRef};
pub use words::{is_lower_words, is_profile_name, is_region};

/// A checked policy: every reference in it leads somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
