//! What a session shall lose of its role's permissions.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// How much of the role's permissions a session gets: from wide to narrow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// All that the role has.
    #[default]
    Full,
    /// What AWS's ReadOnlyAccess allows of it.
    Read,
    /// The same without what the data itself would be: objects, items, parameters, secrets, messages.
    ReadMetadata,
}

impl Access {
    /// Every word of the policy language for it, and what it means.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("full", Self::Full), ("read", Self::Read), ("read-metadata", Self::ReadMetadata)];

    /// The word of the policy language for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Read => "read",
            Self::ReadMetadata => "read-metadata",
        }
    }

    /// The meaning of a word of the policy language.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
}

impl core::fmt::Display for Access {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that makes a session less than its role. [`Narrowing::default`] makes it nothing less, but for roles that may
/// be assumed from inside: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowing {
    /// How much of the role.
    pub access: Access,
    /// ARNs of managed policies that bound the session in the place of everything; with [`Access::Full`] only.
    pub policy_arns: Vec<String>,
    /// A policy document that does the same; not together with ARNs.
    pub session_policy: Option<String>,
    /// Actions denied on top, in IAM's words: `service:Action`, `*` and `?` in the action.
    pub deny_actions: Vec<String>,
    /// If there are any, all others are denied.
    pub allow_actions: Vec<String>,
    /// If there are any, calls to other regions are denied, but those of global services.
    pub regions: Vec<String>,
    /// If there are any, what belongs to other AWS accounts is denied.
    pub accounts: Vec<String>,
    /// If there is one, what belongs to no account of this AWS organization is denied.
    pub org: Option<String>,
    /// ARNs of roles (`*` and `?` allowed) that may be assumed from inside. Empty: none.
    pub may_assume: Vec<String>,
    /// Only to ask models, whatever the role may do; no role is assumed then.
    pub model: bool,
}

impl Narrowing {
    /// Whether it says what a session begins from.
    pub fn has_base(&self) -> bool {
        self.access != Access::Full || !self.policy_arns.is_empty() || self.session_policy.is_some()
    }

    /// Whether less than the role is asked for, roles that may be assumed aside.
    pub fn is_some(&self) -> bool {
        let open = Self { may_assume: self.may_assume.clone(), ..Self::default() };
        *self != open
    }
}
