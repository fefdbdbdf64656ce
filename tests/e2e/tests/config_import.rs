//! What another tool has configured is taken over: less may come of it, never more, and no secret of it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_harness::{Call, Case, Mode, OWN_ROLE, Scene, case, suite};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_config_of_elhaz_becomes_an_identity_that_is_as_narrow),
    case!(a_second_import_changes_nothing_and_says_so),
    case!(a_profile_of_agent_aws_1_becomes_an_identity_and_the_default),
    case!(an_aws_profile_gets_a_name_that_runs),
    case!(what_narrows_and_cannot_be_carried_over_is_told_and_left),
    case!(no_secret_is_copied_or_printed),
    case!(a_name_that_is_there_stays_unless_it_is_replaced),
    case!(nothing_is_written_when_one_file_of_several_is_wrong),
    case!(a_file_that_cannot_be_read_is_named_with_its_line),
    case!(a_dry_run_says_it_and_writes_nothing),
];

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const SECRET: &str = "hunter2hunter2hunter2";

fn main() -> ExitCode {
    suite(CASES)
}

fn place(scene: &Scene) -> PathBuf {
    scene.aws("xdg")
}

fn ours(scene: &Scene) -> Option<String> {
    fs::read_to_string(place(scene).join("agent-aws/config.toml")).ok()
}

fn call(scene: &Scene, words: &[&str]) -> Call {
    scene.agent_aws(words).env("XDG_CONFIG_HOME", place(scene))
}

/// A file of another tool's.
fn foreign(scene: &Scene, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = scene.aws("foreign").join(name);
    scene.machine.file(&scene.machine.user("alice"), &path, 0o600, content);
    path
}

fn import(scene: &Scene, tool: &str, file: &Path, options: &[&str]) -> Call {
    call(scene, &["config", "import", tool, "--file"]).arg(file).args(options)
}

/// As elhaz writes a config of Alice's role.
fn elhaz(more: &str) -> String {
    format!("AssumeRole:\n  RoleArn: {OWN_ROLE}\n{more}")
}

fn a_config_of_elhaz_becomes_an_identity_that_is_as_narrow(mode: Mode) {
    let scene = Scene::new(mode);
    let path =
        foreign(&scene, "look.yaml", elhaz(&format!("  DurationSeconds: 900\n  PolicyArns:\n  - {READ_ONLY}\n")));
    let said = import(&scene, "elhaz", path.parent().unwrap(), &[]).run().says();
    assert!(said.contains("look: saved: AWS profile dev, access read"), "{said}");
    assert!(said.contains("AssumeRole.DurationSeconds stays behind; instead: duration_seconds"), "{said}");
    call(&scene, &["run", "--as", "look", "--", "true"]).run().ends(0);
    let issued = scene.sts.issued().pop().expect("a session");
    assert_eq!(issued.policy_arns, [READ_ONLY]);
}

