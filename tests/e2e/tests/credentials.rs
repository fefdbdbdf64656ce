//! Credentials as somebody meets them: own and system sources, `whoami` and `credentials` inside and outside, a start
//! that does not wait, and a start that is refused.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite, until, within};
use serde_json::Value;

use inside::Inside;

const CASES: &[Case] = &[
    case!(an_own_profile_that_assumes_a_role_is_that_role),
    case!(a_chain_of_own_profiles_ends_at_its_last_role),
    case!(own_keys_never_pass_but_buy_a_session),
    case!(a_session_in_an_own_profile_is_passed_as_it_is),
    case!(a_program_of_an_own_profile_is_run_outside_the_sandbox),
    case!(neither_the_default_profile_nor_keys_of_the_environment_are_used_silently),
    case!(without_credentials_it_is_125_with_the_cause),
    case!(credentials_come_in_three_formats_inside_and_outside),
    case!(whoami_agrees_inside_and_outside),
    case!(no_other_identity_can_be_asked_for_inside),
    case!(every_child_of_the_agent_gets_them_however_it_was_started),
    case!(no_wait_starts_at_once_and_the_door_answers_once_minted),
    case!(a_start_that_waits_has_credentials_from_its_first_moment),
    case!(the_region_is_that_of_the_identity),
];

