//! What of the caller's comes into the agent's home: git identity and harmless settings, toolchains, and the variables
//! that lead to them; and what does not.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::inside::{agents_home, inside, outside, root};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(git_identity_and_harmless_settings_come_in_and_nothing_else_does).private(),
    case!(a_commit_inside_has_the_callers_name_and_what_git_writes_there_is_kept).private(),
    case!(the_generated_file_is_ours_only_while_it_says_so).private(),
    case!(the_generated_file_is_never_written_through_what_was_planted).private(),
    case!(a_git_in_the_project_is_not_what_is_asked).private(),
    case!(toolchains_are_there_read_only_and_tokens_beside_them_are_not).private(),
    case!(a_toolchain_that_leads_to_secrets_stays_outside).private(),
    case!(a_toolchain_that_policy_hides_stays_outside).private(),
    case!(cargo_of_the_caller_builds_and_caches_in_the_agents_home).private().limit(180),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn write(scene: &Scene, below: &str, mode: u32, content: &str) -> PathBuf {
    let alice = scene.machine.user("alice");
    let path = alice.home.join(below);
    scene.machine.file(&alice, &path, mode, content);
    path
}

const GITCONFIG: &str = "[user]\n\tname = Alice \\\"A\\\" Liddell\n\temail = alice@private.example\n\tsigningkey = MARK-OF-A-SECRET-1\n\
    [include]\n\tpath = ~/.gitconfig-more\n[includeIf \"gitdir:~/src/\"]\n\tpath = ~/.gitconfig-work\n\
    [credential]\n\thelper = store --file ~/MARK-OF-A-SECRET-2\n[credential \"https://x.example\"]\n\tusername = MARK-OF-A-SECRET-3\n\
    [commit]\n\tgpgsign = true\n\tverbose\n[gpg]\n\tprogram = /x/MARK-OF-A-SECRET-4\n[http]\n\textraHeader = Authorization: MARK-OF-A-SECRET-5\n\
    [url \"https://u:MARK-OF-A-SECRET-6@x.example/\"]\n\tinsteadOf = https://x.example/\n\
    [alias]\n\tst = status -sb\n\tevil = !echo MARK-OF-A-SECRET-7\n\tp = push https://u:MARK-OF-A-SECRET-8@x.example/y\n\
    [core]\n\tfsmonitor = /x/MARK-OF-A-SECRET-9\n\thooksPath = /x/MARK-OF-A-SECRET-a\n\tsshCommand = ssh -i MARK-OF-A-SECRET-b\n\teditor = MARK-OF-A-SECRET-c\n\tautocrlf = input\n\
    [github]\n\ttoken = MARK-OF-A-SECRET-d\n[sendemail]\n\tsmtpPass = MARK-OF-A-SECRET-e\n[pull]\n\trebase = true\n[color \"diff\"]\n\tmeta = bold yellow\n";

fn gitconfig(scene: &Scene) {
    write(scene, ".gitconfig", 0o644, GITCONFIG);
    write(scene, ".gitconfig-more", 0o644, "[init]\n\tdefaultBranch = trunk\n");
    write(scene, ".gitconfig-work", 0o644, "[user]\n\temail = alice@work.example\n");
    outside(scene, "git init -q ~/src/project 2>&1").cwd("/").run().ends(0);
}

fn git_identity_and_harmless_settings_come_in_and_nothing_else_does(mode: Mode) {
    let scene = Scene::new(mode);
    gitconfig(&scene);
    let settings =
        "git config --list | grep -v ^core.repo | grep -v ^core.filemode | grep -v ^core.bare | grep -v ^core.logall";
    let said = inside(&scene, &[], settings).run().says();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let expected = [
        "alias.st=status -sb", "color.diff.meta=bold yellow", "commit.verbose=true", "core.autocrlf=input",
        "init.defaultbranch=trunk", "pull.rebase=true", "user.email=alice@private.example",
        "user.email=alice@work.example", "user.name=Alice \"A\" Liddell",
    ];
    assert_eq!(lines, expected);
    // In a project of work it is the address of work that counts.
    assert_eq!(inside(&scene, &[], "git config user.email").run().says(), "alice@work.example");
    let search = "grep -rl MARK-OF-A-SECRET ~ /tmp /run 2> /dev/null; env | grep MARK-OF-A-SECRET";
    assert_eq!(inside(&scene, &[], search).run().stdout, "");
    // The control: outside all of them are there.
    let all = outside(&scene, "git config --list | grep -c MARK-OF-A-SECRET").run().says();
    assert_eq!(all, "14");
}

