//! What is asked of STS, and what a failure looks like.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_aws_protocol::Narrowing;
use agent_aws_sts_emulator::{Fail, Faults};

use crate::scene::{Broker, KEY, ROLE, SECRET, Start, emulator, file, keys, minting};

#[test]
fn a_session_is_asked_for_with_name_attribution_external_id_and_narrowing() {
    let sts = emulator(None);
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let session = broker.minted();
    assert_eq!(session.account, "111122223333");
    assert_eq!(session.arn, "arn:aws:sts::111122223333:assumed-role/agent-incident/alice@host-1");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((890..=900).contains(&(session.expires - now)));
    let [request] = sts.requests().try_into().unwrap();
    let parameter = |name: &str| request.parameters.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((request.action.as_str(), request.verdict.as_str()), ("AssumeRole", "ok"));
    assert_eq!((request.access_key_id.as_str(), request.region.as_str()), (KEY, "eu-west-1"));
    assert_eq!(parameter("RoleArn"), ROLE);
    assert_eq!(parameter("RoleSessionName"), "alice@host-1");
    assert_eq!(parameter("SourceIdentity"), "alice");
    assert_eq!(parameter("ExternalId"), "x-1");
    assert_eq!(parameter("DurationSeconds"), "900");
    assert_eq!(parameter("Tags.member.1.Key"), "agent-aws:session");
    assert!(parameter("Policy").contains("sqs:PurgeQueue"));
    assert_eq!(parameter("PolicyArns.member.1.arn"), "arn:aws:iam::aws:policy/ReadOnlyAccess");
}

#[test]
fn nothing_in_the_environment_decides_where_a_system_source_is_taken() {
    let sts = emulator(None);
    let elsewhere = "http://127.0.0.1:9";
    let environment = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"]
        .map(|name| (name.to_owned(), elsewhere.to_owned()))
        .into_iter()
        .chain([("AWS_ACCESS_KEY_ID".into(), "AKIAELSEWHERE".into()), ("AWS_REGION".into(), "mars-1".into())])
        .collect();
    let start = Start { environment, ..Start::default() };
    let broker = Broker::start_as(&start, minting(&sts), Some(file(&keys(SECRET))));
    broker.minted();
    assert_eq!(sts.requests()[0].access_key_id, KEY);
}

#[test]
fn a_denial_is_told_with_the_services_words_and_no_try_is_promised() {
    let sts = emulator(None);
    let mut closed = minting(&sts);
    closed.role = Some("arn:aws:iam::111122223333:role/closed".into());
    let broker = Broker::start(closed, Some(file(&keys(SECRET))));
    let (cause, retry) = broker.failed();
    assert!(cause.starts_with("AssumeRole arn:aws:iam::111122223333:role/closed: AccessDenied: "), "{cause}");
    assert_eq!(retry, None);
    let told = broker.by_socket()["Error"].as_str().unwrap().to_owned();
    assert!(told.starts_with("no session of identity 'incident' since 20") && told.ends_with(&cause), "{told}");
    assert_eq!(broker.by_capability()["Error"], told);
    assert_eq!(broker.by_fifo()["Error"], told);
    let (status, body) = broker.by_http();
    assert_eq!((status, body["message"].as_str()), (424, Some(told.as_str())));
}

#[test]
fn a_wrong_secret_is_a_denial_and_appears_nowhere() {
    let sts = emulator(None);
    let broker = Broker::start(minting(&sts), Some(file(&keys("some-other-secret"))));
    let (cause, retry) = broker.failed();
    assert!(cause.contains("SignatureDoesNotMatch") && retry.is_none(), "{cause}");
    assert!(!cause.contains("some-other-secret"));
}

#[test]
fn a_passing_failure_is_tried_again_soon_with_the_source_that_came_first() {
    let sts = emulator(None);
    sts.set_faults(Faults {
        fail: Some(Fail { status: 503, code: "ServiceUnavailable".into(), message: "later".into(), times: Some(3) }),
        ..Faults::default()
    });
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let (cause, retry) = broker.failed();
    assert!(cause.contains("ServiceUnavailable: later") && retry == Some(1), "{cause} {retry:?}");
    broker.minted();
}

#[test]
fn an_sts_that_is_not_there_is_named() {
    let sts = emulator(None);
    let url = sts.url();
    let asked = minting(&sts);
    drop(sts);
    let broker = Broker::start(asked, Some(file(&keys(SECRET))));
    let (cause, retry) = broker.failed();
    assert!(cause.contains(&format!("{url} cannot be reached")) && cause.contains("refused"), "{cause}");
    assert!(retry.is_some());
}

