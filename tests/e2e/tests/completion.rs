//! What a shell offers, by the shells themselves.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{Call, Case, Mode, Scene, case, suite, until};

const CASES: &[Case] = &[
    case!(bash_offers_verbs_options_and_names),
    case!(bash_offers_whole_words_that_have_its_own_breaks),
    case!(a_running_session_is_offered_to_stop),
    case!(a_hostile_name_is_not_offered_and_nothing_is_executed),
    case!(without_a_name_it_is_a_file),
];

const SHELLS: [&str; 2] = ["/usr/bin/zsh", "/usr/bin/fish"];
/// Sources the script and says what it offers for the words that follow.
const BASH: &str = r#"eval "$(agent-aws completion bash)" || exit; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agent_aws agent-aws
printf '%s\n' "${COMPREPLY[@]}""#;
const ZSH: &str = r#"compdef() { : }; compadd() { print -l -- "${@[2,-1]}" }; _files() { : }
eval "$(agent-aws completion zsh)" || exit; words=("$@"); CURRENT=$#; _agent_aws"#;
const FISH: &str = "agent-aws completion fish | source; complete -C \"$argv\"";

fn main() -> ExitCode {
    let there =
        |case: Case, program: &str, reason| if Path::new(program).exists() { case } else { case.ignored(reason) };
    let others = [
        there(case!(zsh_offers_the_same), SHELLS[0], "zsh is not installed"),
        there(case!(fish_offers_the_same), SHELLS[1], "fish is not installed"),
    ];
    suite([CASES, &others].concat().leak())
}

fn call(scene: &Scene, words: &[&str]) -> Call {
    scene.agent_aws(words).env("XDG_CONFIG_HOME", scene.aws("xdg"))
}

/// A shell that finds the tested program by its PATH.
fn shell(scene: &Scene, program: &str, arguments: &[&str]) -> Call {
    let path = format!("{}:/usr/bin:/bin", scene.machine.prefix().join("bin").display());
    call(scene, &[]).instead(program).args(arguments).env("PATH", path)
}

/// What bash offers for the last of these words.
fn bash(scene: &Scene, words: &[&str]) -> Vec<String> {
    let output = shell(scene, "/bin/bash", &["--norc", "-c", BASH, "bash", "agent-aws"]).args(words).run();
    lines(&output.says())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn scene(mode: Mode) -> Scene {
    let scene = Scene::new(mode);
    call(&scene, &["config", "add", "careful", "--profile", "dev", "--access", "read"]).run().ends(0);
    scene
}

/// Names for `--as`: of Alice's own, and of the policy where there is one that binds her.
fn identities(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Setuid => &["careful", "incident"],
        Mode::Unprivileged => &["careful"],
    }
}

fn bash_offers_verbs_options_and_names(mode: Mode) {
    let scene = scene(mode);
    assert_eq!(bash(&scene, &["con"]), ["config"]);
    assert_eq!(bash(&scene, &["config", "im"]), ["import"]);
    assert_eq!(bash(&scene, &["run", "--exp"]), ["--explain"]);
    assert_eq!(bash(&scene, &["run", "--network", ""]), ["filtered", "none", "shared"]);
    assert_eq!(bash(&scene, &["run", "--profile", ""]), ["base", "dev"]);
    for verb in ["show", "remove"] {
        assert_eq!(bash(&scene, &["config", verb, ""]), ["careful"]);
    }
    let offered = bash(&scene, &["run", "--as", ""]);
    assert!(identities(mode).iter().all(|name| offered.iter().any(|known| known == name)), "{offered:?}");
    assert!(!offered.iter().any(|name| name.contains(':')), "{offered:?}");
}

