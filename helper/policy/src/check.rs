//! Checks that need more than one table: names, references, sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Problem, Report, Spot, quoted};
use crate::parse::{Draft, DraftIdentity, Kind, unknown};
use crate::{Access, Identity, IdentityPattern};

/// What STS takes as a session policy, in characters.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const MAX_SESSION_POLICY: usize = 2048;

/// No name is defined twice, in whatever files.
pub(crate) fn names(draft: &Draft, report: &mut Report<'_>) {
    let mut first: BTreeMap<(&str, &str), Spot> = BTreeMap::new();
    for entry in &draft.names {
        let (kind, name) = &entry.value;
        if let Some(before) = first.get(&(kind.word(), name.as_str())) {
            let message = format!("[{}.{name}] is defined twice", kind.word());
            let hint = format!("first at {}", report.position(*before));
            report.add(entry.at, Problem::new(message).hint(hint));
        } else {
            first.insert((kind.word(), name), entry.at);
        }
    }
}

/// Every reference leads somewhere.
pub(crate) fn references(draft: &Draft, report: &mut Report<'_>) {
    let known: BTreeSet<(&str, &str)> = draft
        .names
        .iter()
        .map(|it| (it.value.0.word(), it.value.1.as_str()))
        .collect();
    let sources = draft
        .identities
        .iter()
        .map(|it| (Kind::Source, it.identity.source.as_str(), it.source_at));
    let identities = draft
        .rules
        .iter()
        .flat_map(|it| &it.identities)
        .filter_map(|pattern| match &pattern.value {
            IdentityPattern::Policy(name) => Some((Kind::Identity, name.as_str(), pattern.at)),
            _ => None,
        });
    let sandboxes = draft
        .rules
        .iter()
        .filter_map(|it| Some((Kind::Sandbox, it.rule.sandbox.as_deref()?, it.sandbox_at?)));
    for (kind, name, at) in sources.chain(identities).chain(sandboxes) {
        if report.is_full() {
            return;
        }
        if !known.contains(&(kind.word(), name)) {
            report.add(at, unknown(kind, name, &draft.names));
        }
    }
}

/// Aliases mean one identity each, a region is known, and the session policy will fit.
pub(crate) fn identities(draft: &Draft, report: &mut Report<'_>) {
    aliases(draft, report);
    for it in &draft.identities {
        let source = draft
            .sources
            .iter()
            .find(|source| source.value.name == it.identity.source);
        if it.identity.region.is_none() && source.is_some_and(|source| source.value.region.is_none()) {
            let message = format!("neither [identity.{}] nor its source has a region", it.identity.name);
            report.add(it.at, Problem::new(message).hint("region = \"...\" in one of them"));
        }
        let length = session_policy_length(&it.identity);
        if length > MAX_SESSION_POLICY {
            let message = format!(
                "the session policy of [identity.{}] would have up to {length} characters",
                it.identity.name
            );
            let hint = format!("AWS takes {MAX_SESSION_POLICY}; drop or merge entries of deny-actions and may-assume");
            report.add(it.at, Problem::new(message).hint(hint));
        }
    }
}

fn aliases(draft: &Draft, report: &mut Report<'_>) {
    let identity_names = draft
        .names
        .iter()
        .filter(|it| it.value.0 == Kind::Identity)
        .map(|it| it.value.1.as_str());
    let mut taken: BTreeMap<&str, &str> = identity_names.map(|name| (name, name)).collect();
    let all = draft.identities.iter().flat_map(
        |DraftIdentity {
             identity, aliases_at, ..
         }| {
            identity
                .aliases
                .iter()
                .zip(aliases_at)
                .map(|(alias, at)| (identity.name.as_str(), alias.as_str(), *at))
        },
    );
    for (identity, alias, at) in all {
        if let Some(owner) = taken.get(alias) {
            report.add(
                at,
                Problem::new(format!(
                    "alias {} is already taken by [identity.{owner}]",
                    quoted(alias)
                )),
            );
        } else {
            taken.insert(alias, identity);
        }
    }
}

