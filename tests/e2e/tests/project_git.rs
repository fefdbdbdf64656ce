//! Git in a project with protected rows: what everybody does every day works, what needs a protected file fails with
//! words that name it, and works where the row is lifted. docs/git.md has the same table.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::inside::{inside, outside};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(everyday_git_works_with_every_row_protected).limit(240),
    case!(what_needs_a_protected_file_fails_and_names_it).private().limit(400),
    case!(the_same_works_with_the_row_lifted).private().limit(400),
    case!(every_command_of_the_table_is_in_the_documentation),
    case!(a_branch_with_another_protected_file_cannot_be_checked_out),
    case!(a_row_is_lifted_only_where_policy_lets_it_be).private(),
    case!(a_lifted_row_is_reported_when_it_changes).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A command that needs a protected file.
struct Broken {
    command: &'static str,
    /// The row that it needs, or several.
    row: &'static str,
    /// What git says: the file by its name.
    words: &'static str,
    /// Whether it fails as a whole. Otherwise it does what it can, says what it could not, and ends with 0.
    fails: bool,
    /// Shows that it did its work, where it could.
    proof: &'static str,
}

const CONFIG: &str = "could not write config file .git/config: Device or resource busy";

const fn config(command: &'static str, proof: &'static str) -> Broken {
    Broken { command, row: ".git/config", words: CONFIG, fails: true, proof }
}

const fn partly(command: &'static str, proof: &'static str) -> Broken {
    Broken { command, row: ".git/config", words: CONFIG, fails: false, proof }
}

/// Every command of git that writes to a protected row.
const BROKEN: &[Broken] = &[
    config("git config user.name Somebody", "git config user.name | grep Somebody"),
    config("git config --unset user.name", "! git config --local user.name"),
    config("git config core.hooksPath tools", "git config core.hooksPath | grep tools"),
    config("git remote add new up.git", "git remote | grep new"),
    config("git remote set-url origin elsewhere", "git remote -v | grep elsewhere"),
    config("git remote rename origin old", "git remote | grep old"),
    config("git remote remove origin", "! git remote | grep ."),
    config("git branch -m topic renamed", "git branch | grep renamed"),
    config("git branch -c topic copied", "git branch | grep copied"),
    config("git branch --unset-upstream", "! git config branch.main.remote"),
    Broken {
        command: "git sparse-checkout set src",
        row: ".git/config .git/config.worktree .vscode",
        words: CONFIG,
        fails: true,
        proof: "git sparse-checkout list | grep src",
    },
    config("git config --worktree core.x y", "git config core.x | grep y"),
    config("git maintenance register", "git config maintenance.auto | grep false"),
    Broken {
        command: "git init",
        row: ".git/config",
        words: ".git/config: Device or resource busy",
        fails: true,
        proof: "true",
    },
    partly("git branch --set-upstream-to=origin/main topic", "git config branch.topic.remote | grep origin"),
    partly("git push -u origin topic", "git -C up.git branch | grep topic && git config branch.topic.remote"),
    partly("git switch theirs", "git branch | grep '* theirs' && git config branch.theirs.remote"),
    partly("git checkout -b mine origin/theirs", "git branch | grep '* mine' && git config branch.mine.remote"),
    partly("git branch -d topic", "! git branch | grep topic"),
    partly("git -c protocol.file.allow=always submodule add $PWD/up.git sub", "git config submodule.sub.url"),
    Broken {
        command: "echo x >> .git/info/exclude",
        row: ".git/info/exclude",
        words: ".git/info/exclude: Read-only file system",
        fails: true,
        proof: "grep x .git/info/exclude",
    },
    Broken {
        command: "cp .git/hooks/pre-commit.sample .git/hooks/pre-commit",
        row: ".git/hooks",
        words: ".git/hooks/pre-commit': Read-only file system",
        fails: true,
        proof: "test -x .git/hooks/pre-commit",
    },
    Broken {
        command: "git rm -q .envrc",
        row: ".envrc",
        words: ".envrc': Device or resource busy",
        fails: true,
        proof: "! test -e .envrc",
    },
    Broken {
        command: "git rm -r -q .vscode",
        row: ".vscode",
        words: ".vscode/tasks.json': Read-only file system",
        fails: true,
        proof: "! test -e .vscode",
    },
];

