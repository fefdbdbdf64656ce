//! Who may be whom, where, and what a refusal tells.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::inside;
use agent_aws_harness::{Case, Mode, Output, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(denied_and_unknown_identities_cannot_be_told_apart).private().setuid(),
    case!(a_deny_wins_over_every_allow).private().setuid(),
    case!(an_allow_by_group_needs_process_and_database).private().setuid(),
    case!(a_deny_by_group_needs_only_one_of_them).private().setuid(),
    case!(of_several_sandboxes_one_must_be_chosen).private(),
    case!(a_network_is_never_widened_and_may_be_narrowed).private(),
    case!(without_a_name_the_only_identity_is_meant).private().setuid(),
    case!(without_a_name_several_identities_are_listed).private().setuid(),
    case!(the_configured_default_is_used),
    case!(aliases_are_names_of_the_identity_inside).private().setuid(),
    case!(rules_about_others_have_no_place_in_an_explanation).private().setuid(),
    case!(an_identity_that_is_denied_is_not_listed).private().setuid(),
    case!(what_aws_must_be_told_is_what_a_start_asks_for).private().setuid(),
];

const GRANTED: &str = "it-ran\n";
const DENIED: &str = "there is no such identity, or policy does not grant it to you";

fn main() -> ExitCode {
    suite(CASES)
}

fn with(mode: Mode, policy: &str) -> Scene {
    Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() })
}

fn identity(name: &str) -> String {
    format!("\n[identity.{name}]\nrole = \"arn:aws:iam::111122223333:role/agent-incident\"\nsource = \"workstation\"\n")
}

fn rule(kind: &str, rest: &str) -> String {
    let sandbox = if kind == "allow" { "sandbox = \"standard\"\n" } else { "" };
    format!("\n[[{kind}]]\n{rest}\n{sandbox}")
}

fn run_as(scene: &Scene, name: &str) -> Output {
    scene.agent_aws(&["run", "--as", name, "--no-wait", "--", "echo", "it-ran"]).run()
}

/// What is said, without the audit id.
fn without_id(output: &Output) -> String {
    let (before, after) = output.stderr.split_once("(audit id ").unwrap_or_else(|| panic!("{output}"));
    let (id, after) = after.split_once(')').unwrap();
    assert!(id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit()), "{output}");
    format!("{before}{after}")
}

