//! The compiler.

use std::fmt;

use serde_json::{Value, json};

use crate::pattern::{covers, is_action, is_partition, is_role};
use crate::{Access, DATA_READS};

/// The most characters that STS takes as an inline session policy. It also packs policies, ARNs and tags together and
/// limits that size; only its answer (`PackedPolicySize`) tells it.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub const MAX_CHARACTERS: usize = 2048;

/// Every way to another role. `sts:AssumeRoot` is among them on purpose.
const ASSUME: &str = "sts:Assume*";
/// What a client needs to step into a role of `may-assume`; the last two are asked for when a source identity or
/// transitive tags come along.
const STEP: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

/// What a session shall lose of its role's permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowing {
    /// How much of the role.
    pub access: Access,
    /// Actions denied on top: `service:Action`, `*` and `?` in the action.
    pub deny_actions: Vec<String>,
    /// ARNs, or patterns of ARNs, of the roles that may be assumed from inside. Empty: none. `arn:aws:iam::*:role/*`
    /// is every role.
    pub may_assume: Vec<String>,
    /// The AWS partition of the role: `aws`, `aws-cn`, `aws-us-gov` ...
    pub partition: String,
}

/// What to pass to AssumeRole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// `Policy`, at most [`MAX_CHARACTERS`]; none where nothing is to be narrowed.
    pub policy_json: Option<String>,
    /// `PolicyArns`.
    pub policy_arns: Vec<String>,
    /// What a person should know about it.
    pub notes: Vec<String>,
}

/// Why there is no session policy. Prints as a sentence for the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// Not an action.
    BadAction(String),
    /// Not a role's ARN or pattern.
    BadRole(String),
    /// Not an AWS partition.
    BadPartition(String),
    /// Longer than STS takes.
    TooLong {
        /// Its length in characters.
        length: usize,
        /// The entries of `deny-actions` and `may-assume` that take the most room, longest first, three at most.
        longest: Vec<String>,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAction(text) => write!(f, "{text:?} is not an action (\"service:Action\")"),
            Self::BadRole(text) => write!(f, "{text:?} is not the ARN of a role"),
            Self::BadPartition(text) => write!(f, "{text:?} is not an AWS partition"),
            Self::TooLong { length, longest } => write!(
                f,
                "the session policy has {length} characters, AWS takes {MAX_CHARACTERS}: drop {} characters of deny-actions \
                 and may-assume, or merge entries with '*'; the longest: {}",
                length.saturating_sub(MAX_CHARACTERS),
                longest.join(", ")
            ),
        }
    }
}

impl std::error::Error for CompileError {}

/// Compiles a narrowing to one minimal session policy.
///
/// # Errors
/// A value that is none, or a policy that is too long.
pub fn compile(narrowing: &Narrowing) -> Result<Compiled, CompileError> {
    check(narrowing)?;
    let mut notes = Vec::new();
    let denied = denied_actions(narrowing, &mut notes);
    let roles: &[String] = &narrowing.may_assume;
    let every_role = format!("arn:{}:iam::*:role/*", narrowing.partition);
    let assume_freely = roles.contains(&every_role);
    let managed = narrowing.access != Access::Full;
    if !managed && denied.is_empty() && assume_freely {
        return Ok(Compiled::default());
    }
    let mut statements = Vec::new();
    if !managed {
        statements.push(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    } else if !roles.is_empty() {
        statements.push(json!({"Effect": "Allow", "Action": STEP, "Resource": one_or_many(roles)}));
    }
    statements.extend(denials(denied, roles, assume_freely));
    if !roles.is_empty() {
        notes.push("a role assumed by may-assume is not narrowed: a session policy does not follow into it".to_owned());
    }
    let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let length = policy.chars().count();
    if length > MAX_CHARACTERS {
        return Err(CompileError::TooLong {
            length,
            longest: longest(narrowing),
        });
    }
    let base = format!("arn:{}:iam::aws:policy/ReadOnlyAccess", narrowing.partition);
    let policy_arns = if managed { vec![base] } else { Vec::new() };
    Ok(Compiled {
        policy_json: Some(policy),
        policy_arns,
        notes,
    })
}

fn check(narrowing: &Narrowing) -> Result<(), CompileError> {
    if let Some(bad) = narrowing.deny_actions.iter().find(|action| !is_action(action)) {
        return Err(CompileError::BadAction(bad.clone()));
    }
    if let Some(bad) = narrowing.may_assume.iter().find(|role| !is_role(role)) {
        return Err(CompileError::BadRole(bad.clone()));
    }
    if !is_partition(&narrowing.partition) {
        return Err(CompileError::BadPartition(narrowing.partition.clone()));
    }
    Ok(())
}

/// The table's and the admin's actions, each once, none that another one covers.
fn denied_actions<'n>(narrowing: &'n Narrowing, notes: &mut Vec<String>) -> Vec<&'n str> {
    let table: Vec<&str> = match narrowing.access {
        Access::ReadMetadata => DATA_READS.iter().map(|row| row.action).collect(),
        Access::Full | Access::Read => Vec::new(),
    };
    let mut kept: Vec<&str> = Vec::new();
    let own = narrowing.deny_actions.iter().map(String::as_str);
    for action in table.iter().copied().chain(own) {
        match kept.iter().find(|wide| covers(wide, action)) {
            Some(wide) => notes.push(format!("{action} is denied by {wide} already")),
            None => {
                kept.retain(|narrow| !covers(action, narrow));
                kept.push(action);
            }
        }
    }
    kept
}

/// At most two statements: with no role to assume, [`ASSUME`] is one more action of the first.
fn denials(mut denied: Vec<&str>, roles: &[String], assume_freely: bool) -> Vec<Value> {
    let mut statements = Vec::new();
    if roles.is_empty() && !denied.iter().any(|wide| covers(wide, ASSUME)) {
        denied.retain(|narrow| !covers(ASSUME, narrow));
        denied.push(ASSUME);
    }
    if !denied.is_empty() {
        statements.push(json!({"Effect": "Deny", "Action": one_or_many(&denied), "Resource": "*"}));
    }
    if !roles.is_empty() && !assume_freely {
        statements.push(json!({"Effect": "Deny", "Action": ASSUME, "NotResource": one_or_many(roles)}));
    }
    statements
}

/// IAM takes a lone string for a list of one.
fn one_or_many<T: AsRef<str>>(list: &[T]) -> Value {
    match list {
        [only] => Value::from(only.as_ref()),
        many => many.iter().map(AsRef::as_ref).collect(),
    }
}

fn longest(narrowing: &Narrowing) -> Vec<String> {
    let mut entries: Vec<&String> = narrowing.deny_actions.iter().chain(&narrowing.may_assume).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.len()));
    entries.into_iter().take(3).cloned().collect()
}
