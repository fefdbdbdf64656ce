//! What becomes of other tools' configurations.

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
const AWS: &str = "[default]\nregion = eu-west-1\n[profile base]\n[profile deploy-dev]\nrole_arn = arn:aws:iam::111122223333:role/deploy\n\
                   source_profile = base\nduration_seconds = 900\n[profile look]\nsso_session = acme\nsso_account_id = 111122223333\n\
                   sso_role_name = ReadOnlyAccess\n[sso-session acme]\nsso_region = eu-west-1\n";

fn aws(text: &str) -> Profiles {
    sections::profiles(Path::new("/h/.aws/config"), text).unwrap()
}

/// What a file of elhaz's with this name and text becomes.
fn of_elhaz(name: &str, text: &str) -> Result<Found, String> {
    let path = crate::scratch::scratch("elhaz").join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    let mut foreign = elhaz::read(&path, &aws(AWS)).and_then(checked).map_err(|e| e.to_string())?;
    Ok(foreign.found.remove(0))
}

fn of_first(text: &str) -> Result<Foreign, String> {
    let path = crate::scratch::scratch("first").join("config.json");
    std::fs::write(&path, text).unwrap();
    first::read(&path, &aws(AWS)).and_then(checked).map_err(|e| e.to_string())
}

fn from(profile: &str) -> Saved {
    Saved { profile: Some(profile.into()), ..Saved::default() }
}

#[test]
fn a_config_of_elhaz_becomes_the_aws_profile_that_assumes_its_role() {
    let found =
        of_elhaz("dev", &format!("AssumeRole:\n  RoleArn: {ROLE}\nSession:\n  region_name: eu-west-1\n")).unwrap();
    assert_eq!(found.becomes, Ok(Saved { region: Some("eu-west-1".into()), ..from("deploy-dev") }));
    let narrow = format!("AssumeRole:\n  RoleArn: {ROLE}\n  PolicyArns:\n  - arn:aws:iam::aws:policy/ReadOnlyAccess\n");
    let saved = of_elhaz("dev", &narrow).unwrap().becomes.unwrap();
    assert_eq!(saved.access.as_deref(), Some("read"));
}

#[test]
fn nothing_that_narrows_is_lost() {
    for more in [
        "Policy: '{}'",
        "PolicyArns:\n  - arn:aws:iam::aws:policy/ReadOnlyAccess\n  - arn:aws:iam::aws:policy/IAMReadOnlyAccess",
        "PolicyArns:\n  - arn:aws:iam::aws:policy/AdministratorAccess",
        "SomethingNew: 1",
    ] {
        let lost =
            of_elhaz("dev", &format!("AssumeRole:\n  RoleArn: {ROLE}\n  {more}\n")).unwrap().becomes.unwrap_err();
        assert!(
            lost.why.starts_with("line 3: AssumeRole.") && lost.instead.contains("--profile deploy-dev"),
            "{lost:?}"
        );
    }
}

#[test]
fn what_stays_behind_of_an_elhaz_config_is_told_unless_the_aws_profile_says_it() {
    let more =
        "DurationSeconds: 900\n  ExternalId: x\nSession:\n  profile_name: base\n  aws_secret_access_key: hunter2";
    let found = of_elhaz("dev", &format!("AssumeRole:\n  RoleArn: {ROLE}\n  {more}\n")).unwrap();
    let keys: Vec<&str> = found.left.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["AssumeRole.ExternalId", "Session.aws_secret_access_key"]);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn a_role_that_no_aws_profile_assumes_is_not_carried_over() {
    for text in [
        format!("AssumeRole:\n  RoleArn: {ROLE}x\nSession:\n  profile_name: base\n"),
        format!("AssumeRole:\n  RoleArn: {ROLE}\nSession:\n  profile_name: other\n"),
    ] {
        let lost = of_elhaz("dev", &text).unwrap().becomes.unwrap_err();
        assert!(
            lost.why.contains("no AWS profile of yours assumes") && lost.instead.contains("source_profile ="),
            "{lost:?}"
        );
    }
}