fn a_second_import_changes_nothing_and_says_so(mode: Mode) {
    let scene = Scene::new(mode);
    let path = foreign(&scene, "look.yaml", elhaz(""));
    let first = import(&scene, "elhaz", &path, &[]).run().ends(0);
    assert!(first.stderr.contains("agent-aws run --as NAME"), "{first}");
    let file = place(&scene).join("agent-aws/config.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (before, when) = (ours(&scene), fs::metadata(&file).unwrap().modified().unwrap());
    for options in [[].as_slice(), &["--replace"]] {
        let again = import(&scene, "elhaz", &path, options).run().ends(0);
        assert!(
            again.stdout.contains("look: is there already") && again.stderr.contains("nothing was changed"),
            "{again}"
        );
        assert_eq!((ours(&scene), fs::metadata(&file).unwrap().modified().unwrap()), (before.clone(), when));
    }
}

fn a_profile_of_agent_aws_1_becomes_an_identity_and_the_default(mode: Mode) {
    let scene = Scene::new(mode);
    let sso = "[profile ReadOnly]\nsso_session = acme\nsso_account_id = 111122223333\nsso_role_name = ReadOnlyAccess\n\
               [sso-session acme]\nsso_start_url = https://acme.example/start\nsso_region = eu-west-1\n";
    scene.configure(sso, "");
    let one = r#"{"sso_session": "acme", "account_id": "111122223333", "role_name": "ReadOnlyAccess", "default_region": "eu-west-1"}"#;
    let text = format!(r#"{{"default_profile": "ReadOnly", "profiles": {{"ReadOnly": {one}}}}}"#);
    let path = foreign(&scene, "config.json", text);
    let said = import(&scene, "agent-aws", &path, &[]).run().says();
    assert!(said.contains("ReadOnly: saved") && said.contains("default: ReadOnly"), "{said}");
    let listed: Value = serde_json::from_str(&call(&scene, &["config", "list", "--json"]).run().says()).unwrap();
    let wanted =
        serde_json::json!([{ "name": "ReadOnly", "default": true, "profile": "ReadOnly", "region": "eu-west-1" }]);
    assert_eq!(listed, wanted);
}

fn an_aws_profile_gets_a_name_that_runs(mode: Mode) {
    let scene = Scene::new(mode);
    let said = call(&scene, &["config", "import", "aws"]).run().says();
    assert!(said.contains("dev: saved: AWS profile dev"), "{said}");
    call(&scene, &["run", "--as", "dev", "--", "true"]).run().ends(0);
    assert_eq!(scene.sts.issued().len(), 1);
}

fn what_narrows_and_cannot_be_carried_over_is_told_and_left(mode: Mode) {
    let scene = Scene::new(mode);
    for more in ["  Policy: '{}'\n", "  PolicyArns:\n  - arn:aws:iam::aws:policy/PowerUserAccess\n", "  Unknown: 1\n"] {
        let path = foreign(&scene, "tight.yaml", elhaz(more));
        let output = import(&scene, "elhaz", &path, &[]).run().refused("nothing of it can be carried over");
        assert!(output.stdout.contains("tight: not carried over: line 3: AssumeRole."), "{output}");
        assert!(output.stdout.contains("agent-aws config add tight --profile dev"), "{output}");
        assert_eq!(ours(&scene), None);
    }
}

fn no_secret_is_copied_or_printed(mode: Mode) {
    let scene = Scene::new(mode);
    let keys = format!("Session:\n  aws_access_key_id: AKIA{SECRET}\n  aws_secret_access_key: {SECRET}\n");
    let path = foreign(&scene, "keyed.yaml", elhaz(&keys));
    let output = import(&scene, "elhaz", &path, &[]).run().ends(0);
    assert!(output.stdout.contains("Session.aws_secret_access_key stays behind"), "{output}");
    // Files that were named by mistake: a token of IAM Identity Center, a credentials file, a key.
    let token = foreign(&scene, "token.json", format!("{{\"accessToken\": \"{SECRET}\"}}"));
    let bare = foreign(&scene, "credentials", format!("[x]\naws_secret_access_key {SECRET}\n"));
    let key = foreign(&scene, "id_ed25519", format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n"));
    let mut said = output.to_string();
    for tool in ["elhaz", "agent-aws", "aws"] {
        for file in [&token, &bare, &key] {
            said += &import(&scene, tool, file, &[]).run().ends(125).to_string();
        }
    }
    said += &ours(&scene).unwrap();
    assert!(!said.contains(SECRET), "{said}");
}

fn a_name_that_is_there_stays_unless_it_is_replaced(mode: Mode) {
    let scene = Scene::new(mode);
    call(&scene, &["config", "add", "look", "--profile", "dev", "--access", "read"]).run().ends(0);
    let path = foreign(&scene, "look.yaml", elhaz(""));
    let kept = import(&scene, "elhaz", &path, &[]).run().ends(0);
    assert!(kept.stdout.contains("stays (--replace takes this one)"), "{kept}");
    assert!(ours(&scene).unwrap().contains("access = \"read\""));
    let replaced = import(&scene, "elhaz", &path, &["--replace"]).run().says();
    assert!(replaced.contains("look: replaces yours"), "{replaced}");
    assert!(!ours(&scene).unwrap().contains("access"));
}

fn nothing_is_written_when_one_file_of_several_is_wrong(mode: Mode) {
    let scene = Scene::new(mode);
    let good = foreign(&scene, "all/a.yaml", elhaz(""));
    for (wrong, words) in [
        ("AssumeRole:\n  RoleArn: *anchor\n".to_owned(), "b.yaml:2: is not written as elhaz writes it"),
        ("Meta:\n  description: x\n".to_owned(), "b.yaml: says no AssumeRole.RoleArn"),
        (elhaz("Session:\n  region_name: $(id)\n"), "b.yaml: b: `region` is no AWS region"),
    ] {
        foreign(&scene, "all/b.yaml", wrong);
        import(&scene, "elhaz", good.parent().unwrap(), &[]).run().refused(words);
        assert_eq!(ours(&scene), None);
    }
    // So is one of our own that is wrong: it is named, and stays as it is.
    let broken = "default = [\n";
    let own = place(&scene).join("agent-aws/config.toml");
    scene.machine.file(&scene.machine.user("alice"), &own, 0o600, broken);
    import(&scene, "elhaz", &good, &["--replace"]).run().refused("config.toml:");
    assert_eq!(ours(&scene).as_deref(), Some(broken));
}

fn a_file_that_cannot_be_read_is_named_with_its_line(mode: Mode) {
    let scene = Scene::new(mode);
    let json = |text: &[u8]| foreign(&scene, "config.json", text);
    let refused = |tool: &str, path: &Path, words: &str| {
        let output = import(&scene, tool, path, &[]).run().refused(words);
        assert!(output.stderr.contains("nothing was written"), "no advice\n{output}");
    };
    refused("agent-aws", &json(b"{\n\"profiles\": {\n"), "config.json:3: is no JSON");
    refused("agent-aws", &json(b"{}\n\xff\n"), "config.json:2: is not UTF-8");
    refused("agent-aws", &json(b"{}\n\n\x1b[2J"), "config.json:3: has a control character");
    refused("agent-aws", &json(&vec![b' '; 2 << 20]), "config.json: is over 1 MiB");
    refused("agent-aws", &json(&vec![b'['; 1 << 19]), "config.json:1: is no JSON");
    refused("aws", &foreign(&scene, "config", "[profile a]\nregion = x\nnonsense\n"), "config:3: a setting is");
    refused("aws", &scene.aws("none"), "none: there is no such file");
    refused("elhaz", &scene.aws("none"), "none: there is no such file");
    refused("elhaz", Path::new("/dev/zero"), "/dev/zero: is no regular file");
    let (one, two) = (scene.aws("foreign/one"), scene.aws("foreign/two"));
    symlink(&one, &two).and_then(|()| symlink(&two, &one)).unwrap();
    refused("agent-aws", &one, "foreign/one: ");
    assert_eq!(ours(&scene), None);
}

fn a_dry_run_says_it_and_writes_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let path = foreign(&scene, "look.yaml", elhaz(""));
    let output = import(&scene, "elhaz", &path, &["--dry-run"]).run().ends(0);
    assert!(
        output.stdout.contains("look: would be saved") && output.stderr.contains("nothing was written"),
        "{output}"
    );
    assert!(!place(&scene).exists());
}
