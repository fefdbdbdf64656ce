//! Checks that need more than one table: names, references, sizes.

use std::collections::BTreeMap;

use crate::diagnostic::{Problem, Report, Spot, quoted};
use crate::parse::{Draft, DraftIdentity, Kind, unknown};
use crate::{Access, Identity, IdentityPattern, RuleKind};

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
    let known = |kind, name: &str| draft.names.iter().any(|it| it.value.0 == kind && it.value.1 == name);
    for it in &draft.identities {
        if !known(Kind::Source, &it.identity.source) {
            report.add(it.source_at, unknown(Kind::Source, &it.identity.source, &draft.names));
        }
    }
    for it in &draft.rules {
        for pattern in &it.identities {
            match &pattern.value {
                IdentityPattern::Policy(name) if !known(Kind::Identity, name) => {
                    report.add(pattern.at, unknown(Kind::Identity, name, &draft.names));
                }
                _ => {}
            }
        }
        if let (Some(sandbox), Some(at)) = (&it.rule.sandbox, it.sandbox_at)
            && it.rule.kind == RuleKind::Allow
            && !known(Kind::Sandbox, sandbox)
        {
            report.add(at, unknown(Kind::Sandbox, sandbox, &draft.names));
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
                "the session policy of [identity.{}] would have {length} characters",
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
/// setuid program; a test compares the two.
fn session_policy_length(identity: &Identity) -> usize {
    let entries = |list: &[String]| list.iter().map(|entry| entry.len() + r#""","#.len()).sum::<usize>();
    let fixed = match identity.access {
        Access::Full => 0,
        Access::Read => 0,
        Access::ReadMetadata => 0,
    };
    fixed + entries(&identity.deny_actions) + entries(&identity.may_assume)
}
