//! What the tests of the policy share.
#![allow(dead_code, unreachable_pub)] // no test uses all of it

use agent_aws_policy::{Ask, Group, Network, Policy, Subject, Wanted};
use agent_aws_policy_text::{Diagnostic, SourceFile};

/// A source and two identities to refer to.
pub const BASE: &str = r#"
[source.workstation]
profile-file = "/etc/agent-aws/sources/workstation"
region = "eu-west-1"

[identity.incident]
role = "arn:aws:iam::111122223333:role/agent-incident"
source = "workstation"

[identity.deploy]
role = "arn:aws:iam::111122223333:role/agent-deploy"
source = "workstation"

[sandbox.standard]
network = "shared"

[sandbox.strict]
network = "none"
"#;

/// Parses one file called `p`.
pub fn parse(text: &str) -> Result<Policy, Vec<Diagnostic>> {
    agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }])
}

/// [`BASE`] with these rules.
pub fn with_rules(rules: &str) -> Policy {
    parse(&format!("{BASE}{rules}")).unwrap_or_else(|all| panic!("{}", all[0]))
}

/// What is wrong, a line each.
pub fn errors(text: &str) -> Vec<String> {
    parse(text).expect_err("should be refused").iter().map(ToString::to_string).collect()
}

pub fn groups(list: &[(u32, &str)]) -> Vec<Group> {
    list.iter().map(|(gid, name)| Group { gid: *gid, name: Some((*name).to_owned()) }).collect()
}

/// A subject whose process and database agree on the groups.
pub fn subject(uid: u32, login: &str, of: &[(u32, &str)]) -> Subject {
    Subject { uid, login: Some(login.to_owned()), process_groups: groups(of), database_groups: groups(of) }
}

pub fn named(name: &str) -> Ask<'_> {
    Ask { wanted: Wanted::Named(name), sandbox: None, network: None }
}

pub fn own(profile: &str) -> Ask<'_> {
    Ask { wanted: Wanted::Own(profile), sandbox: None, network: None }
}

pub const UNNAMED: Ask<'static> = Ask { wanted: Wanted::Unnamed, sandbox: None, network: None };

/// Identity, sandbox and network of what is granted, or nothing.
pub fn granted(policy: &Policy, subject: &Subject, ask: &Ask<'_>) -> Option<(String, String, Network)> {
    let decision = policy.decide(subject, ask).ok()?;
    Some((decision.identity.to_string(), decision.sandbox.name.clone(), decision.network))
}