fn main() -> ExitCode {
    suite(CASES)
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";

fn member(answer: &str, name: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    let value = answer.get(name).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// Who one is inside, as an AWS profile of Alice's.
fn who(scene: &Scene, profile: &str) -> String {
    let client = scene.machine.tool("sts-whoami").display().to_string();
    let url = scene.sts.url();
    scene.agent_aws(&["run", "--profile", profile, "--", &client, &url]).run().says()
}

fn an_own_profile_that_assumes_a_role_is_that_role(mode: Mode) {
    let scene = Scene::new(mode);
    let arn = who(&scene, "dev");
    assert!(arn.starts_with("arn:aws:sts::111122223333:assumed-role/agent-dev/"), "{arn}");
    let named = scene.agent_aws(&["run", "--as", "own:dev", "--", "true"]).run();
    named.ends(0);
    scene.agent_aws(&["run", "--", "true"]).env("AWS_PROFILE", "dev").run().ends(0);
}

fn a_chain_of_own_profiles_ends_at_its_last_role(mode: Mode) {
    let scene = Scene::new(mode);
    let config = "[profile first]\nrole_arn = arn:aws:iam::111122223333:role/agent-dev\nsource_profile = base\n\
                  [profile last]\nrole_arn = arn:aws:iam::111122223333:role/agent-incident\nsource_profile = first\n\
                  role_session_name = the-last\nregion = eu-west-1\n";
    scene.configure(config, &scene.keys("base"));
    assert_eq!(who(&scene, "last"), "arn:aws:sts::111122223333:assumed-role/agent-incident/the-last");
    let asked: Vec<String> = scene.sts.requests().into_iter().map(|r| r.action).collect();
    assert_eq!(asked.iter().filter(|a| *a == "AssumeRole").count(), 2, "{asked:?}");
}

fn own_keys_never_pass_but_buy_a_session(mode: Mode) {
    let scene = Scene::new(mode);
    scene.configure("[profile plain]\nregion = eu-west-1\n", &scene.keys("plain"));
    assert_eq!(who(&scene, "plain"), "arn:aws:iam::111122223333:user/alice");
    let answer = scene.agent_aws(&["run", "--profile", "plain", "--", CLIENT]).run().says();
    assert!(member(&answer, "AccessKeyId").starts_with("ASIA"), "{answer}");
    assert!(!answer.contains("alice-secret"), "{answer}");
    let bought = scene.sts.requests().iter().filter(|r| r.action == "GetSessionToken").count();
    assert_eq!(bought, 2);
}

fn a_session_in_an_own_profile_is_passed_as_it_is(mode: Mode) {
    let scene = Scene::new(mode);
    let session = scene.agent_aws(&["credentials", "--profile", "dev"]).run().says();
    let lines = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| member(&session, name));
    let [key, secret, token] = &lines;
    let text = format!(
        "[session]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\naws_session_token = {token}\n"
    );
    scene.configure("[profile session]\nregion = eu-west-1\n", &text);
    scene.sts.clear_requests();
    let answer = scene.agent_aws(&["run", "--profile", "session", "--", CLIENT]).run().says();
    for (name, given) in ["AccessKeyId", "SecretAccessKey", "SessionToken"].iter().zip(&lines) {
        assert_eq!(&member(&answer, name), given, "{name}");
    }
    let asked: Vec<String> = scene.sts.requests().into_iter().map(|r| r.action).collect();
    assert_eq!(asked, ["GetCallerIdentity"], "nothing is minted of it");
}

/// As the caller, with the caller's files, of which the agent sees none.
fn a_program_of_an_own_profile_is_run_outside_the_sandbox(mode: Mode) {
    let scene = Scene::new(mode);
    let session = scene.agent_aws(&["credentials", "--profile", "dev"]).run().says();
    let alice = scene.machine.user("alice");
    let secret_place = scene.aws("cache.json");
    scene.machine.file(&alice, &secret_place, 0o600, &session);
    let config =
        format!("[profile tool]\nregion = eu-west-1\ncredential_process = /bin/cat {}\n", secret_place.display());
    scene.configure(&config, "");
    let answer = scene.agent_aws(&["run", "--profile", "tool", "--", CLIENT]).run().says();
    assert_eq!(member(&answer, "AccessKeyId"), member(&session, "AccessKeyId"));
    let look = format!("cat {}", secret_place.display());
    let output = scene.agent_aws(&["run", "--profile", "tool", "--", "sh", "-c", &look]).run();
    assert!(output.code() != 0 && output.stdout.is_empty(), "{output}");
}

/// `agent-aws` inside, and the options that show it there: an ordinary user's installation is in no system directory.
fn program(scene: &Scene) -> (String, Vec<String>) {
    let prefix = scene.machine.prefix().display().to_string();
    let options = match scene.machine.is_private() {
        true => vec![],
        false => vec!["--ro".to_owned(), prefix],
    };
    (scene.machine.program().display().to_string(), options)
}

fn neither_the_default_profile_nor_keys_of_the_environment_are_used_silently(mode: Mode) {
    let scene = Scene::new(mode);
    let (key, secret) = ("AKIAADMINADMINADMIN1", "admin-secret-0123456789");
    scene.configure("[default]\nregion = eu-west-1\n", &scene.keys("default"));
    let bare = |words: &[&str]| {
        let call = scene.agent_aws(words).env("AWS_ACCESS_KEY_ID", key);
        call.env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_EC2_METADATA_DISABLED", "false").run()
    };
    let output = bare(&["run", "--", "true"]);
    let asked = scene.sts.requests();
    match mode {
        // The only identity of the policy that is hers, if anything.
        Mode::Setuid => assert!(asked.iter().all(|r| r.access_key_id.starts_with("AKIAWORK")), "{asked:?}"),
        Mode::Unprivileged => {
            output.ends(125);
            assert!(asked.is_empty(), "{asked:?}");
        }
    }
    // A profile that is not there is not made up from elsewhere.
    scene.sts.clear_requests();
    bare(&["run", "--profile", "nothing", "--", "true"]).refused("nothing");
    assert!(scene.sts.requests().is_empty());
    // By name it is a profile like any other.
    assert_eq!(who(&scene, "default"), "arn:aws:iam::111122223333:user/alice");
}

fn without_credentials_it_is_125_with_the_cause(mode: Mode) {
    let scene = Scene::new(mode);
    let cases = [
        ("", "", "dev"),
        ("[profile dev]\nregion = eu-west-1\n", "", "dev"),
        ("[profile dev]\nrole_arn = arn:aws:iam::111122223333:role/agent-dev\nsource_profile = gone\n", "", "gone"),
        ("[profile dev]\ncredential_process = /bin/false\n", "", "dev"),
        ("[profile dev]\ncredential_process = /nowhere/tool\n", "", "dev"),
        ("", "[dev]\naws_access_key_id = AKIANOBODYNOBODYNOB1\naws_secret_access_key = x\n", "InvalidClientTokenId"),
    ];
    for (config, credentials, words) in cases {
        scene.configure(config, credentials);
        let output = scene.agent_aws(&["run", "--profile", "dev", "--", "echo", "it", "ran"]).run().refused(words);
        assert_eq!(output.stdout, "", "{config}{credentials}");
    }
}

fn credentials_come_in_three_formats_inside_and_outside(mode: Mode) {
    let scene = Scene::new(mode);
    let (program, sight) = program(&scene);
    let sight: Vec<&str> = sight.iter().map(String::as_str).collect();
    for format in ["process", "json", "env"] {
        let words = ["credentials", "--format", format];
        let outside = scene.agent_aws(&words).args(&scene.identity()).run().says();
        let inside = scene.run(&sight, &[&[&*program], &words[..]].concat()).run().says();
        for said in [&outside, &inside] {
            if format == "env" {
                let script =
                    format!("{said}\necho $AWS_ACCESS_KEY_ID; test -n \"$AWS_SECRET_ACCESS_KEY$AWS_SESSION_TOKEN\"");
                let key = scene.machine.call("alice", "/bin/sh").args(&["-c", &script]).run().says();
                assert!(key.starts_with("ASIA"), "{said}");
                continue;
            }
            let answer: Value = serde_json::from_str(said).expect("JSON");
            let names: Vec<&str> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(names, ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"]);
            assert_eq!(answer.get("Version"), Some(&Value::from(1)));
        }
    }
}

/// Inside it is what the helper wrote before the session was minted: who it is to AWS only AWS can say there.
fn whoami_agrees_inside_and_outside(mode: Mode) {
    let scene = Scene::new(mode);
    let (program, sight) = program(&scene);
    let sight: Vec<&str> = sight.iter().map(String::as_str).collect();
    let identity = match mode {
        Mode::Setuid => "incident",
        Mode::Unprivileged => "own:dev",
    };
    let inside = scene.run(&sight, &[&program, "whoami", "--json"]).run().says();
    let outside = scene.agent_aws(&["whoami", "--json"]).args(&scene.identity()).run().says();
    for said in [&inside, &outside] {
        assert_eq!(member(said, "identity"), identity);
        assert_eq!(member(said, "access"), "full");
        assert!(member(said, "expires").starts_with("20"), "{said}");
    }
    assert_eq!(member(&outside, "account"), "111122223333");
    assert!(member(&outside, "arn").starts_with(&scene.assumed()), "{outside}");
    let inside = scene.run(&sight, &[&program, "whoami"]).run().says();
    let outside = scene.agent_aws(&["whoami"]).args(&scene.identity()).run().says();
    assert!(inside.contains(identity) && outside.contains(identity), "{inside}\n{outside}");
    assert!(outside.contains(&scene.assumed()), "{outside}");
}

fn no_other_identity_can_be_asked_for_inside(mode: Mode) {
    let scene = Scene::new(mode);
    let (program, sight) = program(&scene);
    let sight: Vec<&str> = sight.iter().map(String::as_str).collect();
    let mut inside = Inside::new(&scene, &sight);
    for what in ["credentials", "whoami"] {
        inside.does(&format!("{program} {what}")).well();
        for other in ["--as incident", "--profile base"] {
            let said = inside.does(&format!("{program} {what} {other}"));
            assert_eq!(said.status, 125, "{}", said.text);
        }
    }
    inside.does(&format!("{program} run --profile base -- true")).badly();
}

/// Shells, make, Python, node, without an environment, in a session of its own, without any descriptor of ours.
fn every_child_of_the_agent_gets_them_however_it_was_started(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let place = project.join("Makefile");
    scene.machine.file(&scene.machine.user("alice"), &place, 0o644, format!("all:\n\t@{CLIENT}\n"));
    let python =
        format!("import subprocess; print(subprocess.run([\"{CLIENT}\"], capture_output=True, text=True).stdout)");
    let node = format!("process.stdout.write(require(\"child_process\").execFileSync(\"{CLIENT}\"))");
    let ways = [
        ("/bin/bash", format!("bash -c 'bash -c \"{CLIENT}\"; true'")),
        ("/usr/bin/make", "make -s".into()),
        ("/usr/bin/python3", format!("/usr/bin/python3 -c '{python}'")),
        ("/usr/bin/node", format!("/usr/bin/node -e '{node}'")),
        ("/usr/bin/env", format!("env -i {CLIENT}")),
        ("/usr/bin/setsid", format!("setsid -w {CLIENT}")),
        ("/bin/sh", format!("({CLIENT} & wait)")),
    ];
    let mut inside = Inside::new(&scene, &[]);
    let key = member(&inside.does(CLIENT).well(), "AccessKeyId");
    let there = ways.iter().filter(|(program, _)| std::path::Path::new(program).exists());
    let mut tried = 0;
    for (program, line) in there {
        assert_eq!(member(&inside.does(line).well(), "AccessKeyId"), key, "{program}");
        // The control: outside, the same line gives nothing.
        let outside = scene.machine.call("alice", "/bin/sh").args(&["-c", line]).run();
        assert!(!outside.stdout.contains("AccessKeyId"), "{program}: {outside}");
        tried += 1;
    }
    assert!(tried >= 5, "{tried}");
    // Where the inherited descriptor is the only door, some of them have none: no door may depend on it alone.
    let alone = |line: &str| format!("AGENT_AWS_SOCKET=/tmp/none {line}");
    inside.does(&alone(&format!("bash -c {CLIENT}"))).well();
    assert!(!inside.does(&alone(&format!("/usr/bin/python3 -c '{python}'"))).text.contains("AccessKeyId"));
}

fn no_wait_starts_at_once_and_the_door_answers_once_minted(mode: Mode) {
    let scene = Scene::new(mode);
    scene.set_faults(r#"{"hang":true}"#);
    let mut inside = Inside::new(&scene, &["--no-wait"]);
    let said = inside.does(CLIENT).badly();
    assert!(said.contains("is being minted"), "{said}");
    assert!(scene.sts.issued().is_empty());
    scene.set_faults("{}");
    within(Duration::from_secs(60), "the door answers", || inside.does(CLIENT).status == 0);
    // Without it, the same start waits.
    scene.set_faults(r#"{"hang":true}"#);
    let mut waiting = Inside::new(&scene, &[]);
    waiting.tell("touch it-ran");
    let ran = scene.machine.project(&scene.machine.user("alice")).join("it-ran");
    assert!(until(Duration::from_secs(3), || ran.exists().then_some(())).is_none());
}

fn a_start_that_waits_has_credentials_from_its_first_moment(mode: Mode) {
    let scene = Scene::new(mode);
    scene.set_faults(r#"{"delay_ms":1500}"#);
    let answer = scene.run(&[], &[CLIENT]).run().says();
    assert!(member(&answer, "AccessKeyId").starts_with("ASIA"));
}

fn the_region_is_that_of_the_identity(mode: Mode) {
    let setup = Setup { identity: "region = \"eu-central-1\"".into(), ..Setup::default() };
    let scene = Scene::with(mode, &setup);
    let show = |options: &[&str], name: &str| {
        let call = scene.run(options, &["sh", "-c", "echo $AWS_REGION $AWS_DEFAULT_REGION"]);
        call.env(name, "ap-south-1").run().says()
    };
    let own = match mode {
        Mode::Setuid => ["eu-central-1 eu-central-1"; 2],
        // The caller's environment is stronger than their configuration, as for any tool of theirs.
        Mode::Unprivileged => ["eu-west-1 eu-west-1", "ap-south-1 ap-south-1"],
    };
    assert_eq!([show(&[], "UNRELATED"), show(&[], "AWS_REGION")], own);
    assert_eq!(show(&["--region", "us-east-2"], "UNRELATED"), "us-east-2 us-east-2");
}
