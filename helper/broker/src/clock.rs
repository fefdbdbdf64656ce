//! The two clocks that an expiry is held against.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use rustix::time::{ClockId, clock_gettime};

/// One moment on both clocks. The wall clock is what an `Expiration` is compared with, and somebody may set it; the
/// boot clock only goes forward and counts the time that the machine slept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Since 1970.
    pub(crate) wall: Duration,
    /// Since boot, sleep included.
    pub(crate) boot: Duration,
}

impl Now {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        Self {
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            boot: Duration::new(u64::try_from(boot.tv_sec).unwrap_or(0), u32::try_from(boot.tv_nsec).unwrap_or(0)),
        }
    }
}

/// RFC 3339 in UTC, whole seconds, as every SDK parses it.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_else(|_| "an unknown time".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_utc_without_fraction() {
        assert_eq!(rfc3339(1_700_000_000), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn the_boot_clock_goes_forward() {
        let a = Now::read();
        assert!(Now::read().boot >= a.boot);
        assert!(a.wall > Duration::from_secs(1_600_000_000));
    }
}
