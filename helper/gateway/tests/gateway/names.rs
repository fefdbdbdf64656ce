//! Questions for names, and connections to their stand-ins.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use agent_aws_protocol::gateway::Rules;
use simple_dns::{RCODE, TYPE};

use crate::world::{Gateway, World, line, question, read_answer, rules};

#[test]
fn a_connection_to_a_stand_in_ends_at_the_name() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9"), ("b.example.com", "9.9.9.10")]) else { return };
    world.echo(80);
    let _gateway = Gateway::start(&world, &rules(&["*.example.com"]));
    for (name, there) in [("a.example.com", "9.9.9.9:80"), ("b.example.com", "9.9.9.10:80")] {
        let v4 = world.stand_in(name);
        let v6 = world.ask("198.18.0.1", name, TYPE::AAAA).1[0];
        assert!(v6.is_ipv6());
        for address in [v4, v6] {
            assert_eq!(line(&mut world.dial((address, 80)).unwrap()).unwrap(), there);
        }
    }
}

#[test]
fn a_question_to_any_address_is_answered_from_there_in_both_families() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    for server in ["198.18.0.1", "8.8.8.8", "127.0.0.53", "fd61:6761:7773::1", "2001:4860:4860::8888"] {
        let (code, addresses) = world.ask(server, "a.example.com", TYPE::A);
        assert_eq!((code, addresses.len()), (RCODE::NoError, 1), "{server}");
    }
}

#[test]
fn a_question_by_tcp_is_answered_too() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    let mut stream = world.dial("8.8.4.4:53".parse::<SocketAddr>().unwrap()).unwrap();
    let message = question("a.example.com", TYPE::A);
    for _ in 0..2 {
        stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&message).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(read_answer(&answer).1.len(), 1);
    }
}

#[test]
fn no_question_for_a_refused_name_leaves_and_the_refusal_is_told() {
    let Some(world) = World::new(&[("secret.evil.test", "9.9.9.9")]) else { return };
    let gateway = Gateway::start(&world, &rules(&["*.example.com"]));
    for kind in [TYPE::A, TYPE::AAAA, TYPE::TXT, TYPE::MX] {
        assert_eq!(world.ask("198.18.0.1", "secret.evil.test", kind).0, RCODE::NameError);
    }
    let (port, why) = gateway.blocked("secret.evil.test");
    assert_eq!((port, why.as_str()), (0, "sandbox \"standard\" does not allow it; ask for it in allow-names"));
    assert!(world.zone.lock().unwrap().asked.is_empty());
}

#[test]
fn a_name_that_is_not_there_is_not_there() {
    let Some(world) = World::new(&[]) else { return };
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    assert_eq!(world.ask("198.18.0.1", "nobody.example.com", TYPE::A), (RCODE::NameError, vec![]));
}

#[test]
fn names_that_lead_where_nothing_may_lead_are_refused() {
    let names = [
        ("meta.example.com", "169.254.169.254"),
        ("lo.example.com", "127.0.0.1"),
        ("six.example.com", "fd00:ec2::254"),
        ("own.example.com", "10.77.0.1"),
        ("lan.example.com", "10.77.0.2"),
    ];
    let Some(world) = World::new(&names) else { return };
    // Even what allow-private names is not the host's own.
    let rules = Rules { private: vec!["own.example.com".into()], ..rules(&["*"]) };
    let gateway = Gateway::start(&world, &rules);
    for (name, _) in names {
        assert_eq!(world.ask("198.18.0.1", name, TYPE::A).0, RCODE::NameError, "{name}");
        gateway.blocked(name);
    }
}

#[test]
fn a_name_that_changes_its_mind_is_held_against_the_rules_again() {
    let Some(world) = World::new(&[("rebind.example.com", "9.9.9.9")]) else { return };
    world.echo(80);
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    let stand_in = world.stand_in("rebind.example.com");
    world.zone.lock().unwrap().names[0].1 = vec!["169.254.169.254".parse().unwrap()];
    // Remembered or looked up anew: never the address that may not be.
    let said = world.dial((stand_in, 80)).and_then(|mut stream| line(&mut stream));
    assert!(said.is_err() || said.unwrap() == "9.9.9.9:80");
}

#[test]
fn only_addresses_that_may_be_are_dialled_and_the_next_is_tried() {
    let Some(world) = World::new(&[("mixed.example.com", "2620:fe::fe 127.0.0.1 9.9.9.9")]) else { return };
    world.echo(80);
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    let stand_in = world.stand_in("mixed.example.com");
    assert_eq!(line(&mut world.dial((stand_in, 80)).unwrap()).unwrap(), "9.9.9.9:80");
}

#[test]
fn a_literal_address_is_reset_at_once_and_told_unless_a_rule_names_its_network() {
    let Some(world) = World::new(&[]) else { return };
    world.echo(80);
    let gateway = Gateway::start(&world, &rules(&["*", "9.9.9.0/24:80"]));
    let to = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(line(&mut world.dial(to("9.9.9.9:80")).unwrap()).unwrap(), "9.9.9.9:80");
    for (refused, name) in
        [("1.1.1.1:80", "1.1.1.1"), ("169.254.169.254:80", "169.254.169.254"), ("[2620:fe::1]:443", "2620:fe::1")]
    {
        let begun = Instant::now();
        let said = world.dial(to(refused)).and_then(|mut stream| stream.read(&mut [0; 1]));
        assert_eq!(said.unwrap_err().kind(), ErrorKind::ConnectionReset, "{refused}");
        assert!(begun.elapsed() < crate::world::SOON / 2);
        assert_eq!(gateway.blocked(name).0, to(refused).port());
    }
}

#[test]
fn a_port_that_the_rule_does_not_name_is_refused_at_the_connection() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(80);
    let gateway = Gateway::start(&world, &rules(&["a.example.com:443"]));
    let stand_in: IpAddr = world.stand_in("a.example.com");
    assert!(world.is_refused((stand_in, 80)));
    assert_eq!(gateway.blocked("a.example.com").0, 80);
}

#[test]
fn name_servers_that_say_nothing_are_a_failure_in_time() {
    let Some(world) = World::new(&[]) else { return };
    world.zone.lock().unwrap().silent = true;
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    assert_eq!(world.ask("198.18.0.1", "a.example.com", TYPE::A).0, RCODE::ServerFailure);
}
