use super::*;
use crate::scratch::scratch;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use agent_aws_plan::{Grant, Wish, fixture};
use agent_aws_policy::Home;
use rustix::fs::{CWD, Mode, OFlags, openat};

fn asked(project: &str, environment: &[(&str, &str)]) -> Asked {
    let variable = |(name, value): &(&str, &str)| EnvVar { name: (*name).into(), value: (*value).into() };
    let request = RunRequest { project: project.into(), wait: true, ..RunRequest::default() };
    let environment = environment.iter().map(variable).collect();
    Asked { request, environment, directory: project.into(), known: Default::default(), preset: None }
}

fn chosen(name: &str) -> Chosen {
    choose(Some(name), None).unwrap().unwrap()
}

fn a_plan(home: Home, model: Option<&str>) -> Plan {
    let model = model.map(|region| agent_aws_plan::Model {
        identity: "brain".into(),
        role: None,
        narrowing: Default::default(),
        region: Some(region.into()),
    });
    let grant = Grant { home, model, ..fixture::grant() };
    agent_aws_plan::plan(fixture::caller(), grant, &Wish::default()).unwrap()
}

fn nothing(_: &OsStr) -> Option<OsString> {
    None
}

/// What a preset writes into `home` for a project.
fn write(name: &str, home: &Path, environment: &[(&str, &str)], callers: Option<&Path>) -> Vec<String> {
    let mut asked = asked("/work/p", environment);
    chosen(name).add(&mut asked, callers, &nothing);
    asked.preset.unwrap().write(openat(CWD, home, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap(), false)
}

fn json(home: &Path, file: &str) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(home.join(file)).unwrap()).unwrap()
}

#[test]
fn every_preset_can_be_read_and_no_row_lacks_its_reason() {
    for (name, text) in PRESETS {
        let preset = parse(name, text).unwrap();
        let answers = preset.answer.iter().map(|answer| &answer.why);
        let takes = preset.take.iter().map(|take| &take.why);
        let sets = preset.set.values().map(|set| &set.why);
        let mut reasons = preset.pass.values().chain(preset.show.values()).chain(answers).chain(takes).chain(sets);
        assert!(reasons.all(|why| !why.is_empty()), "{name}");
        assert!(!preset.commands.is_empty() && !preset.about.is_empty() && !preset.inner_sandbox.is_empty(), "{name}");
        for answer in &preset.answer {
            assert!(answer.value.is_some() != answer.end_of.is_some(), "{name}: {:?}", answer.key);
            // What cannot be said in a file's language would never be written.
            let mut document = document::Document::parse(&answer.file, "").unwrap();
            match &answer.value {
                Some(value) => assert!(document.set(&answer.key, value), "{name}: {:?}", answer.key),
                None => assert!(document.add(&answer.key, "x"), "{name}: {:?}", answer.key),
            }
        }
    }
}

#[test]
fn no_preset_passes_what_names_another_identity_or_runs_code() {
    for (name, text) in PRESETS {
        let preset = parse(name, text).unwrap();
        for variable in preset.pass.keys().chain(preset.set.keys()) {
            assert!(REFUSED_VARIABLES.find(variable.as_bytes()).is_none(), "{name}: {variable}");
            assert!(!variable.starts_with("AWS_") && !variable.starts_with("LD_"), "{name}: {variable}");
        }
    }
}

