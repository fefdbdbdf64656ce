//! Words on the caller's terminal. Nothing here panics when nobody reads, and no text that came from elsewhere can
//! move a cursor, set a title or turn a line around.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Whether `c` could make a terminal do more than show a letter: control characters, and those that reorder text
/// (CVE-2021-42574).
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` on one line, hostile characters as `\u{..}`.
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The same for text that has lines and columns of its own.
pub(crate) fn escaped_block(text: &str) -> String {
    let mut block = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) && c != '\n' && c != '\t' {
            let _ = write!(block, "{}", c.escape_default());
        } else {
            block.push(c);
        }
    }
    block
}

/// Bytes of a path or an argument on one line.
pub(crate) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut line = String::new();
    for chunk in bytes.utf8_chunks() {
        line.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line
}

/// Whether the caller's locale shows more than ASCII.
fn is_utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|v| !v.is_empty()).is_some_and(|v| {
        let v = v.to_string_lossy().to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

/// Whether standard error is a terminal.
pub(crate) fn on_terminal() -> bool {
    io::stderr().is_terminal()
}

fn error_bytes(text: &str) {
    // Whoever closed standard error does not want to hear that it is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// One line on standard error.
pub(crate) fn line(text: &str) {
    error_bytes(&format!("agent-aws: {}\n", escaped(text)));
}

/// Several lines on standard error, as they are.
pub(crate) fn error_block(text: &str) {
    error_bytes(&escaped_block(text));
}

/// What failed and, below it, what to do.
pub(crate) fn failure(text: &str, advice: Option<&str>) {
    let mut lines = format!("agent-aws: {}\n", escaped(text));
    if let Some(advice) = advice {
        let arrow = if is_utf8() { '→' } else { '>' };
        let _ = writeln!(lines, "  {arrow} {}", escaped(advice));
    }
    error_bytes(&lines);
}

/// What to do about the lines before.
pub(crate) fn advice(text: &str) {
    let arrow = if is_utf8() { '→' } else { '>' };
    error_bytes(&format!("  {arrow} {}\n", escaped(text)));
}

/// Parts of one line, with a dot between them where the locale has one.
pub(crate) fn joined(parts: &[String]) -> String {
    parts.join(if is_utf8() { " · " } else { ", " })
}

/// Text on standard output.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// A value as JSON on standard output, for scripts.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), Failure> {
    out(&format!("{value:#}\n"))
}

/// Rows as columns of equal width; the first row is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `2026-11-20 14:05` in UTC, from seconds since 1970.
pub(crate) fn date_time(seconds: u64) -> String {
    let days = seconds / 86_400;
    let (hours, minutes) = (seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    // Howard Hinnant's civil_from_days, for days from 1970 on.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}")
}

/// `14:05 UTC` if that is less than a day from `now`, else with the date.
pub(crate) fn until(seconds: u64, now: u64) -> String {
    let whole = date_time(seconds);
    match whole.split_once(' ') {
        Some((_, time)) if seconds.saturating_sub(now) < 86_400 => format!("{time} UTC"),
        _ => format!("{whole} UTC"),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_from_elsewhere_moves_the_cursor_or_turns_the_line_around() {
        assert_eq!(escaped("a\x1b[2Jb\r\n\u{202e}c\u{9b}d"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c\\u{9b}d");
        assert_eq!(escaped("größe · →"), "größe · →");
        assert_eq!(escaped_block("a\tb\n\x07"), "a\tb\n\\u{7}");
        assert_eq!(escaped_bytes(b"x\xff\x1by"), "x\\xff\\u{1b}y");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01 00:00");
        assert_eq!(date_time(951_782_400 + 3_660), "2000-02-29 01:01");
        assert_eq!(date_time(1_795_183_500), "2026-11-20 14:05");
        assert_eq!(until(1_795_183_500, 1_795_180_000), "14:05 UTC");
        assert_eq!(until(1_795_183_500, 1_795_000_000), "2026-11-20 14:05 UTC");
    }

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_blanks() {
        let rows = vec![vec!["ID".into(), "X".into()], vec!["long".into(), "y".into()]];
        assert_eq!(table(&rows), "ID    X\nlong  y\n");
    }
}
