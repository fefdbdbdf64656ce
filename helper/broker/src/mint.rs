//! From source credentials to one session.

mod factor;
mod sts;

use std::time::Duration;

use agent_aws_protocol::{MintedSession, Minting};
use agent_aws_session_policy::{Compiled, compile_for, spelt};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::answer::Answer;
use crate::cause::Cause;
use crate::clock::{Now, rfc3339};
use crate::schedule::Window;
use crate::source::{Base, Factor, Place, Resolved, Role, Source};

use factor::Factors;
use sts::{Issued, Sts};

/// The longest session of a role that was assumed with a role's session, in seconds: a limit of STS.
const CHAINED: u32 = 3600;

/// From how much of what STS packs policies and tags into it is said that there is little left, in percent.
const CROWDED: u32 = 80;

/// How long a session with a second factor is to last, in seconds: what AWS gives if nothing is said.
const WITH_FACTOR: u32 = 43_200;

/// Mints sessions of one identity.
#[derive(Debug)]
pub(crate) struct Minter {
    minting: Minting,
    factors: Factors,
    http: SharedHttpClient,
}

/// A session as the doors give it, the time in which they may, and what the supervisor is told of it.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) answer: Answer,
    pub(crate) window: Window,
    pub(crate) session: MintedSession,
}

impl Minter {
    /// What cannot be compiled is said at once: nothing that is compiled can change within a session.
    pub(crate) fn new(minting: Minting, http: SharedHttpClient) -> Result<Self, Cause> {
        let minter = Self { minting, factors: Factors::new(), http };
        minter.narrowing(minter.minting.role.as_deref())?;
        Ok(minter)
    }

    /// The session policy, in the words of the partition that the ARN is of.
    fn narrowing(&self, arn: Option<&str>) -> Result<Compiled, Cause> {
        let minting = &self.minting;
        let refuse = |e: &dyn std::fmt::Display| Cause::last(format!("identity '{}': {e}", minting.identity));
        compile_for(&minting.narrowing, arn, minting.role.is_none()).map_err(|e| refuse(&e))
    }

    /// Name of the identity.
    pub(crate) fn identity(&self) -> &str {
        &self.minting.identity
    }

