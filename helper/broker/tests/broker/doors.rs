//! The doors, and clients that behave badly at them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use agent_aws_sts_emulator::Emulator;
use rustix::net::{SendFlags, sockopt};
use rustix::process::{Signal, kill_process};

use crate::scene::{Broker, SECRET, SOON, ask_socket, emulator, file, http, keys, minting, send_descriptors};

fn ready() -> (Emulator, Broker, String) {
    let sts = emulator(None);
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let key = broker.minted().access_key_id;
    (sts, broker, key)
}

fn quick<T>(what: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = what();
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    done
}

fn all_doors_give(broker: &Broker, key: &str) {
    assert_eq!(quick(|| broker.by_socket())["AccessKeyId"], key);
    assert_eq!(quick(|| broker.by_capability())["AccessKeyId"], key);
    assert_eq!(quick(|| broker.by_fifo())["AccessKeyId"], key);
    assert_eq!(quick(|| broker.by_http()).1["AccessKeyId"], key);
}

#[test]
fn all_doors_give_the_one_session_each_in_its_form() {
    let (_sts, broker, key) = ready();
    let process = broker.by_socket();
    let names: BTreeSet<_> = process.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"].into());
    assert_eq!(process["AccessKeyId"], key);
    assert_eq!(broker.by_capability(), process);
    assert_eq!(broker.by_fifo(), process);
    let (status, container) = broker.by_http();
    assert_eq!(status, 200);
    let names: BTreeSet<_> = container.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["AccessKeyId", "Expiration", "RoleArn", "SecretAccessKey", "Token"].into());
    assert_eq!((&container["Token"], &container["Expiration"]), (&process["SessionToken"], &process["Expiration"]));
}

#[test]
fn five_hundred_clients_at_once_are_all_served_by_socket() {
    let (_sts, broker, key) = ready();
    let (path, key) = (&broker.socket, &key);
    std::thread::scope(|scope| {
        for _ in 0..500 {
            scope.spawn(move || assert_eq!(&ask_socket(path)["AccessKeyId"], key));
        }
    });
}

#[test]
fn two_hundred_and_fifty_clients_at_once_are_all_served_by_capability_and_by_http() {
    let (_sts, broker, key) = ready();
    let (broker, key) = (&broker, &key);
    std::thread::scope(|scope| {
        for _ in 0..250 {
            scope.spawn(move || assert_eq!(&broker.by_capability()["AccessKeyId"], key));
            scope.spawn(move || assert_eq!(&broker.by_http().1["AccessKeyId"], key));
        }
    });
}

#[test]
fn clients_that_send_garbage_or_never_read_keep_nobody_from_the_socket() {
    let (_sts, broker, key) = ready();
    let mut silent: Vec<_> = (0..300).map(|_| UnixStream::connect(&broker.socket).unwrap()).collect();
    for stream in &mut silent {
        let _ = stream.write_all(&[0xff; 4096]);
    }
    for _ in 0..100 {
        drop(UnixStream::connect(&broker.socket).unwrap());
    }
    all_doors_give(&broker, &key);
    // They have their answer, too: the broker has let go of them long ago.
    let mut text = String::new();
    let last = silent.last_mut().unwrap();
    last.set_read_timeout(Some(SOON)).unwrap();
    let _ = last.read_to_string(&mut text);
    assert!(text.contains(&key));
}

fn open_descriptors(broker: &Broker) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", broker.child.id())).unwrap().count()
}