/// Logins, histories, settings that name hooks, servers or programs.
#[test]
fn no_preset_shows_or_copies_a_file_with_tokens_or_hooks() {
    let closed = [
        ".claude/settings.json", ".claude/settings.local.json", ".claude/.credentials.json", ".claude.json",
        ".claude/hooks", ".claude/plugins", ".codex/auth.json", ".codex/config.toml", ".codex/hooks.json",
        ".codex/history.jsonl", ".gemini/oauth_creds.json", ".gemini/settings.json", ".gemini/.env",
        ".gemini/extensions", ".local/share/opencode/auth.json", ".config/opencode/opencode.json",
        ".config/opencode/plugin", ".aider.conf.yml", ".config/goose/config.yaml", ".config/goose/secrets.yaml",
        ".env",
    ];
    for (name, text) in PRESETS {
        let preset = parse(name, text).unwrap();
        for below in preset.show.keys() {
            let row = Path::new(below);
            for file in closed.map(Path::new) {
                assert!(!file.starts_with(row) && !row.starts_with(file), "{name}: {below}");
            }
            assert!(row.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{name}: {below}");
        }
        // Of a settings file only words and flags are copied, never a table with hooks or servers in it.
        let keys = preset.take.iter().flat_map(|take| &take.keys);
        let word =
            ["hook", "env", "token", "key", "helper", "mcp", "server", "provider", "command", "permission", "notify"];
        for key in keys {
            assert!(word.iter().all(|word| !key.to_lowercase().contains(word)), "{name}: {key}");
        }
    }
}

#[test]
fn a_preset_is_chosen_by_the_file_name_of_the_command_or_by_name() {
    let by = |asked: Option<&str>, command: &str| choose(asked, Some(&command.into())).unwrap().map(|c| c.name);
    assert_eq!(by(None, "claude"), Some("claude"));
    assert_eq!(by(None, "/home/jo/.npm-global/bin/codex"), Some("codex"));
    assert_eq!(by(None, "sh"), None);
    assert_eq!(by(None, "claude.sh"), None);
    assert_eq!(by(Some("claude"), "sh"), Some("claude"));
    assert_eq!(by(Some("none"), "claude"), None);
    let said = choose(Some("cluade"), None).unwrap_err().to_string();
    assert!(said.contains("cluade") && said.contains("aider, claude, codex, gemini, goose, opencode, none"), "{said}");
}

#[test]
fn variables_of_the_caller_pass_if_they_are_set_and_options_come_first() {
    let caller = |name: &OsStr| match name.to_str() {
        Some("ANTHROPIC_API_KEY") => Some("sk-caller".into()),
        Some("ANTHROPIC_MODEL") => Some("of-caller".into()),
        Some("AWS_SECRET_ACCESS_KEY" | "GITHUB_TOKEN") => Some("secret".into()),
        _ => None,
    };
    let mut asked = asked("/work/p", &[("ANTHROPIC_MODEL", "asked"), ("DISABLE_AUTOUPDATER", "0")]);
    chosen("claude").add(&mut asked, None, &caller);
    let mut found: Vec<String> =
        asked.environment.iter().map(|v| format!("{}={}", v.name.escape_ascii(), v.value.escape_ascii())).collect();
    found.sort();
    assert_eq!(
        found,
        ["ANTHROPIC_API_KEY=sk-caller", "ANTHROPIC_MODEL=asked", "DISABLE_AUTOUPDATER=0", "IS_SANDBOX=1"]
    );
}

#[test]
fn settings_are_shown_where_they_are_and_never_a_secret_store() {
    let home = scratch("shown");
    for made in [".claude/skills/x", ".ssh/rules", ".claude/output-styles"] {
        fs::create_dir_all(home.join(made)).unwrap();
    }
    fs::write(home.join("notes.md"), "x").unwrap();
    symlink("../notes.md", home.join(".claude/CLAUDE.md")).unwrap();
    symlink("../.ssh/rules", home.join(".claude/rules")).unwrap();
    symlink("..", home.join(".claude/agents")).unwrap();
    let mut run = asked("/work/p", &[]);
    run.request.rw.push(home.join(".claude/output-styles").into_os_string().into_vec());
    chosen("claude").add(&mut run, Some(&home), &nothing);
    let shown: Vec<&Path> = run.request.ro.iter().map(|shown| Path::new(OsStr::from_bytes(&shown.path))).collect();
    assert_eq!(shown, [home.join(".claude/CLAUDE.md"), home.join(".claude/skills")]);
    assert!(run.request.ro.iter().all(|shown| shown.why == Showing::Preset));
}

#[test]
fn what_claude_would_ask_is_answered_in_an_empty_home() {
    let home = scratch("claude-empty");
    let key = "sk-ant-api03-0123456789abcdefghij";
    assert_eq!(write("claude", &home, &[("ANTHROPIC_API_KEY", key)], None), Vec::<String>::new());
    let state = json(&home, ".claude.json");
    assert_eq!(state["hasCompletedOnboarding"], true);
    assert_eq!(state["projects"]["/work/p"]["hasTrustDialogAccepted"], true);
    assert_eq!(state["customApiKeyResponses"]["approved"], serde_json::json!(["0123456789abcdefghij"]));
    assert_eq!(json(&home, ".claude/settings.json")["permissions"]["defaultMode"], "bypassPermissions");
    let mode = fs::metadata(home.join(".claude.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_an_agent_or_a_person_said_there_stays() {
    let home = scratch("stays");
    let state = r#"{"z": 1.5, "projects": {"/work/p": {"hasTrustDialogAccepted": false, "cost": [1, {"x": null}]}},
        "hasCompletedOnboarding": false, "customApiKeyResponses": "odd", "a": "ü"}"#;
    fs::write(home.join(".claude.json"), state).unwrap();
    fs::create_dir(home.join(".claude")).unwrap();
    fs::write(home.join(".claude/settings.json"), r#"{"permissions": {"defaultMode": "plan"}}"#).unwrap();
    fs::set_permissions(home.join(".claude.json"), fs::Permissions::from_mode(0o640)).unwrap();
    write("claude", &home, &[("ANTHROPIC_API_KEY", "sk-test")], None);
    let mut expected: serde_json::Value = serde_json::from_str(state).unwrap();
    expected["hasSeenAutoDefaultNudge"] = true.into();
    assert_eq!(json(&home, ".claude.json"), expected);
    let names: Vec<String> = json(&home, ".claude.json").as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.first().map(String::as_str), Some("z"), "the order stays too");
    assert_eq!(fs::metadata(home.join(".claude.json")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(json(&home, ".claude/settings.json")["permissions"]["defaultMode"], "plan");
    assert_eq!(json(&home, ".claude/settings.json")["skipDangerousModePermissionPrompt"], true);
}

#[test]
fn codex_keeps_its_comments_and_its_other_settings() {
    let home = scratch("codex");
    fs::create_dir(home.join(".codex")).unwrap();
    let text = "# mine\napproval_policy = \"on-request\" # careful\n\n[features]\nplugins = false\n\n[projects.\"/x\"]\ntrust_level = \"untrusted\"\n";
    let file = home.join(".codex/config.toml");
    fs::write(&file, text).unwrap();
    assert_eq!(write("codex", &home, &[], None), Vec::<String>::new());
    let found = fs::read_to_string(&file).unwrap();
    let expected = "# mine\napproval_policy = \"on-request\" # careful\nsandbox_mode = \"danger-full-access\"\ncheck_for_update_on_startup = false\n\n[features]\nplugins = false\ndaemon_auto_start = false\n\n[projects.\"/x\"]\ntrust_level = \"untrusted\"\n\n[projects.\"/work/p\"]\ntrust_level = \"trusted\"\n";
    assert_eq!(found, expected);
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    write("codex", &home, &[], None);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before, "nothing new is nothing written");
}

#[test]
fn words_and_flags_of_the_callers_settings_are_copied_and_nothing_else() {
    let (home, callers) = (scratch("take-agents"), scratch("take-callers"));
    fs::create_dir(callers.join(".claude")).unwrap();
    let theirs = r#"{"model": "opus", "language": "german", "theme": {"odd": 1}, "hooks": {"Stop": [{"command": "x"}]},
        "apiKeyHelper": "cat ~/.key", "env": {"TOKEN": "t"}, "permissions": {"defaultMode": "default"}}"#;
    fs::write(callers.join(".claude/settings.json"), theirs).unwrap();
    fs::create_dir(home.join(".claude")).unwrap();
    fs::write(home.join(".claude/settings.json"), r#"{"language": "french"}"#).unwrap();
    write("claude", &home, &[], Some(&callers));
    let expected = serde_json::json!({ "language": "french", "model": "opus",
        "permissions": { "defaultMode": "bypassPermissions" }, "skipDangerousModePermissionPrompt": true });
    assert_eq!(json(&home, ".claude/settings.json"), expected);
    fs::write(callers.join(".claude/settings.json"), "{ no JSON").unwrap();
    assert_eq!(write("claude", &home, &[], Some(&callers)), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_understood_is_left_as_it_is_and_that_is_said() {
    let home = scratch("odd");
    fs::create_dir(home.join(".codex")).unwrap();
    for (name, file, text) in [("claude", ".claude.json", "[1]"), ("codex", ".codex/config.toml", "a = = b")] {
        fs::write(home.join(file), text).unwrap();
        let said = write(name, &home, &[], None);
        assert!(said.iter().any(|said| said.contains(&format!("~/{file}")) && !said.contains('\n')), "{said:?}");
        assert_eq!(fs::read_to_string(home.join(file)).unwrap(), text);
    }
}

/// What a former agent may have planted where the files belong.
#[test]
fn no_planted_link_or_fifo_is_followed_or_waited_for() {
    let (outside, home) = (scratch("outside"), scratch("planted"));
    fs::write(outside.join("target.json"), "{}").unwrap();
    symlink(outside.join("target.json"), home.join(".claude.json")).unwrap();
    symlink(&outside, home.join(".claude")).unwrap();
    let said = write("claude", &home, &[], None);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|said| said.contains("a symbolic link stands there")), "{said:?}");
    symlink(outside.join("gone"), home.join(".gemini")).unwrap();
    assert_eq!(write("gemini", &home, &[], None).len(), 2);
    assert_eq!(fs::read_to_string(outside.join("target.json")).unwrap(), "{}");
    let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["target.json"]);
    let home = scratch("fifo");
    rustix::fs::mknodat(CWD, home.join(".claude.json"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    fs::create_dir_all(home.join(".claude/settings.json")).unwrap();
    let said = write("claude", &home, &[], None);
    assert!(said.len() == 2 && said.iter().all(|said| said.contains("no file")), "{said:?}");
}

#[test]
fn a_worktrees_repository_is_trusted_too() {
    let mut run = asked("/work/tree", &[]);
    run.request.repository = b"/work/main/.git".to_vec();
    run.directory = "/work/tree/src".into();
    assert_eq!(trusted(&run), ["/work/tree", "/work/tree/src", "/work/main"]);
    run.request.repository = b"/work/bare.git".to_vec();
    run.request.project = b"\xff".to_vec();
    assert_eq!(trusted(&run), ["/work/tree/src"]);
}

#[test]
fn an_answer_that_needs_a_variable_is_given_only_with_it() {
    let home = scratch("gemini");
    write("gemini", &home, &[], None);
    assert_eq!(json(&home, ".gemini/settings.json")["security"], serde_json::Value::Null);
    assert_eq!(json(&home, ".gemini/trustedFolders.json")["/work/p"], "TRUST_FOLDER");
    write("gemini", &home, &[("GEMINI_API_KEY", "x")], None);
    assert_eq!(json(&home, ".gemini/settings.json")["security"]["auth"]["selectedType"], "gemini-api-key");
}

#[test]
fn explain_says_which_preset_it_is_and_what_it_does() {
    let mut preset = chosen("claude");
    preset.asked = false;
    let mut asked = asked("/work/p", &[("ANTHROPIC_API_KEY", "sk-secret")]);
    preset.add(&mut asked, None, &nothing);
    let preset = asked.preset;
    let said = explain(preset.as_ref(), &a_plan(Home::Agent, None));
    for part in [
        "preset claude (Claude Code, by the command's name)",
        "passes ANTHROPIC_API_KEY",
        "projects /work/p hasTrustDialogAccepted = true",
        "its own sandbox: off",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains("sk-secret"), "{said}");
    let real = explain(preset.as_ref(), &a_plan(Home::Real, None));
    assert!(real.contains("nothing") && !real.contains("hasTrustDialogAccepted"), "{real}");
    assert_eq!(explain(None, &a_plan(Home::Agent, None)), "\npreset none\n");
}

#[test]
fn a_model_with_an_identity_of_its_own_is_said_as_long_as_there_is_one() {
    let home = scratch("model");
    fs::create_dir(home.join(".claude")).unwrap();
    fs::write(home.join(".claude/settings.json"), r#"{"awsCredentialExport":"/of/the/agents","theme":"dark"}"#)
        .unwrap();
    let write = |model: bool| {
        let mut asked = asked("/work/p", &[]);
        chosen("claude").add(&mut asked, None, &nothing);
        let home = openat(CWD, &home, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(asked.preset.unwrap().write(home, model), Vec::<String>::new());
    };
    let said = || json(&home, ".claude/settings.json")["awsCredentialExport"].clone();
    write(false);
    assert_eq!(said(), "/of/the/agents", "what is not ours stays");
    write(true);
    assert_eq!(said(), "/run/agent-aws/agent-aws-model-credentials");
    write(false);
    assert_eq!(said(), serde_json::Value::Null);
    assert_eq!(json(&home, ".claude/settings.json")["theme"], "dark");
}

#[test]
fn only_a_model_elsewhere_changes_the_region_and_what_the_caller_said_stays() {
    let with = |model: Option<&str>, said: &[(&str, &str)]| {
        let mut asked = asked("/work/p", said);
        chosen("claude").add(&mut asked, None, &nothing);
        let task = EnvVar { name: b"AWS_REGION".to_vec(), value: b"eu-west-1".to_vec() };
        let all = with_model(asked.preset.as_ref(), &a_plan(Home::Agent, model), vec![task]);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        all.into_iter().map(|it| (text(it.name), text(it.value))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(with(None, &[]).len(), 1);
    let here = with(Some("eu-west-1"), &[]);
    assert_eq!((here["CLAUDE_CODE_USE_BEDROCK"].as_str(), here["AWS_REGION"].as_str()), ("1", "eu-west-1"));
    assert!(!here.contains_key("CLAUDE_ENV_FILE"));
    let elsewhere = with(Some("us-east-1"), &[("CLAUDE_CODE_USE_BEDROCK", "0")]);
    assert_eq!(elsewhere["AWS_REGION"], "us-east-1");
    assert_eq!(elsewhere["CLAUDE_ENV_FILE"], "/run/agent-aws/task-region.sh");
    assert!(!elsewhere.contains_key("CLAUDE_CODE_USE_BEDROCK"), "said in the environment already");
}
