//! Faults, records, limits, and many clients at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use agent_aws_sts_emulator::{Config, Emulator, IssuedSession, RecordedRequest};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{CONFIG, Client, ROLE, control, emulator, policy, raw, send};

#[test]
fn every_request_is_recorded_with_who_what_and_the_verdict() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    alice.assume(ROLE, &[("SourceIdentity", "alice")]).ok();
    Client { secret: "x".to_owned(), ..alice.clone() }.whoami();
    send(emulator.address(), "GET", "/nothing", &[], b"");
    let text = control(&emulator, "GET", "requests", "").ok().body;
    let requests: Vec<RecordedRequest> = serde_json::from_str(&text).unwrap();
    assert_eq!(requests, emulator.requests());
    let [assumed, forged, anonymous] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((assumed.service.as_str(), assumed.action.as_str()), ("sts", "AssumeRole"));
    assert_eq!((assumed.verdict.as_str(), assumed.status), ("ok", 200));
    assert_eq!((assumed.region.as_str(), assumed.access_key_id.as_str()), ("eu-west-1", alice.key.as_str()));
    assert_eq!(assumed.caller_arn.as_deref(), Some("arn:aws:iam::111122223333:user/alice"));
    assert_eq!(assumed.parameters["SourceIdentity"], "alice");
    assert!(assumed.time.ends_with('Z') && assumed.time.len() == 24, "{}", assumed.time);
    assert_eq!((forged.verdict.as_str(), &forged.caller_arn), ("SignatureDoesNotMatch", &None));
    assert_eq!((anonymous.verdict.as_str(), anonymous.path.as_str()), ("MissingAuthenticationToken", "/nothing"));
    control(&emulator, "DELETE", "requests", "").ok();
    assert!(emulator.requests().is_empty());
}

#[test]
fn issued_sessions_are_listed_without_their_secrets() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let inline = policy("Allow", "s3:*");
    let answer = alice.assume(ROLE, &[("Policy", &inline)]).ok();
    let text = control(&emulator, "GET", "issued", "").ok().body;
    let issued: Vec<IssuedSession> = serde_json::from_str(&text).unwrap();
    assert_eq!(issued[0].access_key_id, answer.text("AccessKeyId"));
    assert_eq!((issued[0].kind.as_str(), issued[0].policy.as_deref()), ("role-session", Some(inline.as_str())));
    let requests = control(&emulator, "GET", "requests", "").ok().body;
    for secret in [answer.text("SecretAccessKey"), answer.text("SessionToken"), "alice-secret"] {
        assert!(!text.contains(secret) && !requests.contains(secret));
    }
}

#[test]
fn a_failure_lasts_as_many_requests_as_asked() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let fault = r#"{"fail":{"status":503,"code":"ServiceUnavailable","message":"try later","times":2}}"#;
    control(&emulator, "POST", "faults", fault).ok();
    alice.whoami().refused(503, "ServiceUnavailable", "try later");
    alice.whoami().refused(503, "ServiceUnavailable", "try later");
    alice.whoami().ok();
    assert_eq!(emulator.requests()[0].verdict, "fault:fail");
    control(&emulator, "POST", "faults", r#"{"throttle":1}"#).ok();
    alice.whoami().refused(400, "Throttling", "Rate exceeded");
    alice.whoami().ok();
}

#[test]
fn setting_faults_replaces_and_deleting_clears_them() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let fault = r#"{"fail":{"status":500,"code":"InternalFailure"}}"#;
    control(&emulator, "POST", "faults", fault).ok();
    alice.whoami().refused(500, "InternalFailure", "");
    control(&emulator, "POST", "faults", r#"{"throttle":0}"#).ok();
    alice.whoami().ok();
    control(&emulator, "POST", "faults", fault).ok();
    assert_eq!(control(&emulator, "GET", "faults", "").ok().json()["fail"]["status"], 500);
    control(&emulator, "DELETE", "faults", "").ok();
    alice.whoami().ok();
}

#[test]
fn a_fault_nobody_knows_is_refused_and_changes_nothing() {
    let emulator = emulator();
    for bad in ["{", r#"{"fial":1}"#, r#"{"fail":{"status":200,"code":"X"}}"#, r#"{"session_lifetime_seconds":0}"#] {
        let answer = control(&emulator, "POST", "faults", bad);
        assert!(answer.status == 400 && answer.json()["error"].is_string(), "{answer:?}");
    }
    assert_eq!(control(&emulator, "GET", "nothing", "").status, 404);
    Client::alice(&emulator).whoami().ok();
}

#[test]
fn a_skewed_emulator_judges_and_dates_by_its_own_clock() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let before = alice.whoami().ok().header("date").unwrap().to_owned();
    control(&emulator, "POST", "faults", r#"{"skew_seconds":86400}"#).ok();
    let late = alice.whoami();
    assert_ne!(late.header("date").unwrap()[..16], before[..16], "a day later");
    late.refused(403, "SignatureDoesNotMatch", "Signature expired");
    Client { clock_offset: 86400, ..alice }.whoami().ok();
}

