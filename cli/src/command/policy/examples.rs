//! The examples that are installed are right, and decide as their comments say.

use agent_aws_policy::{Ask, Group, Policy, Subject, Wanted};
use agent_aws_policy_text::SourceFile;

use super::too_long;

const EXAMPLES: [(&str, &str); 6] = [
    ("bedrock", include_str!("../../../../packaging/examples/bedrock.toml")),
    ("deny-list", include_str!("../../../../packaging/examples/deny-list.toml")),
    ("own-profiles-only", include_str!("../../../../packaging/examples/own-profiles-only.toml")),
    ("shared-workstation", include_str!("../../../../packaging/examples/shared-workstation.toml")),
    ("two-accounts", include_str!("../../../../packaging/examples/two-accounts.toml")),
    ("unattended", include_str!("../../../../packaging/examples/unattended.toml")),
];

fn example(name: &str) -> Policy {
    let (_, text) = EXAMPLES.iter().find(|(known, _)| *known == name).unwrap();
    agent_aws_policy_text::parse(&[SourceFile { name, bytes: text.as_bytes() }]).unwrap()
}

/// In which sandbox somebody of these groups has an identity; empty where they have not.
fn sandbox_of(policy: &Policy, login: &str, groups: &[&str], identity: &str, sandbox: Option<&str>) -> String {
    let group = |(gid, name): (u32, &&str)| Group { gid, name: Some((*name).to_owned()) };
    let groups: Vec<Group> = (2000..).zip(groups).map(group).collect();
    let subject =
        Subject { uid: 1000, login: Some(login.into()), process_groups: groups.clone(), database_groups: groups };
    let ask = Ask { wanted: Wanted::called(identity), sandbox, network: None };
    policy.decide(&subject, &ask).map(|decision| decision.sandbox.name.clone()).unwrap_or_default()
}

#[test]
fn all_that_are_installed_are_here_right_and_short_enough_for_sts() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/examples");
    let mut names: Vec<String> = std::fs::read_dir(place)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(names, EXAMPLES.map(|(name, _)| name));
    for (name, _) in EXAMPLES {
        assert_eq!(too_long(&example(name)), [], "{name}");
    }
}

#[test]
fn the_shared_workstation_gives_each_group_what_it_says() {
    let policy = example("shared-workstation");
    let of = |groups: &[&str], identity: &str| sandbox_of(&policy, "jo", groups, identity, None);
    assert_eq!(of(&["developers"], "prod-look"), "work");
    assert_eq!(
        (of(&["developers"], "prod-change"), of(&["developers", "oncall"], "prod-change")),
        ("".into(), "work".into())
    );
    assert_eq!(of(&["contractors"], "own:contract"), "contract");
    assert_eq!(of(&["contractors", "developers", "oncall"], "prod-change"), "");
    assert_eq!(of(&["contractors"], "own:other"), "");
}

#[test]
fn the_others_too() {
    let night = example("unattended");
    assert_eq!(sandbox_of(&night, "nightly", &[], "nightly", None), "night");
    assert_eq!(sandbox_of(&night, "jo", &[], "nightly", None), "");
    let two = example("two-accounts");
    assert_eq!(sandbox_of(&two, "jo", &["developers"], "dev", None), "dev");
    assert_eq!(sandbox_of(&two, "jo", &["developers"], "prod", Some("dev")), "");
    let own = example("own-profiles-only");
    assert_eq!(sandbox_of(&own, "jo", &[], "own:dev", Some("offline")), "offline");
    assert_eq!(sandbox_of(&own, "jo", &[], "own:admin", Some("standard")), "");
    let bedrock = example("bedrock");
    assert_eq!(sandbox_of(&bedrock, "jo", &["data"], "data", None), "work");
    assert_eq!(sandbox_of(&bedrock, "jo", &["data"], "ask-a-model", None), "");
    let model = bedrock.sandbox("work").unwrap().model_identity.as_deref();
    assert_eq!(model, Some("ask-a-model"));
}
