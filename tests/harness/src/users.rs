//! The people of the tests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

/// Somebody who runs `agent-aws`.
#[derive(Debug, Clone)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Real uid.
    pub uid: u32,
    /// Primary gid.
    pub gid: u32,
    /// Home directory by the user database.
    pub home: PathBuf,
}

/// (name, uid): the gid is the same number. Alice is a developer, Bob is not.
pub(crate) const PEOPLE: [(&str, u32); 2] = [("alice", 4242), ("bob", 4243)];
/// Broker and gateway; used where the machine has no such users.
const SYSTEM: [(&str, u32); 2] = [("_agent-aws", 4240), ("_agent-aws-net", 4241)];
const DEVELOPERS: &str = "developers:x:4250:alice\n";

impl User {
    /// One of the people of a private world.
    pub(crate) fn of_world(name: &str) -> Self {
        let known = PEOPLE.iter().find(|(n, _)| *n == name);
        let (_, uid) = known.unwrap_or_else(|| panic!("`{name}` is none of the test users"));
        Self { name: name.into(), uid: *uid, gid: *uid, home: Path::new("/home").join(name) }
    }

    /// Whoever runs the tests.
    pub(crate) fn ourselves() -> Self {
        let entry = nix::unistd::User::from_uid(Uid::current()).ok().flatten();
        let entry = entry.expect("the user database knows who runs the tests");
        Self { name: entry.name, uid: Uid::current().as_raw(), gid: Gid::current().as_raw(), home: entry.dir }
    }
}

/// The user and group databases with our people in them; `/etc` must be private by now.
pub(crate) fn add_to_databases() -> std::io::Result<()> {
    let mut passwd = std::fs::read_to_string("/etc/passwd")?;
    let mut group = std::fs::read_to_string("/etc/group")?;
    let has = |database: &str, name: &str| database.lines().any(|l| l.split(':').next() == Some(name));
    for (name, id) in PEOPLE.iter().chain(&SYSTEM) {
        let (home, shell) = match name.starts_with('_') {
            true => ("/".to_owned(), "/usr/sbin/nologin"),
            false => (format!("/home/{name}"), "/bin/sh"),
        };
        if !has(&passwd, name) {
            let _ = writeln!(passwd, "{name}:x:{id}:{id}::{home}:{shell}");
        }
        if !has(&group, name) {
            let _ = writeln!(group, "{name}:x:{id}:");
        }
    }
    if !has(&group, "developers") {
        group.push_str(DEVELOPERS);
    }
    std::fs::write("/etc/passwd", passwd)?;
    std::fs::write("/etc/group", group)
}
