//! `policy iam` and `policy revoke`: what AWS must be told, for an admin to paste.

use agent_aws_policy::{Attribution, Identity, Policy};
use agent_aws_session_policy::compile_for;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::say;

/// What stands where only the admin knows whose credentials the source has.
const SOURCE: &str = "ARN-OF-THE-USER-OR-ROLE-OF-THE-SOURCE";
/// Keys of the session tags of attribution = "full".
const TAGS: [&str; 3] = ["agent-aws:identity", "agent-aws:session", "agent-aws:user"];
/// As many characters has a session id, which ends each session name.
const SESSION_ID: usize = 16;

/// Prints what an identity of this policy needs.
pub(super) fn iam(policy: &Policy, name: &str) -> Result<(), Failure> {
    let identity = policy.identity(name).ok_or_else(|| {
        let known: Vec<&str> = policy.identities.iter().map(|i| i.name.as_str()).collect();
        let text = format!("the policy has no identity `{}`", name.escape_debug());
        Failure::Other(text, Some(format!("it has {}", known.join(", "))))
    })?;
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let role = &identity.role;
    let mut parts = vec![
        format!("# Trust policy of {role}, whose MaxSessionDuration must be {} s or more", identity.duration.as_secs()),
        text(&trust(identity)),
        format!("# What the credentials of source `{}` must be allowed", identity.source),
        text(&permission(identity)),
    ];
    let compiled = compile_for(&identity.narrowing, Some(&identity.role), false).unwrap_or_default();
    if let Some(document) = compiled.policy_json {
        let managed = compiled.policy_arns.join(", ");
        let with = if managed.is_empty() { String::new() } else { format!(", together with {managed}") };
        parts.push(format!("# The session policy that agent-aws passes{with} ({} of 2048 characters)", document.len()));
        parts.push(text(&serde_json::from_str(&document).unwrap_or_default()));
    }
    say::out(&say::escaped_block(&(parts.join("\n") + "\n")))
}

/// Prints what ends every session of a user that was issued until `now`, to the minute.
pub(super) fn revoke(user: &str, now: u64) -> Result<(), Failure> {
    let document = revocation(user, now);
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    say::out(&format!("# An inline policy for each role that {} may have used\n{text}\n", say::escaped(user)))
}

/// Nothing in it is more than the identity asks for, and each part of it is asked for at every start.
fn trust(identity: &Identity) -> Value {
    let full = identity.attribution == Attribution::Full;
    let allow = |action: &str, condition: Map<String, Value>| {
        let mut statement = Map::new();
        statement.insert("Effect".into(), json!("Allow"));
        statement.insert("Principal".into(), json!({ "AWS": SOURCE }));
        statement.insert("Action".into(), json!(action));
        if !condition.is_empty() {
            statement.insert("Condition".into(), Value::Object(condition));
        }
        Value::Object(statement)
    };
    let when = |test: &str, value: Value| Map::from_iter([(test.to_owned(), value)]);
    let somebody = || when("StringLike", json!({ "sts:SourceIdentity": "*" }));
    let external = identity.external_id.iter().flat_map(|id| when("StringEquals", json!({ "sts:ExternalId": id })));
    let condition = external.chain(full.then(somebody).into_iter().flatten()).collect();
    let mut statements = vec![allow("sts:AssumeRole", condition)];
    if full {
        statements.push(allow("sts:SetSourceIdentity", somebody()));
        statements.push(allow("sts:TagSession", when("ForAllValues:StringEquals", json!({ "aws:TagKeys": TAGS }))));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn permission(identity: &Identity) -> Value {
    let actions: &[&str] = match identity.attribution {
        Attribution::Full => &["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
        Attribution::Name => &["sts:AssumeRole"],
    };
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": identity.role });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

/// By the session name, which every session has: the login name as AWS takes it, and the session id.
fn revocation(user: &str, now: u64) -> Value {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '_' };
    let login: String = user.chars().map(plain).take(64 - SESSION_ID - 1).collect();
    let name = format!("*:{login}-{}", "?".repeat(SESSION_ID));
    let condition = json!({
        "DateLessThan": { "aws:TokenIssueTime": say::date_time(now).replace(' ', "T") + ":59Z" },
        "StringLike": { "aws:userid": name },
    });
    let statement = json!({ "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_policy_text::{SourceFile, parse};

    const POLICY: &str = "[source.workstation]\nprofile-file = \"/etc/agent-aws/credentials\"\nprofile = \"w\"\n\
        region = \"eu-west-1\"\n\
        [identity.incident]\nsource = \"workstation\"\nrole = \"arn:aws:iam::111122223333:role/agent-incident\"\n\
        external-id = \"e-1\"\naccess = \"read\"\n\
        [identity.plain]\nsource = \"workstation\"\nrole = \"arn:aws:iam::111122223333:role/plain\"\nattribution = \"name\"\n";

    fn policy() -> Policy {
        parse(&[SourceFile { name: "p", bytes: POLICY.as_bytes() }]).unwrap()
    }

    #[test]
    fn the_trust_policy_allows_what_a_start_asks_for_and_no_more() {
        let policy = policy();
        let full = trust(policy.identity("incident").unwrap());
        let actions: Vec<&str> =
            full["Statement"].as_array().unwrap().iter().map(|s| s["Action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]);
        let condition = &full["Statement"][0]["Condition"];
        assert_eq!(condition["StringEquals"]["sts:ExternalId"], "e-1");
        assert_eq!(condition["StringLike"]["sts:SourceIdentity"], "*");
        let plain = trust(policy.identity("plain").unwrap());
        assert_eq!(plain["Statement"].as_array().unwrap().len(), 1);
        assert!(plain["Statement"][0].get("Condition").is_none());
        assert_eq!(permission(policy.identity("plain").unwrap())["Statement"][0]["Action"], json!(["sts:AssumeRole"]));
    }

    #[test]
    fn a_revocation_is_of_one_user_and_of_what_was_issued_before() {
        let document = revocation("jo smith", 1_795_183_500);
        let condition = &document["Statement"][0]["Condition"];
        assert_eq!(condition["DateLessThan"]["aws:TokenIssueTime"], "2026-11-20T14:05:59Z");
        assert_eq!(condition["StringLike"]["aws:userid"], "*:jo_smith-????????????????");
        let long = revocation(&"x".repeat(100), 0);
        let name = long["Statement"][0]["Condition"]["StringLike"]["aws:userid"].as_str().unwrap().to_owned();
        assert_eq!(name.len(), "*:".len() + 64, "as long as a session name");
    }

    #[test]
    fn an_identity_that_is_not_there_is_named_with_those_that_are() {
        let why = iam(&policy(), "nobody").unwrap_err();
        assert!(why.to_string().contains("`nobody`"), "{why}");
    }
}
