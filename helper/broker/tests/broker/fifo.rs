//! The FIFO pair, and clients that die or behave badly at it.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent_aws_sts_emulator::Emulator;

use crate::doors::behind_its_back;
use crate::scene::{Broker, Fifos, SECRET, SOON, emulator, file, keys, minting};

fn ready() -> (Emulator, Broker, String) {
    let sts = emulator(None);
    let broker = Broker::start(minting(&sts), Some(file(&keys(SECRET))));
    let key = broker.minted().access_key_id;
    (sts, broker, key)
}

fn nonce(number: usize) -> String {
    format!("{number:032x}")
}

/// The other doors answer at once, whatever goes on at this one.
#[track_caller]
fn others_are_served(broker: &Broker, key: &str) {
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(broker.by_socket()["AccessKeyId"], key);
        assert_eq!(broker.by_http().1["AccessKeyId"], key);
        assert_eq!(broker.by_capability()["AccessKeyId"], key);
        // Alone it takes milliseconds; other tests run beside this one.
        assert!(start.elapsed() < Duration::from_secs(8), "took {:?}", start.elapsed());
    }
}

/// Does `what` while a thread writes `bytes` again and again, as fast as it can.
fn under_flood(fifos: &Fifos, bytes: &[u8], what: impl FnOnce()) -> usize {
    let (over, mut request) = (AtomicBool::new(false), fifos.request());
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut written = 0;
            while !over.load(Ordering::Relaxed) {
                match request.write(bytes) {
                    Ok(length) => written += length,
                    Err(_) => std::thread::yield_now(),
                }
            }
            written
        });
        // Also when `what` panics: a flood without end would make of a failure one that is never told.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
        over.store(true, Ordering::Relaxed);
        let written = flood.join().unwrap();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written
    })
}

fn resident(broker: &Broker) -> u64 {
    broker.status("VmRSS").split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn two_hundred_clients_at_once_are_all_served() {
    let (_sts, broker, key) = ready();
    let (fifos, key) = (&broker.fifos, &key);
    std::thread::scope(|scope| {
        for number in 0..200 {
            scope.spawn(move || assert_eq!(&fifos.ask(&nonce(number))["AccessKeyId"], key));
        }
    });
}

#[test]
fn clients_that_die_before_they_read_leave_nothing_in_the_way() {
    let (_sts, broker, key) = ready();
    let (mut request, mut answer) = (broker.fifos.request(), broker.fifos.answer());
    // More than the FIFO could hold.
    for number in 0..200 {
        request.write_all(format!("\n{}\n", nonce(number)).as_bytes()).unwrap();
        let start = Instant::now();
        while !is_empty(&broker.fifos) {
            assert!(start.elapsed() < SOON, "request {number} stays");
        }
        if number % 7 == 0 {
            // Or in the middle of it.
            let _ = answer.read(&mut [0; 100]);
        }
    }
    // The last one is being answered, and what the others left is gone.
    std::thread::sleep(Duration::from_millis(200));
    let mut left = Vec::new();
    let _ = answer.read_to_end(&mut left);
    assert!(left.len() < 4096 && String::from_utf8_lossy(&left).contains(&nonce(199)), "{}", left.len());
    for number in 500..600 {
        assert_eq!(broker.fifos.ask(&nonce(number))["AccessKeyId"], key);
    }
    others_are_served(&broker, &key);
}

/// Whether the broker has read every request.
fn is_empty(fifos: &Fifos) -> bool {
    rustix::io::ioctl_fionread(fifos.request_to_look_at()).unwrap() == 0
}

#[test]
fn a_flood_of_garbage_keeps_nobody_from_the_other_doors_and_takes_no_memory() {
    let (_sts, broker, key) = ready();
    others_are_served(&broker, &key);
    let before = resident(&broker);
    for garbage in [&[0xff; 4096][..], &[b'\n'; 4096], b"GET / HTTP/1.1\r\n\r\n", &[b'a'; 31]] {
        let written = under_flood(&broker.fifos, garbage, || {
            std::thread::sleep(Duration::from_millis(500));
            others_are_served(&broker, &key);
        });
        assert!(written > 100_000, "a flood of {written} bytes");
        // Who comes through while the pipe is kept full is the kernel's choice; afterwards everybody does.
        for number in 0..5 {
            assert_eq!(broker.fifos.ask(&nonce(number))["AccessKeyId"], key);
        }
    }
    let after = resident(&broker);
    assert!(after < before + 512, "{before} kB, then {after} kB");
}

#[test]
fn a_flood_of_requests_that_nobody_reads_keeps_nobody_from_the_other_doors() {
    let (_sts, broker, key) = ready();
    let written = under_flood(&broker.fifos, format!("\n{}\n", nonce(7)).as_bytes(), || {
        std::thread::sleep(Duration::from_secs(1));
        others_are_served(&broker, &key);
    });
    assert!(written > 100_000, "a flood of {written} bytes");
    assert_eq!(broker.fifos.ask(&nonce(8))["AccessKeyId"], key);
}

#[test]
fn garbage_is_read_with_pauses_so_that_a_flood_takes_a_small_part_of_a_processor() {
    let (_sts, broker, _key) = ready();
    let mut request = broker.fifos.request();
    rustix::pipe::fcntl_setpipe_size(&request, 1 << 20).unwrap();
    behind_its_back(&broker, || {
        let mut written = 0;
        while let Ok(length) = request.write(&[b'x'; 4096]) {
            written += length;
        }
        assert_eq!(written, 1 << 20);
    });
    let start = Instant::now();
    while !is_empty(&broker.fifos) {
        assert!(start.elapsed() < SOON, "it is not read");
    }
    // 16 batches, and a pause after each but the last.
    assert!(start.elapsed() > Duration::from_millis(70), "{:?}", start.elapsed());
}

#[test]
fn two_megabytes_of_memory_in_the_fifo_are_the_clients_own() {
    let (_sts, broker, key) = ready();
    let (request, answer) = (broker.fifos.request(), broker.fifos.answer());
    for fifo in [&request, &answer] {
        let _ = rustix::pipe::fcntl_setpipe_size(fifo, 1 << 20);
    }
    while (&request).write(&[0xff; 4096]).is_ok() {}
    assert_eq!(broker.fifos.ask(&nonce(1))["AccessKeyId"], key);
    // As small as it gets: one line at a time.
    rustix::pipe::fcntl_setpipe_size(&answer, 4096).unwrap();
    assert_eq!(broker.fifos.ask(&nonce(2))["AccessKeyId"], key);
}