#[test]
fn a_client_that_comes_before_the_first_mint_waits_for_it() {
    let sts = emulator(None);
    sts.set_faults(Faults { delay_ms: 400, ..Faults::default() });
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    assert_eq!(broker.by_socket()["Version"], 1);
}

#[test]
fn a_client_that_has_waited_a_second_for_the_first_mint_is_told_so() {
    let sts = emulator(None);
    sts.set_faults(Faults { hang: true, ..Faults::default() });
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let start = std::time::Instant::now();
    assert!(broker.by_socket()["Error"].as_str().unwrap().contains("is being minted"));
    assert!(broker.by_fifo()["Error"].as_str().unwrap().contains("is being minted"));
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    assert_eq!(broker.by_http().0, 503);
}

#[test]
fn a_session_that_was_over_before_it_came_is_a_matter_of_the_clock() {
    let sts = emulator(None);
    sts.set_faults(Faults { skew_seconds: -7200, ..Faults::default() });
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let (cause, _) = broker.failed();
    assert!(cause.contains("check the clock"), "{cause}");
}

#[test]
fn a_source_without_the_profile_fails_before_sts_is_asked() {
    let sts = emulator(None);
    let mut broker = Broker::start(minting(&sts), Some(file("[other]\naws_access_key_id = x\n")));
    assert_eq!(broker.failed(), ("the source's file has no profile 'w'".into(), None));
    broker.ends();
    assert!(sts.requests().is_empty());
}

#[test]
fn a_narrowing_that_cannot_be_is_refused_and_never_widened() {
    let sts = emulator(None);
    let mut odd = minting(&sts);
    odd.narrowing.policy_arns = vec!["arn:aws:iam::aws:policy/AdministratorAccess".into()];
    let mut broker = Broker::start(odd, Some(file(&keys(SECRET))));
    let (cause, retry) = broker.failed();
    assert!(cause.contains("session policies add up") && retry.is_none(), "{cause}");
    broker.ends();
    assert!(sts.requests().is_empty());
}

#[test]
fn a_name_is_resolved_under_the_filter() {
    let sts = emulator(None);
    let mut named = minting(&sts);
    named.sts_endpoint = Some(format!("http://localhost:{}", sts.address().port()));
    let broker = Broker::start(named, Some(file(&keys(SECRET))));
    broker.minted();
}

#[test]
fn tls_runs_under_the_filter_and_is_never_given_up_for_plain_http() {
    let sts = emulator(None);
    let mut tls = minting(&sts);
    tls.sts_endpoint = Some(format!("https://localhost:{}", sts.address().port()));
    let broker = Broker::start(tls, Some(file(&keys(SECRET))));
    let (cause, _) = broker.failed();
    assert!(cause.contains("cannot be reached: received corrupt message"), "{cause}");
    assert!(sts.requests().iter().all(|r| r.action.is_empty()));
}

fn session_as_source(answer: &serde_json::Value) -> std::os::fd::OwnedFd {
    let value = |key: &str| answer[key].as_str().unwrap();
    file(&format!(
        "[w]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        value("AccessKeyId"),
        value("SecretAccessKey"),
        value("SessionToken")
    ))
}

#[test]
fn a_session_in_the_source_is_passed_on_as_it_is_and_says_so() {
    let sts = emulator(None);
    let first = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let answer = first.by_socket();
    let mut plain = minting(&sts);
    plain.role = None;
    plain.narrowing = Narrowing::default();
    let broker = Broker::start(plain, Some(session_as_source(&answer)));
    let minted = broker.minted();
    assert_eq!(answer["AccessKeyId"], minted.access_key_id);
    assert!(minted.notes[0].contains("passed on as it is"), "{:?}", minted.notes);
    assert!(minted.notes[1].contains("does not say when its session ends"), "{:?}", minted.notes);
    assert_eq!(broker.by_socket()["SecretAccessKey"], answer["SecretAccessKey"]);
}

#[test]
fn a_role_assumed_with_a_session_is_asked_for_one_hour_at_most() {
    let sts = emulator(None);
    let first = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let answer = first.by_socket();
    let mut chained = minting(&sts);
    chained.duration = 7200;
    let broker = Broker::start(chained, Some(session_as_source(&answer)));
    broker.hears(crate::scene::SOON);
    let last = sts.requests().pop().unwrap();
    assert_eq!((last.action.as_str(), last.parameters["DurationSeconds"].as_str()), ("AssumeRole", "3600"));
}
