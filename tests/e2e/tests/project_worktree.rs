//! A worktree and the working tree of a submodule have their git directory elsewhere. It comes too, protected alike, where
//! it says itself that this is its working tree, and never because a file in the project says so.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::inside::outside;
use agent_aws_harness::{Call, Case, Mode, SOON, Scene, case, suite};

const CASES: &[Case] = &[
    case!(git_works_in_a_worktree),
    case!(git_works_in_a_submodule),
    case!(rows_of_the_shared_directory_are_protected_alike),
    case!(what_says_where_a_worktree_belongs_cannot_be_changed_for_long),
    case!(a_planted_pointer_opens_no_other_repository),
    case!(another_users_repository_is_not_opened).private(),
    case!(a_worktree_of_a_repository_inside_the_project_works),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// In a directory beside the project: `main` with the worktree `tree`, the submodule `main/sub`, and `other`.
fn repositories(scene: &Scene) -> PathBuf {
    let place = scene.machine.project(&scene.machine.user("alice"));
    let script = r#"
        set -e
        export GIT_CONFIG_GLOBAL=/dev/null
        for r in main other; do
            git init -q -b main $r && git -C $r config user.name t && git -C $r config user.email t@t
            git -C $r commit -q --allow-empty -m one
        done
        git -C main -c protocol.file.allow=always submodule --quiet add ../other sub && git -C main commit -qm sub
        git -C main/sub config user.name t && git -C main/sub config user.email t@t
        git -C main worktree add -q ../tree
    "#;
    outside(scene, script).run().ends(0);
    place
}

/// A line of shell in a session whose project is this directory.
fn there(scene: &Scene, directory: &Path, script: &str) -> Call {
    scene.run(&["--no-wait"], &["bash", "-c", script]).cwd(directory)
}

const WORK: &str = "set -e; git status; echo x > x; git add x; git commit -qm inside; git branch topic; git switch -q topic; \
                    git commit -q --allow-empty -m more; git rebase -q --force-rebase HEAD~1; git stash list; git log --oneline; \
                    git tag inside; echo whole";

fn git_works_in_a_worktree(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    let output = there(&scene, &place.join("tree"), WORK).run().ends(0);
    assert!(output.stdout.ends_with("whole\n"), "{output}");
    assert!(!output.stderr.contains("agent-aws:"), "{output}");
    let log = outside(&scene, "git -C main log --oneline inside && git -C main fsck").run().says();
    assert!(log.contains("inside"), "{log}");
    // The main working tree is not there.
    let output = there(&scene, &place.join("tree"), "ls ../main; ls ../other").run();
    assert!(!output.stdout.contains("sub") && output.stderr.contains("No such file"), "{output}");
}

fn git_works_in_a_submodule(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    let output = there(&scene, &place.join("main/sub"), WORK).run().ends(0);
    assert!(output.stdout.ends_with("whole\n"), "{output}");
    outside(&scene, "git -C main/sub log --oneline inside").run().ends(0);
    let output = there(&scene, &place.join("main/sub"), "cat ../.git/config; cat ../.git/HEAD").run();
    assert_eq!(output.stdout, "", "{output}");
}

fn rows_of_the_shared_directory_are_protected_alike(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    for (tree, git) in [("tree", "main/.git"), ("main/sub", "main/.git/modules/sub")] {
        let git = place.join(git);
        let before = fs::read_to_string(git.join("config")).unwrap();
        let script = format!(
            "cd {}; git config core.fsmonitor evil; echo evil > config; touch hooks/pre-commit; mv hooks x; rm -rf hooks; \
             mv config x; true",
            git.display()
        );
        let output = there(&scene, &place.join(tree), &script).run().ends(0);
        assert!(output.stderr.contains("Read-only file system") && output.stderr.contains("busy"), "{output}");
        assert_eq!(fs::read_to_string(git.join("config")).unwrap(), before, "{output}");
        assert!(git.join("hooks").is_dir() && !git.join("hooks/pre-commit").exists(), "{output}");
        // The control: what is no row can be written.
        there(&scene, &place.join(tree), &format!("touch {}/ORIG_HEAD", git.display())).run().ends(0);
    }
}

/// These files lead git to another configuration; they are in the shared directory, under a name of the worktree's own.
fn what_says_where_a_worktree_belongs_cannot_be_changed_for_long(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    let own = place.join("main/.git/worktrees/tree");
    let script = format!("cd {} && echo evil > commondir; sleep 60", own.display());
    let output = there(&scene, &place.join("tree"), &script).run_within(SOON).ends(125);
    assert!(output.stderr.contains("worktrees/tree changed during the session (commondir)"), "{output}");
    assert!(output.stderr.contains("leads git elsewhere"), "{output}");
    assert_eq!(fs::read_to_string(own.join("commondir")).unwrap(), "../..\n", "{output}");
    // Of other worktrees it is said.
    outside(&scene, "git -C main worktree add -q ../another && sleep 0.1").run().ends(0);
    let script = format!("cd {}/../another && echo evil > commondir", own.display());
    let output = there(&scene, &place.join("tree"), &script).run().ends(0);
    assert!(output.stderr.contains("worktrees/another changed during the session (commondir)"), "{output}");
}

fn a_planted_pointer_opens_no_other_repository(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    let project = place.join("project");
    scene.machine.directory(&scene.machine.user("alice"), &project);
    let script = format!("ls {0}/main/.git; touch {0}/main/.git/evil; git status", place.display());
    for planted in ["main/.git", "main/.git/worktrees/tree", "main/.git/modules/sub", "other/.git"] {
        fs::write(project.join(".git"), format!("gitdir: {}\n", place.join(planted).display())).unwrap();
        let output = there(&scene, &project, &script).run();
        assert!(output.stderr.contains("does not lead back here: git will not work"), "{planted}: {output}");
        assert!(output.stderr.contains("git worktree repair"), "{planted}: {output}");
        assert!(output.stdout.is_empty() && !place.join("main/.git/evil").exists(), "{planted}: {output}");
    }
    // The control: what is the worktree's own is there.
    let output = there(&scene, &place.join("tree"), &script).run();
    assert!(output.stdout.contains("HEAD") && place.join("main/.git/evil").exists(), "{output}");
}

fn another_users_repository_is_not_opened(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    // It agrees in everything, and is Bob's.
    let bob = scene.machine.user("bob");
    std::os::unix::fs::chown(place.join("main/.git"), Some(bob.uid), None).unwrap();
    let output = there(&scene, &place.join("tree"), "git status; true").run().ends(0);
    assert!(output.stderr.contains("belongs to somebody else"), "{output}");
}

/// A bare repository beside its worktrees, below one directory.
fn a_worktree_of_a_repository_inside_the_project_works(mode: Mode) {
    let scene = Scene::new(mode);
    let place = repositories(&scene);
    let script =
        "git clone -q --bare other all/.bare && cd all && echo 'gitdir: ./.bare' > .git && git worktree add -q main";
    outside(&scene, script).run().ends(0);
    let commit = "git -c user.name=a -c user.email=a@b commit --allow-empty -m inside";
    for (directory, command) in [("all/main", commit), ("all", "git log main")] {
        let script = format!("{command} && git config a.b c");
        let output = there(&scene, &place.join(directory), &script).run();
        assert!(output.stdout.contains("inside"), "{directory}: {output}");
        assert!(output.stderr.contains("config: Device or resource busy"), "{directory}: {output}");
    }
}
