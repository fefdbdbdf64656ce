//! Ports of one loopback at the other, and bytes in bulk.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use agent_aws_protocol::gateway::Rules;

use crate::world::{Gateway, SOON, World, line, rules, serve};

fn greet(mut stream: TcpStream) {
    let _ = stream.write_all(b"hello\n");
}

#[test]
fn local_ports_are_the_hosts_and_no_other_port_is() {
    let Some(world) = World::new(&[]) else { return };
    for port in [5432, 9000] {
        serve(world.host.run(move || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap()), greet);
    }
    let gateway = Gateway::start(&world, &Rules { local_ports: vec![5432, 5433], ..rules(&["*"]) });
    let mut stream = world.dial((Ipv4Addr::LOCALHOST, 5432)).unwrap();
    assert_eq!(line(&mut stream).unwrap(), "hello");
    let mut stream = world.dial("198.18.0.1:3128".parse::<SocketAddr>().unwrap()).unwrap();
    stream.write_all(b"CONNECT host.internal:5432 HTTP/1.1\r\n\r\n").unwrap();
    let said: Vec<_> = (0..8).map(|_| line(&mut stream).unwrap()).collect();
    assert!(said[0].starts_with("HTTP/1.1 200") && said.contains(&"hello".into()), "{said:?}");
    let nobody = world.dial((Ipv4Addr::LOCALHOST, 5433)).and_then(|mut stream| stream.read(&mut [0; 1]));
    assert!(nobody.is_err(), "a port where nobody listens");
    let host = world.stand_in("host.internal");
    assert!(world.is_refused((host, 9000)), "a port that is not offered");
    assert_eq!(gateway.blocked("host.internal").0, 9000);
    assert!(world.zone.lock().unwrap().asked.is_empty());
}

#[test]
fn a_published_port_leads_into_the_sandbox() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = Gateway::start(&world, &Rules { publish: vec![8400, 8401], ..rules(&[]) });
    serve(world.sandbox.run(|| TcpListener::bind("127.0.0.1:8400").unwrap()), greet);
    serve(world.sandbox.run(|| TcpListener::bind("[::1]:8401").unwrap()), greet);
    for (port, questions) in [(8400, 1), (8401, 2)] {
        let mut stream = world.host.run(move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
        stream.set_read_timeout(Some(SOON)).unwrap();
        (0..questions).for_each(|_| gateway.answer_one(&world));
        assert_eq!(line(&mut stream).unwrap(), "hello");
    }
}

#[test]
fn a_socket_of_another_namespace_is_not_used() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = Gateway::start(&world, &Rules { publish: vec![8400], ..rules(&[]) });
    serve(world.internet.run(|| TcpListener::bind("127.0.0.1:8400").unwrap()), greet);
    let mut stream = world.host.run(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8400)).unwrap());
    stream.set_read_timeout(Some(SOON)).unwrap();
    for _ in 0..2 {
        let _: agent_aws_pipes::GatewayToPlumber = gateway.plumber.receive(Some(SOON)).unwrap().message;
        let socket = world.internet.run(|| {
            let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
            rustix::net::socket(family, kind, None).unwrap()
        });
        let answer = agent_aws_pipes::PlumberToGateway::Socket;
        gateway.plumber.send_with(&answer, &[std::os::fd::AsFd::as_fd(&socket)]).unwrap();
    }
    assert!(stream.read(&mut [0; 1]).is_err());
}

fn pour(mut stream: TcpStream) {
    let chunk = [7; 64 * 1024];
    while stream.write_all(&chunk).is_ok() {}
}

/// Figures, for who looks; what is asserted is that all came, and how much memory that took.
#[test]
fn bulk_and_small_connections_pass_with_little_memory() {
    const BULK: u64 = 256 * 1024 * 1024;
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(80);
    serve(world.internet.run(|| TcpListener::bind("0.0.0.0:443").unwrap()), pour);
    let gateway = Gateway::start(&world, &rules(&["*"]));
    let stand_in = world.stand_in("a.example.com");
    let idle = resident(gateway.child.id());
    let bulk = |stream: TcpStream| {
        let begun = Instant::now();
        let mut sink = vec![0; 256 * 1024];
        let (mut stream, mut left) = (stream, BULK);
        while left > 0 {
            let read = u64::try_from(stream.read(&mut sink).unwrap()).unwrap();
            assert!(read > 0);
            left = left.saturating_sub(read);
        }
        f64::from(u32::try_from(BULK / 1_000_000).unwrap()) / 1000.0 / begun.elapsed().as_secs_f64()
    };
    let through = bulk(world.dial((stand_in, 443)).unwrap());
    let direct = bulk(world.host.run(|| TcpStream::connect("9.9.9.9:443").unwrap()));
    let time = |dial: &dyn Fn() -> TcpStream| {
        let mut times: Vec<Duration> = (0..100)
            .map(|_| {
                let begun = Instant::now();
                line(&mut dial()).unwrap();
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[50]
    };
    let to = SocketAddr::new(stand_in, 80);
    let small = time(&|| world.dial(to).unwrap());
    let small_direct = time(&|| world.host.run(|| TcpStream::connect("9.9.9.9:80").unwrap()));
    let busy = resident(gateway.child.id());
    println!("bulk {through:.2} GB/s, direct {direct:.2}; connection {small:?}, direct {small_direct:?}");
    println!("resident {idle} KiB idle, {busy} KiB afterwards");
    // A build without optimization is larger.
    let most = if std::env::var_os("AGENT_AWS_GATEWAY").is_some() { 6 * 1024 } else { 24 * 1024 };
    assert!(idle <= most && busy <= most + 2048, "{idle} KiB, {busy} KiB");
}

pub(crate) fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn half_of_a_connection_may_end() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(80);
    let _gateway = Gateway::start(&world, &rules(&["*"]));
    let mut stream = world.dial((world.stand_in("a.example.com"), 80)).unwrap();
    stream.write_all(b"question").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "9.9.9.9:80\nquestion");
}