#[test]
fn a_name_that_is_none_here_is_told_and_a_value_that_is_wrong_is_an_error() {
    let lost = of_elhaz("_dev", &format!("AssumeRole:\n  RoleArn: {ROLE}\n")).unwrap().becomes.unwrap_err();
    assert_eq!(lost.instead, "agent-aws config add ANOTHER-NAME --profile deploy-dev");
    let text = format!("AssumeRole:\n  RoleArn: {ROLE}\nSession:\n  region_name: $(id)\n");
    let said = of_elhaz("dev", &text).unwrap_err();
    assert!(said.ends_with("/dev.yaml: dev: `region` is no AWS region"), "{said}");
    assert!(of_elhaz("dev", "Meta:\n  description: x\n").unwrap_err().ends_with("says no AssumeRole.RoleArn"));
}

#[test]
fn a_profile_of_agent_aws_1_becomes_the_aws_profile_with_its_role() {
    let one = r#"{"account_id": "111122223333", "role_name": "ReadOnlyAccess", "default_region": "eu-west-1", "sso_session": "acme"}"#;
    let other = one.replace("ReadOnly", "Other");
    let foreign =
        of_first(&format!(r#"{{"default_profile": "mine", "profiles": {{"mine": {one}, "gone": {other}}}}}"#)).unwrap();
    let [gone, mine] = foreign.found.as_slice() else { panic!("{foreign:?}") };
    assert_eq!(mine.becomes, Ok(Saved { region: Some("eu-west-1".into()), ..from("look") }));
    assert_eq!(gone.becomes.as_ref().unwrap_err().instead, "aws configure sso --profile gone, and import again");
    assert_eq!(new_default(&foreign, &File::default(), false), Some("mine"));
    let older = of_first(one).unwrap();
    assert_eq!((older.found[0].name.as_str(), older.found.len()), ("default", 1));
}

#[test]
fn json_that_is_wrong_is_an_error_with_its_line_and_without_its_content() {
    for (text, words) in [
        ("{\n\"profiles\": {\n", "config.json:3: is no JSON from here on"),
        ("{\n\"profiles\":\n \"hunter2\"}", "config.json:3: is not what agent-aws 1 writes"),
        ("{\"accessToken\": \"hunter2\"}", "config.json:1: is not what agent-aws 1 writes"),
        ("", "config.json:1: is no JSON"),
    ] {
        let said = of_first(text).unwrap_err();
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
    assert!(of_first(&"[".repeat(1 << 19)).unwrap_err().contains("is no JSON"), "depth has a bound");
}

#[test]
fn an_aws_profile_of_use_gets_a_name_and_others_are_told() {
    let text = "[profile fragment]\nregion = x\n[profile vault]\ninclude_profile = fragment\nrole_arn = r\n\
                [profile lost]\nrole_arn = r\nsource_profile = nobody\n[profile odd name]\nsso_role_name = x\n";
    let profiles = aws(&format!("{AWS}{text}"));
    let foreign = checked(aws::found(Path::new("/h/config"), &profiles, &["base".into()])).unwrap();
    let good: Vec<&str> = foreign.found.iter().filter(|f| f.becomes.is_ok()).map(|f| f.name.as_str()).collect();
    assert_eq!(good, ["base", "deploy-dev", "look"]);
    let lost = |name: &str| foreign.found.iter().find(|f| f.name == name).unwrap().becomes.as_ref().unwrap_err();
    assert!(lost("default").why.contains("never used silently"));
    assert!(lost("fragment").instead.contains("aws-vault export --no-session"));
    assert!(lost("vault").instead.contains("include_profile"));
    assert!(lost("lost").why.contains("`nobody` is not there"));
    assert!(lost("odd name").why.contains("a name here"));
}

#[test]
fn a_name_that_is_there_is_kept_replaced_or_the_same() {
    let here = crate::config::parse(Path::new("/c"), "default = \"x\"\n[identity.a]\nprofile = \"p\"\n").unwrap();
    for (name, profile, replace, wanted) in [
        ("a", "p", true, Fate::Same),
        ("a", "q", false, Fate::Differs),
        ("a", "q", true, Fate::Replaces),
        ("b", "p", false, Fate::New),
    ] {
        assert_eq!(fate(name, &from(profile), &here, replace), wanted);
    }
    let found = Found { name: "a".into(), origin: "/f".into(), becomes: Ok(from("p")), left: Vec::new() };
    let foreign = Foreign { found: vec![found], default: Some("a".into()) };
    assert_eq!(new_default(&foreign, &here, true), None, "a default that is there stays");
    let what = Import { tool: Tool::AgentAws, file: None, replace: false, dry_run: false };
    assert!(report(&foreign, &here, &what, None).contains("agent-aws config default a"));
}
