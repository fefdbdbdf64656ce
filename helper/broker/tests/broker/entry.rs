//! How it starts and ends.

use std::time::Duration;

use agent_aws_protocol::{Door, HelperToBroker};
use agent_aws_sts_emulator::Faults;

use crate::scene::{Broker, SECRET, Start, emulator, file, is_root, keys, minting};

#[test]
fn without_no_new_privs_it_refuses_to_run() {
    let start = Start { no_new_privs: false, ..Start::default() };
    let mut broker = Broker::start_as(&start, minting(&emulator(None)), None);
    assert_eq!(broker.failed(), ("the broker refuses to run without no_new_privs".into(), None));
    broker.ends();
}

#[test]
fn as_root_it_refuses_to_run() {
    if !is_root() {
        eprintln!("skipped: needs root to start it as root");
        return;
    }
    let start = Start { drop_root: false, ..Start::default() };
    let mut broker = Broker::start_as(&start, minting(&emulator(None)), None);
    assert_eq!(broker.failed(), ("the broker refuses to run as root".into(), None));
    broker.ends();
}

#[test]
fn a_running_broker_has_two_filters_no_capability_and_cannot_be_looked_into() {
    let sts = emulator(None);
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    broker.minted();
    assert_eq!((broker.status("Seccomp").as_str(), broker.status("Seccomp_filters").as_str()), ("2", "2"));
    assert_eq!(broker.status("NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(broker.status(set), "0000000000000000", "{set}");
    }
    let process = std::fs::metadata(format!("/proc/{}/environ", broker.child.id())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&process), 0, "not dumpable: its /proc entries are root's");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", broker.child.id())).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn it_ends_within_a_second_of_the_supervisor() {
    let sts = emulator(None);
    let mut broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    broker.minted();
    broker.channel = None;
    assert!(broker.ends() < Duration::from_secs(1));
    assert_eq!(broker.child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_within_a_second_of_the_supervisor_even_while_sts_hangs() {
    let sts = emulator(None);
    sts.set_faults(Faults { hang: true, ..Faults::default() });
    let mut broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    std::thread::sleep(Duration::from_millis(300));
    broker.channel = None;
    assert!(broker.ends() < Duration::from_secs(1));
}

#[test]
fn what_may_not_come_now_ends_it() {
    let sts = emulator(None);
    let unasked = [
        HelperToBroker::Mint(Box::new(minting(&sts))),
        HelperToBroker::Doors(vec![Door::Capability, Door::Socket, Door::Fifos]),
        HelperToBroker::Renewed,
        HelperToBroker::Revoked { why: "x".into() },
    ];
    for message in unasked {
        let mut broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
        broker.minted();
        broker.channel().send(&message).unwrap();
        let (cause, retry) = broker.failed();
        assert!(cause.contains("twice, or one that was not asked for") && retry.is_none(), "{message:?}: {cause}");
        broker.ends();
    }
}