fn bash_offers_whole_words_that_have_its_own_breaks(mode: Mode) {
    let scene = scene(mode);
    assert_eq!(bash(&scene, &["run", "--as", "=", "care"]), ["careful"]);
    assert_eq!(bash(&scene, &["config", "default", "own"]), ["own:base", "own:dev"]);
    assert_eq!(bash(&scene, &["config", "default", "own", ":", "d"]), ["dev"]);
    assert_eq!(bash(&scene, &["run", "--env", "A", "=", "B", "--profile", "d"]), ["dev"]);
}

fn zsh_offers_the_same(mode: Mode) {
    offers_what_it_is_told(mode, SHELLS[0], &["-f", "-c", ZSH, "zsh", "agent-aws"]);
}

fn fish_offers_the_same(mode: Mode) {
    offers_what_it_is_told(mode, SHELLS[1], &["--no-config", "-c", FISH, "agent-aws"]);
}

fn offers_what_it_is_told(mode: Mode, program: &str, before: &[&str]) {
    let scene = scene(mode);
    for line in ["con", "config im", "run --profile ", "run --network=f", "config default own:", "config show c"] {
        let words: Vec<&str> = line.split(' ').collect();
        let told = lines(&call(&scene, &["__complete", "--"]).args(&words).run().says());
        assert!(!told.is_empty(), "{line}");
        assert_eq!(lines(&shell(&scene, program, before).args(&words).run().says()), told, "{line}");
    }
}

fn a_running_session_is_offered_to_stop(mode: Mode) {
    let scene = scene(mode);
    assert_eq!(bash(&scene, &["stop", ""]), Vec::<String>::new());
    let mut child = scene.sh("sleep 60").spawn();
    let offered = until(Duration::from_secs(20), || Some(bash(&scene, &["stop", ""])).filter(|ids| !ids.is_empty()));
    let id = offered.expect("a session").remove(0);
    call(&scene, &["stop", &id]).run().ends(0);
    child.wait().unwrap();
}

fn a_hostile_name_is_not_offered_and_nothing_is_executed(mode: Mode) {
    let scene = scene(mode);
    let trap = scene.aws("trap");
    let names = ["$(touch TRAP)", "`touch TRAP`", "a;touch TRAP", "*", "~", "x\u{1b}[2J"];
    let config: String =
        names.iter().map(|name| format!("[profile {name}]\n").replace("TRAP", &trap.to_string_lossy())).collect();
    scene.configure(&format!("{config}[profile good]\n"), "[$(id)]\n[keys]\naws_secret_access_key = hunter2\n");
    // A control character makes the whole file none that is read.
    assert_eq!(bash(&scene, &["run", "--profile", ""]), ["keys"]);
    scene.configure(&format!("{}[profile good]\n", config.replace('\u{1b}', "")), "[$(id)]\n[keys]\n");
    assert_eq!(bash(&scene, &["run", "--profile", ""]), ["good", "keys"]);
    // Nor is a program of the directory that completion happens in.
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let script = format!("#!/bin/sh\ntouch {}\n", trap.display());
    scene.machine.file(&alice, &project.join("agent-aws"), 0o755, script);
    let script = BASH.replace("_agent_aws agent-aws", "_agent_aws ./agent-aws");
    shell(&scene, "/bin/bash", &["--norc", "-c", &script, "bash", "./agent-aws", "con"]).cwd(&project).run().ends(0);
    assert!(!trap.exists());
    // The control: it would have done so.
    shell(&scene, "/bin/bash", &["-c", "./agent-aws"]).cwd(&project).run().ends(0);
    assert!(trap.exists());
}

fn without_a_name_it_is_a_file(mode: Mode) {
    let scene = scene(mode);
    for words in [["policy", "check", ""].as_slice(), &["run", "--profile", "dev", "--", "aws", "--profile", ""]] {
        assert_eq!(bash(&scene, words), Vec::<String>::new());
    }
    let rule =
        shell(&scene, "/bin/bash", &["--norc", "-c", r#"eval "$(agent-aws completion bash)"; complete -p agent-aws"#]);
    assert_eq!(rule.run().says(), "complete -o default -F _agent_aws agent-aws");
}