#[test]
fn a_session_lifetime_overrides_the_duration_and_is_reported() {
    let text = CONFIG.replacen('{', r#"{"session_lifetime_seconds":20,"#, 1);
    let emulator = Emulator::start(Config::parse(&text, "test").unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let alice = Client::alice(&emulator);
    let answer = alice.assume(ROLE, &[("DurationSeconds", "3600")]).ok();
    let lifetime = |index: usize| {
        let one = &emulator.issued()[index];
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
        (time(&one.expiration) - time(&one.issued_at)).whole_seconds()
    };
    assert_eq!((lifetime(0), answer.text("Expiration")), (20, emulator.issued()[0].expiration.as_str()));
    control(&emulator, "POST", "faults", r#"{"session_lifetime_seconds":5}"#).ok();
    alice.assume(ROLE, &[]).ok();
    assert_eq!(lifetime(1), 5);
    control(&emulator, "POST", "faults", r#"{"skew_seconds":21}"#).ok();
    let session = Client { clock_offset: 21, ..alice.with(&answer) };
    session.whoami().refused(403, "ExpiredToken", "is expired");
}

#[test]
fn a_lowered_minimum_duration_is_accepted() {
    let text = CONFIG.replacen('{', r#"{"minimum_duration":2,"#, 1);
    let emulator = Emulator::start(Config::parse(&text, "test").unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let alice = Client::alice(&emulator);
    alice.assume(ROLE, &[("DurationSeconds", "2")]).ok();
    alice.assume(ROLE, &[("DurationSeconds", "1")]).refused(400, "ValidationError", "greater than or equal to 2");
}

#[test]
fn malformed_and_huge_answers_are_what_they_say() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    control(&emulator, "POST", "faults", r#"{"malformed":true}"#).ok();
    let answer = alice.whoami().ok();
    assert!(answer.body.starts_with("<AssumeRoleResponse") && !answer.body.contains("</"));
    control(&emulator, "POST", "faults", r#"{"huge_body":true}"#).ok();
    assert!(alice.whoami().ok().body.len() > 60 * 1024 * 1024);
    let verdicts: Vec<_> = emulator.requests().into_iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, ["fault:malformed", "fault:huge_body"]);
}

#[test]
fn a_delay_delays_and_a_hang_never_answers() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    control(&emulator, "POST", "faults", r#"{"delay_ms":300}"#).ok();
    let start = Instant::now();
    alice.whoami().ok();
    assert!(start.elapsed() >= Duration::from_millis(300));
    control(&emulator, "POST", "faults", r#"{"hang":true}"#).ok();
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "no answer and no end");
    control(&emulator, "DELETE", "faults", "").ok();
    alice.whoami().ok();
}

#[test]
fn a_body_over_one_mebibyte_is_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let fits = alice.request("s3", "PUT", "/bucket/key", &[], &vec![b'x'; 1024 * 1024]);
    assert_eq!(fits.status, 200, "{}", fits.body);
    let address = emulator.address();
    let head =
        format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", 1024 * 1024 + 1);
    assert_eq!(raw(address, head.as_bytes()).status, 413, "announced");
    let chunk = format!("{:x}\r\n{}\r\n", 512 * 1024, "x".repeat(512 * 1024));
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{head}{chunk}{chunk}1\r\nx\r\n");
    assert_eq!(raw(address, body.as_bytes()).status, 413, "not announced");
}

#[test]
fn too_many_headers_are_refused() {
    let emulator = emulator();
    let headers: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    assert_eq!(raw(emulator.address(), request.as_bytes()).status, 431);
}

#[test]
fn fifty_clients_are_served_at_once() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    control(&emulator, "POST", "faults", r#"{"delay_ms":200}"#).ok();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..50).map(|_| scope.spawn(|| alice.assume(ROLE, &[]).ok())).collect();
        let keys: std::collections::BTreeSet<_> =
            clients.into_iter().map(|client| client.join().unwrap().text("AccessKeyId").to_owned()).collect();
        assert_eq!(keys.len(), 50);
    });
    assert!(start.elapsed() < Duration::from_secs(5), "one after the other would take ten seconds");
}

#[test]
fn one_connection_serves_many_requests() {
    let emulator = emulator();
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /_emulator/issued HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        assert!(buffer[..length].starts_with(b"HTTP/1.1 200 OK"));
    }
}

#[test]
fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = Emulator::start(Config::parse(CONFIG, "test").unwrap(), address.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("only loopback"), "{error}");
    }
}

#[test]
fn a_hung_client_that_leaves_frees_its_place() {
    let emulator = emulator();
    control(&emulator, "POST", "faults", r#"{"hang":true}"#).ok();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(emulator.address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    control(&emulator, "DELETE", "faults", "").ok();
    Client::alice(&emulator).whoami().ok();
}