fn a_commit_inside_has_the_callers_name_and_what_git_writes_there_is_kept(mode: Mode) {
    let scene = Scene::new(mode);
    gitconfig(&scene);
    let script = "echo x > file; git add file && git commit -q -m one && git log --format='%an <%ae> %G?'";
    assert_eq!(inside(&scene, &[], script).run().says(), "Alice \"A\" Liddell <alice@work.example> N");
    inside(&scene, &[], "git config --global user.name Agent; git config --global my.own yes").run().ends(0);
    assert_eq!(inside(&scene, &[], "git config user.name; git config my.own").run().says(), "Agent\nyes");
    // The caller's own file is as it was, and what they change in it comes in at the next start.
    assert_eq!(fs::read_to_string("/home/alice/.gitconfig").unwrap(), GITCONFIG);
    write(&scene, ".gitconfig", 0o644, "[user]\n\temail = new@x.example\n[pull]\n\trebase = false\n");
    assert_eq!(
        inside(&scene, &[], "git config pull.rebase; git config user.email").run().says(),
        "false\nnew@x.example"
    );
}

fn the_generated_file_is_ours_only_while_it_says_so(mode: Mode) {
    let scene = Scene::new(mode);
    gitconfig(&scene);
    inside(&scene, &[], "true").run().ends(0);
    let file = agents_home(&scene, "standard").join(".config/git/config");
    assert!(fs::read_to_string(&file).unwrap().starts_with("# Written by agent-aws"));
    let taken = "sed -i -e 1d -e 's/Liddell/Other/' ~/.config/git/config";
    inside(&scene, &[], taken).run().ends(0);
    assert!(inside(&scene, &[], "git config user.name").run().says().ends_with("Other"));
    fs::remove_file(&file).unwrap();
    assert!(inside(&scene, &[], "git config user.name").run().says().ends_with("Liddell"));
}

fn the_generated_file_is_never_written_through_what_was_planted(mode: Mode) {
    let scene = Scene::new(mode);
    gitconfig(&scene);
    let victim = write(&scene, "victim/config", 0o644, "as it was");
    let target = victim.parent().unwrap().display().to_string();
    for planted in [
        format!("rm -rf ~/.config; mkdir -p ~/.config/git; ln -s {target}/config ~/.config/git/config"),
        format!("rm -rf ~/.config; mkdir ~/.config; ln -s {target} ~/.config/git"),
        format!("rm -rf ~/.config; ln -s {target} ~/.config"),
        "rm -rf ~/.config; mkdir -p ~/.config/git; mkfifo ~/.config/git/config".into(),
        "rm -rf ~/.config; mkdir -p ~/.config/git/config".into(),
        "rm -rf ~/.config; mkdir ~/.config; chmod 000 ~/.config".into(),
        format!("chmod 700 ~/.config; rm -rf ~/.config ~/.gitconfig; ln -s {target}/new ~/.gitconfig"),
    ] {
        inside(&scene, &[], &planted).run().ends(0);
        // It is the agent's own affair: the session goes on.
        assert_eq!(inside(&scene, &[], "echo it-ran").run().says(), "it-ran", "{planted}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was", "{planted}");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1, "{planted}");
        inside(&scene, &[], "chmod 700 ~/.config 2> /dev/null; rm -rf ~/.config").run().ends(0);
    }
    // The control: with nothing in the way the file is there.
    assert!(inside(&scene, &[], "git config user.name").run().says().ends_with("Liddell"));
}

