//! What a session is granted: from the decision, the request and what is minted for it.

use std::path::Path;

use agent_aws_policy::{Decision, Granted, Policy, Reach, is_region};
use agent_aws_protocol::{Minting, RunRequest};

use crate::build::{Grant, Model};
use crate::minting::facts;

/// What policy gives, after narrowing. `model` is what is minted for a model identity, if there is one; `home` the
/// caller's home. Ports to publish are for the caller of this to hold against the sandbox.
///
/// # Errors
/// An option that makes no sense, in words.
pub fn grant(
    policy: &Policy,
    decision: &Decision<'_>,
    request: &RunRequest,
    (minting, model): (&Minting, Option<&Minting>),
    (session, home): (&str, &Path),
) -> Result<Grant, String> {
    let sandbox = decision.sandbox;
    let region = request.region.clone().or_else(|| minting.region.clone());
    for (option, given) in [("--region", &region), ("--model-region", &request.model_region)] {
        if !given.as_deref().is_none_or(is_region) {
            return Err(format!("{option} is no AWS region"));
        }
    }
    let spelt_out = |words| policy.spelt_out(words, region.as_deref()).map_err(|what| format!("--allow-name: {what}"));
    let (names, narrow) = (spelt_out(&sandbox.reach.names)?, spelt_out(&request.allow_names)?);
    let model_region = request.model_region.as_ref().or(sandbox.model_region.as_ref());
    let model = model.map(|it| Model {
        identity: it.identity.clone(),
        role: it.role.clone(),
        narrowing: it.narrowing.clone(),
        region: model_region.or(it.region.as_ref()).cloned(),
    });
    let aliases = match &decision.identity {
        Granted::Policy(identity, _) => identity.aliases.clone(),
        Granted::Own { .. } => vec![],
    };
    Ok(Grant {
        session: session.into(),
        identity: decision.identity.to_string(),
        facts: facts(minting, decision),
        aliases,
        role: minting.role.clone(),
        narrowing: minting.narrowing.clone(),
        model,
        region,
        sandbox: sandbox.name.clone(),
        network: decision.network,
        reach: Reach { names, ..sandbox.reach.clone() },
        narrow,
        publish: request.publish.clone(),
        home: sandbox.home,
        share_homes: sandbox.share_homes,
        nesting: sandbox.nesting,
        debug: sandbox.debug,
        limits: sandbox.limits,
        may_lift: sandbox.may_lift.clone(),
        hide: sandbox.hide.iter().map(|p| p.resolve(home)).collect(),
        waived: sandbox.waive.iter().map(ToString::to_string).collect(),
        rw_paths: sandbox.rw_paths.iter().map(|p| p.resolve(home)).collect(),
    })
}
