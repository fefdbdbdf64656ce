//! What a session is less than its role, in words and as the document that STS gets.

use agent_aws_policy::Narrowing;
use agent_aws_session_policy::{MAX_CHARACTERS, compile_for, spelt};
use serde_json::Value;

/// What each source can and cannot do.
const SOURCES: &str = include_str!("../../tables/sources.tsv");

/// A row for each thing that is said.
pub(crate) fn rows(role: Option<&str>, narrowing: &Narrowing) -> Vec<String> {
    let roles = if role.is_some() { narrowing.may_assume.join(", ") } else { String::new() };
    let own = narrowing.session_policy.as_ref().map_or("", |_| "`session-policy` of the identity");
    let parts = [
        ("access", narrowing.access.to_string()),
        ("role", role.unwrap_or_default().to_owned()),
        ("begins with", [narrowing.policy_arns.join(", ").as_str(), own].concat()),
        ("denied", narrowing.deny_actions.join(", ")),
        ("only", narrowing.allow_actions.join(", ")),
        ("regions", narrowing.regions.join(", ")),
        ("accounts", narrowing.accounts.join(", ")),
        ("organization", narrowing.org.clone().unwrap_or_default()),
        ("may assume", roles),
    ];
    let said = parts.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name}: {value}")).collect()
}

/// The session policy as the broker will pass it, and what takes the space in it; nothing where there is none.
pub(crate) fn document(role: Option<&str>, narrowing: &Narrowing) -> Vec<String> {
    if role.is_none() && !narrowing.is_some() {
        return Vec::new();
    }
    let compiled = match compile_for(narrowing, role, role.is_none()) {
        Ok(compiled) => compiled,
        Err(why) => return vec![format!("there is none: {why}")],
    };
    let mut lines: Vec<String> = compiled.policy_arns.iter().map(|arn| format!("together with {arn}")).collect();
    if let Some(text) = compiled.policy_json {
        let length = text.chars().count();
        lines.push(format!("{length} of {MAX_CHARACTERS} characters: {}", spelt(&compiled.takes)));
        let document = serde_json::from_str::<Value>(&text).and_then(|it| serde_json::to_string_pretty(&it));
        lines.extend(document.unwrap_or(text).lines().map(str::to_owned));
    }
    lines.extend(compiled.notes.into_iter().map(|note| format!("note: {note}")));
    lines
}

/// What sources of a kind can and cannot do, a paragraph each: a kind is what the plan calls it.
pub(crate) fn abilities(kind: &str) -> Vec<String> {
    let mut rows = SOURCES.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t'));
    let Some(names) = rows.next() else { return Vec::new() };
    let names: Vec<&str> = names.skip(1).collect();
    rows.filter_map(|mut row| row.next().filter(|first| *first == kind).map(|_| row))
        .map(|row| names.iter().zip(row).map(|(name, cell)| format!("{name}: {cell}")).collect::<Vec<_>>().join("; "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_policy::{Access, SourceKind};

    const ROLE: Option<&str> = Some("arn:aws-cn:iam::111122223333:role/agent");

    #[test]
    fn the_document_and_what_takes_its_space_are_shown() {
        let narrowing = Narrowing { regions: vec!["cn-north-1".into()], access: Access::Read, ..Narrowing::default() };
        let lines = document(ROLE, &narrowing);
        assert_eq!(lines[0], "together with arn:aws-cn:iam::aws:policy/ReadOnlyAccess");
        assert!(lines[1].contains(" of 2048 characters: regions ("), "{}", lines[1]);
        let shown: Value = serde_json::from_str(&lines[2..].join("\n")).unwrap();
        assert_eq!(shown["Version"], "2012-10-17");
    }

    #[test]
    fn a_narrowing_that_cannot_be_says_why() {
        let odd = Narrowing {
            access: Access::Read,
            policy_arns: vec!["arn:aws:iam::aws:policy/X".into()],
            ..Narrowing::default()
        };
        assert!(document(ROLE, &odd)[0].starts_with("there is none: session policies add up"));
        assert_eq!(document(None, &Narrowing::default()), Vec::<String>::new(), "an own one as it is");
    }

    #[test]
    fn every_kind_of_source_has_a_row() {
        let container = SourceKind::Container { uri: String::new(), token: None };
        let process = SourceKind::Process { program: "/x".into(), arguments: vec![] };
        for kind in [container, process, SourceKind::Instance] {
            assert!(abilities(&kind.to_string())[0].starts_with("credentials that it gives: "), "{kind}");
        }
        assert!(abilities("own").len() > 3 && abilities("nothing").is_empty());
    }
}
