//! Waiting for something to become so.

use std::time::{Duration, Instant};

/// Long enough for anything that should happen at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(10);

/// Asks again and again until there is an answer, at most so long.
pub fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until `holds`; panics with `what` if it does not within `limit`.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let held = until(limit, || holds().then_some(()));
    assert!(held.is_some(), "not within {} s: {what}", limit.as_secs());
}
