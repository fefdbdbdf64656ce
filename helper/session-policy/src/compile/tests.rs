//! What a compiled session policy allows, as IAM would say.

use proptest::prelude::*;

use super::{
    AWS_OWNED, CompileError, Compiled, DATA_READS, GLOBAL_SERVICES, MAX_CHARACTERS, Narrowing, Value, is_action,
};
use crate::Access;
use crate::pattern::covers;

fn narrowing(access: Access, deny: &[&str], assume: &[&str]) -> Narrowing {
    Narrowing {
        access,
        deny_actions: deny.iter().map(ToString::to_string).collect(),
        may_assume: assume.iter().map(ToString::to_string).collect(),
        ..Narrowing::default()
    }
}

fn compile(narrowing: &Narrowing) -> Result<Compiled, CompileError> {
    super::compile(narrowing, "aws")
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

/// Where a call goes, and whose is what it is about.
#[derive(Clone, Copy)]
struct Call<'a> {
    action: &'a str,
    resource: &'a str,
    region: &'a str,
    account: &'a str,
    org: &'a str,
}

impl<'a> Call<'a> {
    fn home(action: &'a str, resource: &'a str) -> Self {
        Self { action, resource, region: "eu-west-1", account: "111122223333", org: "o-aaaaaaaaaa" }
    }

    /// IAM's negated string operators, with `IfExists` and without: what is not there differs.
    fn meets(&self, condition: &Value) -> bool {
        let all = |tests: &Value| {
            tests.as_object().unwrap().iter().all(|(key, wanted)| {
                let is = match key.as_str() {
                    "aws:RequestedRegion" => self.region,
                    "aws:ResourceAccount" => self.account,
                    "aws:ResourceOrgID" => self.org,
                    other => panic!("{other}"),
                };
                !strings(wanted).iter().any(|one| one == is)
            })
        };
        let Some(tests) = condition.as_object() else { return true };
        tests.iter().all(|(operator, tests)| {
            assert!(matches!(operator.as_str(), "StringNotEquals" | "StringNotEqualsIfExists"), "{operator}");
            all(tests)
        })
    }
}

/// What IAM would say of an action on a resource: the inline policy and the managed one as a union, less denials.
/// `managed` stands for ReadOnlyAccess.
fn allows(compiled: &Compiled, managed: &[&str], action: &str, resource: &str) -> bool {
    allows_call(compiled, managed, &Call::home(action, resource))
}

fn allows_call(compiled: &Compiled, managed: &[&str], call: &Call<'_>) -> bool {
    let hit = |list: &Value, text: &str| strings(list).iter().any(|wide| covers(wide, text));
    let part = |it: &Value, name: &str, text: &str| match it[format!("Not{name}")].is_null() {
        true => hit(&it[name], text),
        false => !hit(&it[format!("Not{name}")], text),
    };
    let applies = |it: &Value, effect: &str| {
        it["Effect"] == effect
            && part(it, "Action", call.action)
            && part(it, "Resource", call.resource)
            && call.meets(&it["Condition"])
    };
    let by_base = !compiled.policy_arns.is_empty() && managed.iter().any(|wide| covers(wide, call.action));
    let Some(_) = &compiled.policy_json else {
        return compiled.policy_arns.is_empty() || by_base;
    };
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
    let compiled = super::compile(&narrowing(Access::Read, &[], &[]), "aws-cn").unwrap();
    assert_eq!(compiled.policy_arns, ["arn:aws-cn:iam::aws:policy/ReadOnlyAccess"]);
}

