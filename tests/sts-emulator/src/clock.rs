//! The time the emulator believes in, and the three spellings of it that AWS uses.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const EXTENDED: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The real time, moved by `skew_seconds`. A skew outside the calendar is the real time.
pub(crate) fn now(skew_seconds: i64) -> OffsetDateTime {
    let real = OffsetDateTime::now_utc();
    real.checked_add(Duration::seconds(skew_seconds)).unwrap_or(real)
}

/// `20150830T123600Z`, the spelling of `X-Amz-Date`.
pub(crate) fn basic(time: OffsetDateTime) -> String {
    time.format(BASIC).unwrap_or_default()
}

/// `2015-08-30T12:36:00Z`, the spelling of `Expiration`.
pub(crate) fn extended(time: OffsetDateTime) -> String {
    time.format(EXTENDED).unwrap_or_default()
}

/// `2015-08-30T12:36:00.123Z`, the spelling of recorded requests.
pub(crate) fn millis(time: OffsetDateTime) -> String {
    time.format(MILLIS).unwrap_or_default()
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`, the spelling of the `Date` header.
pub(crate) fn http_date(time: OffsetDateTime) -> String {
    time.format(HTTP_DATE).unwrap_or_default()
}

/// Reads the timestamp of a signed request: `X-Amz-Date`, or a `Date` header in either spelling.
pub(crate) fn parse_signing_time(text: &str) -> Option<OffsetDateTime> {
    [BASIC, HTTP_DATE]
        .iter()
        .find_map(|format| PrimitiveDateTime::parse(text, format).ok())
        .map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_signing_time_are_read_and_written_back() {
        let time = parse_signing_time("20150830T123600Z").unwrap();
        assert_eq!(time, parse_signing_time("Sun, 30 Aug 2015 12:36:00 GMT").unwrap());
        assert_eq!(basic(time), "20150830T123600Z");
        assert_eq!(extended(time), "2015-08-30T12:36:00Z");
        assert_eq!(http_date(time), "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(millis(time), "2015-08-30T12:36:00.000Z");
    }

    #[test]
    fn a_time_in_another_spelling_is_not_guessed() {
        for text in ["", "2015-08-30T12:36:00Z", "20150830", "20151330T123600Z", "20150830T123600Z "] {
            assert_eq!(parse_signing_time(text), None, "{text:?}");
        }
    }
}
