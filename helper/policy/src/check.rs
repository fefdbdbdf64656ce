//! Checks that need more than one table: names, references, sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Problem, Report, Spot, nearest, quoted};
use crate::parse::{Draft, Kind};
use crate::{Access, Identity, PRESETS};

/// What STS takes as a session policy, in characters.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const MAX_SESSION_POLICY: usize = 2048;

/// No name is defined twice, in whatever files.
pub(crate) fn names(draft: &Draft, report: &mut Report<'_>) {
    let mut first: BTreeMap<(Kind, &str), Spot> = BTreeMap::new();
    for (kind, name, at) in &draft.names {
        if let Some(before) = first.get(&(*kind, name)) {
            let hint = format!("first at {}", report.position(*before));
            report.add(*at, Problem::new(format!("[{}.{name}] is defined twice", kind.word())).hint(hint));
        } else {
            first.insert((*kind, name), *at);
        }
    }
}

/// Every reference leads somewhere.
pub(crate) fn references(draft: &Draft, report: &mut Report<'_>) {
    let shipped = PRESETS.iter().map(|(name, _)| (Kind::Names, *name));
    let known: BTreeSet<(Kind, &str)> =
        draft.names.iter().map(|(kind, name, _)| (*kind, name.as_str())).chain(shipped).collect();
    for (kind, name, at) in draft.uses.iter().filter(|(kind, name, _)| !known.contains(&(*kind, name))) {
        if report.is_full() {
            return;
        }
        let problem = Problem::new(format!("there is no [{}.{name}]", kind.word()));
        let same_kind = known.iter().filter(|(known, _)| known == kind).map(|(_, name)| *name);
        report.add(
            *at,
            match nearest(name, same_kind) {
                Some(near) => problem.hint(format!("did you mean {}?", quoted(near))),
                None => problem,
            },
        );
    }
}

/// An alias means one identity, and never one whose name is another's.
pub(crate) fn aliases(draft: &Draft, report: &mut Report<'_>) {
    let identities = draft.names.iter().filter(|(kind, ..)| *kind == Kind::Identity);
    let mut taken: BTreeMap<&str, &str> = identities.map(|(_, name, _)| (name.as_str(), name.as_str())).collect();
    for (identity, alias, at) in &draft.aliases {
        if let Some(owner) = taken.insert(alias, identity) {
            report.add(*at, format!("alias {} is already taken by [identity.{owner}]", quoted(alias)));
        }
    }
}

/// A region is known, and the session policy will fit.
pub(crate) fn identities(draft: &Draft, report: &mut Report<'_>) {
    let without_region = draft.policy.sources.iter().filter(|source| source.region.is_none());
    let without_region: BTreeSet<&str> = without_region.map(|source| source.name.as_str()).collect();
    let places = draft.names.iter().filter(|(kind, ..)| *kind == Kind::Identity);
    let places: BTreeMap<&str, Spot> = places.map(|(_, name, at)| (name.as_str(), *at)).collect();
    for identity in &draft.policy.identities {
        let (name, at) = (&identity.name, places.get(identity.name.as_str()).copied().unwrap_or(Spot::first(0)));
        if identity.region.is_none() && without_region.contains(identity.source.as_str()) {
            let problem = Problem::new(format!("neither [identity.{name}] nor its source has a region"));
            report.add(at, problem.hint("region = \"...\" in one of them"));
        }
        let length = session_policy_length(identity);
        if length > MAX_SESSION_POLICY {
            let message = format!("the session policy of [identity.{name}] would have up to {length} characters");
            let hint = format!("AWS takes {MAX_SESSION_POLICY}; drop or merge entries of deny-actions and may-assume");
            report.add(at, Problem::new(message).hint(hint));
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
    if access == Access::ReadMetadata { DATA_READS_LENGTH } else { 0 }
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
        Policy::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }])
    }

    #[test]
    fn the_length_of_the_data_table_is_the_compilers() {
        assert_eq!(DATA_READS_LENGTH, DATA_READS.iter().map(|row| row.action.len() + 3).sum::<usize>());
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
