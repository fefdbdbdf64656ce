//! Deciding again, before each refresh, with policy and source as they are then.

use std::os::fd::OwnedFd;

use agent_aws_policy::{Ask, Decision, Granted, SourceKind, Wanted};

use crate::decide::SourceFile;
use crate::policy_files::PolicyFiles;
use crate::subject::Person;

/// What was granted, to be granted again.
pub(crate) struct Renewal {
    pub(crate) policy: PolicyFiles,
    pub(crate) person: Person,
    pub(crate) identity: String,
    pub(crate) role: Option<String>,
    pub(crate) sandbox: String,
    pub(crate) source: Option<SourceFile>,
    /// First argument of the command, for messages.
    pub(crate) command: String,
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
        let wanted = match self.identity.strip_prefix("own:") {
            Some(profile) => Wanted::Own(profile),
            None => Wanted::Named(&self.identity),
        };
        let ask = Ask { wanted, sandbox: Some(&self.sandbox), network: None };
        let decision = policy.decide(&self.person.subject, &ask);
        let decision =
            decision.map_err(|_| Declined::Revoked("policy does not grant this identity any more".into()))?;
        self.same(&decision).map_err(Declined::Revoked)?;
        self.source.as_ref().map(SourceFile::open).transpose().map_err(Declined::Undecided)
    }

    /// A session keeps what it was told when it began. Where that changed, it must begin again.
    fn same(&self, decision: &Decision<'_>) -> Result<(), String> {
        let Granted::Policy(identity, source) = &decision.identity else {
            return Ok(());
        };
        let SourceKind::ProfileFile { path, .. } = &source.kind;
        let moved = self.source.as_ref().is_none_or(|s| s.path() != path);
        match self.role.as_deref() == Some(identity.role.as_str()) && !moved {
            true => Ok(()),
            false => Err("policy gives this identity another role or source now: start a new session".into()),
        }
    }
}
