//! When to refresh, and when to try again. Pure.
//!
//! Clients fetch again when less than 15 minutes are left (botocore, Java, .NET) or 5 (JS v3), and then at every
//! call. So what a client sees should have more than 16 minutes left wherever the role's duration allows it.

use std::time::Duration;

use crate::cause::Kind;
use crate::clock::Now;

/// What is left of a long session when it is replaced.
const LONG_MARGIN: Duration = Duration::from_secs(20 * 60);
/// From this lifetime on, more than 16 minutes are kept; below, half of the lifetime.
const LONG: Duration = Duration::from_secs(25 * 60);
/// How much earlier than the truth the reported `Expiration` is, at most: Go and Rust use a session to its last
/// seconds, and their clock is not the service's.
const EARLY: Duration = Duration::from_secs(60);
/// The longest wait between two tries.
const SLOW: Duration = Duration::from_secs(30);
/// The same where the caller is told to sign in: whoever did shall be working again within ten seconds.
const SIGNED_IN: Duration = Duration::from_secs(8);
/// The first wait after a failure.
const QUICK: Duration = Duration::from_millis(500);
/// The shortest wait: however little is left, tries do not become a storm.
const FLOOR: Duration = Duration::from_millis(100);

/// The time in which a session may be served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    lifetime: Duration,
    wall_end: Duration,
    boot_end: Duration,
}

impl Window {
    /// `started` was read before the session was asked for, `expires` is its end in seconds since 1970, and `granted`
    /// the duration that was asked for, which bounds its life even if the wall clock is wrong. None if it is over already.
    pub(crate) fn new(started: Now, expires: u64, granted: Option<Duration>) -> Option<Self> {
        let by_wall = Duration::from_secs(expires).saturating_sub(started.wall);
        let lifetime = by_wall.min(granted.unwrap_or(Duration::MAX));
        if lifetime.is_zero() {
            return None;
        }
        let early = Duration::from_secs((lifetime / 60).min(EARLY).as_secs());
        Some(Self {
            lifetime,
            wall_end: Duration::from_secs(expires).saturating_sub(early),
            boot_end: started.boot.saturating_add(lifetime - early),
        })
    }

    /// The `Expiration` that clients are told, in seconds since 1970.
    pub(crate) fn reported(&self) -> u64 {
        self.wall_end.as_secs()
    }

    /// The whole lifetime, as seen when the session was asked for.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// What is left by the clock that says less. Zero: must not be served.
    pub(crate) fn left(&self, now: Now) -> Duration {
        let wall = self.wall_end.saturating_sub(now.wall);
        wall.min(self.boot_end.saturating_sub(now.boot))
    }

    /// How long to wait before the refresh.
    pub(crate) fn wait(&self, now: Now) -> Duration {
        self.left(now).saturating_sub(self.margin())
    }

    fn margin(&self) -> Duration {
        if self.lifetime >= LONG { LONG_MARGIN.min(self.lifetime / 3 * 2) } else { self.lifetime / 2 }
    }
}

