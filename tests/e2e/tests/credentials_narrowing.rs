//! What the caller does without: asked of STS on the wire, and kept by it in the session.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use agent_aws_harness::{Case, Mode, Output, Scene, Setup, case, suite};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_caller_narrows_an_identity_of_the_policy).setuid(),
    case!(nobody_widens_an_identity_of_the_policy).setuid(),
    case!(denials_of_the_caller_come_on_top_of_those_of_the_policy).setuid(),
    case!(a_role_of_an_own_profile_is_narrowed_and_attributed),
    case!(own_keys_that_are_narrowed_become_a_federated_user),
    case!(a_role_of_an_own_profile_can_be_assumed_with_its_own_keys),
    case!(a_session_that_is_there_cannot_be_narrowed_and_the_cure_is_named),
    case!(what_is_no_action_is_refused_before_anything_starts),
    case!(the_plan_and_the_start_say_what_is_left),
    case!(bounds_of_the_policy_are_passed_and_kept).setuid(),
    case!(a_document_of_the_admins_is_the_whole_of_it).setuid(),
    case!(an_explanation_shows_the_document_that_sts_gets).private(),
    case!(a_role_that_knows_no_attribution_is_refused_with_the_statement_it_lacks).setuid(),
];

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn main() -> ExitCode {
    suite(CASES)
}

fn with(identity: &str) -> Setup {
    Setup { identity: identity.into(), ..Setup::default() }
}

/// The calls of STS by their name, but for questions who one is.
fn asked(scene: &Scene) -> Vec<(String, BTreeMap<String, String>)> {
    let all = scene.sts.requests().into_iter().filter(|r| r.action != "GetCallerIdentity");
    all.map(|r| (r.action, r.parameters)).collect()
}

/// The one call that made the session.
fn made(scene: &Scene, action: &str) -> BTreeMap<String, String> {
    let mut all = asked(scene);
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [action]);
    all.pop().unwrap().1
}

/// The actions that every statement with this effect names, together.
fn actions(parameters: &BTreeMap<String, String>, effect: &str) -> Vec<String> {
    let policy = parameters.get("Policy").expect("a session policy");
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    let statements = policy.get("Statement").and_then(Value::as_array).expect("statements");
    let named = statements.iter().filter(|s| s.get("Effect").and_then(Value::as_str) == Some(effect));
    let words = |value: &Value| match value {
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    named.filter_map(|s| s.get("Action")).flat_map(words).collect()
}

fn managed(parameters: &BTreeMap<String, String>) -> Vec<&str> {
    parameters.iter().filter(|(key, _)| key.starts_with("PolicyArns")).map(|(_, value)| value.as_str()).collect()
}

/// A call of SQS with the session, by the AWS CLI.
fn sqs(scene: &Scene, options: &[&str], words: &str) -> Option<Output> {
    if !Path::new("/usr/bin/aws").is_file() {
        eprintln!("left out: there is no AWS CLI here (awscli)");
        return None;
    }
    let line = format!("/usr/bin/aws --endpoint-url {} --region eu-west-1 --output text sqs {words}", scene.sts.url());
    Some(scene.agent_aws(&["run"]).args(options).args(&["--", "sh", "-c", &line]).run())
}

fn denied(output: Option<Output>) {
    if let Some(output) = output {
        assert!(output.code() != 0 && output.stderr.contains("AccessDenied"), "{output}");
    }
}

fn allowed(output: Option<Output>) {
    if let Some(output) = output {
        output.ends(0);
    }
}

const PURGE: &str = "purge-queue --queue-url https://sqs/111122223333/jobs";

fn a_caller_narrows_an_identity_of_the_policy(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&["--access", "read", "--deny-action", "s3:GetObject"], &["true"]).run().ends(0);
    let asked = made(&scene, "AssumeRole");
    assert_eq!(managed(&asked), [READ_ONLY]);
    let denials = actions(&asked, "Deny");
    assert!(denials.contains(&"s3:GetObject".to_owned()), "{denials:?}");
    assert_eq!(asked.get("SourceIdentity").map(String::as_str), Some("alice"), "attribution stays");
    // The control: without it, the same call is allowed.
    allowed(sqs(&scene, &["--as", "incident"], PURGE));
    denied(sqs(&scene, &["--as", "incident", "--access", "read"], PURGE));
    denied(sqs(&scene, &["--as", "incident", "--deny-action", "sqs:Purge*"], PURGE));
    allowed(sqs(&scene, &["--as", "incident", "--deny-action", "sqs:Purge*"], "list-queues"));
}

