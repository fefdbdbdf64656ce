//! Checks that need more than one table: names, references, sizes.

use std::collections::{BTreeMap, BTreeSet};

use agent_aws_policy::PRESETS;

use crate::diagnostic::{Problem, Report, Spot, nearest, quoted};
use crate::parse::{Draft, Kind};

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
        let mut problem = Problem::new(format!("there is no [{}.{name}]", kind.word()));
        let same_kind = known.iter().filter(|(known, _)| known == kind).map(|(_, name)| *name);
        problem.hint = nearest(name, same_kind).map(|near| format!("did you mean {}?", quoted(near)));
        report.add(*at, problem);
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

/// What a model is asked with begins from asking models, and nothing else may say what it begins from.
pub(crate) fn models(draft: &Draft, report: &mut Report<'_>) {
    for sandbox in &draft.policy.sandboxes {
        let at = draft.names.iter().find(|(kind, name, _)| *kind == Kind::Sandbox && *name == sandbox.name);
        let named = |name: &String| draft.policy.identities.iter().find(|identity| identity.name == *name);
        let identity = sandbox.model_identity.as_ref().and_then(named).filter(|it| it.narrowing.has_base());
        if let (Some(identity), Some((.., at))) = (identity, at) {
            let what = format!("`model-identity` of [sandbox.{}]: [identity.{}] has an", sandbox.name, identity.name);
            let problem = Problem::new(format!("{what} `access`, `policy-arns` or `session-policy` of its own"));
            report.add(
                *at,
                problem.hint("name an identity without: a model is only ever asked, whatever its role may do"),
            );
        }
    }
}

/// A region is known. Whether the session policy will fit is for its compiler to say: `agent-aws policy check`, and the
/// broker.
pub(crate) fn identities(draft: &Draft, report: &mut Report<'_>) {
    let without_region = draft.policy.sources.iter().filter(|source| source.region.is_none());
    let without_region: BTreeSet<&str> = without_region.map(|source| source.name.as_str()).collect();
    let places = draft.names.iter().filter(|(kind, ..)| *kind == Kind::Identity);
    let places: BTreeMap<&str, Spot> = places.map(|(_, name, at)| (name.as_str(), *at)).collect();
    for identity in &draft.policy.identities {
        let (name, at) = (&identity.name, places.get(identity.name.as_str()).copied().unwrap_or(Spot::first(0)));
        let regions = &identity.narrowing.regions;
        let own = identity.region.as_ref().filter(|region| !regions.is_empty() && !regions.contains(region));
        if let Some(own) = own {
            let problem =
                Problem::new(format!("region {} of [identity.{name}] is not one of its regions", quoted(own)));
            report.add(at, problem.hint(format!("regions = [..., {}]", quoted(own))));
        }
        if identity.region.is_none() && without_region.contains(identity.source.as_str()) {
            let problem = Problem::new(format!("neither [identity.{name}] nor its source has a region"));
            report.add(at, problem.hint("region = \"...\" in one of them"));
        }
    }
}
