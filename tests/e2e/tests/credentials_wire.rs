//! What STS is asked: exactly what policy says, nothing besides, and never again with less.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::process::ExitCode;

use agent_aws_harness::emulator::{Config, Emulator};
use agent_aws_harness::{ACCOUNT, Case, Mode, OWN_ROLE, ROLE, Scene, Setup, case, suite};
use serde_json::{Value, json};

const CASES: &[Case] = &[
    case!(a_start_is_one_call_of_sts_with_names_duration_and_tags).setuid(),
    case!(attribution_name_sends_neither_source_identity_nor_tags).setuid(),
    case!(a_role_that_forbids_the_source_identity_refuses_and_is_not_asked_without).setuid(),
    case!(a_role_that_forbids_tags_refuses_and_is_not_asked_without).setuid(),
    case!(full_access_still_denies_other_roles).setuid(),
    case!(read_is_the_managed_policy_and_an_inline_denial).setuid(),
    case!(denied_actions_and_roles_that_may_be_assumed_are_in_the_session_policy).setuid(),
    case!(full_access_with_every_role_has_no_session_policy).setuid(),
    case!(a_source_that_is_a_session_gives_at_most_an_hour_and_says_so).setuid(),
    case!(an_external_id_of_the_policy_is_sent).setuid(),
    case!(an_own_profile_is_asked_for_as_the_profile_says),
    case!(nothing_of_the_environment_changes_what_a_system_source_is_asked).setuid(),
];

fn main() -> ExitCode {
    suite(CASES)
}

type Parameters = BTreeMap<String, String>;

fn with(identity: &str) -> Setup {
    Setup { identity: identity.into(), ..Setup::default() }
}

/// The parameters of every AssumeRole so far.
fn asked(sts: &Emulator) -> Vec<Parameters> {
    let calls = sts.requests().into_iter().filter(|r| r.action == "AssumeRole");
    calls.map(|r| r.parameters).collect()
}

/// Starts a session, and what STS was asked for it. Every call was one AssumeRole.
fn start(scene: &Scene) -> (String, Parameters) {
    let session = scene.sh("echo $AGENT_AWS_SESSION").run().says();
    let requests = scene.sts.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    (session, asked(&scene.sts).pop().expect("an AssumeRole"))
}

fn get<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str)
}

/// The parameters that are there at all, without the numbered ones.
fn names(parameters: &Parameters) -> Vec<&str> {
    let single = parameters.keys().filter(|name| !name.contains(".member."));
    single.map(String::as_str).collect()
}

fn statements(parameters: &Parameters) -> Vec<Value> {
    let policy = get(parameters, "Policy").expect("a session policy");
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    policy.get("Statement").and_then(Value::as_array).expect("statements").clone()
}

fn a_start_is_one_call_of_sts_with_names_duration_and_tags(mode: Mode) {
    let scene = Scene::with(mode, &with("may-assume = [\"arn:aws:iam::*:role/*\"]"));
    let (session, asked) = start(&scene);
    assert_eq!(names(&asked), ["Action", "DurationSeconds", "RoleArn", "RoleSessionName", "SourceIdentity", "Version"]);
    assert_eq!(get(&asked, "RoleArn"), Some(ROLE));
    assert_eq!(get(&asked, "RoleSessionName"), Some(format!("alice-{session}").as_str()));
    assert_eq!(get(&asked, "DurationSeconds"), Some("3600"));
    assert_eq!(get(&asked, "SourceIdentity"), Some("alice"));
    let issued = scene.sts.issued().pop().expect("a session");
    let tags: Vec<(&str, &str)> = issued.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        tags,
        [("agent-aws:identity", "incident"), ("agent-aws:session", session.as_str()), ("agent-aws:user", "alice")]
    );
    assert_eq!(issued.source_identity.as_deref(), Some("alice"));
}

fn attribution_name_sends_neither_source_identity_nor_tags(mode: Mode) {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace("attribution = \"full\"", "attribution = \"name\"");
    scene.machine.policy(&policy);
    let (session, asked) = start(&scene);
    assert_eq!(get(&asked, "RoleSessionName"), Some(format!("alice-{session}").as_str()));
    assert!(!asked.keys().any(|k| k == "SourceIdentity" || k.starts_with("Tags")), "{asked:?}");
}