fn nobody_widens_an_identity_of_the_policy(mode: Mode) {
    let scene = Scene::new(mode);
    scene.machine.policy(&scene.policy(&Setup::default()).replace("access = \"full\"", "access = \"read\""));
    scene.run(&["--access", "full"], &["true"]).run().refused("is not less than the `read`");
    assert!(asked(&scene).is_empty(), "STS was asked");
    for same_or_less in ["read", "read-metadata"] {
        scene.sts.clear_requests();
        scene.run(&["--access", same_or_less], &["true"]).run().ends(0);
        assert_eq!(managed(&made(&scene, "AssumeRole")), [READ_ONLY], "{same_or_less}");
    }
    let denials = actions(&made(&scene, "AssumeRole"), "Deny");
    assert!(denials.contains(&"secretsmanager:GetSecretValue".to_owned()), "{denials:?}");
}

fn denials_of_the_caller_come_on_top_of_those_of_the_policy(mode: Mode) {
    let scene = Scene::with(mode, &with("deny-actions = [\"lambda:Invoke*\"]"));
    let options = ["--deny-action", "s3:Delete*", "--deny-action", "sqs:PurgeQueue"];
    scene.run(&options, &["true"]).run().ends(0);
    let denials = actions(&made(&scene, "AssumeRole"), "Deny");
    for action in ["lambda:Invoke*", "s3:Delete*", "sqs:PurgeQueue"] {
        assert!(denials.contains(&action.to_owned()), "{action} in {denials:?}");
    }
    let records = scene.machine.audit();
    let start = records.iter().find(|record| record["event"] == "start").expect("a record of the start");
    assert_eq!(start["access"], "full");
}

fn a_role_of_an_own_profile_is_narrowed_and_attributed(mode: Mode) {
    let scene = Scene::new(mode);
    let session = scene.agent_aws(&["run", "--profile", "dev", "--", "sh", "-c", "echo $AGENT_AWS_SESSION"]);
    let session = session.run().says();
    let asked = made(&scene, "AssumeRole");
    assert_eq!(asked.get("RoleSessionName").map(String::as_str), Some(format!("alice-{session}").as_str()));
    assert!(!asked.contains_key("Policy") && managed(&asked).is_empty(), "{asked:?}");
    scene.sts.clear_requests();
    let narrowed = ["run", "--profile", "dev", "--access", "read-metadata", "--", "true"];
    scene.agent_aws(&narrowed).run().ends(0);
    let asked = made(&scene, "AssumeRole");
    assert_eq!(managed(&asked), [READ_ONLY]);
    assert!(actions(&asked, "Deny").contains(&"s3:GetObject*".to_owned()), "{asked:?}");
    allowed(sqs(&scene, &["--profile", "dev"], PURGE));
    denied(sqs(&scene, &["--profile", "dev", "--deny-action", "sqs:*"], PURGE));
}

fn own_keys_that_are_narrowed_become_a_federated_user(mode: Mode) {
    let scene = Scene::new(mode);
    scene.configure("[profile plain]\nregion = eu-west-1\n", &scene.keys("plain"));
    let client = scene.machine.tool("sts-whoami").display().to_string();
    let url = scene.sts.url();
    let who = scene.agent_aws(&["run", "--profile", "plain", "--access", "read", "--", &client, &url]).run().says();
    assert!(who.starts_with("arn:aws:sts::111122223333:federated-user/alice-"), "{who}");
    let asked = made(&scene, "GetFederationToken");
    assert_eq!(managed(&asked), [READ_ONLY]);
    assert!(who.ends_with(asked.get("Name").expect("a name")), "{who}");
    denied(sqs(&scene, &["--profile", "plain", "--access", "read"], PURGE));
    allowed(sqs(&scene, &["--profile", "plain", "--access", "read"], "list-queues"));
}