fn a_git_in_the_project_is_not_what_is_asked(mode: Mode) {
    let scene = Scene::new(mode);
    gitconfig(&scene);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let planted = "#!/bin/sh\ntouch /home/alice/escaped\nexec /usr/bin/env -u PATH git \"$@\"\n";
    write(&scene, "src/project/bin/git", 0o755, planted);
    let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", project.display());
    let escaped = Path::new("/home/alice/escaped");
    inside(&scene, &[], "true").env("PATH", path.as_str()).run().ends(0);
    assert!(!escaped.exists());
    // The control: whoever calls git by name there calls the planted one.
    outside(&scene, "git --version").env("PATH", path.as_str()).run();
    assert!(escaped.exists());
}

fn toolchains_are_there_read_only_and_tokens_beside_them_are_not(mode: Mode) {
    let scene = Scene::new(mode);
    for program in
        [".cargo/bin/tool-a", ".pyenv/bin/tool-b", "go/bin/tool-c", ".local/bin/tool-d", ".nvm/versions/tool-e"]
    {
        write(&scene, program, 0o755, "#!/bin/sh\necho ran ${0##*/}\n");
    }
    for secret in [".cargo/credentials.toml", ".pypirc", ".npmrc", "go/src/private/x", ".local/share/uv/credentials/c"]
    {
        write(&scene, secret, 0o600, "token");
    }
    write(&scene, "opt/nvm/x", 0o644, "x");
    write(&scene, ".local/share/uv/tools/x", 0o644, "x");
    let call = |script: &str| {
        let call =
            inside(&scene, &[], script).env("CARGO_HOME", "/home/alice/.cargo").env("PYENV_ROOT", "/home/alice/.pyenv");
        let call = call
            .env("NVM_DIR", "/home/alice/opt/nvm")
            .env("GOPATH", "/home/alice/go")
            .env("JAVA_HOME", "/usr/lib/jvm/x");
        call.env("RUSTUP_HOME", "/home/alice/.ssh").env(
            "PATH",
            "/home/alice/.cargo/bin:/home/alice/.pyenv/bin:/home/alice/go/bin:/home/alice/.local/bin:/usr/bin:/bin",
        )
    };
    let said = call("tool-a; tool-b; tool-c; tool-d; ~/.nvm/versions/tool-e").run().says();
    assert_eq!(said, ["a", "b", "c", "d", "e"].map(|t| format!("ran tool-{t}")).join("\n"));
    let secrets =
        "cat ~/.cargo/credentials.toml ~/.pypirc ~/.npmrc ~/go/src/private/x ~/.local/share/uv/credentials/c; ls ~/opt";
    assert_eq!(call(secrets).run().stdout, "");
    let writes = "for d in .cargo/bin .pyenv go/bin .local/bin; do touch ~/$d/x 2>&1 | grep -c Read-only; done
                  mkdir -p ~/.cargo/registry ~/go/pkg && touch ~/.cargo/registry/x ~/go/pkg/x && echo cached; ls ~/.local/share/uv";
    assert_eq!(call(writes).run().says(), "1\n1\n1\n1\ncached\ntools");
    let variables = "env | grep -E '^(CARGO_HOME|PYENV_ROOT|NVM_DIR|GOPATH|JAVA_HOME|RUSTUP_HOME)=' | sort";
    let expected =
        "CARGO_HOME=/home/alice/.cargo\nGOPATH=/home/alice/go\nJAVA_HOME=/usr/lib/jvm/x\nPYENV_ROOT=/home/alice/.pyenv";
    assert_eq!(call(variables).run().says(), expected);
    // --explain says who asked for it; and the host is as it was.
    let plan = inside(&scene, &["--explain"], "true").run().says();
    assert!(plan.lines().any(|l| l.contains("/home/alice/.cargo/bin") && l.contains("toolchain")), "{plan}");
    assert!(!Path::new("/home/alice/.cargo/registry").exists());
}