fn denied_and_unknown_identities_cannot_be_told_apart(mode: Mode) {
    let denied = identity("secret") + &rule("allow", "users = [\"bob\"]\nidentities = [\"secret\"]");
    let denied = denied + &identity("taken") + &rule("deny", "users = [\"alice\"]\nidentities = [\"taken\"]");
    let scene = with(mode, &denied);
    let names = ["secret", "taken", "absent"];
    let mut times = [const { Vec::<Duration>::new() }; 3];
    let mut said = Vec::new();
    for _ in 0..10 {
        for (name, times) in names.iter().zip(&mut times) {
            let before = Instant::now();
            let output = run_as(&scene, name).refused(DENIED);
            times.push(before.elapsed());
            assert_eq!(output.stdout, "");
            said.push(without_id(&output));
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:#?}");
    let medians = times.map(|mut list| {
        list.sort();
        list[5]
    });
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < *least * 3, "{medians:?}");
    assert_eq!(scene.sts.requests().len(), 0);
    // The control: Bob is granted what Alice is denied.
    let bob = scene.machine.agent_aws("bob", &["run", "--as", "secret", "--no-wait", "--", "echo", "it-ran"]);
    assert_eq!(bob.run().ends(0).stdout, GRANTED);
}

fn a_deny_wins_over_every_allow(mode: Mode) {
    for denied in ["\"incident\"", "\"*\""] {
        let scene = with(mode, "");
        assert_eq!(run_as(&scene, "incident").ends(0).stdout, GRANTED);
        let more = rule("allow", "users = [4242]\nidentities = [\"*\"]")
            + &rule("deny", &format!("users = [\"alice\"]\nidentities = [{denied}]"))
            + &rule("allow", "users = [\"*\"]\nidentities = [\"incident\"]");
        scene.machine.policy(&scene.policy(&Setup { policy: more, ..Setup::default() }));
        run_as(&scene, "incident").refused(DENIED);
        // A deny in a file of its own counts as much.
        scene.machine.policy(&scene.policy(&Setup::default()));
        let own = Path::new("/etc/agent-aws/policy.d/99.toml");
        scene.machine.root_file(own, 0o644, rule("deny", "users = [\"alice\"]\nidentities = [\"incident\"]"));
        run_as(&scene, "incident").refused(DENIED);
        std::fs::remove_file(own).unwrap();
    }
}

/// Alice's run with other groups than the database gives her.
fn with_groups(scene: &Scene, groups: &str) -> (Option<i32>, String) {
    let output = Command::new("/usr/bin/setpriv")
        .args(["--reuid=4242", "--regid=4242", groups, "--inh-caps=-all", "--"])
        .arg(scene.machine.program())
        .args(["run", "--as", "grouped", "--no-wait", "--", "echo", "it-ran"])
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("HOME", "/home/alice")])
        .current_dir(scene.machine.project(&scene.machine.user("alice")))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn an_allow_by_group_needs_process_and_database(mode: Mode) {
    let by =
        |group: &str| identity("grouped") + &rule("allow", &format!("groups = [{group}]\nidentities = [\"grouped\"]"));
    let (refused, granted) = ((Some(125), String::new()), (Some(0), GRANTED.to_owned()));
    for developers in ["\"developers\"", "4250"] {
        let scene = with(mode, &by(developers));
        assert_eq!(with_groups(&scene, "--init-groups"), granted, "both have it");
        assert_eq!(with_groups(&scene, "--groups=4250"), granted, "both have it");
        assert_eq!(with_groups(&scene, "--clear-groups"), refused, "only the database has it");
    }
    // Group 4243 is Bob's: no database lists Alice in it.
    for bobs in ["\"bob\"", "4243"] {
        let scene = with(mode, &by(bobs));
        assert_eq!(with_groups(&scene, "--groups=4243,4250"), refused, "only the process has it");
    }
}

fn a_deny_by_group_needs_only_one_of_them(mode: Mode) {
    let allow = identity("grouped") + &rule("allow", "users = [\"alice\"]\nidentities = [\"grouped\"]");
    let deny =
        |group: &str| allow.clone() + &rule("deny", &format!("groups = [\"{group}\"]\nidentities = [\"grouped\"]"));
    let (refused, granted) = ((Some(125), String::new()), (Some(0), GRANTED.to_owned()));
    let scene = with(mode, &deny("developers"));
    assert_eq!(with_groups(&scene, "--clear-groups"), refused, "only the database has it");
    let scene = with(mode, &deny("bob"));
    assert_eq!(with_groups(&scene, "--groups=4243"), refused, "only the process has it");
    assert_eq!(with_groups(&scene, "--init-groups"), granted, "neither has it");
}

/// A second sandbox, without network, for everything.
const SECOND: &str = "\n[sandbox.second]\nnetwork = \"none\"\n\n[[allow]]\nusers = [\"*\"]\n\
                      identities = [\"incident\", \"own:*\"]\nsandbox = \"second\"\n";

fn of_several_sandboxes_one_must_be_chosen(mode: Mode) {
    let scene = with(mode, SECOND);
    inside(&scene, &[], "true").run().refused("choose one with --sandbox: standard, second");
    inside(&scene, &["--sandbox", "third"], "true").run().refused("no such sandbox for you and this identity");
    for (sandbox, network) in [("standard", "shared"), ("second", "none")] {
        let said = inside(&scene, &["--sandbox", sandbox], "cat /run/agent-aws/session.json").run().says();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((said["sandbox"].as_str(), said["network"].as_str()), (Some(sandbox), Some(network)));
    }
}