fn a_role_of_an_own_profile_can_be_assumed_with_its_own_keys(mode: Mode) {
    let scene = Scene::new(mode);
    let role = agent_aws_harness::OWN_ROLE;
    let config = format!(
        "[profile self]\nrole_arn = {role}\nsource_profile = self\nregion = eu-west-1\nduration_seconds = 1800\n"
    );
    scene.configure(&config, &scene.keys("self"));
    scene.agent_aws(&["run", "--profile", "self", "--deny-action", "iam:*", "--", "true"]).run().ends(0);
    let asked = made(&scene, "AssumeRole");
    assert_eq!(asked.get("DurationSeconds").map(String::as_str), Some("1800"));
    assert!(actions(&asked, "Deny").contains(&"iam:*".to_owned()), "{asked:?}");
}

fn a_session_that_is_there_cannot_be_narrowed_and_the_cure_is_named(mode: Mode) {
    let scene = Scene::new(mode);
    let session = scene.agent_aws(&["credentials", "--profile", "dev", "--format", "json"]).run().says();
    let session: Value = serde_json::from_str(&session).expect("JSON");
    let member = |name: &str| session.get(name).and_then(Value::as_str).expect("a member").to_owned();
    let text = format!(
        "[session]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        member("AccessKeyId"),
        member("SecretAccessKey"),
        member("SessionToken")
    );
    scene.configure("[profile session]\nregion = eu-west-1\n", &text);
    scene.agent_aws(&["run", "--profile", "session", "--", "true"]).run().ends(0);
    for option in [["--access", "read"], ["--deny-action", "s3:*"]] {
        let call = scene.agent_aws(&["run", "--profile", "session"]).args(&option).args(&["--", "echo", "it", "ran"]);
        let output = call.run();
        output.refused("role_arn and source_profile");
    }
}

fn what_is_no_action_is_refused_before_anything_starts(mode: Mode) {
    let scene = Scene::new(mode);
    for bad in ["s3", "s3:", ":Get", "s3:Get Object", "S3:GetObject", "arn:aws:s3:::x"] {
        scene.run(&["--deny-action", bad], &["true"]).run().refused("--deny-action");
    }
    let near = "did you mean \"secretsmanager:Get*\"?";
    scene.run(&["--deny-action", "secretmanager:Get*"], &["true"]).run().refused(near);
    scene.run(&["--access", "write"], &["true"]).run().refused("--access");
    assert!(asked(&scene).is_empty());
}

fn the_plan_and_the_start_say_what_is_left(mode: Mode) {
    let scene = Scene::new(mode);
    let said = scene.run(&["--access", "read", "--deny-action", "s3:Get*", "--explain"], &["true"]).run().says();
    let row = |name: &str, value: &str| {
        said.lines().any(|line| line.trim_start().starts_with(name) && line.trim_end().ends_with(value))
    };
    assert!(row("access", "read") && row("denied", "s3:Get*"), "{said}");
    assert!(asked(&scene).is_empty());
}

/// A call of SQS in a region, with the session that the policy gives.
fn sqs_in(scene: &Scene, region: &str, words: &str) -> Option<Output> {
    let there = Path::new("/usr/bin/aws").is_file();
    if !there {
        eprintln!("left out: there is no AWS CLI here (awscli)");
    }
    let line = format!("/usr/bin/aws --endpoint-url {} --region {region} --output text sqs {words}", scene.sts.url());
    there.then(|| scene.agent_aws(&["run", "--as", "incident", "--", "sh", "-c", &line]).run())
}

