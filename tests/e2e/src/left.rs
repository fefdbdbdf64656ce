//! What a session may leave behind, and where its processes are while it runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agent_aws_harness::{Mode, SOON, Scene, until, within};

/// Names of the records of sessions.
pub fn records(scene: &Scene) -> Vec<OsString> {
    let place = match scene.machine.mode {
        Mode::Setuid => "/run/agent-aws/sessions".into(),
        Mode::Unprivileged => scene.machine.user("alice").home.join(".local/share/agent-aws/sessions"),
    };
    let entries = std::fs::read_dir(place).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect()
}

/// No process and no record of a session is left.
#[track_caller]
pub fn nothing_is_left(scene: &Scene) {
    // An ordinary user's other trials have sessions of their own, on the same machine.
    if scene.machine.is_private() {
        let left = || scene.machine.others();
        let none = until(SOON, || left().is_empty().then_some(()));
        assert!(none.is_some(), "left running: {:#?}", left());
        assert_eq!(records(scene), Vec::<OsString>::new(), "records are left");
    }
}

/// Regular files below a directory that nobody but their owner's programs should have made: cores, halves of files.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
    found
}

/// Waits for a process of the session by its short name and returns its id.
#[track_caller]
pub fn pid_of(scene: &Scene, name: &str) -> i32 {
    let mut pid = 0;
    within(SOON, name, || {
        pid = scene.machine.others().iter().find(|p| p.name == name).map_or(0, |p| p.pid);
        pid != 0
    });
    pid
}
