//! How it begins and ends.

use std::process::{Command, Stdio};

use agent_aws_protocol::gateway::{GatewayToHelper, Rules};

use crate::world::{Gateway, World, rules};

fn cause(gateway: &Gateway) -> String {
    match gateway.hear() {
        GatewayToHelper::Failed { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn by_hand_it_says_who_starts_it() {
    let program = env!("CARGO_BIN_EXE_agent-aws-gateway");
    let run = Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("started by agent-aws-helper"));
}

#[test]
fn the_end_of_the_channel_is_its_end() {
    let Some(world) = World::new(&[]) else { return };
    let mut gateway = Gateway::start(&world, &rules(&["*"]));
    drop(gateway.channel.take());
    assert!(gateway.ended().success());
}

#[test]
fn a_second_message_is_one_too_many() {
    let Some(world) = World::new(&[]) else { return };
    let mut gateway = Gateway::start(&world, &rules(&["*"]));
    gateway.channel().send(&1u8).unwrap();
    assert!(cause(&gateway).contains("does not come here"));
    assert!(!gateway.ended().success());
}

#[test]
fn a_rule_that_cannot_be_read_is_no_session() {
    let Some(world) = World::new(&[]) else { return };
    let mut gateway = Gateway::spawn(&world, None);
    gateway.tell(&rules(&["https://example.com"]), "");
    assert!(cause(&gateway).contains("allow-names: \"https://example.com\" is no rule"));
    assert!(!gateway.ended().success());
}

#[test]
fn a_port_that_is_taken_cannot_be_published() {
    let Some(world) = World::new(&[]) else { return };
    let _taken = world.host.run(|| std::net::TcpListener::bind("127.0.0.1:8400").unwrap());
    let gateway = Gateway::spawn(&world, None);
    gateway.tell(&Rules { publish: vec![8400], ..rules(&["*"]) }, "");
    let cause = cause(&gateway);
    assert!(cause.contains("port 8400 of 127.0.0.1") && cause.contains("--publish"), "{cause}");
}

#[test]
fn once_it_serves_it_has_no_files_no_capability_and_a_filter() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = Gateway::start(&world, &rules(&["*"]));
    let id = gateway.child.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let has = |line: &str| assert!(status.lines().any(|l| l == line), "{line}: {status}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        has(&format!("{set}:\t0000000000000000"));
    }
    has("NoNewPrivs:\t1");
    has("Seccomp:\t2");
    has("Threads:\t1");
    assert_eq!(std::fs::read_dir(format!("/proc/{id}/root")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(format!("/proc/{id}/cwd")).unwrap().count(), 0);
}