/// The most that the identity's session policy can measure. The compiler of session policies is not linked into the
/// setuid program; a test holds this against what it makes.
fn session_policy_length(identity: &Identity) -> usize {
    let list = |entries: &[String]| entries.iter().map(|entry| entry.len() + r#""","#.len()).sum::<usize>();
    let roles = list(&identity.may_assume);
    let (base, table) = match identity.access {
        Access::Full => (r#"{"Action":"*","Effect":"Allow","Resource":"*"},"#.len(), 0),
        Access::Read | Access::ReadMetadata if roles == 0 => (0, data_reads(identity.access)),
        Access::Read | Access::ReadMetadata => (ALLOW_STEP.len() + roles, data_reads(identity.access)),
    };
    let denied = r#"{"Action":[],"Effect":"Deny","Resource":"*"},"#.len() + list(&identity.deny_actions) + table;
    let assume = r#"{"Action":"sts:Assume*","Effect":"Deny","NotResource":[]}"#.len() + roles;
    r#"{"Statement":[],"Version":"2012-10-17"}"#.len() + base + denied + assume
}

const ALLOW_STEP: &str =
    r#"{"Action":["sts:AssumeRole","sts:SetSourceIdentity","sts:TagSession"],"Effect":"Allow","Resource":[]},"#;

/// What the data table of `read-metadata` takes, with quotes and commas.
fn data_reads(access: Access) -> usize {
    if access == Access::ReadMetadata {
        DATA_READS_LENGTH
    } else {
        0
    }
}

const DATA_READS_LENGTH: usize = 1467;

#[cfg(test)]
mod tests {
    use agent_aws_session_policy::{Access as Compiled, CompileError, DATA_READS, Narrowing, compile};
    use proptest::prelude::*;

    use super::*;
    use crate::{Policy, SourceFile};

    /// More than what deny-actions and may-assume add is not overestimated, where none covers another.
    const SLACK: usize = 64;

    fn policy(access: &str, deny: &[String], assume: &[String]) -> Result<Policy, Vec<crate::Diagnostic>> {
        let text = format!(
            "[source.s]\nprofile-file = \"/s\"\nregion = \"eu-west-1\"\n[identity.i]\nsource = \"s\"\n\
             role = \"arn:aws:iam::111122223333:role/r\"\naccess = {access:?}\ndeny-actions = {deny:?}\nmay-assume = {assume:?}\n"
        );
        Policy::parse(&[SourceFile {
            name: "p",
            bytes: text.as_bytes(),
        }])
    }

    #[test]
    fn the_length_of_the_data_table_is_the_compilers() {
        assert_eq!(
            DATA_READS_LENGTH,
            DATA_READS.iter().map(|row| row.action.len() + 3).sum::<usize>()
        );
    }

    proptest! {
        #[test]
        fn a_policy_that_parses_compiles_and_one_that_does_not_is_too_long(
            access in prop::sample::select(vec!["full", "read", "read-metadata"]),
            deny in 0_usize..80,
            assume in 0_usize..30,
        ) {
            let deny: Vec<String> = (0..deny).map(|n| format!("service{n}:Action")).collect();
            let assume: Vec<String> = (0..assume).map(|n| format!("arn:aws:iam::*:role/r{n}")).collect();
            let parsed = policy(access, &deny, &assume);
            let access = Compiled::from_word(access).unwrap();
            let compiled = compile(&Narrowing { access, deny_actions: deny, may_assume: assume, partition: "aws".into() });
            match (parsed, compiled) {
                (Ok(policy), Ok(compiled)) => {
                    let (most, is) = (session_policy_length(&policy.identities[0]), compiled.policy_json.unwrap().len());
                    prop_assert!((is..=is + SLACK).contains(&most), "{most} {is}");
                }
                (Err(_), Ok(compiled)) => prop_assert!(compiled.policy_json.unwrap().len() + SLACK > MAX_SESSION_POLICY),
                (Err(_), Err(CompileError::TooLong { .. })) => {}
                (parsed, compiled) => prop_assert!(false, "{parsed:?} {compiled:?}"),
            }
        }
    }
}
