//! The compiler.

use std::fmt;

use serde_json::{Value, json};

use crate::pattern::{action_covers, is_account, is_action, is_organization, is_partition, is_policy, is_role};
use crate::{AWS_OWNED, Access, DATA_READS, GLOBAL_SERVICES, MODEL_CALLS, Narrowing};

/// The most characters that STS takes as an inline session policy. It also packs policies, ARNs and tags together and
/// limits that size; only its answer (`PackedPolicySize`) tells it.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub const MAX_CHARACTERS: usize = 2048;

/// Every way to another role. `sts:AssumeRoot` is among them on purpose.
const ASSUME: &str = "sts:Assume*";
/// What a client needs to step into a role of `may-assume`; the last two are asked for when a source identity or
/// transitive tags come along.
const STEP: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

/// What to pass to AssumeRole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compiled {
    /// `Policy`, at most [`MAX_CHARACTERS`]; none where nothing is to be narrowed.
    pub policy_json: Option<String>,
    /// `PolicyArns`.
    pub policy_arns: Vec<String>,
    /// What a person should know about it.
    pub notes: Vec<String>,
    /// What takes the space of `Policy`, and how many characters, longest first.
    pub takes: Vec<(&'static str, usize)>,
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
    /// Not an ARN of a managed policy, an account or an organization.
    BadBound(String),
    /// More than one thing says what is allowed to begin with.
    TwoBases,
    /// A model is asked with an identity that says itself what is allowed to begin with.
    ModelBase,
    /// `session-policy` is none.
    BadPolicy(String),
    /// Longer than STS takes.
    TooLong {
        /// Its length in characters.
        length: usize,
        /// What takes the space, and how many characters, longest first.
        takes: Vec<(&'static str, usize)>,
        /// The entries of the lists that take the most room, longest first, three at most.
        longest: Vec<String>,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAction(text) => write!(f, "{text:?} is not an action (\"service:Action\")"),
            Self::BadRole(text) => write!(f, "{text:?} is not the ARN of a role"),
            Self::BadPartition(text) => write!(f, "{text:?} is not an AWS partition"),
            Self::BadBound(text) => {
                write!(f, "{text:?} is not the ARN of a managed policy, an AWS account or an organization")
            }
            Self::TwoBases => f.write_str(
                "session policies add up, so that only one thing may say what is allowed to begin with: an `access` other \
                 than \"full\", or `policy-arns`, or `session-policy`",
            ),
            Self::ModelBase => f.write_str(
                "what a model is asked with may ask models and nothing else, so that it has no `access` but \"full\", no \
                 `policy-arns` and no `session-policy` of its own: name another identity as the model's",
            ),
            Self::BadPolicy(why) => write!(f, "`session-policy` is no IAM policy: {why}"),
            Self::TooLong { length, takes, longest } => {
                let over = length.saturating_sub(MAX_CHARACTERS);
                write!(
                    f,
                    "the session policy has {length} characters, AWS takes {MAX_CHARACTERS}: drop {over} characters of {}, or \
                     merge entries with '*'",
                    spelt(takes)
                )?;
                match longest.as_slice() {
                    [] => Ok(()),
                    some => write!(f, "; the longest: {}", some.join(", ")),
                }
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// What takes the space, for a person.
pub fn spelt(takes: &[(&'static str, usize)]) -> String {
    takes.iter().map(|(what, length)| format!("{what} ({length})")).collect::<Vec<_>>().join(", ")
}

/// Compiles a narrowing to one minimal session policy. `partition` is that of the role: `aws`, `aws-cn`, `aws-us-gov` ...
///
/// # Errors
/// A value that is none, or a policy that is too long.
pub fn compile(narrowing: &Narrowing, partition: &str) -> Result<Compiled, CompileError> {
    check(narrowing, partition)?;
    if narrowing.model && !narrowing.may_assume.is_empty() {
        return compile(&Narrowing { may_assume: vec![], ..narrowing.clone() }, partition);
    }
    let mut notes = Vec::new();
    let denied = denied_actions(narrowing, &mut notes);
    let bounds = bounds(narrowing, partition);
    let roles: &[String] = &narrowing.may_assume;
    let every_role = format!("arn:{partition}:iam::*:role/*");
    let assume_freely = roles.contains(&every_role);
    let base = Base::of(narrowing, partition)?;
    if base == Base::Everything && denied.is_empty() && bounds.is_empty() && assume_freely {
        return Ok(Compiled::default());
    }
    let is_everything = base == Base::Everything;
    let (opening, policy_arns) = base.open();
    let mut parts: Vec<(&'static str, Value)> = opening.into_iter().map(|it| ("what is allowed", it)).collect();
    if !is_everything && !roles.is_empty() {
        let step = json!({"Effect": "Allow", "Action": STEP, "Resource": one_or_many(roles)});
        parts.push(("may-assume", step));
    }
    parts.extend(denials(denied, narrowing, assume_freely));
    parts.extend(bounds);
    if !roles.is_empty() {
        notes.push("a role assumed by may-assume is not narrowed: a session policy does not follow into it".to_owned());
    }
    let takes = space(&parts);
    let statements: Vec<Value> = parts.into_iter().map(|(_, statement)| statement).collect();
    let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let length = policy.chars().count();
    if length > MAX_CHARACTERS {
        return Err(CompileError::TooLong { length, takes, longest: longest(narrowing) });
    }
    Ok(Compiled { policy_json: (!statements.is_empty()).then_some(policy), policy_arns, notes, takes })
}

/// The same for a session of the role with this ARN, or of the user, if it has one. Where it is not of the policy (`own`),
/// nothing is said of the roles that may be assumed from it.
///
/// # Errors
/// A value that is none, or a policy that is too long.
pub fn compile_for(narrowing: &Narrowing, arn: Option<&str>, own: bool) -> Result<Compiled, CompileError> {
    let partition = arn.and_then(|arn| arn.split(':').nth(1)).filter(|p| !p.is_empty()).unwrap_or("aws");
    match own {
        true => {
            let may_assume = vec![format!("arn:{partition}:iam::*:role/*")];
            compile(&Narrowing { may_assume, ..narrowing.clone() }, partition)
        }
        false => compile(narrowing, partition),
    }
}

/// What takes how much, longest first.
fn space(parts: &[(&'static str, Value)]) -> Vec<(&'static str, usize)> {
    let mut takes: Vec<(&'static str, usize)> = Vec::new();
    for (what, statement) in parts {
        let length = statement.to_string().chars().count();
        match takes.iter_mut().find(|(known, _)| known == what) {
            Some((_, sum)) => *sum += length,
            None => takes.push((*what, length)),
        }
    }
    takes.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    takes
}

/// What is allowed to begin with; all else denies.
#[derive(Debug, PartialEq)]
enum Base {
    Everything,
    Managed(Vec<String>),
    Own(Vec<Value>),
    Models,
}

impl Base {
    fn of(narrowing: &Narrowing, partition: &str) -> Result<Self, CompileError> {
        let read_only = || format!("arn:{partition}:iam::aws:policy/ReadOnlyAccess");
        if narrowing.model {
            return if narrowing.has_base() { Err(CompileError::ModelBase) } else { Ok(Self::Models) };
        }
        match (narrowing.access, narrowing.policy_arns.as_slice(), &narrowing.session_policy) {
            (Access::Full, [], None) => Ok(Self::Everything),
            (Access::Full, [], Some(text)) => own_statements(text).map(Self::Own).map_err(CompileError::BadPolicy),
            (Access::Full, arns, None) => Ok(Self::Managed(arns.to_vec())),
            (Access::Read | Access::ReadMetadata, [], None) => Ok(Self::Managed(vec![read_only()])),
            _ => Err(CompileError::TwoBases),
        }
    }

    /// As statements of the inline policy, and ARNs of managed ones.
    fn open(self) -> (Vec<Value>, Vec<String>) {
        match self {
            Self::Everything => (vec![json!({"Effect": "Allow", "Action": "*", "Resource": "*"})], vec![]),
            Self::Managed(arns) => (vec![], arns),
            Self::Own(statements) => (statements, vec![]),
            Self::Models => {
                let calls: Vec<&str> = MODEL_CALLS.iter().map(|row| row.action).collect();
                (vec![json!({"Effect": "Allow", "Action": calls, "Resource": "*"})], vec![])
            }
        }
    }
}

/// The statements of a policy document. What they mean is for STS to check.
fn own_statements(text: &str) -> Result<Vec<Value>, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if document.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
        return Err("its Version is not \"2012-10-17\"".to_owned());
    }
    let statements = match document.get("Statement") {
        Some(Value::Array(many)) => many.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => return Err("it has no Statement".to_owned()),
    };
    match statements.iter().all(|it| matches!(it.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"))) {
        true if !statements.is_empty() => Ok(statements),
        _ => Err("a Statement needs an Effect, Allow or Deny".to_owned()),
    }
}

fn check(narrowing: &Narrowing, partition: &str) -> Result<(), CompileError> {
    if let Some(bad) = narrowing.deny_actions.iter().chain(&narrowing.allow_actions).find(|action| !is_action(action)) {
        return Err(CompileError::BadAction(bad.clone()));
    }
    if let Some(bad) = narrowing.may_assume.iter().find(|role| !is_role(role)) {
        return Err(CompileError::BadRole(bad.clone()));
    }
    let arns = narrowing.policy_arns.iter().filter(|arn| !is_policy(arn));
    let accounts = narrowing.accounts.iter().filter(|account| !is_account(account));
    let org = narrowing.org.iter().filter(|org| !is_organization(org));
    if let Some(bad) = arns.chain(accounts).chain(org).next() {
        return Err(CompileError::BadBound(bad.clone()));
    }
    match is_partition(partition) {
        true => Ok(()),
        false => Err(CompileError::BadPartition(partition.to_owned())),
    }
}

/// What a session is kept to: actions, regions, accounts, an organization. Each is a denial of all else, so that they only
/// ever narrow each other.
fn bounds(narrowing: &Narrowing, partition: &str) -> Vec<(&'static str, Value)> {
    let mut statements = Vec::new();
    if !narrowing.allow_actions.is_empty() {
        let steps = if narrowing.may_assume.is_empty() { &[][..] } else { &STEP[..] };
        let kept: Vec<&str> = narrowing.allow_actions.iter().map(String::as_str).chain(steps.iter().copied()).collect();
        statements.push(("allow-actions", json!({"Effect": "Deny", "NotAction": one_or_many(&kept), "Resource": "*"})));
    }
    if !narrowing.regions.is_empty() {
        let global: Vec<&str> = GLOBAL_SERVICES.iter().map(|row| row.pattern).collect();
        let elsewhere = json!({"StringNotEquals": {"aws:RequestedRegion": one_or_many(&narrowing.regions)}});
        let statement = json!({"Effect": "Deny", "NotAction": global, "Resource": "*", "Condition": elsewhere});
        statements.push(("regions", statement));
    }
    let of_aws: Vec<String> = AWS_OWNED.iter().map(|row| format!("arn:{partition}:{}", row.pattern)).collect();
    let belongs = |key: &str, to: &[String]| {
        let elsewhere = json!({"StringNotEqualsIfExists": {key: one_or_many(to)}});
        json!({"Effect": "Deny", "Action": "*", "NotResource": of_aws, "Condition": elsewhere})
    };
    if !narrowing.accounts.is_empty() {
        statements.push(("accounts", belongs("aws:ResourceAccount", &narrowing.accounts)));
    }
    if let Some(org) = &narrowing.org {
        statements.push(("org", belongs("aws:ResourceOrgID", std::slice::from_ref(org))));
    }
    statements
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
        match kept.iter().find(|wide| action_covers(wide, action)) {
            Some(wide) => notes.push(format!("{action} is denied by {wide} already")),
            None => {
                kept.retain(|narrow| !action_covers(action, narrow));
                kept.push(action);
            }
        }
    }
    kept
}

/// At most two statements: with no role to assume, [`ASSUME`] is one more action of the first.
fn denials(mut denied: Vec<&str>, narrowing: &Narrowing, assume_freely: bool) -> Vec<(&'static str, Value)> {
    let (mut statements, roles) = (Vec::new(), &narrowing.may_assume);
    if roles.is_empty() && !denied.iter().any(|wide| action_covers(wide, ASSUME)) {
        denied.retain(|narrow| !action_covers(ASSUME, narrow));
        denied.push(ASSUME);
    }
    if !denied.is_empty() {
        let what = match narrowing.access {
            Access::ReadMetadata => "access read-metadata and deny-actions",
            Access::Full | Access::Read => "deny-actions",
        };
        statements.push((what, json!({"Effect": "Deny", "Action": one_or_many(&denied), "Resource": "*"})));
    }
    if !roles.is_empty() && !assume_freely {
        statements.push(("may-assume", json!({"Effect": "Deny", "Action": ASSUME, "NotResource": one_or_many(roles)})));
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
    let lists = [&narrowing.deny_actions, &narrowing.allow_actions, &narrowing.may_assume];
    let mut entries: Vec<&String> = lists.into_iter().flatten().chain(&narrowing.session_policy).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.len()));
    entries.into_iter().take(3).map(|entry| entry.chars().take(128).collect()).collect()
}

#[cfg(test)]
mod tests;
