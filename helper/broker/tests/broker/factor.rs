//! Second factors: a code is shown once, and nothing is had without.

use agent_aws_protocol::{Access, Minting};

use crate::own::{Own, user};
use crate::scene::{Broker, DEVICE};

const GUARDED: &str = "arn:aws:iam::111122223333:role/guarded";

/// A profile `deep` that assumes the guarded role with the keys of `dev`, and says this besides.
fn deep(more: &str) -> String {
    user("dev") + &format!("[profile deep]\nrole_arn = {GUARDED}\nsource_profile = dev\n{more}")
}

fn device() -> String {
    format!("mfa_serial = {DEVICE}\n")
}

fn with_code(own: &Own, config: &str, minting: Minting, code: &str) -> Broker {
    own.start_with(config, minting, vec![("AGENT_AWS_MFA_CODE".into(), code.into())])
}

#[test]
fn a_code_buys_a_session_that_assumes_the_role() {
    let own = Own::new();
    let refused = own.start(&deep(""), own.minting("deep")).failed();
    assert!(refused.0.contains("AccessDenied") && refused.1.is_none(), "the control: {refused:?}");
    own.sts.clear_requests();
    let mut narrowed = own.minting("deep");
    narrowed.narrowing.access = Access::Read;
    let broker = with_code(&own, &deep(&device()), narrowed, "123456");
    assert!(broker.minted().arn.starts_with("arn:aws:sts::111122223333:assumed-role/guarded/"));
    assert_eq!(own.actions(), ["GetCallerIdentity", "GetSessionToken", "AssumeRole"]);
    let bought = &own.sts.requests()[1].parameters;
    assert_eq!((bought["SerialNumber"].as_str(), bought["TokenCode"].as_str()), (DEVICE, "123456"));
    assert_eq!(own.sts.issued().pop().unwrap().policy_arns.len(), 1, "it is narrowed");
}

#[test]
fn without_a_code_it_is_said_where_one_is_asked_for() {
    let own = Own::new();
    for code in [None, Some("12345"), Some("abcdef")] {
        let broker = match code {
            None => own.start(&deep(&device()), own.minting("deep")),
            Some(code) => with_code(&own, &deep(&device()), own.minting("deep"), code),
        };
        let (cause, retry) = broker.failed();
        assert!(cause.contains(DEVICE) && cause.contains("on a terminal") && retry.is_none(), "{cause}");
    }
    assert!(!own.actions().contains(&"GetSessionToken".to_owned()));
}

#[test]
fn a_wrong_code_ends_the_start_and_one_is_good_once() {
    let own = Own::new();
    let (cause, retry) = with_code(&own, &deep(&device()), own.minting("deep"), "999999").failed();
    assert!(cause.contains("MultiFactorAuthentication failed") && retry.is_none(), "{cause}");
    assert!(!cause.contains("999999"));
    with_code(&own, &deep(&device()), own.minting("deep"), "123456").minted();
    let (cause, _) = with_code(&own, &deep(&device()), own.minting("deep"), "123456").failed();
    assert!(cause.contains("MultiFactorAuthentication failed"), "{cause}");
}

#[test]
fn a_program_of_the_profile_gives_the_code() {
    let own = Own::new();
    let config = deep(&(device() + "mfa_process = echo 234567\n"));
    assert!(own.start(&config, own.minting("deep")).minted().arn.contains("/guarded/"));
    for (program, words) in [("echo none", "no code of six"), ("exit 3", "exit status: 3"), ("/no/such", "exit status")]
    {
        let config = deep(&(device() + &format!("mfa_process = {program}\n")));
        let (cause, retry) = own.start(&config, own.minting("deep")).failed();
        assert!(cause.contains(words) && retry.is_none(), "{program}: {cause}");
    }
}

#[test]
fn keys_with_a_second_factor_are_passed_on_as_a_session_and_cannot_be_narrowed() {
    let own = Own::new();
    let config = user("dev") + &device();
    let mut narrowed = own.minting("dev");
    narrowed.narrowing.access = Access::Read;
    let (cause, _) = with_code(&own, &config, narrowed, "123456").failed();
    assert!(cause.contains("role_arn and source_profile"), "{cause}");
    let broker = with_code(&own, &config, own.minting("dev"), "123456");
    let session = broker.minted();
    assert_eq!(session.arn, "arn:aws:iam::111122223333:user/workstation");
    assert!(broker.by_socket()["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    let lasts = session.expires - std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(lasts > 11 * 3600, "{lasts} s");
}
