//! Deciding again, before each refresh, with policy and source as they are then.

use std::os::fd::OwnedFd;

use agent_aws_plan::Grant;
use agent_aws_policy::{Ask, Decision, Granted, Wanted};
use agent_aws_protocol::ModelAsk;

use crate::decide::{Mandate, SourceFile, model};
use crate::policy_files::PolicyFiles;
use crate::subject::Person;

/// What was granted, to be granted again.
pub(crate) struct Renewal {
    pub(crate) policy: PolicyFiles,
    pub(crate) person: Person,
    pub(crate) grant: Grant,
    pub(crate) model: ModelAsk,
}

/// Why there is no leave to refresh.
pub(crate) enum Declined {
    /// Nobody can say now.
    Undecided(String),
    /// Not any more.
    Revoked(String),
}

impl Renewal {
    /// The freshly opened source; `Undecided` while policy or source cannot be read, as in the middle of an edit. What
    /// asks a model belongs to a session: it ends with the leave for that.
    pub(crate) fn decide(&self, mandate: &Mandate) -> Result<Option<OwnedFd>, Declined> {
        let policy = self.policy.read().map_err(|refusal| Declined::Undecided(refusal.text))?;
        let grant = &self.grant;
        let ask = Ask { wanted: Wanted::called(&grant.identity), sandbox: Some(&grant.sandbox), network: None };
        let revoked = || Declined::Revoked("policy does not grant this identity any more".into());
        let mut decision = policy.decide(&self.person.subject, &ask).map_err(|_| revoked())?;
        if mandate.minting.narrowing.model {
            let second = model(&policy, &self.person, &decision, &self.model);
            decision = second.ok().flatten().ok_or_else(revoked)?;
        }
        same(mandate, &decision).map_err(Declined::Revoked)?;
        let source = mandate.source.as_ref().map(SourceFile::open).transpose();
        source.map(Option::flatten).map_err(Declined::Undecided)
    }
}

/// A session keeps what it was told when it began. Where that changed, it must begin again.
fn same(mandate: &Mandate, decision: &Decision<'_>) -> Result<(), String> {
    let same = match &decision.identity {
        Granted::Policy(identity, source) => {
            mandate.kind.as_ref() == Some(&source.kind) && mandate.minting.role.as_ref() == Some(&identity.role)
        }
        Granted::Own { .. } => true,
    };
    match same && decision.identity.to_string() == mandate.minting.identity {
        true => Ok(()),
        false => Err("policy gives this identity another role or source now: start a new session".into()),
    }
}