/// How long to wait after the `failures`th failure in a row (from 1), with `left` of the session that is still served
/// and `lifetime` of a session as such. What passes by itself is tried quickly first, else it is a steady wait. `jitter` is in
/// 0..1.
///
/// Never past a third of what is left, unless that is below a tenth of a second; never more than 30 seconds.
pub(crate) fn backoff(failures: u32, kind: Kind, lifetime: Duration, left: Duration, jitter: f64) -> Duration {
    let cap = (lifetime / 3).clamp(Duration::from_secs(1), SLOW);
    let doubled = QUICK.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = match kind {
        Kind::Passing => doubled.min(cap),
        Kind::SignIn => SIGNED_IN.min(cap),
        Kind::Denied | Kind::Last => cap,
    };
    let wait = full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    if left.is_zero() { wait } else { wait.min(left / 3).max(FLOOR) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: u64 = 1_800_000_000;

    fn at(wall: u64, boot: u64) -> Now {
        Now { wall: Duration::from_secs(wall), boot: Duration::from_secs(boot) }
    }

    fn window(lifetime: u64) -> Window {
        Window::new(at(T, 100), T + lifetime, Some(Duration::from_secs(lifetime))).unwrap()
    }

    #[test]
    fn an_hour_is_refreshed_when_twenty_minutes_are_left() {
        let w = window(3600);
        assert_eq!(w.reported(), T + 3540);
        assert_eq!(w.wait(at(T, 100)), Duration::from_secs(2340));
        assert_eq!(w.wait(at(T + 2340, 2440)), Duration::ZERO);
    }

    #[test]
    fn a_short_session_is_refreshed_at_half_of_its_life_and_told_as_it_is() {
        let w = window(20);
        assert_eq!((w.reported(), w.wait(at(T, 100))), (T + 20, Duration::from_secs(10)));
    }

    #[test]
    fn a_wall_clock_set_back_does_not_prolong_a_session() {
        assert_eq!(window(3600).left(at(T - 86_400, 100 + 3600)), Duration::ZERO);
    }

    #[test]
    fn a_wall_clock_set_forward_ends_a_session() {
        assert_eq!(window(3600).left(at(T + 3600, 101)), Duration::ZERO);
    }

    #[test]
    fn a_slow_wall_clock_does_not_prolong_a_session_from_the_start() {
        let w = Window::new(at(T - 7200, 100), T + 900, Some(Duration::from_secs(900))).unwrap();
        assert_eq!(w.left(at(T - 7200, 100)), Duration::from_secs(885));
        assert_eq!(w.left(at(T - 7200 + 900, 1000)), Duration::ZERO);
    }

    #[test]
    fn a_session_that_is_over_on_arrival_has_no_window() {
        assert!(Window::new(at(T, 0), T, None).is_none());
    }

    #[test]
    fn a_denial_is_tried_slowly_from_the_first() {
        let hour = Duration::from_secs(3600);
        assert_eq!(backoff(1, Kind::Denied, hour, hour, 1.0), Duration::from_secs(30));
        assert_eq!(backoff(1, Kind::Passing, hour, hour, 1.0), Duration::from_millis(500));
    }

    #[test]
    fn whoever_signs_in_waits_less_than_ten_seconds() {
        let hour = Duration::from_secs(3600);
        for failures in [1, 2, 50] {
            assert!(backoff(failures, Kind::SignIn, hour, Duration::ZERO, 1.0) <= Duration::from_secs(8));
        }
    }

    proptest! {
        #[test]
        fn clients_see_more_than_sixteen_minutes_of_any_session_that_allows_it(life in 1500u64..43_200, age in 0u64..43_200) {
            let w = window(life);
            let now = at(T + age, 100 + age);
            prop_assert!(!w.wait(now).is_zero() || w.left(now) <= LONG_MARGIN);
            if !w.wait(now).is_zero() {
                prop_assert!(w.left(now) > Duration::from_secs(16 * 60));
            }
        }

        #[test]
        fn a_refresh_is_always_due_before_the_end(life in 1u64..43_200) {
            let w = window(life);
            let wait = w.wait(at(T, 100));
            prop_assert!(wait < w.left(at(T, 100)));
            prop_assert!(wait >= w.lifetime() / 4, "no storm of refreshes: {wait:?} of {life} s");
        }

        #[test]
        fn no_clock_makes_more_of_a_session_than_was_granted(life in 1u64..43_200, wall in 0u64..4_000_000_000, age in 0u64..50_000) {
            let left = window(life).left(at(wall, 100 + age));
            prop_assert!(left <= Duration::from_secs(life.saturating_sub(age)));
        }

        #[test]
        fn a_wait_is_bounded_by_thirty_seconds_and_a_third_of_what_is_left(
            failures in 1u32..100, denied: bool, life in 1u64..43_200, left in 0u64..43_200, jitter in 0.0f64..1.0,
        ) {
            let left = Duration::from_secs(left);
            let kind = if denied { Kind::Denied } else { Kind::Passing };
            let wait = backoff(failures, kind, Duration::from_secs(life), left, jitter);
            prop_assert!(wait <= SLOW && wait >= FLOOR);
            prop_assert!(left.is_zero() || wait <= (left / 3).max(FLOOR));
        }
    }
}