fn a_network_is_never_widened_and_may_be_narrowed(mode: Mode) {
    let scene = with(mode, SECOND);
    for wider in ["shared", "filtered"] {
        let output = inside(&scene, &["--sandbox", "second", "--network", wider], "true").run();
        output.refused(&format!("network \"{wider}\" is wider than \"none\", which this sandbox has"));
    }
    let links = "tail -n +3 /proc/net/dev | wc -l; readlink /proc/self/ns/net";
    let host = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let narrowed = inside(&scene, &["--sandbox", "standard", "--network", "none"], links).run().says();
    assert!(narrowed.starts_with("1\n") && !narrowed.contains(&host), "{narrowed}");
    let whole = inside(&scene, &["--sandbox", "standard"], links).run().says();
    assert!(whole.contains(&host), "{whole}");
}

fn unnamed(scene: &Scene) -> Output {
    scene.agent_aws(&["run", "--no-wait", "--", "sh", "-c", "echo $AGENT_AWS_IDENTITY"]).run()
}

fn without_a_name_the_only_identity_is_meant(mode: Mode) {
    let scene = with(mode, &(identity("bobs") + &rule("allow", "users = [\"bob\"]\nidentities = [\"bobs\"]")));
    assert_eq!(unnamed(&scene).says(), "incident");
}

fn without_a_name_several_identities_are_listed(mode: Mode) {
    let more = rule("allow", "users = [\"alice\"]\nidentities = [\"other\"]");
    let scene = with(mode, &(identity("other") + &identity("hidden") + &more));
    let output = unnamed(&scene).refused("name an identity; you may use incident, other, own:*");
    assert!(!output.stderr.contains("hidden"), "{output}");
}

fn the_configured_default_is_used(mode: Mode) {
    let scene = Scene::new(mode);
    let [option, name] = scene.identity();
    let name = if option == "--profile" { format!("own:{name}") } else { name.to_owned() };
    let config = scene.machine.scratch().join("config");
    let alice = scene.machine.user("alice");
    scene.machine.directory(&alice, &config);
    let call = |words: &[&str]| scene.agent_aws(words).env("XDG_CONFIG_HOME", &config).run();
    call(&["config", "default", &name]).ends(0);
    let said = call(&["run", "--no-wait", "--", "sh", "-c", "echo $AGENT_AWS_IDENTITY"]).says();
    assert_eq!(said, name);
    scene.machine.file(&alice, &config.join("agent-aws/config.toml"), 0o600, "# mine\ndefualt = 1\n");
    call(&["run", "--", "true"]).refused("config.toml:2:1: unknown field `defualt`");
}

fn aliases_are_names_of_the_identity_inside(mode: Mode) {
    let aliases = "aliases = [\"prod-readonly\", \"legacy\"]\nregion = \"eu-central-1\"";
    let scene = Scene::with(mode, &Setup { identity: aliases.into(), ..Setup::default() });
    let config = inside(&scene, &[], "cat $AWS_CONFIG_FILE; echo x >> $AWS_CONFIG_FILE || echo read-only").run().says();
    for header in ["[default]", "[profile incident]", "[profile prod-readonly]", "[profile legacy]"] {
        let section = config.split_once(header).unwrap_or_else(|| panic!("no {header} in {config}")).1;
        let lines: Vec<&str> = section.lines().skip(1).take(2).collect();
        assert!(lines[0] == "region = eu-central-1" && lines[1].starts_with("credential_process = /run/"), "{config}");
    }
    assert!(config.ends_with("read-only") && !config.contains("key"), "{config}");
}

