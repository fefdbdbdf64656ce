//! Both sides of a race, without anything between them and the kernel.
//!
//! `racer swap A B`: exchanges the two names until standard input ends, then prints how often.
//! `racer tries A B`: the same for two seconds, one line: `done N refused M ERRNO`.
//! `racer naive PATH MARK`: an unprotected victim. It looks whether PATH is a directory and no link, mounts it by that
//! path, and looks whether `MARK` is in what it has mounted. Prints `taken N of M` after three seconds, or
//! forty if it took so long to be taken in.
#![allow(clippy::panic)] // a tool of tests fails by panicking

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{CWD, RenameFlags, renameat_with};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["swap", one, other] => swap(one, other),
        ["tries", one, other] => tries(one, other),
        ["naive", path, mark] => naive(Path::new(path), mark),
        _ => panic!("racer swap A B | tries A B | naive PATH MARK"),
    }
}

fn exchange(one: &str, other: &str) -> Result<(), rustix::io::Errno> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

fn swap(one: &str, other: &str) {
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        end.store(true, Ordering::Relaxed);
    });
    let mut count = 0u64;
    while !ended.load(Ordering::Relaxed) {
        count += u64::from(exchange(one, other).is_ok());
    }
    // As it was found: an even number of exchanges.
    if count % 2 == 1 {
        let _ = exchange(one, other);
    }
    println!("{count}");
}

fn tries(one: &str, other: &str) {
    let end = Instant::now() + Duration::from_secs(2);
    let (mut done, mut refused, mut why) = (0u64, 0u64, String::from("-"));
    while Instant::now() < end {
        match exchange(one, other) {
            Ok(()) => done += 1,
            Err(e) => {
                refused += 1;
                why = format!("{:?}", nix::errno::Errno::from_raw(e.raw_os_error()));
            }
        }
    }
    println!("done {done} refused {refused} {why}");
}

fn naive(path: &Path, mark: &str) {
    let target = Path::new("/mnt");
    let none = None::<&str>;
    let begin = Instant::now();
    let (mut taken, mut tries) = (0u64, 0u64);
    while begin.elapsed() < Duration::from_secs(if taken > 0 { 3 } else { 40 }) {
        if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        tries += 1;
        // Between looking and using, any program does something else; on a busy machine the attacker runs meanwhile.
        std::thread::yield_now();
        if mount(Some(path), target, none, MsFlags::MS_BIND, none).is_err() {
            continue;
        }
        taken += u64::from(target.join(mark).exists());
        umount2(target, MntFlags::MNT_DETACH).unwrap_or_else(|e| panic!("umount: {e}"));
    }
    println!("taken {taken} of {tries}");
}