#[test]
fn garbage_at_the_capability_is_closed_and_harms_nobody() {
    let (_sts, broker, key) = ready();
    let before = crate::scene::is_root().then(|| open_descriptors(&broker));
    let pipe = rustix::pipe::pipe().unwrap();
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let (a, b) = UnixStream::pair().unwrap();
    for _ in 0..50 {
        send_descriptors(&broker.capability, &[]);
        send_descriptors(&broker.capability, &[pipe.0.as_fd()]);
        send_descriptors(&broker.capability, &[pipe.1.as_fd()]);
        send_descriptors(&broker.capability, &[null.as_fd()]);
        send_descriptors(&broker.capability, &[a.as_fd(), b.as_fd()]);
        send_descriptors(&broker.capability, &[null.as_fd(); 16]);
        rustix::net::send(&broker.capability, &[], SendFlags::NOSIGNAL).unwrap();
        rustix::net::send(&broker.capability, &[7; 60_000], SendFlags::NOSIGNAL).unwrap();
    }
    all_doors_give(&broker, &key);
    if let Some(before) = before {
        let start = Instant::now();
        while open_descriptors(&broker) > before {
            assert!(start.elapsed() < SOON, "descriptors are left");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_client_whose_buffer_is_full_waits_for_nobody() {
    let (_sts, broker, key) = ready();
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    while (&theirs).write(&[0; 65_536]).is_ok() {}
    theirs.set_nonblocking(false).unwrap();
    for _ in 0..20 {
        send_descriptors(&broker.capability, &[theirs.as_fd()]);
    }
    all_doors_give(&broker, &key);
    drop(ours);
}

/// A TCP connection whose last close takes half a minute.
fn lingering() -> (OwnedFd, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    while (&stream).write(&[0; 65_536]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
    sockopt::set_socket_linger(&stream, Some(Duration::from_secs(30))).unwrap();
    (stream.into(), peer)
}

/// Does something while the broker stands still, so that it is the last to close what is sent to it.
pub(crate) fn behind_its_back(broker: &Broker, what: impl FnOnce()) {
    let pid = rustix::process::Pid::from_child(&broker.child);
    kill_process(pid, Signal::STOP).unwrap();
    while !broker.status("State").starts_with('T') {
        std::thread::sleep(Duration::from_millis(1));
    }
    what();
    kill_process(pid, Signal::CONT).unwrap();
}

#[test]
fn a_descriptor_that_takes_half_a_minute_to_close_holds_up_neither_mints_nor_doors() {
    let (_sts, broker, key) = ready();
    let (slow, _peer) = lingering();
    behind_its_back(&broker, || {
        send_descriptors(&broker.capability, &[slow.as_fd()]);
        drop(slow);
    });
    all_doors_give(&broker, &key);
}

#[test]
fn nor_does_one_that_is_hidden_in_the_queue_of_a_socket() {
    let (_sts, broker, key) = ready();
    let (slow, _peer) = lingering();
    behind_its_back(&broker, || {
        let connection = OwnedFd::from(UnixStream::connect(&broker.socket).unwrap());
        send_descriptors(&connection, &[slow.as_fd()]);
        drop((slow, connection));
    });
    all_doors_give(&broker, &key);
}

#[test]
fn idle_and_slow_connections_do_not_close_the_http_door() {
    let (_sts, broker, key) = ready();
    let slow: Vec<_> = (0..700)
        .map(|_| {
            let mut stream = TcpStream::connect(broker.http).unwrap();
            let _ = stream.write_all(b"GET / HT");
            stream
        })
        .collect();
    all_doors_give(&broker, &key);
    drop(slow);
}

#[test]
fn the_http_door_takes_no_parameter() {
    let (_sts, broker, _key) = ready();
    let status = |request: &str| http(broker.http, request).0;
    let host = "Host: 169.254.170.2\r\nConnection: close\r\n";
    assert_eq!(status(&format!("GET /credentials HTTP/1.1\r\n{host}\r\n")), 200);
    assert_eq!(status(&format!("GET /?a=b HTTP/1.1\r\n{host}\r\n")), 400);
    assert_eq!(status(&format!("POST / HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n")), 405);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx")), 400);
    assert_eq!(status(&format!("GET /role/other HTTP/1.1\r\n{host}\r\n")), 404);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), 400);
    let long = "x".repeat(20_000);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{host}X: {long}\r\n\r\n")), 431);
    assert_eq!(status("\u{16}\u{3}\u{1}garbage\r\n\r\n"), 400);
}

#[test]
fn a_kept_connection_is_served_again() {
    let (_sts, broker, key) = ready();
    let mut stream = TcpStream::connect(broker.http).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        let mut part = [0; 8192];
        let n = stream.read(&mut part).unwrap();
        assert!(String::from_utf8_lossy(&part[..n]).contains(&key));
    }
}

#[test]
fn the_other_doors_stay_open_when_nobody_holds_the_capability() {
    let (_sts, mut broker, key) = ready();
    broker.capability = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(broker.by_socket()["AccessKeyId"], key);
    assert!(broker.child.try_wait().unwrap().is_none());
}

#[test]
fn memory_does_not_grow_with_the_number_of_clients() {
    let (_sts, broker, key) = ready();
    let resident = || -> u64 {
        let text = broker.status("VmRSS");
        text.split(' ').next().unwrap().parse().unwrap()
    };
    for _ in 0..50 {
        all_doors_give(&broker, &key);
    }
    let before = resident();
    for _ in 0..1000 {
        broker.by_socket();
        broker.by_capability();
        broker.by_fifo();
        broker.by_http();
    }
    let after = resident();
    eprintln!("resident: {before} kB, after 4,000 clients {after} kB");
    assert!(after < before + 512, "{before} kB, then {after} kB");
}
