//! The compiler.

use std::fmt;

use serde_json::{Value, json};

use crate::pattern::{action_covers, is_action, is_partition, is_role};
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
        return Err(CompileError::TooLong { length, longest: longest(narrowing) });
    }
    let base = format!("arn:{}:iam::aws:policy/ReadOnlyAccess", narrowing.partition);
    let policy_arns = if managed { vec![base] } else { Vec::new() };
    Ok(Compiled { policy_json: Some(policy), policy_arns, notes })
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
fn denials(mut denied: Vec<&str>, roles: &[String], assume_freely: bool) -> Vec<Value> {
    let mut statements = Vec::new();
    if roles.is_empty() && !denied.iter().any(|wide| action_covers(wide, ASSUME)) {
        denied.retain(|narrow| !action_covers(ASSUME, narrow));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::covers;

    fn narrowing(access: Access, deny: &[&str], assume: &[&str]) -> Narrowing {
        Narrowing {
            access,
            deny_actions: deny.iter().map(ToString::to_string).collect(),
            may_assume: assume.iter().map(ToString::to_string).collect(),
            partition: "aws".to_owned(),
        }
    }

    fn statements(compiled: &Compiled) -> Vec<Value> {
        let policy: Value = serde_json::from_str(compiled.policy_json.as_deref().unwrap()).unwrap();
        policy["Statement"].as_array().unwrap().clone()
    }

    fn strings(value: &Value) -> Vec<String> {
        match value {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) => many.iter().flat_map(strings).collect(),
            _ => Vec::new(),
        }
    }

    /// What IAM would say of an action on a resource: the inline policy and the managed one as a union, less denials.
    /// `managed` stands for ReadOnlyAccess.
    fn allows(compiled: &Compiled, managed: &[&str], action: &str, resource: &str) -> bool {
        let Some(_) = &compiled.policy_json else {
            return compiled.policy_arns.is_empty();
        };
        let hit = |list: &Value, text: &str| strings(list).iter().any(|wide| covers(wide, text));
        let applies = |it: &Value, effect: &str| {
            it["Effect"] == effect
                && hit(&it["Action"], action)
                && if it["NotResource"].is_null() {
                    hit(&it["Resource"], resource)
                } else {
                    !hit(&it["NotResource"], resource)
                }
        };
        let by_base = !compiled.policy_arns.is_empty() && managed.iter().any(|wide| covers(wide, action));
        let all = statements(compiled);
        (by_base || all.iter().any(|it| applies(it, "Allow"))) && !all.iter().any(|it| applies(it, "Deny"))
    }

    const READ_ONLY: [&str; 5] = ["s3:Get*", "s3:List*", "ssm:Get*", "ec2:Describe*", "sts:GetCallerIdentity"];
    const ROLE: &str = "arn:aws:iam::111122223333:role/next";
    const EVERY_ROLE: &str = "arn:aws:iam::*:role/*";

    #[test]
    fn full_access_is_allow_all_less_assuming_roles() {
        let compiled = compile(&narrowing(Access::Full, &[], &[])).unwrap();
        let expected = r#"{"Statement":[{"Action":"*","Effect":"Allow","Resource":"*"},{"Action":"sts:Assume*","Effect":"Deny","Resource":"*"}],"Version":"2012-10-17"}"#;
        // The members of an object stand in any order.
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(compiled.policy_json.as_deref().map(read), Some(read(expected)));
        assert_eq!(compiled.policy_arns, Vec::<String>::new());
    }

    #[test]
    fn where_nothing_is_to_be_denied_there_is_no_policy() {
        assert_eq!(compile(&narrowing(Access::Full, &[], &[EVERY_ROLE])).unwrap(), Compiled::default());
    }

    #[test]
    fn read_access_is_the_managed_policy_and_an_inline_one_that_only_denies() {
        for access in [Access::Read, Access::ReadMetadata] {
            let compiled = compile(&narrowing(access, &["sqs:PurgeQueue"], &[])).unwrap();
            assert_eq!(compiled.policy_arns, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
            assert!(statements(&compiled).iter().all(|statement| statement["Effect"] == "Deny"));
        }
    }

    #[test]
    fn the_managed_policy_is_that_of_the_roles_partition() {
        let compiled = compile(&Narrowing { partition: "aws-cn".into(), ..narrowing(Access::Read, &[], &[]) }).unwrap();
        assert_eq!(compiled.policy_arns, ["arn:aws-cn:iam::aws:policy/ReadOnlyAccess"]);
    }

    #[test]
    fn reading_metadata_reads_no_data() {
        let read = compile(&narrowing(Access::Read, &[], &[])).unwrap();
        let metadata = compile(&narrowing(Access::ReadMetadata, &[], &[])).unwrap();
        for (action, by_read, by_metadata) in [
            ("s3:ListBucket", true, true),
            ("s3:GetBucketPolicy", true, true),
            ("s3:GetObject", true, false),
            ("s3:GetObjectVersion", true, false),
            ("ssm:GetParametersByPath", true, false),
            ("ec2:DescribeInstances", true, true),
            ("ec2:DescribeInstanceAttribute", true, false),
            ("s3:PutObject", false, false),
        ] {
            assert_eq!(allows(&read, &READ_ONLY, action, "*"), by_read, "{action}");
            assert_eq!(allows(&metadata, &READ_ONLY, action, "*"), by_metadata, "{action}");
        }
    }

    #[test]
    fn the_data_table_is_sound_and_leaves_room_for_a_sites_own_denials() {
        let metadata = compile(&narrowing(Access::ReadMetadata, &[], &[])).unwrap();
        assert!(metadata.policy_json.unwrap().len() < 1600);
        assert_eq!(metadata.notes, Vec::<String>::new(), "no row covers another");
        assert!(DATA_READS.iter().all(|row| is_action(row.action) && !row.reason.is_empty()));
        assert!(DATA_READS.is_sorted_by_key(|row| row.action));
    }

    #[test]
    fn only_the_named_roles_can_be_assumed_from_any_base() {
        for access in [Access::Full, Access::Read, Access::ReadMetadata] {
            let none = compile(&narrowing(access, &[], &[])).unwrap();
            let one = compile(&narrowing(access, &[], &[ROLE])).unwrap();
            for action in ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoot"] {
                assert!(!allows(&none, &READ_ONLY, action, ROLE));
                assert!(!allows(&one, &READ_ONLY, action, "arn:aws:iam::111122223333:role/other"));
            }
            assert!(allows(&one, &READ_ONLY, "sts:AssumeRole", ROLE));
            assert!(one.notes.iter().any(|note| note.contains("not narrowed")));
        }
    }

    #[test]
    fn an_action_that_is_denied_already_is_left_out_and_said() {
        let compiled = compile(&narrowing(Access::Full, &["s3:Put*", "s3:PutObject", "sts:*"], &[])).unwrap();
        assert_eq!(strings(&statements(&compiled)[1]["Action"]), ["s3:Put*", "sts:*"]);
        assert_eq!(compiled.notes, ["s3:PutObject is denied by s3:Put* already"]);
    }

    #[test]
    fn a_policy_that_is_too_long_says_by_how_much_and_what_to_drop() {
        let actions: Vec<String> = (0..100).map(|n| format!("service:SomeLongActionName{n}")).collect();
        let error = compile(&Narrowing { deny_actions: actions, ..narrowing(Access::Full, &[], &[]) }).unwrap_err();
        let CompileError::TooLong { length, longest } = &error else { panic!("{error}") };
        assert!(*length > MAX_CHARACTERS);
        assert_eq!(longest.len(), 3);
        assert!(error.to_string().contains(&format!("drop {} characters", length - MAX_CHARACTERS)), "{error}");
    }

    #[test]
    fn what_is_no_action_role_or_partition_is_refused() {
        for bad in ["*", "s3", "s3:", ":Get", "s*:Get", "S3:Get", "s3:Get\"", "s3:Get,x", "s3:Gét"] {
            let error = compile(&narrowing(Access::Full, &[bad], &[])).unwrap_err();
            assert_eq!(error, CompileError::BadAction(bad.to_owned()));
        }
        for bad in
            ["*", "arn:aws:iam::1:user/x", "arn:aws:iam::1:role/", "arn:aws:iam::1:role/x\"", "arn:*:iam::1:role/x"]
        {
            let error = compile(&narrowing(Access::Full, &[], &[bad])).unwrap_err();
            assert_eq!(error, CompileError::BadRole(bad.to_owned()));
        }
        let odd = Narrowing { partition: "\"aws".into(), ..narrowing(Access::Read, &[], &[]) };
        assert_eq!(compile(&odd), Err(CompileError::BadPartition("\"aws".into())));
    }

    fn action() -> impl Strategy<Value = String> {
        "(s3|ssm|sts|ec2):(Get|List|Assume|\\*)(Object|Role|\\?|\\*)?"
    }

    fn any_texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(".{0,24}", 0..4)
    }

    proptest! {
        #[test]
        fn one_more_denial_never_widens(
            access in prop::sample::select(vec![Access::Full, Access::Read, Access::ReadMetadata]),
            deny in prop::collection::vec(action(), 0..4),
            more in action(),
            asked in "(s3|ssm|sts|ec2):(Get|List|Assume|Put)(Object|Role|Parameter)",
            assume in prop::collection::vec(prop::sample::select(vec![ROLE, EVERY_ROLE]), 0..2),
        ) {
            let before = Narrowing { deny_actions: deny, ..narrowing(access, &[], &assume) };
            let mut after = before.clone();
            after.deny_actions.push(more);
            let (before, after) = (compile(&before).unwrap(), compile(&after).unwrap());
            prop_assert!(allows(&before, &READ_ONLY, &asked, ROLE) || !allows(&after, &READ_ONLY, &asked, ROLE));
        }

        #[test]
        fn what_is_named_in_deny_actions_is_denied(
            access in prop::sample::select(vec![Access::Full, Access::Read, Access::ReadMetadata]),
            deny in prop::collection::vec(action(), 1..6),
        ) {
            let compiled = compile(&Narrowing { deny_actions: deny.clone(), ..narrowing(access, &[], &[ROLE]) }).unwrap();
            for pattern in deny {
                let asked = pattern.replace('*', "Something").replace('?', "x");
                prop_assert!(!allows(&compiled, &["*"], &asked, ROLE), "{asked}");
            }
        }

        #[test]
        fn less_access_never_widens(deny in prop::collection::vec(action(), 0..4), asked in action()) {
            let of = |access| compile(&Narrowing { deny_actions: deny.clone(), ..narrowing(access, &[], &[]) }).unwrap();
            let (full, read, metadata) = (of(Access::Full), of(Access::Read), of(Access::ReadMetadata));
            prop_assert!(allows(&full, &READ_ONLY, &asked, ROLE) || !allows(&read, &READ_ONLY, &asked, ROLE));
            prop_assert!(allows(&read, &READ_ONLY, &asked, ROLE) || !allows(&metadata, &READ_ONLY, &asked, ROLE));
        }

        #[test]
        fn no_text_makes_it_panic(deny in any_texts(), assume in any_texts(), partition in ".{0,8}") {
            let _ = compile(&Narrowing { access: Access::Full, deny_actions: deny, may_assume: assume, partition });
        }
    }
}
