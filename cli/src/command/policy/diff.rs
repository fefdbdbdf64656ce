//! `policy diff`: who gains and who loses what, and what else is different.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use agent_aws_policy::{Group, GroupRef, Policy, Rule, Subject, UserRef};
use agent_aws_protocol::Exit;
use serde::Serialize;
use serde_json::{Value, json};

use super::{below, parsed};
use crate::failure::Failure;
use crate::say;

/// Neither the uid of anybody nor the "unchanged" of the kernel's.
const NOBODYS_UID: u32 = u32::MAX - 1;

/// Somebody may use an identity in a sandbox.
type Right = (String, String);

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Change {
    /// Somebody may use more.
    Gains { who: String, identity: String, sandbox: String },
    /// Somebody may use less.
    Loses { who: String, identity: String, sandbox: String },
    /// A definition that both have is another one now.
    Differs { what: String, key: String, old: Value, new: Value },
    /// Only the new one defines it.
    Added { what: String },
    /// Only the old one defines it.
    Removed { what: String },
}

/// Compares, prints, and ends as diff(1) does: 0 for none, 1 for some.
pub(super) fn diff(old: &Path, new: &Path, as_json: bool) -> Result<Exit, Failure> {
    let changes = between(&load(old)?, &load(new)?);
    match as_json {
        true => say::json(&json!(changes))?,
        false => say::out(&text(&changes))?,
    }
    Ok(Exit::Code(i32::from(!changes.is_empty())))
}

/// A file, or a directory as /etc/agent-aws is one.
fn load(path: &Path) -> Result<Policy, Failure> {
    let files: Vec<PathBuf> = if path.is_dir() { below(path)? } else { vec![path.to_owned()] };
    parsed(&files)
}

/// Everything that is different.
pub(super) fn between(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    for (who, subject) in people(old, new) {
        let (before, after) = (rights(old, &subject), rights(new, &subject));
        changes.extend(after.difference(&before).cloned().map(|(identity, sandbox)| Change::Gains {
            who: who.clone(),
            identity,
            sandbox,
        }));
        changes.extend(before.difference(&after).cloned().map(|(identity, sandbox)| Change::Loses {
            who: who.clone(),
            identity,
            sandbox,
        }));
    }
    definitions("source", &named(&old.sources), &named(&new.sources), &mut changes);
    definitions("identity", &named(&old.identities), &named(&new.identities), &mut changes);
    definitions("sandbox", &named(&old.sandboxes), &named(&new.sandboxes), &mut changes);
    definitions("names", &named(&old.names), &named(&new.names), &mut changes);
    changes
}

/// Everybody whom a rule of either speaks of, alone: who is in two groups may use what either may.
fn people(old: &Policy, new: &Policy) -> Vec<(String, Subject)> {
    let rules = [&old.allows, &old.denies, &new.allows, &new.denies].into_iter().flatten();
    let mut all: Vec<(String, Subject)> = Vec::new();
    let mut add = |who: String, subject: Subject| {
        if !all.iter().any(|(known, _)| *known == who) {
            all.push((who, subject));
        }
    };
    let nobody = |login: Option<String>| Subject {
        uid: NOBODYS_UID,
        login,
        process_groups: Vec::new(),
        database_groups: Vec::new(),
    };
    for Rule { users, groups, .. } in rules {
        for user in users {
            match user {
                UserRef::Everybody => add("everybody".into(), nobody(None)),
                UserRef::Name(name) => add(format!("user {name}"), nobody(Some(name.clone()))),
                UserRef::Uid(uid) => add(format!("uid {uid}"), Subject { uid: *uid, ..nobody(None) }),
            }
        }
        for group in groups {
            let (gid, name) = match group {
                GroupRef::Name(name) => (NOBODYS_UID, Some(name.clone())),
                GroupRef::Gid(gid) => (*gid, None),
            };
            let groups = vec![Group { gid, name }];
            let subject = Subject { process_groups: groups.clone(), database_groups: groups, ..nobody(None) };
            add(format!("group {group}"), subject);
        }
    }
    all
}

fn rights(policy: &Policy, subject: &Subject) -> BTreeSet<Right> {
    let offers = policy.offers(subject);
    let of = |offer: &agent_aws_policy::Offer<'_>| {
        let identity = offer.identity.to_string();
        offer.sandboxes.iter().map(|sandbox| (identity.clone(), sandbox.name.clone())).collect::<Vec<_>>()
    };
    offers.iter().flat_map(of).collect()
}

