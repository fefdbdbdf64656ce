//! The audit trail: one record for each event, written by uid 0 only.
//!
//! The file is the authority; a run that cannot be recorded there is refused. Syslog, to which anybody can write, gets
//! a copy where there is one; a daemon that is absent or blocked hangs nothing.

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use agent_aws_protocol::{FailureCode, Refusal};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::entry::Mode as Power;
use crate::installation::open_directory_of_root;
use crate::refusal::advise;

const DIRECTORY: &str = "/var/log/agent-aws";
const FILE: &str = "audit.jsonl";
/// Longest record in syslog, in bytes.
const SYSLOG_LIMIT: usize = 960;

/// Where records go.
pub(crate) struct Audit {
    directory: Option<OwnedFd>,
    syslog: Option<Logger<LoggerBackend, Formatter3164>>,
    facts: String,
}

/// One field of a record.
pub(crate) type Field<'a> = (&'static str, &'a dyn Display);

impl Audit {
    /// Opens the trail. In unprivileged mode there is none: the caller could edit it.
    pub(crate) fn open(power: &Power) -> Result<Self, Refusal> {
        if !power.is_privileged() {
            return Ok(Self { directory: None, syslog: None, facts: String::new() });
        }
        let fail = |what: String| {
            let advice = "nothing runs unrecorded: ask your administrator to look at /var/log/agent-aws";
            advise(FailureCode::Installation, format_args!("the audit trail cannot be written: {what}"), advice)
        };
        let log = open_directory_of_root(Path::new("/var/log")).map_err(&fail)?;
        match mkdirat(&log, "agent-aws", Mode::from_raw_mode(0o750)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(fail(format!("{DIRECTORY}: {e}"))),
        }
        let directory = open_directory_of_root(Path::new(DIRECTORY)).map_err(&fail)?;
        let audit = Self { directory: Some(directory), syslog: syslog(), facts: String::new() };
        audit.file().map_err(|e| fail(format!("{DIRECTORY}/{FILE}: {e}")))?;
        Ok(audit)
    }

    /// Fields that every later record of this process carries.
    pub(crate) fn about(&mut self, fields: &[Field<'_>]) {
        write_fields(&mut self.facts, fields);
    }

    /// Writes one record. Failing to is a refusal while nothing has started; later it ends the session.
    pub(crate) fn record(&mut self, event: &'static str, fields: &[Field<'_>]) -> Result<(), Refusal> {
        if self.directory.is_none() {
            return Ok(());
        }
        let mut line = String::new();
        write_fields(&mut line, &[("time", &timestamp()), ("event", &event)]);
        line.push_str(&self.facts);
        write_fields(&mut line, fields);
        let line = format!("{{{}}}\n", line.trim_start_matches(','));
        let written = self.file().and_then(|file| std::fs::File::from(file).write_all(line.as_bytes()));
        written.map_err(|e| {
            let text = format!("the audit trail cannot be written: {DIRECTORY}/{FILE}: {e}");
            advise(FailureCode::Installation, text, "nothing runs unrecorded: ask your administrator")
        })?;
        if let Some(syslog) = &mut self.syslog {
            let mut end = line.len().min(SYSLOG_LIMIT);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let _ = syslog.notice(line.get(..end).unwrap_or_default().trim_end());
        }
        Ok(())
    }

    /// Opened for each record, so that rotation works.
    fn file(&self) -> std::io::Result<OwnedFd> {
        let Some(directory) = &self.directory else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(directory, FILE, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o600))?;
        let found = rustix::fs::fstat(&file)?;
        let regular = rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::RegularFile;
        match regular && found.st_uid == 0 && found.st_mode & 0o022 == 0 {
            true => Ok(file),
            false => Err(std::io::Error::other("is not a regular file of root's own")),
        }
    }
}

/// The connection to syslog, if there is one now. It never blocks.
fn syslog() -> Option<Logger<LoggerBackend, Formatter3164>> {
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "agent-aws-helper".into(),
        pid: std::process::id(),
    };
    // A stream would block us, and so does connecting to one: better no copy.
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect("/dev/log").ok()?;
    Some(Logger { formatter, backend: LoggerBackend::Unix(socket) })
}

/// `,"name":"value"` for each, with everything outside printable ASCII escaped.
fn write_fields(out: &mut String, fields: &[Field<'_>]) {
    for (name, value) in fields {
        let _ = write!(out, ",\"{name}\":\"{}\"", json_escape(&value.to_string()));
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn timestamp() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// Escapes text for a JSON string: quotes, backslashes, and everything outside printable ASCII.
fn json_escape(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit).map(char::from) {
            Ok(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Ok(c) if (' '..='~').contains(&c) => out.push(c),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_quotes_and_bidi_marks_are_escaped() {
        let mut out = String::new();
        write_fields(&mut out, &[("command", &"a\n\"\\\u{1b}[31m\u{202e}é")]);
        assert_eq!(out, r#","command":"a\u000a\"\\\u001b[31m\u202e\u00e9""#);
    }
}
