//! Limits of a session: sandboxes that have some, what an agent gets to, and what the machine can give.

use std::fs;
use std::path::{Path, PathBuf};

use agent_aws_harness::{Call, Mode, Scene, Setup};

/// A scene whose policy also has the sandbox `small` with these lines.
pub fn scene(mode: Mode, lines: &str) -> Scene {
    let allow = |users: &str, identity: &str| {
        format!("[[allow]]\nusers = [\"{users}\"]\nidentities = [\"{identity}\"]\nsandbox = \"small\"\n")
    };
    let policy = format!(
        "[sandbox.small]\nhome = \"agent\"\nnetwork = \"none\"\nrw-paths = [\"/\"]\n{lines}\n{}{}",
        allow("alice", "incident"),
        allow("*", "own:*"),
    );
    Scene::with(mode, &Setup { policy, ..Setup::default() })
}

/// A run in the sandbox `small`.
pub fn small(scene: &Scene, command: &[&str]) -> Call {
    scene.run(&["--no-wait", "--sandbox", "small"], command)
}

/// The program of the tests that takes what it gets; these words.
pub fn glutton<'w>(tool: &'w str, words: &'w str) -> Vec<&'w str> {
    std::iter::once(tool).chain(words.split(' ')).collect()
}

/// How much it got: a number, and the error that ended it.
pub fn got(said: &str) -> (u64, &str) {
    let (number, error) = said.split_once(' ').unwrap_or((said, ""));
    (number.parse().unwrap_or_else(|e| panic!("{said:?}: {e}")), error)
}

/// A row of `doctor`: its grade, what is asked, and what is given.
#[track_caller]
pub fn doctor(scene: &Scene, what: &str) -> [String; 3] {
    let said = scene.machine.agent_aws("alice", &["doctor", "--json"]).run().stdout;
    let rows: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["what"] == what));
    let row = row.unwrap_or_else(|| panic!("no row {what}: {said}"));
    assert_eq!(row["fix"].is_null(), row["grade"] == "ok", "{row}");
    ["grade", "asked", "given"].map(|cell| row[cell].as_str().unwrap_or_default().to_owned())
}

/// Where cgroup v2 is mounted, and whether it has `controller`.
pub fn unified(controller: &str) -> Option<PathBuf> {
    let has = |root: &&Path| {
        let all = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        all.split_whitespace().any(|c| c == controller)
    };
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new).iter().copied().find(|root| has(root)).map(Into::into)
}

/// Groups of sessions below a group, by name.
pub fn groups(below: &Path) -> Vec<String> {
    let entries = fs::read_dir(below.join("agent-aws")).into_iter().flatten().flatten();
    let directories = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    directories.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
