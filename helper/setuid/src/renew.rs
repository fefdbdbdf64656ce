//! Deciding again, before each refresh, with policy and source as they are then.

use std::os::fd::OwnedFd;

use agent_aws_policy::{Ask, Decision, Granted, Wanted};

use crate::decide::{Granting, SourceFile};
use crate::policy_files::PolicyFiles;
use crate::subject::Person;

/// What was granted, to be granted again.
pub(crate) struct Renewal {
    pub(crate) policy: PolicyFiles,
    pub(crate) person: Person,
    pub(crate) granting: Granting,
}

/// Why there is no leave to refresh.
pub(crate) enum Declined {
    /// Nobody can say now.
    Undecided(String),
    /// Not any more.
    Revoked(String),
}

impl Renewal {
    /// The freshly opened source; `Undecided` while policy or source cannot be read, as in the middle of an edit.
    pub(crate) fn decide(&self) -> Result<Option<OwnedFd>, Declined> {
        let policy = self.policy.read().map_err(|refusal| Declined::Undecided(refusal.text))?;
        let grant = &self.granting.grant;
        let ask = Ask { wanted: Wanted::called(&grant.identity), sandbox: Some(&grant.sandbox), network: None };
        let revoked = |_| Declined::Revoked("policy does not grant this identity any more".into());
        let decision = policy.decide(&self.person.subject, &ask).map_err(revoked)?;
        self.same(&decision).map_err(Declined::Revoked)?;
        let source = self.granting.source.as_ref().map(SourceFile::open).transpose();
        source.map(Option::flatten).map_err(Declined::Undecided)
    }

    /// A session keeps what it was told when it began. Where that changed, it must begin again.
    fn same(&self, decision: &Decision<'_>) -> Result<(), String> {
        let Granted::Policy(identity, source) = &decision.identity else {
            return Ok(());
        };
        let same = self.granting.kind.as_ref() == Some(&source.kind);
        match self.granting.minting.role.as_ref() == Some(&identity.role) && same {
            true => Ok(()),
            false => Err("policy gives this identity another role or source now: start a new session".into()),
        }
    }
}
