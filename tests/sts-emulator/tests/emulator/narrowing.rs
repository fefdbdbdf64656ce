//! Role policy and session policy together, as other services see them.

use crate::support::{Client, ROLE, emulator, policy};

const READER: &str = "arn:aws:iam::111122223333:role/reader";
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn session(alice: &Client, role: &str, more: &[(&str, &str)]) -> Client {
    alice.with(&alice.assume(role, more).ok())
}

#[test]
fn without_a_session_policy_the_role_decides_alone() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let full = session(&alice, ROLE, &[]);
    full.list_users().ok();
    full.sqs("PurgeQueue").ok();
    let reader = session(&alice, READER, &[]);
    reader.sqs("SendMessage").ok();
    reader.sqs("PurgeQueue").refused(403, "AccessDenied", "with an explicit deny in an identity-based policy");
    let words = "is not authorized to perform: iam:ListUsers on resource: arn:aws:iam::111122223333:user/ because no \
                 identity-based policy allows the iam:ListUsers action";
    reader.list_users().refused(403, "AccessDenied", words);
}

#[test]
fn a_session_policy_takes_away_and_never_gives() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let narrowed = session(&alice, READER, &[("Policy", &policy("Allow", "iam:* sqs:ReceiveMessage"))]);
    narrowed.sqs("ReceiveMessage").ok();
    narrowed.sqs("SendMessage").refused(403, "AccessDenied", "no session policy allows the sqs:SendMessage action");
    narrowed.list_users().refused(403, "AccessDenied", "no identity-based policy");
    narrowed.whoami().ok();
}

#[test]
fn inline_and_managed_session_policies_are_one_union() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let both = [("PolicyArns.member.1.arn", READ_ONLY), ("Policy", &policy("Allow", "sqs:SendMessage"))];
    let client = session(&alice, ROLE, &both);
    client.list_users().ok();
    client.sqs("ReceiveMessage").ok();
    client.sqs("SendMessage").ok();
    client.sqs("PurgeQueue").refused(403, "AccessDenied", "no session policy allows the sqs:PurgeQueue action");
    let denying = [("PolicyArns.member.1.arn", READ_ONLY), ("Policy", &policy("Deny", "iam:ListUsers"))];
    let client = session(&alice, ROLE, &denying);
    client.list_users().refused(403, "AccessDenied", "explicit deny in a session policy");
    client.sqs("ReceiveMessage").ok();
}

#[test]
fn the_read_only_managed_policy_reads_and_does_not_write() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let client = session(&alice, ROLE, &[("PolicyArns.member.1.arn", READ_ONLY)]);
    for (service, method, target, status) in [
        ("s3", "GET", "/", 200),
        ("s3", "GET", "/bucket/key", 200),
        ("s3", "PUT", "/bucket/key", 403),
        ("lambda", "GET", "/2015-03-31/functions/", 200),
        ("lambda", "POST", "/2015-03-31/functions/f/invocations", 403),
    ] {
        let answer = client.request(service, method, target, &[], b"");
        assert_eq!(answer.status, status, "{service} {method} {target}: {}", answer.body);
    }
}

#[test]
fn resources_of_a_session_policy_are_held() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let only =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::mine/*"}]}"#;
    let client = session(&alice, ROLE, &[("Policy", only)]);
    assert_eq!(client.request("s3", "PUT", "/mine/a%20b%2Bc", &[], b"x").status, 200);
    let other = client.request("s3", "PUT", "/yours/a", &[], b"x");
    other.refused(403, "AccessDenied", "s3:PutObject on resource: arn:aws:s3:::yours/a");
}

#[test]
fn a_region_condition_is_held_against_the_region_of_the_signature() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let only = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",
        "Condition":{"StringEquals":{"aws:RequestedRegion":["eu-west-1"]}}}]}"#;
    let client = session(&alice, ROLE, &[("Policy", only)]);
    client.sqs("SendMessage").ok();
    let abroad = Client { region: "us-east-1", ..client };
    abroad.sqs("SendMessage").refused(403, "AccessDenied", "no session policy");
    abroad.whoami().ok();
}

#[test]
fn a_condition_the_emulator_cannot_evaluate_denies_and_says_so() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let odd = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",
        "Condition":{"IpAddress":{"aws:RequestedRegion":"10.0.0.0/8"}}}]}"#;
    let answer = session(&alice, ROLE, &[("Policy", odd)]).sqs("SendMessage");
    answer.refused(403, "AccessDenied", "the emulator cannot evaluate the condition operator IpAddress");
}

#[test]
fn caller_identity_is_always_allowed() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    session(&alice, ROLE, &[("Policy", &policy("Deny", "*"))]).whoami().ok();
}

#[test]
fn both_protocols_of_sqs_are_the_same_actions() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let client = session(&alice, ROLE, &[("Policy", &policy("Allow", "sqs:SendMessage"))]);
    let body = br#"{"QueueUrl":"http://queue/111122223333/jobs","MessageBody":"hi"}"#;
    let call = |action: &str| {
        let target = format!("AmazonSQS.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        client.request("sqs", "POST", "/", &headers, body)
    };
    assert_eq!(call("SendMessage").ok().json()["MD5OfMessageBody"], "49f68a5c8493ec2c0bf489821c21fc3b");
    let denied = call("PurgeQueue");
    assert_eq!((denied.status, &denied.json()["__type"]), (403, &"AccessDeniedException".into()));
    assert_eq!(denied.header("x-amzn-query-error"), Some("AccessDenied;Sender"));
    let verdicts: Vec<_> = emulator.requests().into_iter().skip(1).map(|one| (one.action, one.verdict)).collect();
    let expected = [("SendMessage", "ok"), ("PurgeQueue", "AccessDenied")];
    assert_eq!(verdicts, expected.map(|(action, verdict)| (action.to_owned(), verdict.to_owned())));
}

#[test]
fn an_operation_nobody_modelled_is_not_allowed_by_accident() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    assert_eq!(alice.request("lambda", "DELETE", "/2015-03-31/functions/f", &[], b"").status, 400);
    alice.query("iam", "2010-05-08", &[("Action", "x><y")]).refused(400, "InvalidAction", "");
    alice.query("iam", "2011-06-15", &[("Action", "ListUsers")]).refused(400, "InvalidAction", "2011-06-15");
}
