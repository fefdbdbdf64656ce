//! Rules and the subjects that they speak of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Position, Verdict};

/// A group of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Its name, where the database has one.
    pub name: Option<String>,
}

/// Who asks. The uid is the real uid of the process, never a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Real uid.
    pub uid: u32,
    /// Login name of the uid in the user database, if it has one.
    pub login: Option<String>,
    /// The groups that the process has, its real gid among them.
    pub process_groups: Vec<Group>,
    /// The groups that the databases give this user, the primary one among them.
    pub database_groups: Vec<Group>,
}

/// An entry of `users`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserRef {
    /// `"*"`: everybody.
    Everybody,
    /// A login name.
    Name(String),
    /// A uid, written as a number.
    Uid(u32),
}

impl UserRef {
    fn is(&self, subject: &Subject) -> bool {
        match self {
            Self::Everybody => subject.uid != u32::MAX, // (uid_t)-1 is nobody: "unchanged" to setresuid(2)
            Self::Name(name) => subject.login.as_ref() == Some(name),
            Self::Uid(uid) => subject.uid == *uid,
        }
    }
}

/// An entry of `groups`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GroupRef {
    /// A group name.
    Name(String),
    /// A gid, written as a number.
    Gid(u32),
}

impl GroupRef {
    fn is(&self, group: &Group) -> bool {
        match self {
            Self::Name(name) => group.name.as_ref() == Some(name),
            Self::Gid(gid) => group.gid == *gid,
        }
    }

    /// In the process's groups, in the database's, and in both as one and the same gid: a name that means two gids
    /// (a changed or shadowed database) is not agreement.
    fn membership(&self, subject: &Subject) -> Membership {
        let process: Vec<&Group> = subject.process_groups.iter().filter(|group| self.is(group)).collect();
        let database: Vec<&Group> = subject.database_groups.iter().filter(|group| self.is(group)).collect();
        Membership {
            process: !process.is_empty(),
            database: !database.is_empty(),
            both: process.iter().any(|a| database.iter().any(|b| a.gid == b.gid)),
        }
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Gid(gid) => write!(f, "{gid}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Membership {
    process: bool,
    database: bool,
    both: bool,
}

/// An entry of `identities`. A `*` stands alone; there are no other patterns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdentityPattern {
    /// `"*"`: every identity of the policy, but no own one.
    AnyOfPolicy,
    /// `"incident"`: that identity of the policy.
    Policy(String),
    /// `"own:*"`: every AWS profile of the caller's own.
    AnyOwn,
    /// `"own:dev"`: that AWS profile of the caller's own.
    Own(String),
}

/// One thing that a pattern may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Policy(&'a str),
    Own(&'a str),
    /// Own profiles as such, whatever their names: for listing what a subject may use.
    AnyOwn,
}

impl IdentityPattern {
    fn covers(&self, target: Target<'_>) -> bool {
        match (self, target) {
            (Self::AnyOfPolicy, Target::Policy(_)) | (Self::AnyOwn, Target::Own(_) | Target::AnyOwn) => true,
            (Self::Policy(name), Target::Policy(wanted)) | (Self::Own(name), Target::Own(wanted)) => name == wanted,
            _ => false,
        }
    }
}

/// Which of the two a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RuleKind {
    /// `[[allow]]`
    Allow,
    /// `[[deny]]`
    Deny,
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// An `[[allow]]` or `[[deny]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which of the two.
    pub kind: RuleKind,
    /// Users that it speaks of.
    pub users: Vec<UserRef>,
    /// Groups whose members it speaks of.
    pub groups: Vec<GroupRef>,
    /// Identities that it speaks of.
    pub identities: Vec<IdentityPattern>,
    /// The sandbox that an allow gives; none in a deny.
    pub sandbox: Option<String>,
    /// Where it stands.
    pub position: Position,
}

impl Rule {
    /// Whether the rule speaks of this subject: by login name or uid, or by group. An allow needs the process and the
    /// database to agree on the group; a deny needs either. Looks at every entry, whatever the earlier ones said.
    pub fn applies_to(&self, subject: &Subject) -> bool {
        let by_user = self.users.iter().fold(false, |hit, user| hit | user.is(subject));
        self.groups.iter().fold(by_user, |hit, group| hit | self.by_group(group.membership(subject)))
    }

    fn by_group(&self, is: Membership) -> bool {
        match self.kind {
            RuleKind::Allow => is.both,
            RuleKind::Deny => is.process | is.database,
        }
    }

    /// Why an allow does not speak of this subject, though it nearly does: a person wants to hear of that.
    pub(crate) fn near_miss(&self, subject: &Subject) -> Option<Verdict> {
        self.groups.iter().find_map(|group| match group.membership(subject) {
            Membership { process: true, .. } => Some(Verdict::GroupOnlyInProcess { group: group.to_string() }),
            Membership { database: true, .. } => Some(Verdict::GroupOnlyInDatabase { group: group.to_string() }),
            _ => None,
        })
    }

    pub(crate) fn covers(&self, target: Target<'_>) -> bool {
        self.identities.iter().fold(false, |hit, pattern| hit | pattern.covers(target))
    }
}
