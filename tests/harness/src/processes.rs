//! A look at the process table.

use std::fs;

/// A process, as /proc shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id here.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Effective uid.
    pub uid: u32,
    /// Its short name: at most 15 characters of the program's.
    pub name: String,
    /// Whether it has ended, and its parent has not noticed yet.
    pub ended: bool,
    /// Its arguments, joined by spaces; empty if it has ended.
    pub command: String,
}

/// All that can be seen. In a private world as root that is every process of this trial, and pid 1.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let mut found: Vec<Process> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(look).collect();
    found.sort_by_key(|p| p.pid);
    found
}

/// One process; none if it has gone meanwhile.
fn look(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        command.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    Some(Process {
        pid,
        parent: field("PPid:")?.parse().ok()?,
        uid: field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?,
        name: field("Name:")?.to_owned(),
        ended: field("State:")?.starts_with(['Z', 'X']),
        command: words.join(" "),
    })
}