fn rules_about_others_have_no_place_in_an_explanation(mode: Mode) {
    let more = identity("bobs")
        + &rule("allow", "users = [\"bob\"]\nidentities = [\"bobs\"]")
        + &rule("deny", "users = [\"bob\"]\nidentities = [\"incident\"]");
    let scene = with(mode, &more);
    let explain = |name: &str| scene.agent_aws(&["policy", "explain", "--as", name]).run().says();
    let is_rule = |line: &&str| line.starts_with("  allow ") || line.starts_with("  deny ");
    let rules = |said: &str| said.lines().skip(1).filter(is_rule).map(str::to_owned).collect::<Vec<_>>();
    let granted = explain("incident");
    assert!(granted.starts_with("granted: incident in sandbox standard"), "{granted}");
    assert_eq!(rules(&granted).len(), 2, "Alice's rule and everybody's\n{granted}");
    let (bobs, absent) = (explain("bobs"), explain("absent"));
    assert_eq!(bobs, absent);
    let text = scene.policy(&Setup { policy: more, ..Setup::default() });
    let is_bobs = |line: usize| text.lines().nth(line).is_some_and(|l| l.contains("bob"));
    for said in [granted, bobs] {
        let places = said.split("policy.toml:").skip(1).map(|p| p.split(|c: char| !c.is_ascii_digit()).next().unwrap());
        // The line after a rule's own begins with whom it is about.
        places.for_each(|place| assert!(!is_bobs(place.parse().unwrap()), "{said}"));
    }
}

fn an_identity_that_is_denied_is_not_listed(mode: Mode) {
    let more = identity("other")
        + &identity("bobs")
        + &rule("allow", "users = [\"*\"]\nidentities = [\"other\"]")
        + &rule("deny", "users = [\"alice\"]\nidentities = [\"other\"]");
    let scene = with(mode, &more);
    let listed = |user: &str| {
        let said = scene.machine.agent_aws(user, &["identities"]).run().says();
        let names = said.lines().skip(1).filter_map(|l| l.split_whitespace().next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(listed("alice"), ["incident", "own:*"]);
    assert_eq!(listed("bob"), ["other", "own:*"]);
}

/// The session policy that is printed is the one that STS gets, and the trust policy allows each thing that is asked for.
fn what_aws_must_be_told_is_what_a_start_asks_for(mode: Mode) {
    let setup = Setup { identity: "deny-actions = [\"s3:Get*\"]".into(), ..Setup::default() };
    let scene = Scene::new(mode);
    let policy = scene.policy(&setup).replace("access = \"full\"", "access = \"read\"");
    scene.machine.policy(&policy);
    let alice = scene.machine.user("alice");
    let copy = scene.machine.scratch().join("policy.toml");
    scene.machine.file(&alice, &copy, 0o644, &policy);
    let path = copy.display().to_string();
    let said = scene.agent_aws(&["policy", "iam", "--as", "incident", &path]).run().says();
    let parts: Vec<serde_json::Value> = said
        .split("# ")
        .filter_map(|part| part.split_once('\n'))
        .map(|(_, json)| serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}")))
        .collect();
    let [trust, permission, session] = parts.as_slice() else { panic!("{said}") };
    scene.run(&[], &["true"]).run().ends(0);
    let issued = scene.sts.issued().pop().expect("a session");
    let sent: serde_json::Value = serde_json::from_str(&issued.policy.expect("a session policy")).unwrap();
    assert_eq!(session, &sent);
    assert!(issued.policy_arns.iter().all(|arn| said.contains(arn)), "{said}");
    let asked = scene.sts.requests().pop().expect("a request").parameters;
    let allowed: Vec<&str> =
        trust["Statement"].as_array().unwrap().iter().map(|s| s["Action"].as_str().unwrap()).collect();
    assert_eq!(allowed.contains(&"sts:SetSourceIdentity"), asked.contains_key("SourceIdentity"));
    assert_eq!(allowed.contains(&"sts:TagSession"), asked.keys().any(|key| key.starts_with("Tags")));
    let keys = &trust["Statement"][2]["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"];
    let keys: Vec<&str> = keys.as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert!(issued.tags.keys().all(|key| keys.contains(&key.as_str())), "{keys:?}");
    assert_eq!(permission["Statement"][0]["Resource"], asked["RoleArn"]);
    let user = scene.agent_aws(&["policy", "revoke", "--user", "alice"]).run().says();
    let name = issued.arn.rsplit('/').next().unwrap();
    let pattern = user.split('"').find(|text| text.starts_with("*:")).expect("a pattern");
    let same = |(a, b): (char, char)| a == '?' || a == b;
    assert!(pattern.len() == name.len() + 2 && pattern[2..].chars().zip(name.chars()).all(same), "{pattern} {name}");
}
