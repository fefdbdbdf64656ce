//! Many of everything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use simple_dns::{RCODE, TYPE};

use crate::streams::resident;
use crate::world::{Gateway, SOON, World, line, rules};

/// With what is open in this process too, 2,000 connections need more than it may have by default.
fn raise_own_limit() -> u64 {
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).unwrap();
    files.current.unwrap_or(u64::MAX)
}

fn alive(stream: &mut TcpStream) -> bool {
    let mut echoed = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut echoed).is_ok() && &echoed == b"ping"
}

#[test]
fn two_thousand_connections_live_at_once() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    raise_own_limit();
    // One thread accepts and answers all, so that the test is no heavier than what it tests.
    let listener = world.internet.run(|| std::net::TcpListener::bind("0.0.0.0:80").unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"hello\n");
            held.push(stream);
        }
    });
    let gateway = Gateway::start(&world, &rules(&["*"]));
    let to = SocketAddr::new(world.stand_in("a.example.com"), 80);
    let before = resident(gateway.child.id());
    let mut streams: Vec<_> = (0..2000).map(|_| world.dial(to).unwrap()).collect();
    assert!(streams.iter_mut().all(|stream| line(stream).unwrap() == "hello"));
    let each = (resident(gateway.child.id()) - before) * 1024 / 2000;
    println!("{each} bytes for each connection");
    assert!(each < 16 * 1024, "{each} bytes");
}

#[test]
fn out_of_descriptors_new_connections_are_refused_and_old_ones_live() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    world.echo(80);
    let gateway = Gateway::start_with(&world, &rules(&["*"]), "", Some(256));
    let to = SocketAddr::new(world.stand_in("a.example.com"), 80);
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let opened = world.dial(to).and_then(|mut stream| line(&mut stream).map(|_| stream));
        match opened {
            Ok(stream) => streams.push(stream),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0 && streams.len() > 40, "{refused} refused, {} opened", streams.len());
    assert!(gateway.blocked("(descriptors)").1.contains("too many connections"));
    assert!(alive(&mut streams[0]));
    drop(streams);
    let deadline = Instant::now() + SOON;
    while world.dial(to).and_then(|mut stream| line(&mut stream)).is_err() {
        assert!(Instant::now() < deadline, "it does not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_from_being_served() {
    let Some(world) = World::new(&[("a.example.com", "9.9.9.9")]) else { return };
    let clients = 10_000.min(raise_own_limit() / 2);
    world.echo(80);
    let gateway = Gateway::start(&world, &rules(&["*"]));
    let proxy: SocketAddr = "198.18.0.1:3128".parse().unwrap();
    let dns: SocketAddr = "198.18.0.1:53".parse().unwrap();
    let dialled = (0..clients / 2).flat_map(|_| [proxy, dns]).map(|to| world.dial(to));
    let (silent, refused): (Vec<_>, Vec<_>) = dialled.partition(Result::is_ok);
    assert_eq!(world.ask("198.18.0.1", "a.example.com", TYPE::A).0, RCODE::NoError);
    let to = SocketAddr::new(world.stand_in("a.example.com"), 80);
    // A machine with a low limit of open files has no place for all: that is said, and those that say nothing lose theirs.
    let served = || world.dial(to).and_then(|mut stream| line(&mut stream)).is_ok();
    if !served() {
        assert!(gateway.blocked("(descriptors)").1.contains("too many connections"));
        let deadline = Instant::now() + 2 * SOON;
        while !served() {
            assert!(Instant::now() < deadline, "nobody is served beside them");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    println!("{} KiB, {} silent clients, {} refused", resident(gateway.child.id()), silent.len(), refused.len());
}

#[test]
fn a_flood_of_refused_names_is_a_few_messages() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = Gateway::start(&world, &rules(&[]));
    for n in 0..300 {
        assert_eq!(world.ask("198.18.0.1", &format!("n{n}.test"), TYPE::A).0, RCODE::NameError);
    }
    gateway.blocked("(other names)");
}
