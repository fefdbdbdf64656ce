use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A directory of the test's own, a snapshot of it, and what differs after a change.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(crate::scratch::scratch(name))
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn snapshot(&self) -> Snapshot {
        // Times of files are those of the kernel's last tick: what was before is older than what comes.
        let tick = || std::thread::sleep(std::time::Duration::from_millis(20));
        tick();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let taken = Snapshot::take(&[(self.0.clone(), false)], (now.tv_sec, u32::try_from(now.tv_nsec).unwrap()));
        tick();
        taken
    }

    /// `HOW ROW (NAMES)`, one by one.
    #[track_caller]
    fn differ(&self, before: &Snapshot, expected: &[&str]) {
        let word = |change: &Change| {
            let names: Vec<_> = change.names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
            assert!(!change.reason.is_empty());
            format!("{:?} {} ({})", change.how, change.row.display(), names.join(" "))
        };
        // What was written down says the same.
        let kept: Snapshot = serde_json::from_slice(&serde_json::to_vec(before).unwrap()).unwrap();
        assert_eq!(&kept, before);
        assert_eq!(kept.differences().iter().map(word).collect::<Vec<_>>(), expected);
    }
}

fn repository(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    for (name, content) in [(".git/HEAD", ""), (".git/config", "[core]\n"), (".git/hooks/a.sample", ""), (".envrc", "")]
    {
        scratch.file(name, content);
    }
    scratch
}

#[test]
fn every_row_of_both_tables_has_its_own_path_and_reason() {
    let mut paths: Vec<_> = table().map(|(path, _)| path).collect();
    assert!(paths.iter().all(|path| !path.is_empty() && !path.starts_with('/') && !path.ends_with('/')));
    assert!(table().all(|(_, reason)| !reason.trim().is_empty() && !reason.contains('\t')));
    let lines = REPORTED.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(paths.len(), PROJECT_TRUSTED.rows().count() + lines);
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), table().count(), "a row stands twice");
}

#[test]
fn every_row_that_appears_is_told() {
    for (path, _) in table() {
        let scratch = Scratch::new("each");
        let before = scratch.snapshot();
        scratch.file(path, "evil");
        let changes = before.differences();
        assert!(changes.iter().any(|c| Path::new(path).starts_with(&c.row) && c.how == How::Appeared), "{path}");
    }
}

#[test]
fn nothing_is_told_of_work_that_touches_no_row() {
    let scratch = repository("quiet");
    let before = scratch.snapshot();
    scratch.file("src/main.rs", "");
    scratch.file(".git/index", "");
    scratch.file(".git/objects/ab/cd", "");
    let _ = fs::read_to_string(scratch.0.join(".git/config"));
    let _ = fs::read_dir(scratch.0.join(".git/hooks")).unwrap().count();
    scratch.differ(&before, &[]);
}

#[test]
fn what_appears_changes_and_vanishes_is_told_with_its_names() {
    let scratch = repository("told");
    scratch.file(".vscode/tasks.json", "");
    let before = scratch.snapshot();
    scratch.file(".git/hooks/pre-commit", "evil");
    scratch.file(".git/config", "[evil]\n");
    scratch.file(".mcp.json", "");
    fs::remove_dir_all(scratch.0.join(".vscode")).unwrap();
    fs::remove_file(scratch.0.join(".envrc")).unwrap();
    symlink("/nowhere", scratch.0.join(".envrc")).unwrap();
    let mut expected = vec!["Changed .git/hooks (pre-commit)", "Changed .git/config ()", "Changed .envrc ()"];
    expected.extend(["Vanished .vscode ()", "Appeared .mcp.json ()"]);
    scratch.differ(&before, &expected);
}

#[test]
fn a_new_directory_is_told_once_with_what_is_in_it() {
    let scratch = Scratch::new("new");
    let before = scratch.snapshot();
    scratch.file(".git/hooks/pre-commit", "");
    scratch.file(".git/config", "");
    scratch.file(".claude/settings.json", "");
    scratch.differ(&before, &["Appeared .git (hooks config)", "Appeared .claude (settings.json)"]);
}