    /// The duration that is asked for.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.minting.duration.into())
    }

    /// One session, by at most three calls of STS, and one more for each role that the source leads through.
    pub(crate) async fn mint(&self, source: &Source) -> Result<Minted, Cause> {
        let Resolved { base, place, through, role, factor, note } = source.resolve().await?;
        let started = Now::read();
        let credentials = self.reached(base, &place, &through).await?;
        let of_policy = self.minting.role.as_ref().map(|arn| Role {
            arn: arn.clone(),
            external_id: self.minting.external_id.clone(),
            session_name: None,
            duration: None,
        });
        let role = of_policy.or(role);
        let sts = Sts::new(&self.minting, place.clone(), Some(credentials.clone()), &self.http);
        if let Some(factor) = factor {
            return self.with_factor(&sts, place, role, &factor, started).await;
        }
        let mut minted = match (role, credentials.session_token()) {
            (Some(role), token) => self.assume(&sts, &role, token.is_some(), started).await?,
            (None, Some(_)) => self.pass_on(&sts, credentials, source, started).await?,
            (None, None) => self.exchange(&sts, started).await?,
        };
        minted.session.notes.extend(note);
        Ok(minted)
    }

    /// The credentials that are reached from `base` through some roles.
    async fn reached(&self, base: Base, place: &Place, through: &[Role]) -> Result<Credentials, Cause> {
        let mut credentials = match base {
            Base::Keys(credentials) => credentials,
            Base::Token { role, token } => {
                let sts = Sts::new(&self.minting, place.clone(), None, &self.http);
                sts.with_web_identity(&self.minting.session_name, &role, &token).await?.credentials
            }
        };
        for role in through {
            let sts = Sts::new(&self.minting, place.clone(), Some(credentials), &self.http);
            credentials = sts.step(&self.minting.session_name, role).await?.credentials;
        }
        Ok(credentials)
    }

    /// A code buys a session of the user, which assumes the role again and again; or is passed on, and ends the mints when it is
    /// over.
    async fn with_factor(
        &self,
        sts: &Sts,
        place: Place,
        role: Option<Role>,
        factor: &Factor,
        started: Now,
    ) -> Result<Minted, Cause> {
        if role.is_none() {
            self.refuse_narrowing()?;
        }
        let issued = match self.factors.session() {
            Some(issued) => issued,
            None => {
                let caller = sts.caller_identity().await?;
                refuse_root(&caller.arn)?;
                let code = self.factors.code(factor).await?;
                let issued = sts.session_token(WITH_FACTOR, caller, Some((&factor.serial, &code))).await?;
                self.factors.keep(issued.clone());
                issued
            }
        };
        if let Some(role) = role {
            let sts = Sts::new(&self.minting, place, Some(issued.credentials), &self.http);
            return self.assume(&sts, &role, false, started).await;
        }
        let note = "the session that the second factor gave is passed on: nothing in it says who is behind it";
        self.minted(issued, None, vec![note.into()], started)
    }

    async fn assume(&self, sts: &Sts, role: &Role, chained: bool, started: Now) -> Result<Minted, Cause> {
        let narrowing = self.narrowing(Some(&role.arn))?;
        let mut notes = narrowing.notes.clone();
        let mut duration = role.duration.unwrap_or(self.minting.duration);
        if chained && duration > CHAINED {
            duration = CHAINED;
            notes.push("the source is itself a session: STS limits what it assumes to one hour".into());
        }
        let issued = sts.assume_role(&self.minting, &narrowing, role, duration).await?;
        if let Some(percent) = issued.packed.filter(|percent| *percent >= CROWDED) {
            let takes = spelt(&narrowing.takes);
            notes.push(format!(
                "session policy and tags take {percent} % of what STS packs them into; in characters: {takes}"
            ));
        }
        self.minted(issued, Some(duration), notes, started)
    }

    /// A session that the source has already: shown as it is, or not at all.
    async fn pass_on(
        &self,
        sts: &Sts,
        credentials: Credentials,
        source: &Source,
        started: Now,
    ) -> Result<Minted, Cause> {
        self.refuse_narrowing()?;
        let caller = sts.caller_identity().await?;
        refuse_root(&caller.arn)?;
        let what = source.own_profile().map_or("the source".into(), |p| format!("AWS profile '{p}'"));
        let mut notes =
            vec![format!("the session of {what} is passed on as it is: it cannot be narrowed or attributed")];
        let expires = match credentials.expiry().and_then(seconds) {
            Some(expires) => expires,
            None => {
                notes.push(format!("{what} does not say when its session ends: it is read again in time"));
                started.wall.as_secs() + u64::from(self.minting.duration)
            }
        };
        let issued = Issued { credentials, expires, account: caller.account, arn: caller.arn, packed: None };
        self.minted(issued, None, notes, started)
    }

    /// Keys of an IAM user never pass: they buy a session, and a narrower one as a federated user.
    async fn exchange(&self, sts: &Sts, started: Now) -> Result<Minted, Cause> {
        let caller = sts.caller_identity().await?;
        refuse_root(&caller.arn)?;
        let duration = self.minting.duration;
        if self.is_narrowed() {
            let narrowing = self.narrowing(Some(&caller.arn))?;
            let issued = sts.federation_token(&self.minting, &narrowing, duration).await?;
            let note = "long-lived keys were exchanged for a session of a federated user: AWS lets it call nothing of IAM, \
                        and of STS only GetCallerIdentity";
            return self.minted(issued, Some(duration), vec![note.into()], started);
        }
        let issued = sts.session_token(duration, caller, None).await?;
        let notes = vec![
            "long-lived keys were exchanged for a session of the same user: nothing in it says who is behind it".into(),
        ];
        self.minted(issued, Some(duration), notes, started)
    }

    fn is_narrowed(&self) -> bool {
        self.minting.narrowing.is_some()
    }

    /// A session policy can be given when a session is made, and not to one that is there.
    fn refuse_narrowing(&self) -> Result<(), Cause> {
        let minting = &self.minting;
        if !self.is_narrowed() {
            return Ok(());
        }
        if minting.narrowing.model {
            return Err(Cause::denied(format!(
                "identity '{}' is to ask a model and may do nothing else, but what it has is a session already, which \
                 nothing can narrow: use an AWS profile with role_arn and source_profile, or --no-model-identity",
                minting.identity
            )));
        }
        Err(Cause::denied(format!(
            "identity '{}' asks for access {} with {} denied actions, but what it has is a session already, which nothing can \
             narrow: use an AWS profile with role_arn and source_profile, or ask for less without narrowing",
            minting.identity,
            minting.narrowing.access,
            minting.narrowing.deny_actions.len()
        )))
    }

    fn minted(&self, issued: Issued, granted: Option<u32>, notes: Vec<String>, started: Now) -> Result<Minted, Cause> {
        let granted = granted.map(|s| Duration::from_secs(s.into()));
        let Some(window) = Window::new(started, issued.expires, granted) else {
            return Err(Cause::passing(format!(
                "the session ended at {}, before it came, by the clock of this machine, which shows {}: check the clock",
                rfc3339(issued.expires),
                rfc3339(started.wall.as_secs())
            )));
        };
        let answer = Answer::new(&issued.credentials, window.reported())
            .map_err(|e| Cause::last(format!("the session cannot be written down: {e}")))?;
        let session = MintedSession {
            account: issued.account,
            arn: issued.arn,
            access_key_id: issued.credentials.access_key_id().into(),
            expires: issued.expires,
            packed: issued.packed,
            notes,
        };
        Ok(Minted { answer, window, session })
    }
}

fn seconds(time: std::time::SystemTime) -> Option<u64> {
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|d| d.as_secs())
}

/// A root user's keys cannot be narrowed by anything, and a session of them is as bad.
fn refuse_root(arn: &str) -> Result<(), Cause> {
    if arn.ends_with(":root") {
        return Err(Cause::denied(format!(
            "the source is the root user of an account ({arn}): no agent gets that; use an IAM role"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_user_is_refused_and_a_user_named_root_is_not() {
        assert!(refuse_root("arn:aws:iam::111122223333:root").is_err());
        assert!(refuse_root("arn:aws:iam::111122223333:user/root").is_ok());
        assert!(refuse_root("arn:aws:sts::111122223333:assumed-role/r/s").is_ok());
    }
}