fn bounds_of_the_policy_are_passed_and_kept(mode: Mode) {
    let bounds = "regions = [\"eu-west-1\"]\nallow-actions = [\"sqs:*\", \"s3:ListAllMyBuckets\"]\naccounts = [\"111122223333\"]";
    let scene = Scene::with(mode, &with(bounds));
    scene.run(&[], &["true"]).run().ends(0);
    let policy: Value = serde_json::from_str(made(&scene, "AssumeRole").get("Policy").unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let condition = |key: &str| statements.iter().find(|s| s["Condition"].to_string().contains(key)).unwrap();
    assert_eq!(condition("aws:RequestedRegion")["Condition"]["StringNotEquals"]["aws:RequestedRegion"], "eu-west-1");
    assert_eq!(condition("aws:ResourceAccount")["Effect"], "Deny");
    assert!(statements.iter().any(|s| s["NotAction"].to_string().contains("sqs:*")), "{policy}");
    allowed(sqs_in(&scene, "eu-west-1", "list-queues"));
    denied(sqs_in(&scene, "us-east-1", "list-queues"));
    scene.machine.policy(&scene.policy(&with("allow-actions = [\"sqs:Get*\"]")));
    denied(sqs_in(&scene, "eu-west-1", "list-queues"));
    // The control: without any of it, all of these are allowed.
    scene.machine.policy(&scene.policy(&with("")));
    allowed(sqs_in(&scene, "us-east-1", "list-queues"));
}

fn a_document_of_the_admins_is_the_whole_of_it(mode: Mode) {
    let document =
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}]}"#;
    let scene = Scene::with(mode, &with(&format!("session-policy = '''{document}'''")));
    allowed(sqs_in(&scene, "eu-west-1", "list-queues"));
    denied(sqs_in(&scene, "eu-west-1", PURGE));
    // The same, as a file of its own.
    scene.machine.root_file(Path::new("/etc/agent-aws/policy.d/queues.json"), 0o644, document);
    scene.machine.policy(&scene.policy(&with("session-policy = 'queues.json'")));
    allowed(sqs_in(&scene, "eu-west-1", "list-queues"));
    denied(sqs_in(&scene, "eu-west-1", PURGE));
    scene.machine.policy(&scene.policy(&with("session-policy = 'other.json'")));
    scene.run(&[], &["true"]).run().refused("there is no file \"other.json\" with the policy");
    let both = "session-policy = '{}'\npolicy-arns = [\"arn:aws:iam::aws:policy/AmazonSQSFullAccess\"]";
    scene.machine.policy(&scene.policy(&with(both)));
    scene.run(&[], &["true"]).run().refused("in more than one way what is allowed to begin with");
    scene.machine.policy(&scene.policy(&with("session-policy = '{}'")));
    scene.sts.clear_requests();
    scene.run(&[], &["true"]).run().refused("`session-policy` is no IAM policy");
    assert!(asked(&scene).is_empty());
    scene.machine.policy(&scene.policy(&with("policy-arns = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]")));
    scene.run(&[], &["true"]).run().ends(0);
    assert_eq!(managed(&made(&scene, "AssumeRole")), [READ_ONLY]);
    // What adds up would widen it.
    scene.run(&["--access", "read"], &["true"]).run().refused("session policies add up");
}

fn an_explanation_shows_the_document_that_sts_gets(mode: Mode) {
    let scene = Scene::with(mode, &with("deny-actions = [\"lambda:Invoke*\"]"));
    let said = scene.agent_aws(&["policy", "explain", "--as", "incident"]).run().says();
    assert!(
        said.contains("denied: lambda:Invoke*")
            && said.contains("source profile file: credentials that it gives: keys"),
        "{said}"
    );
    let (_, document) = said.split_once("session policy\n").expect("a session policy");
    let shown: Value =
        serde_json::from_str(&document[document.find('{').unwrap()..=document.rfind('}').unwrap()]).unwrap();
    if mode == Mode::Setuid {
        scene.run(&[], &["true"]).run().ends(0);
        let passed: Value = serde_json::from_str(made(&scene, "AssumeRole").get("Policy").unwrap()).unwrap();
        assert_eq!(shown, passed, "what is shown and what is passed");
    }
    let own = scene.agent_aws(&["policy", "explain", "--profile", "dev"]).run().says();
    assert!(own.contains("source own: ") && !own.contains("session policy\n"), "{own}");
}

fn a_role_that_knows_no_attribution_is_refused_with_the_statement_it_lacks(mode: Mode) {
    let scene = Scene::with(mode, &with(""));
    let policy = scene.policy(&with(""));
    scene.machine.policy(&policy.replace(agent_aws_harness::ROLE, agent_aws_harness::BASE_ROLE));
    let refused = scene.run(&[], &["true"]).run().refused("sts:SetSourceIdentity");
    let (_, rest) = refused.stderr.split_once("{\"Effect\"").unwrap();
    let statement = format!("{{\"Effect\"{}", rest.split_once('}').unwrap().0) + "}";
    let statement: Value = serde_json::from_str(&statement).unwrap();
    assert_eq!(statement["Action"], serde_json::json!(["sts:SetSourceIdentity", "sts:TagSession"]));
    assert_eq!(asked(&scene).len(), 1, "never again without");
}
