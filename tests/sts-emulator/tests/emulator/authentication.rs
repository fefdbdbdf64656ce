//! Who a request comes from, and every way not to be believed.

use std::time::Duration;

use crate::support::{Client, ROLE, emulator, encode, send};

#[test]
fn a_user_is_known_by_their_own_signature() {
    let emulator = emulator();
    let answer = Client::alice(&emulator).whoami().ok();
    assert_eq!(answer.text("Arn"), "arn:aws:iam::111122223333:user/alice");
    assert_eq!(answer.text("Account"), "111122223333");
    assert!(answer.text("UserId").starts_with("AIDA"));
    assert_eq!(answer.header("x-amzn-requestid"), Some(answer.text("RequestId")));
}

#[test]
fn a_wrong_secret_is_refused() {
    let emulator = emulator();
    let client = Client { secret: "alice-secreT".to_owned(), ..Client::alice(&emulator) };
    client.whoami().refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match");
}

#[test]
fn an_unknown_key_is_refused() {
    let emulator = emulator();
    let client = Client { key: "AKIANOBODYNOBODYNOBO".to_owned(), ..Client::alice(&emulator) };
    client.whoami().refused(403, "InvalidClientTokenId", "The security token included in the request is invalid");
}

#[test]
fn an_unsigned_request_is_refused() {
    let emulator = emulator();
    let answer = send(emulator.address(), "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[], b"");
    answer.refused(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
}

#[test]
fn a_session_needs_exactly_its_own_token() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let session = alice.with(&alice.assume(ROLE, &[]).ok());
    let other = alice.with(&alice.assume(ROLE, &[]).ok());
    assert_eq!(
        session.whoami().ok().text("Arn"),
        "arn:aws:sts::111122223333:assumed-role/agent-incident/run-1",
        "the control: with its token it works"
    );
    let token = session.token.clone().unwrap();
    for wrong in [None, other.token, Some(token + "A"), Some(String::new())] {
        Client { token: wrong, ..session.clone() }.whoami().refused(403, "InvalidClientTokenId", "is invalid");
    }
    Client { secret: "x".to_owned(), ..session.clone() }
        .whoami()
        .refused(403, "SignatureDoesNotMatch", "does not match");
    Client { token: session.token, ..alice }.whoami().refused(403, "InvalidClientTokenId", "is invalid");
}

#[test]
fn a_clock_more_than_five_minutes_off_is_refused_either_way() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for offset in [-280, 0, 280] {
        Client { clock_offset: offset, ..alice.clone() }.whoami().ok();
    }
    let late = Client { clock_offset: -320, ..alice.clone() }.whoami();
    late.refused(403, "SignatureDoesNotMatch", "Signature expired: ");
    let early = Client { clock_offset: 320, ..alice }.whoami();
    early.refused(403, "SignatureDoesNotMatch", "Signature not yet current: ");
}

#[test]
fn an_expired_session_is_told_so_and_only_to_its_holder() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let session = alice.with(&alice.assume(ROLE, &[("DurationSeconds", "900")]).ok());
    session.whoami().ok();
    for (skew, expired) in [(890, false), (901, true)] {
        emulator.set_faults(agent_aws_sts_emulator::Faults { skew_seconds: skew, ..Default::default() });
        let answer = Client { clock_offset: skew, ..session.clone() }.whoami();
        if expired {
            answer.refused(403, "ExpiredToken", "The security token included in the request is expired");
        } else {
            answer.ok();
        }
    }
    let forger = Client { clock_offset: 901, secret: "x".to_owned(), ..session };
    forger.whoami().refused(403, "SignatureDoesNotMatch", "does not match");
}

#[test]
fn a_region_that_is_none_and_a_service_that_is_none_are_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let answer = Client { region: "nowhere", ..alice.clone() }.whoami();
    answer.refused(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.");
    let answer = alice.query("ec2", "2016-11-15", &[("Action", "DescribeInstances")]);
    answer.refused(403, "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'sts'.");
}

#[test]
fn a_body_changed_on_the_way_is_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let headers = vec![
        ("host".to_owned(), emulator.address().to_string()),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
    ];
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let (added, _) = alice.sign("sts", "POST", "/", &headers, body, None);
    let all: Vec<_> = headers.into_iter().chain(added).collect();
    send(emulator.address(), "POST", "/", &all, body).ok();
    let changed = b"Action=GetSessionToken&Version=2011-06-15";
    send(emulator.address(), "POST", "/", &all, changed).refused(403, "SignatureDoesNotMatch", "does not match");
}

#[test]
fn a_get_with_its_parameters_in_the_query_works_whatever_their_order() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for target in [
        "/?Action=GetCallerIdentity&Version=2011-06-15",
        "/?Version=2011-06-15&Action=GetCallerIdentity",
        "/?Version=2011-06-15&a%20b=%7E%2F%26+c&A=&Action=GetCallerIdentity&a=2&a=1",
        "//./?Action=GetCallerIdentity&Version=2011-06-15",
    ] {
        let answer = alice.request("sts", "GET", target, &[], b"").ok();
        assert_eq!(answer.text("Arn"), "arn:aws:iam::111122223333:user/alice", "{target}");
    }
}

#[test]
fn header_values_are_compared_as_the_specification_spells_them() {
    let emulator = emulator();
    let headers = [("x-amz-meta-a", "b   c"), ("x-amz-meta-d", "\"e  f\"")];
    let target = "/?Action=GetCallerIdentity&Version=2011-06-15";
    Client::alice(&emulator).request("sts", "GET", target, &headers, b"").ok();
}

#[test]
fn a_presigned_request_works_until_it_says_it_expires() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let session = alice.with(&alice.assume(ROLE, &[]).ok());
    for (client, expected) in [
        (alice.clone(), "ok"),
        (session.clone(), "ok"),
        (Client { clock_offset: -50, ..alice.clone() }, "ok"),
        (Client { clock_offset: -70, ..alice.clone() }, "RequestExpired"),
        (Client { secret: "x".to_owned(), ..session }, "SignatureDoesNotMatch"),
    ] {
        let host = [("host".to_owned(), emulator.address().to_string())];
        let target = "/?Action=GetCallerIdentity&Version=2011-06-15";
        let (_, query) = client.sign("sts", "GET", target, &host, b"", Some(Duration::from_secs(60)));
        let query: String = query.iter().map(|(name, value)| format!("&{}={}", encode(name), encode(value))).collect();
        let answer = send(emulator.address(), "GET", &(target.to_owned() + &query), &host, b"");
        let verdict = if answer.status == 200 { "ok" } else { answer.text("Code") };
        assert_eq!(verdict, expected, "{}", answer.body);
    }
}

#[test]
fn an_action_or_version_that_does_not_exist_is_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    alice.sts(&[("Action", "Nope")]).refused(400, "InvalidAction", "Could not find operation Nope");
    let answer = alice.query("sts", "2010-01-01", &[("Action", "GetCallerIdentity")]);
    answer.refused(400, "InvalidAction", "for version 2010-01-01");
    alice.sts(&[]).refused(400, "MissingAction", "missing an action");
}
