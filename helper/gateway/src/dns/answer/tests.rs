//! Questions and answers, without a network.

use super::*;
use crate::blocked::Blocked;
use agent_aws_protocol::gateway::{GatewayToHelper, Rules};
use std::cell::RefCell;
use std::rc::Rc;

type Told = Rc<RefCell<Vec<String>>>;

/// Asks nobody: every name that is let through is taken to be there.
fn gateway(allow: &[&str]) -> (Gateway, Told) {
    let rules = Rules {
        allow: allow.iter().map(|word| (*word).to_owned()).collect(),
        upstream_proxy: Some("http://127.0.0.1:1".into()),
        ..Rules::default()
    };
    made(&rules, b"")
}

fn made(rules: &Rules, hosts: &[u8]) -> (Gateway, Told) {
    let told = Told::default();
    let ear = Rc::clone(&told);
    let blocked = Blocked::new(move |message| {
        if let GatewayToHelper::Blocked { name, .. } = message {
            ear.borrow_mut().push(name.clone());
        }
        true
    });
    // Nobody is at port 1: a question that leaves fails at once, and is seen.
    (Gateway::new(rules, b"nameserver 127.0.0.1\n", hosts, blocked).unwrap(), told)
}

fn question(name: &str, kind: QTYPE) -> Packet<'_> {
    let mut packet = Packet::new_query(7);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(simple_dns::Name::new(name).unwrap(), kind, CLASS::IN.into(), false));
    packet
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn ask(gateway: &Gateway, packet: &Packet<'_>, over: Over) -> Vec<u8> {
    run(answer(gateway, &packet.build_bytes_vec().unwrap(), over)).unwrap()
}

fn asked(gateway: &Gateway, name: &str, kind: TYPE) -> (RCODE, Vec<String>) {
    let bytes = ask(gateway, &question(name, kind.into()), Over::Udp);
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.id(), 7);
    assert!(reply.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_AVAILABLE));
    let text = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => Ipv4Addr::from_bits(a.address).to_string(),
        RData::AAAA(a) => Ipv6Addr::from_bits(a.address).to_string(),
        RData::PTR(name) => name.0.to_string(),
        other => format!("{other:?}"),
    };
    (reply.rcode(), reply.answers.iter().map(text).collect())
}

#[test]
fn a_name_that_is_let_through_has_a_stand_in_of_each_family() {
    let (gateway, _) = gateway(&["*.example.com"]);
    assert_eq!(asked(&gateway, "a.example.com", TYPE::A), (RCODE::NoError, vec!["198.18.1.0".into()]));
    assert_eq!(asked(&gateway, "A.Example.COM", TYPE::AAAA), (RCODE::NoError, vec!["fd61:6761:7773::100".into()]));
    assert_eq!(asked(&gateway, "b.example.com", TYPE::A), (RCODE::NoError, vec!["198.18.1.1".into()]));
    assert_eq!(asked(&gateway, "0.1.18.198.in-addr.arpa", TYPE::PTR), (RCODE::NoError, vec!["a.example.com".into()]));
    let nibbles = "0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.7.7.7.1.6.7.6.1.6.d.f.ip6.arpa";
    assert_eq!(asked(&gateway, nibbles, TYPE::PTR), (RCODE::NoError, vec!["a.example.com".into()]));
}

#[test]
fn a_refused_name_does_not_exist_and_is_told() {
    let (gateway, told) = gateway(&["*.example.com"]);
    for kind in [TYPE::A, TYPE::AAAA, TYPE::TXT, TYPE::MX, TYPE::HTTPS, TYPE::SRV] {
        assert_eq!(asked(&gateway, "secret.evil.test", kind), (RCODE::NameError, vec![]));
    }
    assert_eq!(*told.borrow(), ["secret.evil.test"]);
}

#[test]
fn no_question_about_an_address_leaves() {
    let rules = Rules { allow: vec!["*".into()], ..Rules::default() };
    let (gateway, _) = made(&rules, b"");
    for name in
        ["8.8.8.8.in-addr.arpa", "0.1.18.198.in-addr.arpa", "x.ip6.arpa", "arpa", "254.169.254.169.in-addr.arpa"]
    {
        assert_eq!(asked(&gateway, name, TYPE::PTR).0, RCODE::NameError, "{name}");
    }
}

#[test]
fn records_with_hints_are_empty() {
    let (gateway, _) = gateway(&["*"]);
    for kind in [TYPE::HTTPS, TYPE::SVCB] {
        assert_eq!(asked(&gateway, "example.com", kind), (RCODE::NoError, vec![]));
    }
}