/// An STS in the place of the scene's, whose role `incident` is this one.
fn other_sts(scene: &Scene, role: &Value) -> Emulator {
    let user = json!({ "name": "workstation", "account": ACCOUNT, "access_key_id": "AKIAOTHEROTHEROTHER1",
                       "secret_access_key": "other-secret-0123456789" });
    let config = json!({ "users": [user], "roles": [role] });
    let config = Config::parse(&config.to_string(), "a test").expect("a configuration");
    let sts = Emulator::start(config, "127.0.0.1:0".parse().expect("an address")).expect("the emulator");
    let policy = scene.policy(&Setup::default()).replace(&scene.sts.url(), &sts.url());
    scene.machine.policy(&policy);
    scene.machine.source("workstation", "AKIAOTHEROTHEROTHER1", "other-secret-0123456789");
    sts
}

fn refused_without_a_second_try(mode: Mode, role: &Value, forbidden: &str, parameter: &str) {
    let scene = Scene::new(mode);
    let sts = other_sts(&scene, role);
    let output = scene.run(&[], &["echo", "it", "ran"]).run().refused(forbidden);
    assert!(output.stderr.contains("AccessDenied") && output.stderr.contains(ROLE), "{output}");
    assert!(output.stderr.contains("attribution = \"name\""), "what to do is not said: {output}");
    assert_eq!(output.stdout, "");
    let asked = asked(&sts);
    assert!(!asked.is_empty() && asked.iter().all(|a| a.contains_key(parameter)), "{asked:?}");
    assert!(sts.issued().is_empty());
    // The same role with what is forbidden left away, as policy may say.
    let policy = scene.policy(&Setup::default()).replace(&scene.sts.url(), &sts.url());
    scene.machine.policy(&policy.replace("attribution = \"full\"", "attribution = \"name\""));
    scene.run(&[], &["true"]).run().ends(0);
}

fn a_role_that_forbids_the_source_identity_refuses_and_is_not_asked_without(mode: Mode) {
    let role = json!({ "arn": ROLE, "trusted": ["*"], "allow_source_identity": false, "allow_tags": true });
    refused_without_a_second_try(mode, &role, "sts:SetSourceIdentity", "SourceIdentity");
}

fn a_role_that_forbids_tags_refuses_and_is_not_asked_without(mode: Mode) {
    let role = json!({ "arn": ROLE, "trusted": ["*"], "allow_source_identity": true, "allow_tags": false });
    refused_without_a_second_try(mode, &role, "sts:TagSession", "Tags.member.1.Key");
}

fn full_access_still_denies_other_roles(mode: Mode) {
    let (_, asked) = start(&Scene::new(mode));
    assert_eq!(
        statements(&asked),
        [
            json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": "sts:Assume*", "Resource": "*" }),
        ]
    );
    assert_eq!(get(&asked, "PolicyArns.member.1.arn"), None);
}

fn read_is_the_managed_policy_and_an_inline_denial(mode: Mode) {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace("access = \"full\"", "access = \"read\"");
    scene.machine.policy(&policy);
    let (_, asked) = start(&scene);
    assert_eq!(get(&asked, "PolicyArns.member.1.arn"), Some("arn:aws:iam::aws:policy/ReadOnlyAccess"));
    assert_eq!(get(&asked, "PolicyArns.member.2.arn"), None);
    assert_eq!(statements(&asked), [json!({ "Effect": "Deny", "Action": "sts:Assume*", "Resource": "*" })]);
}

fn denied_actions_and_roles_that_may_be_assumed_are_in_the_session_policy(mode: Mode) {
    let next = "arn:aws:iam::111122223333:role/next";
    let lines = format!("deny-actions = [\"sqs:PurgeQueue\", \"lambda:Invoke*\"]\nmay-assume = [\"{next}\"]");
    let (_, asked) = start(&Scene::with(mode, &with(&lines)));
    assert_eq!(
        statements(&asked),
        [
            json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": ["sqs:PurgeQueue", "lambda:Invoke*"], "Resource": "*" }),
            json!({ "Effect": "Deny", "Action": "sts:Assume*", "NotResource": next }),
        ]
    );
}

fn full_access_with_every_role_has_no_session_policy(mode: Mode) {
    let (_, asked) = start(&Scene::with(mode, &with("may-assume = [\"arn:aws:iam::*:role/*\"]")));
    assert!(!asked.keys().any(|k| k.starts_with("Policy")), "{asked:?}");
}

