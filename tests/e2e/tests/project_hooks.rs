//! Programs that install git hooks, in a project whose hooks and configuration are protected: each says which file it could
//! not write, and installs them where the rows are lifted.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::path::Path;
use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, outside};
use agent_aws_harness::{Case, Mode, Scene, Setup, Stage, case, suite};

const CASES: &[Case] = &[
    case!(husky_names_what_it_could_not_write).private(),
    case!(lefthook_names_what_it_could_not_write).private(),
    case!(pre_commit_names_what_it_could_not_write).private(),
    case!(git_lfs_names_what_it_could_not_write).private(),
];

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let all = |deps: &Path| {
        deps.join("venv/bin/pre-commit").exists()
            && deps.join("hooks/node_modules").exists()
            && Path::new("/usr/bin/git-lfs").exists()
    };
    if deps.is_none_or(|deps| all(&deps)) {
        return suite(CASES);
    }
    let reason = "the real programs could not be had: husky, lefthook, pre-commit and git-lfs";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

const POLICY: &str = r#"
[sandbox.lifting]
home = "agent"
network = "none"
rw-paths = ["/"]
may-lift = [".git/config", ".git/hooks"]

[[allow]]
users = ["*"]
identities = ["own:*", "incident"]
sandbox = "lifting"
"#;

/// With protected rows the installer says these words; with the two lifted it installs what `proof` finds.
#[track_caller]
fn installer(mode: Mode, command: &str, words: &str, proof: &str) {
    let scene = Scene::with(mode, &Setup { policy: POLICY.into(), ..Setup::default() });
    let setup = "git init -q && printf 'pre-commit:\\n  commands: {}\\n' > lefthook.yml && \
                 printf 'repos: []\\n' > .pre-commit-config.yaml && echo '{}' > package.json";
    outside(&scene, setup).run().ends(0);
    let deps = scene.machine.deps().expect("the programs");
    let command = command.replace("DEPS", &deps.display().to_string());
    let said = inside(&scene, &["--sandbox", "standard"], &format!("{command}; ! {{ {proof}; }}")).run();
    assert!(said.code() == 0 && format!("{}{}", said.stdout, said.stderr).contains(words), "{said}");
    let lift = ["--sandbox", "lifting", "--lift", ".git/config", "--lift", ".git/hooks"];
    let said = inside(&scene, &lift, &format!("{command}; {proof}")).run().ends(0);
    assert!(said.stderr.contains("during the session"), "{said}");
}

fn husky_names_what_it_could_not_write(mode: Mode) {
    let words = "could not write config file .git/config: Device or resource busy";
    installer(mode, "DEPS/hooks/node_modules/.bin/husky", words, "git config core.hooksPath");
}

fn lefthook_names_what_it_could_not_write(mode: Mode) {
    let words = ".git/hooks/pre-commit: read-only file system";
    installer(mode, "DEPS/hooks/node_modules/.bin/lefthook install", words, "grep -q lefthook .git/hooks/pre-commit");
}

fn pre_commit_names_what_it_could_not_write(mode: Mode) {
    let words = "Read-only file system: '.git/hooks/pre-commit'";
    installer(mode, "DEPS/venv/bin/python -m pre_commit install", words, "test -x .git/hooks/pre-commit");
}

fn git_lfs_names_what_it_could_not_write(mode: Mode) {
    let words = "could not write config file .git/config: Device or resource busy";
    installer(mode, "git lfs install --local", words, "git config --local filter.lfs.clean");
}