#[test]
fn localhost_is_the_sandbox_and_host_internal_only_what_is_offered() {
    let (closed, _) = gateway(&["*"]);
    assert_eq!(asked(&closed, "localhost", TYPE::A).1, ["127.0.0.1"]);
    assert_eq!(asked(&closed, "x.localhost", TYPE::AAAA).1, ["::1"]);
    assert_eq!(asked(&closed, "host.internal", TYPE::A).0, RCODE::NameError);
    let (open, _) = made(&Rules { local_ports: vec![5432], ..Rules::default() }, b"");
    assert_eq!(asked(&open, "host.internal", TYPE::A).1, ["198.18.0.2"]);
    assert_eq!(asked(&open, "2.0.18.198.in-addr.arpa", TYPE::PTR).1, ["host.internal"]);
}

#[test]
fn a_name_of_the_hosts_file_is_held_against_the_rules_too() {
    let rules = Rules { allow: vec!["*".into()], private: vec!["db.corp.test".into()], ..Rules::default() };
    let hosts = b"10.0.0.5 db.corp.test other.corp.test\n127.0.1.1 me.corp.test\n9.9.9.9 public.test";
    let (gateway, told) = made(&rules, hosts);
    assert_eq!(asked(&gateway, "db.corp.test", TYPE::A).1, ["198.18.1.0"]);
    assert_eq!(asked(&gateway, "public.test", TYPE::A).1, ["198.18.1.1"]);
    assert_eq!(asked(&gateway, "other.corp.test", TYPE::A).0, RCODE::NameError);
    assert_eq!(asked(&gateway, "me.corp.test", TYPE::A).0, RCODE::NameError);
    assert_eq!(*told.borrow(), ["other.corp.test", "me.corp.test"]);
}

#[test]
fn nothing_goes_unanswered_but_answers_and_fragments() {
    let (gateway, _) = gateway(&["*"]);
    let good = question("example.com", TYPE::A.into()).build_bytes_vec().unwrap();
    let rcode = |bytes: &[u8]| run(answer(&gateway, bytes, Over::Udp)).map(|a| Packet::parse(&a).unwrap().rcode());
    let mut unknown = good.clone();
    let at = unknown.len() - 4;
    unknown[at..at + 2].copy_from_slice(&[0xff, 0x01]);
    assert_eq!(rcode(&unknown), Some(RCODE::NotImplemented), "a type that nobody knows");
    assert_eq!(rcode(&good[..good.len() - 1]), Some(RCODE::FormatError), "a question that is cut off");
    let mut none = good.clone();
    none[5] = 0;
    assert_eq!(rcode(&none[..12]), Some(RCODE::FormatError), "no question");
    let mut other = good.clone();
    other[2] |= 0x28;
    assert_eq!(rcode(&other), Some(RCODE::NotImplemented), "an update");
    let mut reply = good.clone();
    reply[2] |= 0x80;
    assert_eq!(rcode(&reply), None, "an answer");
    assert_eq!(rcode(&good[..11]), None, "no head");
    assert_eq!(rcode(&question("example.com", QTYPE::AXFR).build_bytes_vec().unwrap()), Some(RCODE::NotImplemented));
}

#[test]
fn what_does_not_fit_is_cut_and_comes_whole_by_tcp() {
    let packet = question("example.com", TYPE::TXT.into());
    const LONG: &str = "sixteen letters. sixteen letters. sixteen letters. sixteen letters. sixteen letters. ";
    let record = |_| {
        let text = simple_dns::rdata::TXT::new().with_string(LONG).unwrap();
        ResourceRecord::new(simple_dns::Name::new("example.com").unwrap(), CLASS::IN, 1, RData::TXT(text))
    };
    let outcome = Outcome::with((0..20).map(record).collect());
    let udp = write(&packet, &outcome, Over::Udp).unwrap();
    let cut = Packet::parse(&udp).unwrap();
    assert!(udp.len() <= 512 && cut.has_flags(PacketFlag::TRUNCATION) && cut.answers.is_empty());
    let tcp = write(&packet, &outcome, Over::Tcp).unwrap();
    let whole = Packet::parse(&tcp).unwrap();
    assert!(!whole.has_flags(PacketFlag::TRUNCATION) && whole.answers.len() == 20);
}

#[test]
fn who_speaks_edns_is_answered_in_it() {
    let (gateway, _) = gateway(&["*"]);
    let mut packet = question("example.com", TYPE::A.into());
    *packet.opt_mut() = Some(OPT { opt_codes: vec![], udp_packet_size: 4096, version: 0 });
    let bytes = ask(&gateway, &packet, Over::Udp);
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.opt().unwrap().udp_packet_size, PAYLOAD);
    assert_eq!(reply.answers.len(), 1);
}

#[test]
fn a_name_server_that_is_not_there_is_a_failure_and_no_silence() {
    let rules = Rules { allow: vec!["*".into()], ..Rules::default() };
    let blocked = Blocked::new(|_| true);
    // Reserved, never routed.
    let gateway = Gateway::new(&rules, b"nameserver 127.0.0.1\nnameserver ::1\n", b"", blocked).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(asked(&gateway, "example.com", TYPE::A).0, RCODE::ServerFailure);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}