fn a_source_that_is_a_session_gives_at_most_an_hour_and_says_so(mode: Mode) {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace("duration = \"1h\"", "duration = \"2h\"");
    scene.machine.policy(&policy);
    let (_, asked) = start(&scene);
    assert_eq!(get(&asked, "DurationSeconds"), Some("7200"), "of the keys of a user");
    // A session as the source: one that the policy's own `own:*` gives.
    let session = scene.agent_aws(&["credentials", "--profile", "dev"]).run().says();
    let session: Value = serde_json::from_str(&session).expect("JSON");
    let member = |name: &str| session.get(name).and_then(Value::as_str).expect("a member").to_owned();
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        member("AccessKeyId"),
        member("SecretAccessKey"),
        member("SessionToken")
    );
    scene.machine.root_file("/etc/agent-aws/sources/workstation".as_ref(), 0o600, text);
    scene.sts.clear_requests();
    let seen = scene.at_terminal(&["run", "--as", "incident", "--", "true"]).run().says();
    let asked = self::asked(&scene.sts).pop().expect("an AssumeRole");
    assert_eq!(get(&asked, "DurationSeconds"), Some("3600"));
    assert!(seen.contains("one hour"), "{seen}");
    let caller = scene.sts.requests().pop().and_then(|r| r.caller_arn).unwrap_or_default();
    assert!(caller.contains("assumed-role/agent-dev/"), "{caller}");
}

fn an_external_id_of_the_policy_is_sent(mode: Mode) {
    let (_, asked) = start(&Scene::with(mode, &with("external-id = \"tenant-7\"")));
    assert_eq!(get(&asked, "ExternalId"), Some("tenant-7"));
}

fn an_own_profile_is_asked_for_as_the_profile_says(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let config = format!(
        "[profile dev]\nrole_arn = {OWN_ROLE}\nsource_profile = base\nregion = eu-west-1\nrole_session_name = by-alice\n\
         external_id = of-alice\n"
    );
    scene.machine.file(&alice, &scene.aws("config"), 0o600, config);
    scene.agent_aws(&["run", "--profile", "dev", "--", "true"]).run().ends(0);
    assert_eq!(scene.sts.requests().len(), 1, "nothing but the role is asked for");
    let asked = self::asked(&scene.sts);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let asked = asked.first().expect("an AssumeRole");
    assert_eq!(get(asked, "RoleArn"), Some(OWN_ROLE));
    assert_eq!(get(asked, "RoleSessionName"), Some("by-alice"));
    assert_eq!(get(asked, "ExternalId"), Some("of-alice"));
    assert!(!asked.keys().any(|k| k.starts_with("SourceIdentity") || k.starts_with("Policy")), "{asked:?}");
}

/// Whoever runs it decides neither where the call goes nor what it says.
fn nothing_of_the_environment_changes_what_a_system_source_is_asked(mode: Mode) {
    let scene = Scene::new(mode);
    let trap = Emulator::start(
        Config::parse(r#"{"users":[],"roles":[]}"#, "a test").expect("a configuration"),
        "127.0.0.1:0".parse().expect("an address"),
    )
    .expect("the emulator");
    let mut call = scene.run(&[], &["true"]);
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        call = call.env(name, trap.url());
    }
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIATRAPTRAPTRAPTRAP"),
        ("AWS_SECRET_ACCESS_KEY", "trap"),
        ("AWS_ROLE_SESSION_NAME", "somebody-else"),
        ("AWS_REGION", "us-gov-west-1"),
    ] {
        call = call.env(name, value);
    }
    call.run().ends(0);
    assert!(trap.requests().is_empty(), "{:?}", trap.requests());
    let requests = scene.sts.requests();
    assert!(
        requests.len() == 1
            && requests.iter().all(|r| r.region == "eu-west-1" && r.access_key_id != "AKIATRAPTRAPTRAPTRAP"),
        "{requests:?}"
    );
    // An own source goes where its owner's environment says.
    scene.agent_aws(&["run", "--profile", "dev", "--", "true"]).env("AWS_ENDPOINT_URL_STS", trap.url()).run().ends(125);
    assert!(!trap.requests().is_empty());
}
