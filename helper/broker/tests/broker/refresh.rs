//! Refreshing, and what is served when that fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use agent_aws_protocol::{BrokerToHelper, HelperToBroker};
use agent_aws_sts_emulator::{Fail, Faults};

use crate::scene::{Broker, KEY, SECRET, SOON, emulator, file, keys, minting};

/// Seconds of a session here.
const LIFE: u32 = 4;

fn error(broker: &Broker) -> Option<String> {
    broker.by_socket()["Error"].as_str().map(Into::into)
}

fn wait_for_error(broker: &Broker) -> String {
    let start = Instant::now();
    loop {
        if let Some(text) = error(broker) {
            return text;
        }
        assert!(start.elapsed() < SOON, "still served");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn clients_never_see_an_end_over_four_lifetimes_and_each_refresh_is_asked_for() {
    let sts = emulator(Some(LIFE));
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let mut minted = vec![broker.minted().access_key_id];
    let mut seen = BTreeSet::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4 * u64::from(LIFE)) {
        let answer = broker.by_socket();
        assert_eq!(answer["Version"], 1, "{answer}");
        seen.insert(answer["AccessKeyId"].as_str().unwrap().to_owned());
        match broker.hears(Duration::from_millis(20)) {
            Some(BrokerToHelper::Renew) => {
                let source = file(&keys(SECRET));
                let sent = [std::os::fd::AsFd::as_fd(&source)];
                broker.channel().send_with(&HelperToBroker::Renewed, &sent).unwrap();
            }
            Some(BrokerToHelper::Minted(session)) => minted.push(session.access_key_id),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    assert!(minted.len() >= 7, "one for each half of a lifetime: {minted:?}");
    assert!(seen.len() >= 6 && seen.iter().all(|k| minted.contains(k)));
    assert!(sts.requests().len() <= minted.len() + 1, "one call for each refresh, however many ask");
}

#[test]
fn a_renewed_source_is_read_again_so_that_rotation_works() {
    let sts = emulator(Some(LIFE));
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    broker.minted();
    broker.renew(Some(file(&keys("rotated-but-wrong"))));
    assert!(broker.failed().0.contains("SignatureDoesNotMatch"));
    broker.renew(Some(file(&keys(SECRET))));
    broker.minted();
}

#[test]
fn a_revoked_identity_is_served_until_its_end_and_then_told_why() {
    let sts = emulator(Some(LIFE));
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    broker.minted();
    assert_eq!(broker.hears(SOON), Some(BrokerToHelper::Renew));
    let why = "removed from policy".to_owned();
    broker.channel().send(&HelperToBroker::Revoked { why }).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(error(&broker), None, "what was granted stays");
    let text = wait_for_error(&broker);
    assert_eq!(text, "identity 'incident' is no longer granted: removed from policy");
    assert_eq!(broker.by_http().0, 403);
    assert_eq!(broker.hears(Duration::from_secs(3)), None, "never asks again");
    assert_eq!(sts.requests().len(), 1, "never mints again");
}

#[test]
fn with_sts_down_it_serves_until_the_end_then_says_why_and_recovers_by_itself() {
    let sts = emulator(Some(LIFE));
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let first = broker.minted();
    sts.set_faults(Faults {
        fail: Some(Fail { status: 500, code: "InternalFailure".into(), message: "broken".into(), times: None }),
        ..Faults::default()
    });
    let start = Instant::now();
    let text = std::thread::scope(|scope| {
        let text = scope.spawn(|| wait_for_error(&broker));
        while !text.is_finished() {
            answer_renewals(&broker);
        }
        text.join().unwrap()
    });
    assert!(start.elapsed() > Duration::from_secs(2), "served to its end: {:?}", start.elapsed());
    let expected = "could not be renewed since 20";
    assert!(
        text.contains(expected)
            && text.ends_with("AssumeRole arn:aws:iam::111122223333:role/agent-incident: InternalFailure: broken"),
        "{text}"
    );
    sts.set_faults(Faults::default());
    let second = loop {
        if let Some(BrokerToHelper::Minted(session)) = answer_renewals(&broker) {
            break session;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "does not recover");
    };
    assert_ne!(first.access_key_id, second.access_key_id);
    assert_eq!(broker.by_socket()["AccessKeyId"], second.access_key_id);
    assert!(sts.requests().iter().all(|r| r.access_key_id == KEY));
}

fn answer_renewals(broker: &Broker) -> Option<BrokerToHelper> {
    let heard = broker.hears(Duration::from_millis(20));
    if heard == Some(BrokerToHelper::Renew) {
        let source = file(&keys(SECRET));
        let sent = [std::os::fd::AsFd::as_fd(&source)];
        broker.channel().send_with(&HelperToBroker::Renewed, &sent).unwrap();
    }
    heard
}
