//! What the gateway refused: told to the person at the terminal, kept for `sessions --log`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{own, say};

/// A log that has grown past this begins anew, in bytes; the one before it stays.
const LARGE: u64 = 1 << 20;

/// A name or an address that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocked<'a> {
    /// It, escaped.
    pub(crate) name: &'a str,
    /// 0 for a question for the name.
    pub(crate) port: u16,
    /// Which rule, and what to do.
    pub(crate) why: &'a str,
    /// How often since this was last said.
    pub(crate) count: u32,
}

impl Blocked<'_> {
    /// `blocked example.com:443 (sandbox "standard" does not allow it; ...)`
    pub(crate) fn line(&self) -> String {
        let port = if self.port == 0 { String::new() } else { format!(":{}", self.port) };
        format!("blocked {}{port} ({})", self.name, self.why)
    }
}

/// Whether the line says something that was not said yet: a name is looked up before it is dialled.
pub(crate) fn is_news(said: &mut Vec<String>, blocked: &Blocked<'_>) -> bool {
    let new = said.len() < MOST_NAMES && said.iter().all(|name| name != blocked.name);
    if new {
        said.push(blocked.name.to_owned());
    }
    new
}

/// More names than this are not shown at the terminal.
const MOST_NAMES: usize = 256;

fn path() -> Option<PathBuf> {
    own::path("blocked.log")
}

/// Appends to the log. Where that cannot be, the audit trail has it all the same.
pub(crate) fn keep(session: &str, blocked: &Blocked<'_>) {
    let Some(path) = path() else { return };
    let _ = append(&path, session, blocked);
}

fn append(path: &Path, session: &str, blocked: &Blocked<'_>) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        own::create(directory)?;
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.len() > LARGE) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let row = json!({
        "time": say::now(), "session": session, "name": blocked.name, "port": blocked.port,
        "why": blocked.why, "count": blocked.count,
    });
    // One write for each line: sessions side by side write to the same file.
    own::options().append(true).create(true).open(path)?.write_all(format!("{row}\n").as_bytes())
}

/// The log, oldest first; of one session only if it is named.
pub(crate) fn log(session: Option<&str>) -> Vec<Value> {
    let Some(path) = path() else { return vec![] };
    let files = [path.with_extension("log.1"), path];
    let files = files.iter().filter_map(|path| own::options().read(true).open(path).ok());
    let lines = files.flat_map(|file: File| BufReader::new(file.take(2 * LARGE)).lines().map_while(Result::ok));
    let rows = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    rows.filter(|row| session.is_none_or(|id| row.get("session").and_then(Value::as_str) == Some(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_once_and_with_its_port() {
        let blocked = Blocked { name: "example.com", port: 443, why: "no rule", count: 1 };
        assert_eq!(blocked.line(), "blocked example.com:443 (no rule)");
        let mut said = vec![];
        assert!(is_news(&mut said, &Blocked { port: 0, ..blocked }));
        assert!(!is_news(&mut said, &blocked));
    }

    #[test]
    fn the_log_grows_by_lines_and_begins_anew_when_it_is_large() {
        let path = crate::scratch::scratch("blocked").join("new/blocked.log");
        let blocked = Blocked { name: "example.com", port: 443, why: "no rule", count: 1 };
        append(&path, "a1", &blocked).unwrap();
        append(&path, "a1", &blocked).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        fs::write(&path, vec![b'x'; usize::try_from(LARGE + 1).unwrap()]).unwrap();
        append(&path, "a1", &blocked).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
}