fn a_toolchain_that_leads_to_secrets_stays_outside(mode: Mode) {
    let scene = Scene::new(mode);
    write(&scene, ".ssh/id_ed25519", 0o600, "key");
    write(&scene, "dot/aws/bin/x", 0o600, "key");
    let links = "ln -s ~/.ssh ~/.nvm; ln -s ~ ~/.pyenv; ln -s /run ~/.volta; ln -s dot/aws ~/.awsvault; ln -s dot/aws/bin ~/.asdf";
    outside(&scene, links).run().ends(0);
    assert_eq!(inside(&scene, &[], "ls -A ~; cat ~/.nvm/id_ed25519 ~/.asdf/x 2> /dev/null; true").run().says(), "src");
    // The control: a link to something else comes in.
    outside(&scene, "mkdir -p opt/n; touch opt/n/there; rm ~/.nvm; ln -s ~/src/project/opt/n ~/.volta2; ln -s ~/elsewhere ~/.nvm; mkdir ~/elsewhere; touch ~/elsewhere/there").run().ends(0);
    assert_eq!(inside(&scene, &[], "ls ~/.nvm").run().says(), "there");
}

fn a_toolchain_that_policy_hides_stays_outside(mode: Mode) {
    let policy = "[sandbox.hiding]\nnetwork = \"shared\"\nrw-paths = [\"/\"]\nhide = [\"~/.nvm\"]\n\
        [[allow]]\nusers = [\"*\"]\nidentities = [\"incident\", \"own:*\"]\nsandbox = \"hiding\"\n";
    let scene = Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() });
    write(&scene, ".nvm/there", 0o644, "x");
    write(&scene, ".pyenv/there", 0o644, "x");
    let look = |sandbox: &str| {
        inside(&scene, &["--sandbox", sandbox], "cd; ls .nvm/there .pyenv/there 2> /dev/null").run().stdout
    };
    assert_eq!(look("hiding"), ".pyenv/there\n");
    // The control.
    assert_eq!(look("standard"), ".nvm/there\n.pyenv/there\n");
}

/// The machine's own Rust, as Alice's.
fn rust_of_machine() {
    let given = |name: &str, usual: &str| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        std::env::var_os(name).map_or(home.join(usual), PathBuf::from).display().to_string()
    };
    let (cargo, rustup) = (given("CARGO_HOME", ".cargo"), given("RUSTUP_HOME", ".rustup"));
    assert!(
        Path::new(&rustup).join("toolchains").is_dir(),
        "no Rust of rustup in {rustup}: the tests are built with one"
    );
    for (from, to) in [(rustup, "/home/alice/.rustup".to_owned()), (cargo + "/bin", "/home/alice/.cargo/bin".into())] {
        root(&["install", "-d", "-o", "alice", "-g", "alice", "/home/alice/.cargo", &to]);
        root(&["mount", "--bind", &from, &to]);
    }
}

fn cargo_of_the_caller_builds_and_caches_in_the_agents_home(mode: Mode) {
    let scene = Scene::new(mode);
    rust_of_machine();
    write(&scene, ".gitconfig", 0o644, "[user]\n\tname = A\n\temail = a@x.example\n");
    let script = r#"set -e
        unset RUSTUP_TOOLCHAIN
        mkdir dependency app; cd dependency; cargo init -q --lib --name dependency .
        echo 'pub fn answer() -> u32 { 42 }' > src/lib.rs; git add -A; git commit -q -m one; cd ../app
        cargo init -q --name app .
        echo "dependency = { git = \"file://$PWD/../dependency\" }" >> Cargo.toml
        echo 'fn main() { println!("{}", dependency::answer()) }' > src/main.rs
        cargo run -q
        ls -d ~/.cargo/git/db/*; touch ~/.cargo/bin/x || echo closed"#;
    let path = "/home/alice/.cargo/bin:/usr/local/bin:/usr/bin:/bin";
    let output = inside(&scene, &[], script).env("PATH", path).run_within(std::time::Duration::from_secs(150));
    let said = output.clone().says();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!((lines[0], lines[2]), ("42", "closed"));
    assert!(lines[1].starts_with("/home/alice/.cargo/git/db/dependency-"), "{output}");
    assert!(!Path::new("/home/alice/.cargo/git").exists());
    assert!(agents_home(&scene, "standard").join(".cargo/git").is_dir());
}