#[test]
fn the_partition_is_that_of_the_arn_and_own_roles_are_free() {
    let arns = |arn, own| super::compile_for(&narrowing(Access::Read, &[], &[]), arn, own).unwrap();
    let cn = arns(Some("arn:aws-cn:iam::111122223333:role/r"), false);
    assert_eq!(cn.policy_arns, ["arn:aws-cn:iam::aws:policy/ReadOnlyAccess"]);
    assert!(!allows(&cn, &["*"], "sts:AssumeRole", ROLE));
    assert_eq!(arns(None, true).policy_arns, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    assert!(allows(&arns(None, true), &["*"], "sts:AssumeRole", ROLE));
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
fn only_allowed_actions_are_left_of_any_base() {
    let only = |access, assume: &[&str]| {
        compile(&Narrowing {
            allow_actions: vec!["s3:Get*".into(), "s3:PutObject".into()],
            ..narrowing(access, &[], assume)
        })
        .unwrap()
    };
    let (full, read) = (only(Access::Full, &[]), only(Access::Read, &[]));
    for (action, of_full, of_read) in
        [("s3:GetObject", true, true), ("s3:PutObject", true, false), ("ec2:DescribeInstances", false, false)]
    {
        assert_eq!(allows(&full, &READ_ONLY, action, "*"), of_full, "{action}");
        assert_eq!(allows(&read, &READ_ONLY, action, "*"), of_read, "{action}");
    }
    assert!(!allows(&full, &READ_ONLY, "sts:AssumeRole", ROLE));
    assert!(allows(&only(Access::Full, &[ROLE]), &READ_ONLY, "sts:AssumeRole", ROLE), "may-assume is allowed too");
}

#[test]
fn other_regions_are_denied_but_for_global_services() {
    let compiled =
        compile(&Narrowing { regions: vec!["eu-west-1".into()], ..narrowing(Access::Full, &[], &[]) }).unwrap();
    for (action, region, allowed) in [
        ("sqs:ListQueues", "eu-west-1", true),
        ("sqs:ListQueues", "us-east-1", false),
        ("iam:ListRoles", "us-east-1", true),
        ("s3:ListAllMyBuckets", "us-east-1", true),
        ("s3:GetObject", "us-east-1", false),
    ] {
        let call = Call { region, ..Call::home(action, "*") };
        assert_eq!(allows_call(&compiled, &[], &call), allowed, "{action} in {region}");
    }
}

#[test]
fn what_belongs_to_others_is_denied_but_what_aws_has_for_everybody() {
    let bound = |accounts: &[&str], org: Option<&str>| {
        let accounts = accounts.iter().map(ToString::to_string).collect();
        compile(&Narrowing { accounts, org: org.map(Into::into), ..narrowing(Access::Full, &[], &[]) }).unwrap()
    };
    let ours = Call::home("s3:PutObject", "arn:aws:s3:::bucket/key");
    let theirs = Call { account: "444455556666", org: "o-bbbbbbbbbb", ..ours };
    let (image, policy) = ("arn:aws:ec2:eu-west-1::image/ami-1", "arn:aws:iam::aws:policy/ReadOnlyAccess");
    for compiled in [bound(&["111122223333"], None), bound(&[], Some("o-aaaaaaaaaa"))] {
        assert!(allows_call(&compiled, &[], &ours));
        assert!(!allows_call(&compiled, &[], &theirs));
        for resource in [image, policy] {
            assert!(allows_call(&compiled, &[], &Call { resource, ..theirs }), "{resource}");
        }
    }
    let both = bound(&["111122223333", "444455556666"], Some("o-aaaaaaaaaa"));
    assert!(allows_call(&both, &[], &ours) && !allows_call(&both, &[], &theirs), "each of the two narrows");
}

#[test]
fn what_an_admin_begins_from_is_the_whole_of_it() {
    let arn = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess";
    let managed = Narrowing { policy_arns: vec![arn.into()], ..narrowing(Access::Full, &["sqs:Get*"], &[ROLE]) };
    let managed = compile(&managed).unwrap();
    assert_eq!(managed.policy_arns, [arn]);
    assert!(
        allows(&managed, &["sqs:*"], "sqs:ListQueues", "*") && !allows(&managed, &["sqs:*"], "sqs:GetQueueUrl", "*")
    );
    assert!(allows(&managed, &[], "sts:AssumeRole", ROLE) && !allows(&managed, &[], "s3:GetObject", "*"));
    let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#;
    let own = |denied: &[&str]| {
        compile(&Narrowing { session_policy: Some(own.into()), ..narrowing(Access::Full, denied, &[]) }).unwrap()
    };
    assert!(allows(&own(&[]), &[], "s3:GetObject", "arn:aws:s3:::b/k"));
    assert!(
        !allows(&own(&[]), &[], "s3:GetObject", "arn:aws:s3:::c/k") && !allows(&own(&[]), &[], "s3:PutObject", "*")
    );
    assert!(!allows(&own(&["s3:Get*"]), &[], "s3:GetObject", "arn:aws:s3:::b/k"));
}

#[test]
fn two_things_to_begin_from_and_documents_that_are_none_are_refused() {
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let arn = || vec!["arn:aws:iam::aws:policy/X".to_owned()];
    for access in [Access::Read, Access::ReadMetadata] {
        let arns = Narrowing { policy_arns: arn(), ..narrowing(access, &[], &[]) };
        assert_eq!(compile(&arns), Err(CompileError::TwoBases));
        let own = Narrowing { session_policy: Some(document.into()), ..narrowing(access, &[], &[]) };
        assert_eq!(compile(&own), Err(CompileError::TwoBases));
    }
    let both = Narrowing { policy_arns: arn(), session_policy: Some(document.into()), ..Narrowing::default() };
    assert_eq!(compile(&both), Err(CompileError::TwoBases));
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"Version":"2012-10-17"}"#,
        r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Action":"*"}]}"#,
    ] {
        let it = Narrowing { session_policy: Some(bad.into()), ..Narrowing::default() };
        assert!(matches!(compile(&it), Err(CompileError::BadPolicy(_))), "{bad}");
    }
}