/// Definitions as data, without the place where they stand.
fn named<T: Serialize>(all: &[T]) -> Vec<(String, Value)> {
    let as_data = |one: &T| {
        let mut value = serde_json::to_value(one).ok()?;
        let object = value.as_object_mut()?;
        object.shift_remove("position");
        let name = object.shift_remove("name").or_else(|| object.shift_remove("word"))?;
        Some((name.as_str()?.to_owned(), value))
    };
    all.iter().filter_map(as_data).collect()
}

fn definitions(kind: &str, old: &[(String, Value)], new: &[(String, Value)], changes: &mut Vec<Change>) {
    let find =
        |all: &[(String, Value)], name: &str| all.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone());
    for (name, before) in old {
        let what = format!("{kind}.{name}");
        match find(new, name) {
            None => changes.push(Change::Removed { what }),
            Some(after) => members(&what, "", before, &after, changes),
        }
    }
    let added = new.iter().filter(|(name, _)| find(old, name).is_none());
    changes.extend(added.map(|(name, _)| Change::Added { what: format!("{kind}.{name}") }));
}

/// The members of an object that are different, and of objects in it.
fn members(what: &str, above: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let get = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                let dot = if above.is_empty() { "" } else { "." };
                let path = format!("{above}{dot}{}", key.replace('_', "-"));
                members(what, &path, &get(before), &get(after), changes);
            }
        }
        _ => {
            let (what, key) = (what.to_owned(), above.to_owned());
            changes.push(Change::Differs { what, key, old: old.clone(), new: new.clone() });
        }
    }
}

/// One line each: what is more first.
pub(super) fn text(changes: &[Change]) -> String {
    let mut lines = String::new();
    for change in changes {
        let line = match change {
            Change::Gains { who, identity, sandbox } => format!("+ {who} may use {identity} in sandbox {sandbox}"),
            Change::Loses { who, identity, sandbox } => {
                format!("- {who} may no longer use {identity} in sandbox {sandbox}")
            }
            Change::Differs { what, key, old, new } => format!("~ [{what}] {key}: {old} -> {new}"),
            Change::Added { what } => format!("+ [{what}]"),
            Change::Removed { what } => format!("- [{what}]"),
        };
        let _ = writeln!(lines, "{}", say::escaped(&line));
    }
    if changes.is_empty() { "nobody gains or loses anything, and nothing else is different\n".into() } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_policy_text::SourceFile;

    const BASE: &str = r#"
[source.w]
profile-file = "/etc/agent-aws/sources/w"
profile = "default"
region = "eu-west-1"
[identity.incident]
role = "arn:aws:iam::111122223333:role/r"
source = "w"
[sandbox.standard]
network = "filtered"
[[allow]]
groups = ["developers"]
identities = ["incident"]
sandbox = "standard"
"#;

    fn policy(text: &str) -> Policy {
        agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }]).unwrap()
    }

    fn lines(old: &str, new: &str) -> Vec<String> {
        text(&between(&policy(old), &policy(new))).lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_same_policy_elsewhere_is_no_difference() {
        assert_eq!(between(&policy(BASE), &policy(&format!("# a comment\n\n{BASE}"))), []);
    }

    #[test]
    fn who_gains_and_who_loses_is_said_and_a_deny_loses() {
        let more = format!("{BASE}[[deny]]\nusers = [\"jo\"]\nidentities = [\"incident\"]\n");
        let more = more.replace("groups = [\"developers\"]", "groups = [\"developers\", \"staff\"]");
        assert_eq!(lines(BASE, &more), ["+ group staff may use incident in sandbox standard"]);
        let all = BASE.replace("groups = [\"developers\"]", "users = [\"*\"]");
        let denied = format!("{all}[[deny]]\nusers = [\"jo\"]\nidentities = [\"incident\"]\n");
        assert_eq!(lines(&all, &denied), ["- user jo may no longer use incident in sandbox standard"]);
    }

    #[test]
    fn what_a_definition_says_differently_is_said_by_its_key() {
        let new = BASE.replace("role/r\"", "role/other\"\naccess = \"read\"").replace("filtered", "shared");
        assert_eq!(
            lines(BASE, &new),
            [
                "~ [identity.incident] narrowing.access: \"Full\" -> \"Read\"",
                "~ [identity.incident] role: \"arn:aws:iam::111122223333:role/r\" -> \"arn:aws:iam::111122223333:role/other\"",
                "~ [sandbox.standard] network: \"Filtered\" -> \"Shared\"",
            ]
        );
        let renamed = BASE
            .replace("[sandbox.standard]", "[sandbox.other]")
            .replace("sandbox = \"standard\"", "sandbox = \"other\"");
        assert_eq!(
            lines(BASE, &renamed),
            [
                "+ group developers may use incident in sandbox other",
                "- group developers may no longer use incident in sandbox standard",
                "- [sandbox.standard]",
                "+ [sandbox.other]",
            ]
        );
    }
}