#[test]
fn a_pointer_or_link_in_place_of_a_directory_is_told() {
    let scratch = Scratch::new("pointer");
    let before = scratch.snapshot();
    scratch.file(".git", "gitdir: evil\n");
    symlink("evil", scratch.0.join(".claude")).unwrap();
    scratch.differ(&before, &["Appeared .git ()", "Appeared .claude ()"]);
    let scratch = repository("replaced");
    let before = scratch.snapshot();
    fs::rename(scratch.0.join(".git"), scratch.0.join("old")).unwrap();
    symlink("/tmp", scratch.0.join(".git")).unwrap();
    scratch.differ(&before, &["Changed .git ()"]);
}

#[test]
fn a_row_that_is_a_link_is_told_when_what_it_leads_to_changes() {
    let scratch = Scratch::new("link");
    scratch.file("shared/tasks.json", "one");
    scratch.file("shared-envrc", "one");
    symlink("shared", scratch.0.join(".vscode")).unwrap();
    symlink("shared-envrc", scratch.0.join(".envrc")).unwrap();
    let before = scratch.snapshot();
    scratch.differ(&before, &[]);
    scratch.file("shared/tasks.json", "two");
    scratch.file("shared-envrc", "two");
    scratch.differ(&before, &["Changed .envrc ()", "Changed .vscode (tasks.json)"]);
}

#[test]
fn what_leads_git_elsewhere_is_told() {
    let scratch = repository("commondir");
    let before = scratch.snapshot();
    scratch.file(".git/commondir", "../evil\n");
    scratch.differ(&before, &["Appeared .git/commondir ()"]);
}

#[test]
fn repositories_below_are_told_when_they_are_new_or_changed() {
    let scratch = repository("below");
    for git in ["old/.git", "same/.git", ".git/modules/sub", "bare.git"] {
        for name in ["HEAD", "objects/x", "refs/x", "config", "hooks/a.sample"] {
            scratch.file(&format!("{git}/{name}"), "");
        }
    }
    scratch.file(".git/worktrees/tree/commondir", "../..\n");
    scratch.file("submodule/.git", "gitdir: x\n");
    let before = scratch.snapshot();
    scratch.differ(&before, &[]);
    for name in ["same/.git/index", "old/.git/hooks/pre-commit", ".git/modules/sub/config", "bare.git/config"] {
        scratch.file(name, "");
    }
    for name in ["HEAD", "objects/x", "refs/x", "config"] {
        scratch.file(&format!("a/b/new/.git/{name}"), "");
    }
    scratch.file(".git/worktrees/tree/commondir", "/evil\n");
    scratch.file("submodule/.git", "gitdir: y\n");
    let taken = before.differences();
    let mut rows: Vec<_> = taken.iter().map(|c| format!("{:?} {}", c.how, c.row.display())).collect();
    rows.sort();
    let expected = [
        "Appeared a/b/new/.git", "Changed .git/modules/sub", "Changed .git/worktrees/tree", "Changed bare.git",
        "Changed old/.git", "Changed submodule/.git",
    ];
    assert_eq!(rows, expected, "{taken:#?}");
}

#[test]
fn a_shared_git_directory_has_the_rows_of_git() {
    let scratch = repository("shared");
    let git = scratch.0.join(".git");
    let before = Snapshot::take(&[(git.clone(), true)], (0, 0));
    assert!(before.roots.iter().flat_map(|r| &r.rows).any(|(row, seen)| row == "config" && *seen != Seen::Missing));
    std::thread::sleep(std::time::Duration::from_millis(20));
    scratch.file(".git/config", "evil");
    scratch.file(".git/.envrc", "no row there");
    let changes = before.differences();
    assert!(changes.iter().any(|c| c.root == git && c.row == Path::new("config")), "{changes:?}");
    assert!(changes.iter().all(|c| c.row != Path::new(".envrc")), "{changes:?}");
}