/// A repository with a remote that has one more branch. The remote lies in the project: nothing beside it is there inside.
fn repository(scene: &Scene) -> PathBuf {
    let script = r#"
        set -e
        export GIT_CONFIG_GLOBAL=/dev/null
        rm -rf ./* .git .envrc .vscode .gitmodules
        git init -q -b main . && git init -q -b main --bare up.git
        git config user.name t && git config user.email t@t
        echo up.git >> .git/info/exclude
        mkdir .vscode src && echo one > .vscode/tasks.json && echo one > .envrc && echo one > a && echo one > src/b
        git add -A && git commit -qm one
        git remote add origin ./up.git
        git push -q origin main:theirs && git push -q -u origin main && git fetch -q
        git branch topic
    "#;
    outside(scene, script).run().ends(0);
    scene.machine.project(&scene.machine.user("alice"))
}

/// A policy with a sandbox in which every row may be lifted.
fn lifting(mode: Mode) -> Scene {
    let policy = r#"
[sandbox.lifting]
home = "agent"
network = "none"
rw-paths = ["/"]
may-lift = ["*"]

[[allow]]
users = ["*"]
identities = ["own:*", "incident"]
sandbox = "lifting"
"#;
    Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() })
}

fn everyday_git_works_with_every_row_protected(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    let script = r#"
        set -ex
        git status && git diff && git log --oneline && git blame a && git grep one && git show --stat
        echo two >> a && git add a && git commit -qm two && git commit -q --amend -m "two, better"
        git switch -q topic && echo topic > c && git add c && git commit -qm topic
        git rebase -q main && git switch -q main && git merge -q topic && git log --graph --oneline
        git checkout -q -b other HEAD~1 && echo other > d && git add d && git commit -qm other
        git rebase -q main && git cherry-pick --no-commit topic~1 && git reset -q --hard && git switch -q main
        git merge -q --no-ff -m merged other && git revert --no-edit -m 1 HEAD
        echo work >> src/b && git stash -q && test -z "$(git status --porcelain)" && git stash pop -q && git checkout -q src/b
        git rm -q c && git restore -q --staged --worktree c && git mv a e && git commit -qm moved
        git tag v1 && git tag -a v2 -m two && git describe && git notes add -m note && git tag -d v1
        git fetch -q && git fetch -q --all --prune && git pull -q --rebase && git push -q && git push -q origin topic
        git push -q origin --delete topic && git remote -v && git ls-remote -q && git remote set-head origin main
        git bisect start -q HEAD HEAD~3 && git bisect reset -q && git reflog && git fsck && git gc -q && git repack -adq
        git format-patch -1 -o patches && git reset -q --hard HEAD~1 && git am -q patches/* && git clean -fdqx -e up.git
        git init -q inner && git clone -q up.git cloned && git archive HEAD | tar t && git bundle create -q all.bundle --all
        git -C inner -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git -C inner config a.b c
        git worktree add -q trees/one && git -C trees/one commit -q --allow-empty -m there && git worktree list
        git worktree remove trees/one && git worktree prune && git branch -a && git status
        echo whole
    "#;
    let output = inside(&scene, &[], script).run_within(Duration::from_secs(120));
    assert!(output.stdout.ends_with("whole\n"), "{output}");
    let log = outside(&scene, "git fsck && git log --oneline && git status").run().says();
    assert!(log.contains("moved") && log.contains("two, better"), "{log}");
    assert!(project.join("cloned/.git/config").exists());
    // The rows are what they were; the new repositories are said.
    for row in [".git/config", ".git/hooks ", ".git/info", ".envrc", ".vscode"] {
        assert!(!output.stderr.contains(&format!("agent-aws: {row}")), "{output}");
    }
    for new in ["inner/.git", "cloned/.git"] {
        assert!(output.stderr.contains(&format!("agent-aws: {new} appeared")), "{output}");
    }
}

fn what_needs_a_protected_file_fails_and_names_it(mode: Mode) {
    let scene = Scene::new(mode);
    let mut wrong = Vec::new();
    for Broken { command, words, fails, .. } in BROKEN {
        repository(&scene);
        let output = inside(&scene, &[], &format!("{command}; echo status $?")).run();
        let failed = !output.stdout.ends_with("status 0\n");
        if failed != *fails || !output.stderr.contains(words) {
            wrong.push(format!("{command}: failed {failed}\n{output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn the_same_works_with_the_row_lifted(mode: Mode) {
    let scene = lifting(mode);
    let mut wrong = Vec::new();
    for Broken { command, row, proof, .. } in BROKEN {
        repository(&scene);
        let rows = row.split(' ').flat_map(|row| ["--lift", row]);
        let options: Vec<&str> = ["--sandbox", "lifting"].into_iter().chain(rows).collect();
        let output = inside(&scene, &options, &format!("({command}) && {proof}")).run();
        if output.code() != 0 || output.stderr.contains("busy") || output.stderr.contains("Read-only") {
            wrong.push(format!("{command}\n{output}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn every_command_of_the_table_is_in_the_documentation(_: Mode) {
    let text = include_str!("../../../docs/git.md");
    let missing: Vec<_> = BROKEN.iter().filter(|b| !text.contains(b.command.split(" && ").next().unwrap())).collect();
    let missing: Vec<_> = missing.iter().map(|b| b.command).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(text.contains(CONFIG));
}

fn a_branch_with_another_protected_file_cannot_be_checked_out(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    let script = "git switch -q topic && echo two > .vscode/tasks.json && echo two > a && git commit -qam two && git switch -q main";
    outside(&scene, script).run().ends(0);
    let output = inside(&scene, &[], "git rebase topic; git reset --hard; git merge topic; true").run().ends(0);
    let words = "unable to unlink old '.vscode/tasks.json': Read-only file system";
    assert_eq!(output.stderr.matches(words).count(), 2, "{output}");
    assert_eq!(fs::read_to_string(project.join(".vscode/tasks.json")).unwrap(), "one\n");
    // As the documentation says how to go on, and the control.
    outside(&scene, "git reset -q --hard && test -z \"$(git status --porcelain)\" && git merge -q topic").run().ends(0);
    assert_eq!(fs::read_to_string(project.join(".vscode/tasks.json")).unwrap(), "two\n");
}

fn a_row_is_lifted_only_where_policy_lets_it_be(mode: Mode) {
    let scene = lifting(mode);
    repository(&scene);
    let lift =
        |sandbox: &str, row: &str| inside(&scene, &["--sandbox", sandbox, "--lift", row], "git config a.b c").run();
    lift("lifting", ".git/config").ends(0);
    assert!(lift("standard", ".git/config").refused("may-lift").stdout.is_empty());
    assert!(lift("lifting", ".git").refused(".git").stdout.is_empty());
    // One row lifted is no other one lifted.
    let output = inside(&scene, &["--sandbox", "lifting", "--lift", ".git/hooks"], "git config a.b d").run();
    assert!(output.stderr.contains(CONFIG), "{output}");
    let output =
        inside(&scene, &["--sandbox", "lifting", "--lift", ".git/config"], "touch .git/hooks/x; mv .git x").run();
    assert!(output.stderr.contains("Read-only file system") && output.stderr.contains("busy"), "{output}");
}

fn a_lifted_row_is_reported_when_it_changes(mode: Mode) {
    let scene = lifting(mode);
    repository(&scene);
    let options = ["--sandbox", "lifting", "--lift", ".git/config"];
    let output = inside(&scene, &options, "git config core.fsmonitor evil").run().ends(0);
    assert!(output.stderr.contains(".git/config changed during the session: git executes commands"), "{output}");
    let output = inside(&scene, &options, "git config core.fsmonitor > /dev/null").run().ends(0);
    assert!(!output.stderr.contains("during the session"), "{output}");
}