#[test]
fn the_tables_of_what_is_exempt_are_sound() {
    for table in [GLOBAL_SERVICES, AWS_OWNED] {
        assert!(table.is_sorted_by_key(|row| row.pattern) && table.iter().all(|row| !row.reason.is_empty()));
    }
    assert!(GLOBAL_SERVICES.iter().all(|row| is_action(row.pattern)));
    // An ARN of a customer's has an account, but for a bucket's.
    assert!(AWS_OWNED.iter().all(|row| row.pattern.contains("::") && !row.pattern.starts_with("s3")));
    let everything = Narrowing {
        regions: vec!["eu-west-1".into()],
        accounts: vec!["111122223333".into()],
        org: Some("o-aaaaaaaaaa".into()),
        ..narrowing(Access::Full, &[], &[])
    };
    assert!(compile(&everything).unwrap().policy_json.unwrap().len() < 1500, "there is room for a site's own");
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
    let CompileError::TooLong { length, longest, takes } = &error else { panic!("{error}") };
    assert!(*length > MAX_CHARACTERS);
    assert_eq!((longest.len(), takes[0].0), (3, "deny-actions"));
    assert!(error.to_string().contains(&format!("drop {} characters", length - MAX_CHARACTERS)), "{error}");
}

#[test]
fn what_is_no_action_role_or_partition_is_refused() {
    for bad in ["*", "s3", "s3:", ":Get", "s*:Get", "S3:Get", "s3:Get\"", "s3:Get,x", "s3:Gét"] {
        let error = compile(&narrowing(Access::Full, &[bad], &[])).unwrap_err();
        assert_eq!(error, CompileError::BadAction(bad.to_owned()));
    }
    for bad in ["*", "arn:aws:iam::1:user/x", "arn:aws:iam::1:role/", "arn:aws:iam::1:role/x\"", "arn:*:iam::1:role/x"]
    {
        let error = compile(&narrowing(Access::Full, &[], &[bad])).unwrap_err();
        assert_eq!(error, CompileError::BadRole(bad.to_owned()));
    }
    let odd = super::compile(&narrowing(Access::Read, &[], &[]), "\"aws");
    assert_eq!(odd, Err(CompileError::BadPartition("\"aws".into())));
}

fn action() -> impl Strategy<Value = String> {
    "(s3|ssm|sts|ec2):(Get|List|Assume|\\*)(Object|Role|\\?|\\*)?"
}

/// One option, to be put on top of others.
#[derive(Debug, Clone)]
enum Bound {
    Less(Access),
    Deny(String),
    Allow(String),
    Region,
    Account,
    Org,
}

impl Bound {
    /// A list that is not empty bounds already: another entry of the same list would be more.
    fn on(self, mut it: Narrowing) -> Narrowing {
        match self {
            Self::Less(access) => it.access = it.access.max(access),
            Self::Deny(action) => it.deny_actions.push(action),
            Self::Allow(action) if it.allow_actions.is_empty() => it.allow_actions = vec![action],
            Self::Region => it.regions = vec!["eu-west-1".into()],
            Self::Account => it.accounts = vec!["111122223333".into()],
            Self::Org => it.org = Some("o-aaaaaaaaaa".into()),
            Self::Allow(_) => {}
        }
        it
    }
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        prop::sample::select(vec![Access::Full, Access::Read, Access::ReadMetadata]).prop_map(Bound::Less),
        action().prop_map(Bound::Deny),
        action().prop_map(Bound::Allow),
        Just(Bound::Region),
        Just(Bound::Account),
        Just(Bound::Org),
    ]
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

    /// Every option on top of every other: what is left is never more.
    #[test]
    fn one_more_option_never_widens(
        access in prop::sample::select(vec![Access::Full, Access::Read, Access::ReadMetadata]),
        first in bound(),
        second in bound(),
        asked in "(s3|ssm|sts|ec2|iam):(Get|List|Assume|Put)(Object|Role|Parameter|AllMyBuckets)",
        region in prop::sample::select(vec!["eu-west-1", "us-east-1"]),
        account in prop::sample::select(vec!["111122223333", "444455556666"]),
        resource in prop::sample::select(vec![ROLE, "arn:aws:ec2:x::image/i", "arn:aws:s3:::b"]),
    ) {
        let one = first.on(narrowing(access, &[], &[]));
        let both = second.on(one.clone());
        // What does not fit is refused.
        let (Ok(one), Ok(both)) = (compile(&one), compile(&both)) else { return Ok(()) };
        let call = Call { region, account, ..Call::home(&asked, resource) };
        prop_assert!(allows_call(&one, &READ_ONLY, &call) || !allows_call(&both, &READ_ONLY, &call));
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
    fn no_text_makes_it_panic(
        deny in any_texts(),
        assume in any_texts(),
        text in prop::option::of(".{0,40}"),
        partition in ".{0,8}",
    ) {
        let lists = Narrowing { allow_actions: deny.clone(), regions: assume.clone(), accounts: deny.clone(), ..Narrowing::default() };
        let _ = super::compile(&Narrowing { deny_actions: deny, may_assume: assume, session_policy: text, ..lists }, &partition);
    }
}
