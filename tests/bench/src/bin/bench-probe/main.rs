//! Measures from where it is started: as the user for starts, inside a sandbox for doors and system calls. Prints one
//! line of words and microseconds for each figure.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a bench fails by panicking

mod calls;
mod doors;
mod net;
mod reads;
mod starts;
#[allow(unsafe_code)]
mod sys;
mod work;

use std::time::{Duration, Instant};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["starts", rounds, commands @ ..] => starts::run(rounds.parse().expect("a number of rounds"), commands),
        ["doors", http] => doors::run(*http == "http"),
        ["reads", "unix", path, ask] => reads::unix(path, ask),
        ["reads", "http", address, token] => reads::http(address, token),
        ["reads", "process", command @ ..] => reads::process(command),
        ["calls"] => calls::run(),
        ["work"] => work::run(),
        ["net", server] => net::run(server, None),
        ["net", server, proxy] => net::run(server, Some(proxy)),
        _ => panic!(
            "usage: bench-probe starts ROUNDS A... ::: B... | doors (http|none) | reads unix PATH LINE | reads http \
             ADDRESS TOKEN | reads process CMD... | calls | work | net SERVER [PROXY]"
        ),
    }
}

/// How long `work` takes.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed(), result)
}

/// The value below which this share of the others lies.
fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    times.get(index(times, share)).copied().unwrap_or_default()
}

/// Where that value is when they are sorted.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // an index
fn index<T>(sorted: &[T], share: f64) -> usize {
    (share * sorted.len().saturating_sub(1) as f64).round() as usize
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
